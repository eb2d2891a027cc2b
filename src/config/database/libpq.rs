//! What libpq would find in the environment: its `PG…` variables, and where its files are (PostgreSQL manual, 34.15,
//! "Environment Variables").
//!
//! They are defaults: a connection string counts for more, and so does a service. They are gathered where the rest of the
//! environment is read, so that a configuration made by a program alone depends on nothing outside of it.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::config::environment::Stack;

/// The variables that stand for a parameter of a connection, also those whose parameter is refused: a variable that asks for
/// protection which does not exist here must not be passed over. `PGDATESTYLE`, `PGTZ`, `PGGEQO`, `PGCLIENTENCODING` and GSSAPI's do not matter to a sink.
const PARAMETERS: [(&str, &str); 27] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGSERVICEFILE", "servicefile"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLSNI", "sslsni"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
];

/// These say where a database is; a user or a password alone does not.
const PLACES: [&str; 4] = ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"];
const SYSTEM_FOLDER: &str = "PGSYSCONFDIR";
const HOME: &str = "HOME";

/// What the environment said when the configuration was read; empty if it was not read from there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Libpq {
    pub(crate) variables: Vec<LibpqVariable>,
    /// The user's folder, for `.pgpass`, `.pg_service.conf` and `.postgresql/`.
    pub(crate) home: Option<PathBuf>,
    /// `PGSYSCONFDIR`, where the services of the whole machine may be.
    pub(crate) system_folder: Option<PathBuf>,
}

/// One variable that is set.
#[derive(Debug, Clone)]
pub(crate) struct LibpqVariable {
    pub(crate) variable: &'static str,
    pub(crate) parameter: &'static str,
    /// Any may hold the password by mistake, so none is shown.
    pub(crate) value: SecretString,
}

impl Libpq {
    pub(crate) fn read(stack: Stack<'_>) -> Self {
        let variable = |(variable, parameter): (&'static str, &'static str)| {
            let value = stack.get(variable)?.value.as_str().into();
            Some(LibpqVariable { variable, parameter, value })
        };
        let path = |name: &str| stack.get(name).map(|variable| PathBuf::from(&variable.value));
        Self {
            variables: PARAMETERS.into_iter().filter_map(variable).collect(),
            home: path(HOME),
            system_folder: path(SYSTEM_FOLDER),
        }
    }

    /// Whether they say where a database is.
    pub(crate) fn names_a_place(&self) -> bool {
        self.variables.iter().any(|variable| PLACES.contains(&variable.variable))
    }
}

/// Whether it is one that is gathered from the environment and from `.env`.
pub(crate) fn is_ours(name: &str) -> bool {
    name == SYSTEM_FOLDER || PARAMETERS.iter().any(|(variable, _)| *variable == name)
}

/// Whether it is one that only the environment has.
pub(crate) fn is_of_the_environment(name: &str) -> bool {
    name == HOME
}

/// For the reference.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    PARAMETERS.into_iter().map(|(variable, _)| variable)
}

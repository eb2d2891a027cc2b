//! libpq's settings in the environment: its `PG…` variables, and the location of its files (PostgreSQL manual, 34.15,
//! "Environment Variables").
//!
//! They are defaults: a connection string and a service override them. They are read together with the rest of the
//! environment, so a configuration that a program makes itself does not depend on them.

use std::path::PathBuf;

use crate::config::Secret;

use crate::config::layers::Stack;

/// The variables that set a connection parameter, including the refused ones: a variable that demands a protection which cxsink
/// lacks must not be ignored. `PGDATESTYLE`, `PGTZ`, `PGGEQO`, `PGCLIENTENCODING` and those of GSSAPI have no effect on a sink.
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

/// The variables that locate a database. A user or a password alone does not.
const LOCATIONS: [&str; 4] = ["PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE"];
const SYSTEM_FOLDER: &str = "PGSYSCONFDIR";
const HOME: &str = "HOME";

/// libpq's settings in the environment; empty if the configuration was not read from there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Libpq {
    pub(crate) variables: Vec<LibpqVariable>,
    /// The user's folder, for `.pgpass`, `.pg_service.conf` and `.postgresql/`.
    pub(crate) home: Option<PathBuf>,
    /// `PGSYSCONFDIR`, for the machine's `pg_service.conf`.
    pub(crate) system_folder: Option<PathBuf>,
}

/// One variable that is set.
#[derive(Debug, Clone)]
pub(crate) struct LibpqVariable {
    pub(crate) variable: &'static str,
    pub(crate) parameter: &'static str,
    /// Secret, because any of them may contain the password by mistake.
    pub(crate) value: Secret,
}

impl Libpq {
    pub(in crate::config) fn read(stack: Stack<'_>) -> Self {
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

    /// Whether the variables locate a database.
    pub(in crate::config) fn locates_database(&self) -> bool {
        self.variables.iter().any(|variable| LOCATIONS.contains(&variable.variable))
    }
}

/// Whether the variable is read, from the environment and from `.env`.
pub(in crate::config) fn is_ours(name: &str) -> bool {
    name == SYSTEM_FOLDER || PARAMETERS.iter().any(|(variable, _)| *variable == name)
}

/// Whether the variable is read from the environment only.
pub(in crate::config) fn is_environment_only(name: &str) -> bool {
    name == HOME
}

/// The variables, for the reference.
pub(in crate::config) fn variables() -> impl Iterator<Item = &'static str> {
    PARAMETERS.into_iter().map(|(variable, _)| variable)
}

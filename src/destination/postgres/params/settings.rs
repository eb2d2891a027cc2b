//! What each source says about the connection, by libpq's order: the connection string, then the service that it names, then the
//! environment. What none of them says has a default (PostgreSQL manual, 34.1.2, "Parameter Key Words").

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use crate::config::database::libpq::Libpq;
use crate::config::database::url;
use crate::destination::postgres::params::service;
use crate::error::{Error, Result};

/// The parameters that mean something here.
const KNOWN: [&str; 35] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// libpq's parameters that are refused, whatever their value, and what to do instead.
const REFUSED: [(&str, &str); 16] = [
    ("gssdelegation", NO_GSS),
    ("gsslib", NO_GSS),
    ("krbsrvname", NO_GSS),
    ("oauth_client_id", NO_OAUTH),
    ("oauth_client_secret", NO_OAUTH),
    ("oauth_issuer", NO_OAUTH),
    ("oauth_scope", NO_OAUTH),
    ("replication", "remove it: the sink writes rows, and reads no replication stream"),
    ("require_auth", "use channel_binding=require, which only SCRAM over TLS can fulfil"),
    ("requirepeer", "remove it; the rights of the socket's directory say who may serve there"),
    ("requiressl", "use sslmode=require"),
    ("scram_client_key", "use a password, passfile or destination.password_file"),
    ("sslcrl", NO_REVOCATION),
    ("sslcrldir", NO_REVOCATION),
    ("sslkeylogfile", "remove it: the keys of a connection are not written anywhere"),
    (
        "sslpassword",
        "decrypt the key into a file of mode 0600 (openssl pkey -in KEY -out FILE), and name that in sslkey",
    ),
];

/// Parameters of which only some values are possible: those, and what to do about the others. What they ask for is what
/// happens anyway.
const FIXED: [(&str, &[&str], &str); 10] = [
    ("client_encoding", &["utf8", "utf-8", "auto"], "remove it: the sink sends UTF-8, whatever the database keeps"),
    ("gssencmode", &["disable", "prefer"], NO_GSS),
    ("load_balance_hosts", &["disable"], "remove it: hosts are tried in their order"),
    ("max_protocol_version", &["3.0", "3.2", "latest"], "remove it: protocol 3.0 is spoken"),
    ("min_protocol_version", &["3.0"], "remove it: protocol 3.0 is spoken"),
    ("ssl_max_protocol_version", &["tlsv1.3"], "remove it: TLS 1.3 is spoken where the server can"),
    ("sslcertmode", &["allow", "disable"], "use allow or disable"),
    ("sslcompression", &["0"], "remove it: compression within TLS is not safe"),
    ("sslnegotiation", &["postgres"], "remove it: the server is asked for TLS in PostgreSQL's own manner"),
    ("sslsni", &["0", "1"], "use 0 or 1"),
];

const NO_GSS: &str = "remove it: GSSAPI is not supported; use a password, or a client certificate";
const NO_OAUTH: &str = "remove it: OAuth at the database is not supported; use a password, or a client certificate";
const NO_REVOCATION: &str =
    "remove it: revocation lists are not read; let sslrootcert name an authority whose certificates live shortly";

/// Where a value stands.
#[derive(Clone)]
enum Origin {
    ConnectionString,
    Service(Rc<str>),
    Environment(&'static str),
}

/// A parameter that is set. Any value may hold the password by mistake, so none is shown.
struct Setting {
    origin: Origin,
    name: String,
    value: SecretString,
}

/// Everything that is set, what counts first.
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    /// Reads the connection string, which is a URI or of the form `name=value`, and the service that is named there or in the
    /// environment.
    ///
    /// # Errors
    /// `Config`, naming the source and the parameter: what cannot be read, is not known, or is not supported.
    pub(crate) fn read(text: &str, libpq: &Libpq) -> Result<Self> {
        let in_text = |error: Error| error.while_doing("destination.url");
        let mut settings = Self(Vec::new());
        settings.push_all(&Origin::ConnectionString, url::parameters(text).map_err(in_text)?);
        // The layer above, as far as a service may be named there.
        let of_environment = libpq.variables.iter().map(|variable| Setting {
            origin: Origin::Environment(variable.variable),
            name: variable.parameter.into(),
            value: variable.value.clone(),
        });
        let mut environment = Self(of_environment.collect());
        let named = |name: &str| settings.get(name).or_else(|| environment.get(name)).map(Found::text);
        if let Some(service) = named("service") {
            let file = named("servicefile").map(PathBuf::from);
            let (parameters, place) = service::read(service, file, libpq)?;
            settings.push_all(&Origin::Service(place.into()), parameters);
        }
        settings.0.append(&mut environment.0);
        settings.0.iter().try_for_each(Setting::check)?;
        Ok(settings)
    }

    /// The last one wins within a source, so it comes first.
    fn push_all(&mut self, origin: &Origin, parameters: Vec<(String, String)>) {
        let setting = |(name, value): (String, String)| Setting {
            origin: origin.clone(),
            name,
            value: SecretString::from(value),
        };
        self.0.extend(parameters.into_iter().rev().map(setting));
    }

    /// The value that counts. An empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<Found<'_>> {
        self.0.iter().find(|setting| setting.name == name && !setting.value.expose_secret().is_empty()).map(Found)
    }
}

/// A parameter's value that counts.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a>(&'a Setting);

impl<'a> Found<'a> {
    pub(crate) fn text(self) -> &'a str {
        self.0.value.expose_secret()
    }

    pub(crate) fn secret(self) -> SecretString {
        self.0.value.clone()
    }

    pub(crate) fn is_of_the_environment(self) -> bool {
        matches!(self.0.origin, Origin::Environment(_))
    }

    /// An error about this value, which it does not show.
    pub(crate) fn bad(self, why: impl fmt::Display) -> Error {
        let name = &self.0.name;
        let message = match &self.0.origin {
            Origin::ConnectionString => format!("destination.url: {name} {why}"),
            Origin::Service(place) => format!("{place}: {name} {why}"),
            Origin::Environment(variable) => format!("environment: {variable} {why}"),
        };
        Error::config(message).with_hint("docs/configuration.md says what it takes")
    }

    pub(crate) fn number<N: FromStr>(self) -> Result<N> {
        self.text().trim().parse().map_err(|_| self.bad("is not a whole number in its range"))
    }

    /// The one of these that the value names.
    pub(crate) fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Result<T> {
        let found = choices.iter().find(|(name, _)| *name == self.text());
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.bad("is not one of the values that are supported")
                .with_hint(format!("use one of {}", names.join(", ")))
        })
    }
}

impl Setting {
    fn check(&self) -> Result<()> {
        let found = Found(self);
        let name = self.name.as_str();
        if found.text().is_empty() {
            return Ok(());
        }
        if found.text().contains('\0') {
            return Err(found.bad("holds a NUL character"));
        }
        if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(found.bad("is not supported").with_hint(*hint));
        }
        if let Some((_, values, hint)) = FIXED.iter().find(|(fixed, ..)| *fixed == name) {
            let is_possible = values.contains(&found.text().to_ascii_lowercase().as_str());
            return if is_possible {
                Ok(())
            } else {
                Err(found.bad("asks for what is not supported").with_hint(*hint))
            };
        }
        if KNOWN.contains(&name) { Ok(()) } else { Err(self.unknown()) }
    }

    fn unknown(&self) -> Error {
        // Names are short; a long one is rather a piece of a password that was not encoded.
        let is_of_a_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let shown: String = self.name.chars().take(40).filter(is_of_a_name).collect();
        let nearest = KNOWN
            .into_iter()
            .max_by(|a, b| strsim::jaro_winkler(a, &shown).total_cmp(&strsim::jaro_winkler(b, &shown)));
        let place = match &self.origin {
            Origin::Service(place) => place,
            Origin::ConnectionString | Origin::Environment(_) => "destination.url",
        };
        Error::config(format!("{place}: `{shown}` is not a parameter of a connection")).with_hint(format!(
            "the nearest one is {}; known are {}",
            nearest.unwrap_or_default(),
            KNOWN.join(", ")
        ))
    }
}

//! The configuration: plain data, one struct per section, and the ways to fill it.
//!
//! One table of keys (`keys`) drives everything: TOML files, environment variables, `.env`, [`Config::set`] and
//! [`Config::get`] (which C and Python use), and the [`reference()`]. A key that is not in the table exists nowhere, and one
//! that is in it works everywhere in the same way. Values are applied by hand instead of through serde's derive, because an
//! error must name the file and line, or the variable, of the bad value, and must never show a secret.

mod choices;
mod columns;
pub(crate) mod database;
mod dotenv;
mod environment;
mod file;
mod keys;
mod layers;
pub(crate) mod percent;
mod proxy;
mod reference;
mod secrets;
mod sections;
pub(crate) mod units;
pub(crate) mod url;
mod validate;
mod value;
mod value_type;

use std::path::Path;

use crate::error::Result;

pub use choices::{AdditionalProperties, LogFormat, LogLevel, OnNormalClose, SpoolSync, TlsVersion, UpdateMode};
pub use keys::keys;
pub use layers::Layers;
pub(crate) use proxy::ProxyAddress;
pub use reference::reference;
pub use sections::{
    BatchConfig, DeadLettersConfig, DestinationConfig, LogConfig, MappingConfig, OauthConfig, ProxyConfig, RetryConfig,
    SchemaConfig, SpoolConfig, StreamConfig, TlsConfig,
};

/// Everything the sink can be told. [`Config::default`] needs only credentials, a stream and a destination.
///
/// ```
/// # use cxsink::Config;
/// let mut config = Config::default();
/// config.set("destination.url", "sqlite:events.db")?;
/// config.set("spool.bytes_max", "1GiB")?;
/// assert_eq!(config.spool.bytes_max, 1 << 30);
/// assert!(config.set("spool.bytes_max", "1 bit").is_err());
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// How to get a token.
    pub oauth: OauthConfig,
    /// Which stream to read, and how.
    pub stream: StreamConfig,
    /// What a valid event is.
    pub schema: SchemaConfig,
    /// Which part of an event goes into which column.
    pub mapping: MappingConfig,
    /// Where rows go.
    pub destination: DestinationConfig,
    /// Where events wait.
    pub spool: SpoolConfig,
    /// How much goes into one transaction.
    pub batch: BatchConfig,
    /// How much is kept of what was rejected.
    pub dead_letters: DeadLettersConfig,
    /// How long to wait between tries.
    pub retry: RetryConfig,
    /// Whom to trust, and who this client is, on encrypted connections.
    pub tls: TlsConfig,
    /// The proxy between this machine and CXone.
    pub proxy: ProxyConfig,
    /// What the command line prints.
    pub log: LogConfig,
}

impl Config {
    /// The defaults, overridden by the TOML file at `path`, then by `.env` in the working directory, then by the
    /// process's environment. docs/configuration.md lists the variables. The environment is only read, never set.
    ///
    /// # Errors
    /// `Config`, naming the file and line or the variable: the file cannot be read or is not TOML, a key or a `CXSINK_…`
    /// variable is unknown, a value is bad. What fits together only as a whole is checked by [`Config::validate`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Layers::from_process()?.read_file(path.as_ref())?.config()
    }

    /// As [`Config::load`], without a file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_env() -> Result<Self> {
        Layers::from_process()?.config()
    }

    /// Sets the value of `section.key` from a text, as an environment variable would. An empty text takes an optional value
    /// back. On an error nothing has changed.
    ///
    /// Setting `mapping.columns` also takes back the default of `mapping.update`, which fits the default columns only.
    ///
    /// # Errors
    /// `Config`: the key is unknown, or the value is not one that it takes.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let key = keys::find(key)?;
        key.kind.read_text(value).and_then(|value| key.assign(self, value)).map_err(|e| e.while_doing(key.name))
    }

    /// The value of `section.key` as a text that [`Config::set`] takes; `None` if it is not set or there is no such key.
    /// A secret is shown as `***`, also the password within a URL.
    pub fn get(&self, key: &str) -> Option<String> {
        let key = keys::find(key).ok()?;
        (key.value)(self).map(|value| key.kind.show(&value))
    }
}

//! The configuration as plain data: one struct for each section, with the defaults.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;
use crate::config::choices::{AdditionalProperties, LogFormat, LogLevel, SpoolSync, TlsVersion, UpdateMode};
use crate::config::database::libpq::Libpq;
use crate::config::sections::http::HttpConfig;
use crate::config::sections::mapping::MappingConfig;
use crate::config::sections::redact::RedactRule;
use crate::config::sections::stream::{EventConfig, OauthConfig, StreamConfig};
use crate::config::sections::streams::Streams;
use crate::threads::shared::Shared;

/// The configuration of a sink. [`Config::default`] lacks only credentials, a stream and a destination.
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
    /// The token: the endpoint that grants it, and the credentials.
    pub oauth: OauthConfig,
    /// The stream, the conversation on it, and its timeouts.
    pub stream: StreamConfig,
    /// Where an event is in a message of the stream.
    pub event: EventConfig,
    /// The values that are removed or replaced before an event is spooled.
    pub redact: Vec<RedactRule>,
    /// The JSON Schema that events must match.
    pub schema: SchemaConfig,
    /// The source of each column.
    pub mapping: MappingConfig,
    /// The database and the table.
    pub destination: DestinationConfig,
    /// The local file in which events wait for the database.
    pub spool: SpoolConfig,
    /// The limits of one transaction.
    pub batch: BatchConfig,
    /// The space for rejected events.
    pub dead_letters: DeadLettersConfig,
    /// How long data is kept.
    pub retention: RetentionConfig,
    /// The delays between attempts.
    pub retry: RetryConfig,
    /// Trusted authorities, and this client's certificate.
    pub tls: TlsConfig,
    /// The proxy between this machine and CXone.
    pub proxy: ProxyConfig,
    /// Where a running sink can be watched, by the command line.
    pub http: HttpConfig,
    /// The log output of the command line.
    pub log: LogConfig,
    /// What each of several streams has of its own; none in a configuration of one stream.
    pub(crate) streams: Streams,
    /// For the sinks of one of several streams: what they share with those of the others.
    pub(crate) shared: Option<Shared>,
}

/// `[schema]`
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SchemaConfig {
    /// A JSON Schema file that replaces the built-in schema.
    pub file: Option<PathBuf>,
    /// A JSON Schema that replaces the built-in one, as text.
    pub inline: Option<String>,
    /// The treatment of unknown top-level members.
    pub additional_properties: AdditionalProperties,
}

/// `[destination]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationConfig {
    /// `postgresql://…`, `host=… dbname=…` or `sqlite:PATH`.
    pub url: Option<Secret>,
    /// A file that holds the database password; read again for each connection.
    pub password_file: Option<PathBuf>,
    /// The table, with or without its schema.
    pub table: String,
    /// The table that gets a row for each event; `None`: there is none.
    pub history_table: Option<String>,
    /// Whether `init_db` makes that table partitioned by month.
    pub history_partitioned: bool,
    /// When an event updates the row that already has its key.
    pub update: UpdateMode,
    /// The number of connections that write in parallel.
    pub connections: u32,
    /// The time limit for connecting.
    pub connect_timeout: Duration,
    /// The time limit of one transaction.
    pub statement_timeout: Duration,
    /// The time one transaction waits for a lock; `None`: the server's setting.
    pub lock_timeout: Option<Duration>,
    /// The defaults that libpq would take from the environment.
    pub(crate) libpq: Libpq,
    #[cfg(any(test, feature = "_bench"))]
    #[doc(hidden)]
    pub split_probe: super::SplitProbe,
}

/// `[spool]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpoolConfig {
    /// The spool file; `:memory:` keeps nothing.
    pub path: PathBuf,
    /// The failure that an appended event survives.
    pub sync: SpoolSync,
    /// The space of the spooled events in the file, in bytes, at which the sink stops reading.
    pub bytes_max: u64,
}

/// `[batch]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchConfig {
    /// The maximum number of events in one transaction.
    pub events_max: u32,
    /// The maximum number of bytes in one transaction.
    pub bytes_max: u64,
}

/// `[dead_letters]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLettersConfig {
    /// The maximum space of the dead letters in the spool file, in bytes.
    pub bytes_max: u64,
}

/// `[retention]`
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// Dead letters that were rejected longer ago than this are deleted; `None`: never.
    pub dead_letters: Option<Duration>,
}

/// `[retry]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RetryConfig {
    /// The shortest delay.
    pub delay_min: Duration,
    /// The longest delay.
    pub delay_max: Duration,
}

/// `[tls]`
///
/// The files are PEM and are read again for each connection.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The certificates of the trusted authorities; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate, followed by the intermediate ones.
    pub cert_file: Option<PathBuf>,
    /// The client's private key.
    pub key_file: Option<PathBuf>,
    /// The oldest version of TLS to accept.
    pub min_version: TlsVersion,
    /// The name to expect in the certificates of token endpoint and stream; `None`: the host of their URL.
    pub server_name: Option<String>,
}

/// `[proxy]`
///
/// For the token endpoint and the stream, if their URL is encrypted; never for the database.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// `http://USER:PASSWORD@HOST:PORT`, or `https://…` for a proxy that is itself reached over TLS.
    pub url: Option<Secret>,
    /// A file that holds the proxy's password; read again for each connection.
    pub password_file: Option<PathBuf>,
    /// The hosts to reach without the proxy: names, addresses, networks, separated by commas; `*` for all.
    pub no_proxy: Option<String>,
}

/// `[log]`
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogConfig {
    /// The least severe level to print.
    pub level: LogLevel,
    /// The format of a line.
    pub format: LogFormat,
}

impl Default for DestinationConfig {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            table: "cxone_events".into(),
            history_table: None,
            history_partitioned: false,
            update: UpdateMode::default(),
            connections: 1,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: None,
            libpq: Libpq::default(),
            #[cfg(any(test, feature = "_bench"))]
            split_probe: super::SplitProbe::default(),
        }
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { path: "cxsink-spool.db".into(), sync: SpoolSync::default(), bytes_max: 4 << 30 }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self { events_max: 5000, bytes_max: 4 << 20 }
    }
}

impl Default for DeadLettersConfig {
    fn default() -> Self {
        Self { bytes_max: 256 << 20 }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { delay_min: Duration::from_secs(1), delay_max: Duration::from_secs(30) }
    }
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self { url: None, password_file: None, no_proxy: Some("localhost,127.0.0.0/8,::1".into()) }
    }
}

//! The configuration as plain data: one struct for each section, with the defaults.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;

use crate::config::choices::{
    AdditionalProperties, LogFormat, LogLevel, OnNormalClose, SpoolSync, TlsVersion, UpdateMode,
};
use crate::config::database::libpq::Libpq;

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
    /// The token endpoint and the client's credentials.
    pub oauth: OauthConfig,
    /// The stream and its timeouts.
    pub stream: StreamConfig,
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
    /// The delays between attempts.
    pub retry: RetryConfig,
    /// Trusted authorities, and this client's certificate.
    pub tls: TlsConfig,
    /// The proxy between this machine and CXone.
    pub proxy: ProxyConfig,
    /// The log output of the command line.
    pub log: LogConfig,
}

/// `[oauth]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OauthConfig {
    /// The URL of the token endpoint.
    pub url: String,
    /// The client's id.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<Secret>,
    /// A file that holds the client's secret; read again for each token.
    pub client_secret_file: Option<PathBuf>,
    /// The scope to request; the token must have it.
    pub scope: String,
    /// The time before its expiry at which a token is renewed.
    pub refresh_early: Duration,
    /// The time limit of one token request.
    pub request_timeout: Duration,
}

/// `[stream]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamConfig {
    /// The stream's id; replaces `{stream_id}` in `url`.
    pub id: Option<String>,
    /// The stream's URL.
    pub url: String,
    /// The interval between two pings.
    pub ping_interval: Duration,
    /// The time without a message or pong after which the connection counts as lost.
    pub idle_timeout: Duration,
    /// The time limit for name resolution, TCP, TLS and the handshake together.
    pub connect_timeout: Duration,
    /// The reaction to close code 1000.
    pub on_normal_close: OnNormalClose,
    /// The time before the token's expiry at which the next connection is opened; zero: not at all.
    pub renew_before_expiry: Duration,
    /// The largest event, in bytes; a larger one becomes a dead letter.
    pub event_bytes_max: u64,
}

/// `[schema]`
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SchemaConfig {
    /// A JSON Schema file that replaces the built-in schema.
    pub file: Option<PathBuf>,
    /// The treatment of unknown top-level members.
    pub additional_properties: AdditionalProperties,
}

/// `[mapping]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MappingConfig {
    /// Column and source, in the order of the columns.
    pub columns: Vec<(String, String)>,
    /// The columns of the conflict key.
    pub key: Vec<String>,
    /// The columns that an update changes; `None`: every column outside the key, except one filled with `now` named `created_at`. The
    /// default counts as `None` where `columns` lacks some of it.
    pub update: Option<Vec<String>>,
    /// Whether `update` was set. The default's list fits the default's columns only.
    pub(super) update_chosen: bool,
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

impl Default for OauthConfig {
    fn default() -> Self {
        Self {
            url: "https://api.cxp.cxone.com/oauth/token".into(),
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            scope: "data-actions:read".into(),
            refresh_early: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            id: None,
            url: "wss://api.cxp.cxone.com/data-actions/v1/stream/{stream_id}".into(),
            ping_interval: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            on_normal_close: OnNormalClose::default(),
            renew_before_expiry: Duration::from_secs(60),
            event_bytes_max: 1 << 20,
        }
    }
}

impl Default for MappingConfig {
    fn default() -> Self {
        let columns = [
            ("interaction_id", "/interactionId"),
            ("timestamp", "/timestamp"),
            ("type", "/type"),
            ("idempotency_key", "/idempotencyKey"),
            ("duration", "/attributes/duration"),
            ("disposition", "/attributes/disposition"),
            ("queue_name", "/attributes/queueName"),
            ("agent_id", "/attributes/agentId"),
            ("attributes", "rest"),
            ("created_at", "now"),
            ("updated_at", "now"),
        ];
        let update = ["duration", "disposition", "queue_name", "agent_id", "attributes", "updated_at"];
        Self {
            columns: columns.map(|(column, source)| (column.into(), source.into())).into(),
            key: vec!["idempotency_key".into()],
            update: Some(update.map(Into::into).into()),
            update_chosen: false,
        }
    }
}

impl Default for DestinationConfig {
    fn default() -> Self {
        Self {
            url: None,
            password_file: None,
            table: "cxone_events".into(),
            update: UpdateMode::default(),
            connections: 1,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: None,
            libpq: Libpq::default(),
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

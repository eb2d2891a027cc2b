//! The sections: plain data, one struct each, with the defaults.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::choices::{AdditionalProperties, LogFormat, LogLevel, OnNormalClose, SpoolSync, TlsVersion, UpdateMode};
use crate::config::database::libpq::Libpq;

/// `[oauth]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OauthConfig {
    /// The token endpoint.
    pub url: String,
    /// The client's id.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<SecretString>,
    /// A file with the client's secret, read again for each token.
    pub client_secret_file: Option<PathBuf>,
    /// The scope to ask for; the answer must hold it.
    pub scope: String,
    /// How long before its expiry a token is renewed.
    pub refresh_early: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
}

/// `[stream]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamConfig {
    /// The stream's id, put into `url`.
    pub id: Option<String>,
    /// The stream's address; `{stream_id}` is replaced by `id`.
    pub url: String,
    /// How often a ping is sent.
    pub ping_interval: Duration,
    /// After how long without any message or pong the connection counts as lost.
    pub idle_timeout: Duration,
    /// How long name resolution, TCP, TLS and the handshake may take together.
    pub connect_timeout: Duration,
    /// What to do when the server closes the stream with code 1000.
    pub on_normal_close: OnNormalClose,
    /// How long before the token expires the next connection is opened; zero: not at all.
    pub renew_before_expiry: Duration,
    /// A larger event becomes a dead letter.
    pub event_bytes_max: u64,
}

/// `[schema]`
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SchemaConfig {
    /// A JSON Schema file that replaces the built-in schema.
    pub file: Option<PathBuf>,
    /// What to do with unknown top-level members.
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
    /// The columns that an update touches; `None`: every column outside the key, except one filled with `now` named `created_at`.
    pub update: Option<Vec<String>>,
    /// Whether `update` was chosen, rather than being the default's list, which fits the default's columns only.
    pub(super) update_chosen: bool,
}

/// `[destination]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationConfig {
    /// `postgresql://…`, `host=… dbname=…` or `sqlite:PATH`.
    pub url: Option<SecretString>,
    /// A file with the database password, read again for each connection.
    pub password_file: Option<PathBuf>,
    /// The table, possibly with its schema.
    pub table: String,
    /// When an event whose key is already in the table changes the row.
    pub update: UpdateMode,
    /// How many connections write side by side.
    pub connections: u32,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one transaction may take.
    pub statement_timeout: Duration,
    /// How long one transaction may wait for a lock; `None`: as the server says.
    pub lock_timeout: Option<Duration>,
    /// The defaults that libpq would find in the environment.
    pub(crate) libpq: Libpq,
}

/// `[spool]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SpoolConfig {
    /// The spool file; `:memory:` keeps nothing.
    pub path: PathBuf,
    /// What an appended event survives.
    pub sync: SpoolSync,
    /// How large the spool may grow before the sink stops reading.
    pub bytes_max: u64,
}

/// `[batch]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BatchConfig {
    /// The most events of one transaction.
    pub events_max: u32,
    /// The most bytes of one transaction.
    pub bytes_max: u64,
}

/// `[dead_letters]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLettersConfig {
    /// How much space dead letters may take.
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
/// The files are PEM, and read again for each connection.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The authorities that are trusted; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate, followed by those that lead to its authority.
    pub cert_file: Option<PathBuf>,
    /// The client's key.
    pub key_file: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// The name that the certificates of token endpoint and stream must hold; `None`: the host of their URL.
    pub server_name: Option<String>,
}

/// `[proxy]`
///
/// For the token endpoint and the stream, where they are reached over TLS; never for the database.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProxyConfig {
    /// `http://USER:PASSWORD@HOST:PORT`, or `https://…` for a proxy that is itself reached over TLS.
    pub url: Option<SecretString>,
    /// A file with the proxy's password, read again for each connection.
    pub password_file: Option<PathBuf>,
    /// What is reached without the proxy: names, addresses, networks, separated by commas; `*` is everything.
    pub no_proxy: Option<String>,
}

/// `[log]`
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogConfig {
    /// The least severe level that is printed.
    pub level: LogLevel,
    /// How a line looks.
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

//! The configuration: plain data, one struct per section.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Everything the sink can be told. [`Config::default`] needs only credentials, a stream and a destination.
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
    /// What the command line prints.
    pub log: LogConfig,
}

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
    /// A larger event becomes a dead letter.
    pub event_bytes_max: u64,
}

/// `stream.on_normal_close`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnNormalClose {
    /// Connect again.
    #[default]
    Reconnect,
    /// Apply what is spooled and end.
    Stop,
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

/// `schema.additional_properties`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AdditionalProperties {
    /// An event with unknown top-level members is rejected, as the schema says.
    #[default]
    Reject,
    /// Unknown top-level members are kept in the column that takes the rest, if there is one.
    Keep,
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
}

/// `[destination]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DestinationConfig {
    /// `postgresql://…` or `sqlite:PATH`.
    pub url: Option<SecretString>,
    /// A file with the database password, read again for each connection.
    pub password_file: Option<PathBuf>,
    /// The table, possibly with its schema.
    pub table: String,
    /// When an event whose key is already in the table changes the row.
    pub update: UpdateMode,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one transaction may take.
    pub statement_timeout: Duration,
}

impl DestinationConfig {
    /// The database password from `password_file`, read now; `None` if no file is named.
    #[allow(dead_code, reason = "without a database feature nobody asks")]
    pub(crate) fn password(&self) -> crate::error::Result<Option<SecretString>> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            crate::error::Error::config(format!("destination.password_file {}: {error}", path.display()))
        })?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
    }
}

/// `destination.update`
///
/// When an event whose key is already in the table changes the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UpdateMode {
    /// Every event does.
    #[default]
    Always,
    /// Only an event that would change at least one column: an identical redelivery writes nothing.
    Changed,
    /// Only an event whose timestamp is not older than the row's. The timestamp column then follows the event.
    Newer,
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

/// `spool.sync`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SpoolSync {
    /// The end of the process.
    #[default]
    ProcessCrash,
    /// Also the loss of power: each burst is flushed to the disk.
    PowerLoss,
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

/// `[log]`
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogConfig {
    /// The least severe level that is printed.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// `log.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogLevel {
    /// Only what ends the sink.
    Error,
    /// Also what needs attention.
    Warn,
    /// Also what happens now and then.
    #[default]
    Info,
    /// Also each step.
    Debug,
    /// Everything.
    Trace,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
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
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
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

//! The configuration as plain data.

mod config;
mod mapping;
pub(super) mod redact;
mod stream;

pub use self::config::{
    BatchConfig, Config, DeadLettersConfig, DestinationConfig, LogConfig, ProxyConfig, RetentionConfig, RetryConfig,
    SchemaConfig, SpoolConfig, TlsConfig,
};
pub use self::mapping::MappingConfig;
pub(crate) use self::redact::RedactStep;
pub use self::redact::{RedactRule, Redaction};
pub use self::stream::{EventConfig, OauthConfig, StreamConfig};

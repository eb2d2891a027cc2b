//! The configuration as plain data.

mod config;
mod http;
mod mapping;
pub(super) mod redact;
#[cfg(any(test, feature = "_bench"))]
mod split_probe;
mod stream;
mod streams;

pub use self::config::{
    BatchConfig, Config, DeadLettersConfig, DestinationConfig, LogConfig, ProxyConfig, RetentionConfig, RetryConfig,
    SchemaConfig, SpoolConfig, TlsConfig,
};
pub use self::http::HttpConfig;
pub use self::mapping::MappingConfig;
pub(crate) use self::redact::RedactStep;
pub use self::redact::{RedactRule, Redaction};
#[cfg(any(test, feature = "_bench"))]
pub use self::split_probe::SplitProbe;
pub use self::stream::{EventConfig, OauthConfig, StreamConfig};
pub(crate) use self::streams::Streams;
pub(super) use self::streams::in_variables;

//! The configuration as plain data.

mod config;
mod mapping;
mod stream;

pub use self::config::{
    BatchConfig, Config, DeadLettersConfig, DestinationConfig, LogConfig, ProxyConfig, RetryConfig, SchemaConfig,
    SpoolConfig, TlsConfig,
};
pub use self::mapping::MappingConfig;
pub use self::stream::{EventConfig, OauthConfig, StreamConfig};

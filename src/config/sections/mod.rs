//! The configuration as plain data.

mod config;
mod mapping;
#[cfg(any(test, feature = "_bench"))]
mod split_probe;
mod stream;

pub use self::config::{
    BatchConfig, Config, DeadLettersConfig, DestinationConfig, LogConfig, ProxyConfig, RetryConfig, SchemaConfig,
    SpoolConfig, TlsConfig,
};
pub use self::mapping::MappingConfig;
#[cfg(any(test, feature = "_bench"))]
pub use self::split_probe::SplitProbe;
pub use self::stream::{EventConfig, OauthConfig, StreamConfig};

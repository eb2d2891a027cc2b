//! The configuration: plain data, one struct per section, and the layers that fill it.
//!
//! One table of keys (`keys`) drives TOML files, environment variables, `.env`, [`Config::set`] and [`Config::get`] (which C and
//! Python use), and the [`reference()`]. Values are applied by hand instead of through serde's derive, because an error must name
//! the file and line, or the variable, of the bad value, and must never show a secret.

mod choices;
mod columns;
mod conversation;
pub(crate) mod database;
mod keys;
mod layers;
mod lists;
pub(crate) mod percent;
pub(crate) mod pointer;
mod proxy;
mod reference;
mod secrets;
mod sections;
pub(crate) mod units;
pub(crate) mod url;
mod validate;
pub(crate) mod validate_stream;
mod value;
mod value_type;

pub use choices::{
    AdditionalProperties, ClientAuth, Grant, LogFormat, LogLevel, OnNormalClose, SpoolSync, TlsVersion, UpdateMode,
};
pub use columns::{FromEvent, MappingSource, ValueFormat};
pub use conversation::{MessagePattern, TokenIn};
#[cfg(feature = "cli")]
pub(crate) use keys::changed_keys;
pub(crate) use keys::have_equal_sections;
pub use keys::{is_key, keys};
#[cfg(feature = "cli")]
pub(crate) use layers::ConfigOrigin;
pub use layers::Layers;
pub(crate) use proxy::ProxyAddress;
pub use reference::reference;
pub(crate) use sections::RedactStep;
#[cfg(any(test, feature = "_bench"))]
#[doc(hidden)]
pub use sections::SplitProbe;
pub use sections::{
    BatchConfig, Config, DeadLettersConfig, DestinationConfig, EventConfig, HttpConfig, LogConfig, MappingConfig,
    OauthConfig, ProxyConfig, RedactRule, Redaction, RetentionConfig, RetryConfig, SchemaConfig, SpoolConfig,
    StreamConfig, TlsConfig,
};
pub use value::Secret;

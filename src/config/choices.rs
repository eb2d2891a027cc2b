//! The values that are one word out of a few, and their words.

use super::value::{Field, Value};

/// Gives each variant its word: the text in files, variables and [`get`](super::Config::get).
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            pub(super) const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that stands for this value in configuration files.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl Field for $type {
            fn to_value(&self) -> Option<Value> {
                Some(Value::Word(self.as_str()))
            }

            fn from_value(value: Option<Value>) -> Option<Self> {
                match value {
                    $(Some(Value::Word($word)) => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
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

/// `schema.additional_properties`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AdditionalProperties {
    /// An event with unknown top-level members is rejected, as the schema says.
    #[default]
    Reject,
    /// Unknown top-level members are kept in the column that takes the rest, if there is one.
    Keep,
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

/// `spool.sync`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SpoolSync {
    /// The end of the process.
    #[default]
    ProcessCrash,
    /// Also the loss of power: each burst is flushed to the disk.
    PowerLoss,
}

/// `tls.min_version`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246) or newer.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
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

words!(OnNormalClose { Reconnect = "reconnect", Stop = "stop" });
words!(AdditionalProperties { Reject = "reject", Keep = "keep" });
words!(UpdateMode { Always = "always", Changed = "changed", Newer = "newer" });
words!(SpoolSync { ProcessCrash = "process-crash", PowerLoss = "power-loss" });
words!(TlsVersion { Tls12 = "1.2", Tls13 = "1.3" });
words!(LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" });
words!(LogFormat { Text = "text", Json = "json" });

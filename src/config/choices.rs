//! The values that are one of a few words, with these words.

use crate::config::value::{Field, Value};

/// Gives each variant its word: the text in files, variables and [`get`](crate::Config::get).
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            pub(super) const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word for this value in configuration files.
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

/// `oauth.grant`
///
/// How the sink gets its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Grant {
    /// With the client's credentials (RFC 6749 section 4.4).
    #[default]
    ClientCredentials,
    /// With a user's name and password (RFC 6749 section 4.3), or with the id and the secret of an access key in their place.
    Password,
    /// With an access key, in a JSON request.
    AccessKey,
    /// There is no request: the token is in a file, or the stream needs none.
    None,
}

/// `oauth.client_auth`
///
/// Where the client's id and secret are in a token request (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClientAuth {
    /// In the body.
    #[default]
    Body,
    /// In an `Authorization: Basic` header, percent-encoded first, as the RFC demands.
    Basic,
    /// In an `Authorization: Basic` header as they are, as some servers expect.
    BasicRaw,
    /// There is no secret; the id, if there is one, is in the body.
    None,
}

/// `stream.on_normal_close`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnNormalClose {
    /// Connect again.
    #[default]
    Reconnect,
    /// Write the spooled events and end.
    Stop,
}

/// `schema.additional_properties`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AdditionalProperties {
    /// An event with unknown top-level members becomes a dead letter, as the schema demands.
    #[default]
    Reject,
    /// Unknown top-level members are stored in the column whose source is `rest`, if there is one.
    Keep,
}

/// `destination.update`
///
/// When an event updates the row that already has its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum UpdateMode {
    /// Always.
    #[default]
    Always,
    /// If a column would get another value: an identical redelivery writes nothing.
    Changed,
    /// If the event's timestamp is not older than the row's. The timestamp column is then updated as well.
    Newer,
}

/// `spool.sync`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SpoolSync {
    /// A spooled event survives the end of the process.
    #[default]
    ProcessCrash,
    /// It also survives the loss of power: each burst is flushed to the disk.
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
    /// Errors that end the sink.
    Error,
    /// Also conditions that need attention.
    Warn,
    /// Also rare events, such as a new connection.
    #[default]
    Info,
    /// Also single steps.
    Debug,
    /// Everything.
    Trace,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogFormat {
    /// A readable line.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

words!(Grant {
    ClientCredentials = "client_credentials",
    Password = "password",
    AccessKey = "access_key",
    None = "none"
});
words!(ClientAuth { Body = "body", Basic = "basic", BasicRaw = "basic_raw", None = "none" });
words!(OnNormalClose { Reconnect = "reconnect", Stop = "stop" });
words!(AdditionalProperties { Reject = "reject", Keep = "keep" });
words!(UpdateMode { Always = "always", Changed = "changed", Newer = "newer" });
words!(SpoolSync { ProcessCrash = "process-crash", PowerLoss = "power-loss" });
words!(TlsVersion { Tls12 = "1.2", Tls13 = "1.3" });
words!(LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" });
words!(LogFormat { Text = "text", Json = "json" });

//! The conversation on the stream as data: where the token goes, and which messages mean what.

use toml::de::{DeTable, DeValue};

use crate::config::columns::{in_order, quoted};
use crate::config::pointer;
use crate::config::units::shown;
use crate::error::{Error, Result};

/// `stream.token_in`: where the token is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TokenIn {
    /// `Authorization: Bearer …` in the handshake.
    #[default]
    Header,
    /// The member of this name in the URL's query.
    Query(String),
    /// Only in place of `{token}` in messages.
    Message,
    /// Nowhere.
    None,
}

impl TokenIn {
    const QUERY: &'static str = "query:";

    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "header" => Ok(Self::Header),
            "message" => Ok(Self::Message),
            "none" => Ok(Self::None),
            _ => match text.strip_prefix(Self::QUERY) {
                Some(name) if !name.is_empty() && !name.contains(char::is_control) => Ok(Self::Query(name.into())),
                _ => Err(Error::config(format!("{} is not a place for a token", shown(text)))
                    .with_hint(r#"write "header", "query:NAME", "message" or "none""#)),
            },
        }
    }

    pub(super) fn show(&self) -> String {
        match self {
            Self::Header => "header".into(),
            Self::Query(name) => format!("{}{name}", Self::QUERY),
            Self::Message => "message".into(),
            Self::None => "none".into(),
        }
    }
}

/// A pattern that a message of the server may match: a text, or a member with one of some values.
///
/// ```
/// # use cxsink::Config;
/// let mut config = Config::default();
/// config.set("stream.open_answer", "\"authorized\"")?;
/// config.set("stream.ignore", r#"['"pong"', { pointer = "/command", equals = ["HEARTBEAT_ACK", "SUBSCRIBED"] }]"#)?;
/// assert_eq!(config.stream.ignore.len(), 2);
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MessagePattern {
    /// The whole message, without the white space around it.
    Text(String),
    /// A message with a member at this JSON pointer whose value is one of these; no values: any value.
    Member {
        /// The JSON pointer (RFC 6901).
        pointer: String,
        /// Texts, numbers, true, false.
        equals: Vec<serde_json::Value>,
    },
    /// The code of a close frame; for `stream.open_refused` only.
    CloseCode(u16),
}

impl MessagePattern {
    /// Reads a variable's text: an inline TOML table, or else the text of the message.
    pub(super) fn from_text(text: &str) -> Result<Self> {
        match DeValue::parse(text) {
            Ok(value) if value.get_ref().is_table() => Self::from_toml(value.get_ref()),
            // A message that is JSON has its names in quotes.
            Err(error) if ["pointer", "close_code"].iter().any(|name| begins_table(text, name)) => {
                Err(bad(&format!("not an inline TOML table: {}", error.message())))
            }
            _ => Ok(Self::Text(text.into())),
        }
    }

    pub(super) fn from_toml(toml: &DeValue<'_>) -> Result<Self> {
        match toml {
            DeValue::String(text) => Ok(Self::Text(text.clone().into_owned())),
            DeValue::Table(table) => Self::from_table(table),
            other => Err(Error::config(format!("expected a text or a table, found TOML type {}", other.type_str()))
                .with_hint(HINT)),
        }
    }

    fn from_table(table: &DeTable<'_>) -> Result<Self> {
        let (mut pointer, mut equals, mut close_code) = (None, None, None);
        for (_, name, value) in in_order(table) {
            match name {
                "pointer" => pointer = Some(value.as_str().ok_or_else(|| bad("`pointer` is not text"))?.to_owned()),
                "equals" => {
                    let values = values(value)?;
                    if values.is_empty() {
                        return Err(bad("`equals` is empty"));
                    }
                    equals = Some(values);
                }
                "close_code" => close_code = Some(code(value)?),
                _ => return Err(bad(&format!("unknown member {}", shown(name)))),
            }
        }
        match (pointer, equals, close_code) {
            (Some(pointer), equals, None) => Ok(Self::Member { pointer, equals: equals.unwrap_or_default() }),
            (None, None, Some(code)) => Ok(Self::CloseCode(code)),
            _ => Err(bad("a table needs `pointer`, with `equals` or without, or else `close_code`")),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Text(text) if text.trim().is_empty() => Err(Error::config("a text to compare with is empty")),
            Self::Member { pointer, .. } => pointer::check(pointer),
            Self::Text(_) | Self::CloseCode(_) => Ok(()),
        }
    }

    /// As inline TOML.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::CloseCode(code) => format!("{{ close_code = {code} }}"),
            Self::Member { pointer, equals } if equals.is_empty() => format!("{{ pointer = {} }}", quoted(pointer)),
            Self::Member { pointer, equals } => {
                let values: Vec<_> =
                    equals.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), quoted)).collect();
                format!("{{ pointer = {}, equals = [{}] }}", quoted(pointer), values.join(", "))
            }
        }
    }
}

const HINT: &str = r#"write a text, or { pointer = "/command", equals = "SUBSCRIBED" }; equals may be a list"#;

fn bad(reason: &str) -> Error {
    Error::config(reason).with_hint(HINT)
}

/// Whether the text is meant as a table with this name.
fn begins_table(text: &str, name: &str) -> bool {
    let inside = text.trim_start().strip_prefix('{').map(str::trim_start);
    inside.is_some_and(|inside| inside.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('=')))
}

fn values(toml: &DeValue<'_>) -> Result<Vec<serde_json::Value>> {
    match toml {
        DeValue::Array(values) => values.iter().map(|value| scalar(value.get_ref())).collect(),
        value => scalar(value).map(|value| vec![value]),
    }
}

fn scalar(toml: &DeValue<'_>) -> Result<serde_json::Value> {
    let not_scalar = || bad("`equals` takes texts, numbers, true and false");
    match toml {
        DeValue::String(text) => Ok(text.as_ref().into()),
        DeValue::Boolean(value) => Ok((*value).into()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map(Into::into).map_err(|_| not_scalar())
        }
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(serde_json::Value::Number)
            .ok_or_else(not_scalar),
        _ => Err(not_scalar()),
    }
}

/// RFC 6455 section 7.4: codes have four digits, from 1000 to 4999.
fn code(toml: &DeValue<'_>) -> Result<u16> {
    let number = toml.as_integer().and_then(|number| u16::from_str_radix(number.as_str(), number.radix()).ok());
    number.filter(|code| (1000..5000).contains(code)).ok_or_else(|| bad("`close_code` is a number from 1000 to 4999"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_broken_is_no_message() {
        let read = |text: &str| MessagePattern::from_text(text);
        let text = |text: &str| MessagePattern::Text(text.into());
        for message in ["\"pong\"", r#"{"pointer":"/a"}"#, "{ pointers", "pointer = 1"] {
            assert_eq!(read(message).unwrap(), text(message));
        }
        let check = |text: &str, reason: &str| {
            let error = read(text).unwrap_err();
            assert!(error.message().contains(reason) && error.hint().is_some(), "{text}: {error:?}");
        };
        check(r#"{ pointer = "/id", equals = abc }"#, "not an inline TOML table");
        check("{close_code=4429", "not an inline TOML table");
        check(r#"{ pointer = "/id", equals = [] }"#, "empty");
        check("{ close_code = 42 }", "1000 to 4999");
        check(r#"{ pointer = "/id", close_code = 4429 }"#, "needs `pointer`");
    }
}

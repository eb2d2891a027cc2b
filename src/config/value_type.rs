//! The types of values: their ranges, and how a value is read, checked and shown.

use std::time::Duration;

use crate::config::Secret;
use toml::de::DeValue;

use crate::config::conversation::{MessagePattern, TokenIn};
use crate::config::sections::redact;
use crate::config::units::{self, shown};
use crate::config::url::{EndpointUrl, Schemes};
use crate::config::value::Value;
use crate::config::{columns, database, lists, pointer, proxy};
use crate::error::{Error, Result};

/// The type of a key's value, with its range.
pub(super) enum ValueType {
    Text,
    Secret,
    Path,
    /// A URL that credentials are sent to.
    Url(Schemes),
    DatabaseUrl,
    ProxyUrl,
    /// The shortest and the longest one.
    Duration(Duration, Duration),
    /// The smallest and the largest one, in bytes.
    Size(u64, u64),
    /// The smallest and the largest one.
    Count(u32, u32),
    Word(&'static [&'static str]),
    Columns,
    Names {
        at_least: usize,
    },
    /// `true` or `false`.
    Switch,
    TokenIn,
    /// Names with values that are not shown.
    Pairs,
    /// Names with the files that hold their values.
    Files,
    /// A JSON pointer.
    Pointer,
    /// A JSON document, over several lines.
    Document,
    Messages,
    Pattern,
    Patterns,
    /// `[[redact]]`
    Rules,
}

impl ValueType {
    /// Reads the value of a variable. Empty: not set.
    pub(super) fn read_text(&self, text: &str) -> Result<Option<Value>> {
        if text.is_empty() {
            return Ok(None);
        }
        let value = match self {
            Self::Text | Self::Url(_) | Self::Pointer | Self::Document => Value::Text(text.into()),
            Self::Secret | Self::DatabaseUrl | Self::ProxyUrl => Value::Secret(Secret::from(text)),
            Self::Path => Value::Path(text.into()),
            Self::Duration(..) => Value::Duration(units::parse_duration(text)?),
            Self::Size(..) => Value::Size(units::parse_size(text)?),
            Self::Count(..) => Value::Count(parse_count(text)?),
            Self::Word(words) => Value::Word(find_word(words, text)?),
            Self::Columns => Value::Columns(columns::columns_from_text(text)?),
            Self::Names { .. } => Value::Names(columns::names_from_text(text)?),
            Self::Switch => Value::Switch(parse_switch(text)?),
            Self::TokenIn => Value::TokenIn(TokenIn::parse(text)?),
            Self::Pairs => Value::Pairs(lists::secrets(lists::pairs_from_text(text)?)),
            Self::Files => Value::Files(lists::files(lists::pairs_from_text(text)?)),
            Self::Messages => Value::Messages(lists::messages_from_text(text)?),
            Self::Pattern => Value::Pattern(MessagePattern::from_text(text)?),
            Self::Patterns => Value::Patterns(lists::patterns_from_text(text)?),
            Self::Rules => Value::Rules(redact::rules_from_text(text)?),
        };
        self.check(&value)?;
        Ok(Some(value))
    }

    /// Reads a value of a TOML file.
    pub(super) fn read_toml(&self, toml: &DeValue<'_>) -> Result<Option<Value>> {
        let value = match (self, toml) {
            (Self::Columns, toml) => Value::Columns(columns::columns_from_toml(toml)?),
            (Self::Names { .. }, toml) => Value::Names(columns::names_from_toml(toml)?),
            (Self::Switch, DeValue::Boolean(switch)) => Value::Switch(*switch),
            (Self::Pairs, toml) => Value::Pairs(lists::secrets(lists::pairs_from_toml(toml)?)),
            (Self::Files, toml) => Value::Files(lists::files(lists::pairs_from_toml(toml)?)),
            (Self::Messages, toml) => Value::Messages(lists::messages_from_toml(toml)?),
            (Self::Pattern, toml) => Value::Pattern(MessagePattern::from_toml(toml)?),
            (Self::Patterns, toml) => Value::Patterns(lists::patterns_from_toml(toml)?),
            (Self::Rules, toml) => Value::Rules(redact::rules_from_toml(toml)?),
            (_, DeValue::String(text)) => return self.read_text(text),
            (Self::Duration(..), DeValue::Integer(number)) => {
                return Err(units::unitless_duration(&number.to_string()));
            }
            (Self::Duration(..), DeValue::Float(number)) => return Err(units::unitless_duration(number.as_str())),
            (Self::Size(..), DeValue::Integer(number)) => Value::Size(
                u64::from_str_radix(number.as_str(), number.radix()).map_err(|_| self.out_of_range(number.as_str()))?,
            ),
            (Self::Count(..), DeValue::Integer(number)) => Value::Count(
                u32::from_str_radix(number.as_str(), number.radix()).map_err(|_| self.out_of_range(number.as_str()))?,
            ),
            // Without the value: it may be a secret that lacks its quotes.
            (_, other) => {
                return Err(Error::config(format!("expected a {}, found TOML type {}", self.name(), other.type_str()))
                    .with_hint("put the value in quotes"));
            }
        };
        self.check(&value)?;
        Ok(Some(value))
    }

    /// Checks the value by itself. [`Config::validate`](crate::Config::validate) checks each value again, because a program can set the plain data.
    pub(super) fn check(&self, value: &Value) -> Result<()> {
        match (self, value) {
            (Self::Text, Value::Text(text)) => check_text(text),
            (Self::Url(schemes), Value::Text(text)) => EndpointUrl::parse(text, *schemes).map(drop),
            (Self::Secret, Value::Secret(secret)) => check_text(secret.expose()),
            (Self::DatabaseUrl, Value::Secret(url)) => database::url::check(url.expose()),
            (Self::ProxyUrl, Value::Secret(url)) => proxy::parse(url.expose()).map(drop),
            (Self::Path, Value::Path(path)) if path.as_os_str().is_empty() => Err(Error::config(EMPTY)),
            (Self::Duration(least, most), Value::Duration(duration)) if duration < least || duration > most => {
                Err(self.out_of_range(&units::show_duration(*duration)))
            }
            (Self::Size(least, most), Value::Size(size)) if size < least || size > most => {
                Err(self.out_of_range(&units::show_size(*size)))
            }
            (Self::Count(least, most), Value::Count(count)) if count < least || count > most => {
                Err(self.out_of_range(&count.to_string()))
            }
            (Self::Columns, Value::Columns(columns)) => columns::check_columns(columns),
            (Self::Names { at_least }, Value::Names(names)) => columns::check_names(names, *at_least),
            (Self::Pointer, Value::Text(text)) => pointer::check(text),
            (Self::Pairs, Value::Pairs(pairs)) => {
                lists::check_pairs(pairs.iter().map(|(name, value)| (name, value.expose())))
            }
            (Self::Files, Value::Files(pairs)) => {
                lists::check_pairs(pairs.iter().map(|(name, file)| (name, file.to_str().unwrap_or("?"))))
            }
            (Self::Messages, Value::Messages(messages)) => messages.iter().try_for_each(|message| check_text(message)),
            (Self::Pattern, Value::Pattern(pattern)) => pattern.check(),
            (Self::Patterns, Value::Patterns(patterns)) => patterns.iter().try_for_each(MessagePattern::check),
            (Self::Rules, Value::Rules(rules)) => redact::check_rules(rules),
            _ => Ok(()),
        }
    }

    fn out_of_range(&self, shown: &str) -> Error {
        let range = self.range().unwrap_or_default();
        Error::config(format!("{shown} is out of range ({range})"))
    }

    fn range(&self) -> Option<String> {
        let (least, most) = match self {
            Self::Duration(least, most) => (units::show_duration(*least), units::show_duration(*most)),
            Self::Size(least, most) => (units::show_size(*least), units::show_size(*most)),
            Self::Count(least, most) => (least.to_string(), most.to_string()),
            _ => return None,
        };
        Some(format!("{least} to {most}"))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Text | Self::Word(_) => "text",
            Self::Secret => "secret",
            Self::Path => "path",
            Self::Url(_) | Self::DatabaseUrl | Self::ProxyUrl => "URL",
            Self::Duration(..) => "duration",
            Self::Size(..) => "size",
            Self::Count(..) => "whole number",
            Self::Columns => "table of columns",
            Self::Names { .. } => "list of columns",
            Self::Switch => "switch, true or false",
            Self::TokenIn => "place for the token",
            Self::Pairs => "table of texts",
            Self::Files => "table of paths",
            Self::Pointer => "JSON pointer",
            Self::Document => "JSON document",
            Self::Messages => "list of messages",
            Self::Pattern => "pattern",
            Self::Patterns => "list of patterns",
            Self::Rules => "list of rules",
        }
    }

    /// The type with its range or words, for the reference.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
            Self::Url(Schemes { encrypted, plain }) => {
                format!("URL, `{encrypted}://`; `{plain}://` for this machine only")
            }
            Self::ProxyUrl => "URL, `http://` or `https://`".into(),
            Self::Switch => "`true`, `false`".into(),
            Self::TokenIn => "`\"header\"`, `\"query:NAME\"`, `\"message\"`, `\"none\"`".into(),
            Self::DatabaseUrl => "URL, `postgresql://` or `sqlite:`; or `name=value` pairs".into(),
            _ => match self.range() {
                Some(range) => format!("{}, {range}", self.name()),
                None => self.name().into(),
            },
        }
    }

    /// The value as a text that [`read_text`](Self::read_text) accepts, without its secrets.
    pub(super) fn show(&self, value: &Value) -> String {
        match value {
            Value::Secret(url) if matches!(self, Self::DatabaseUrl) => database::url::without_password(url.expose()),
            Value::Secret(url) if matches!(self, Self::ProxyUrl) => proxy::without_password(url.expose()),
            Value::Secret(_) => "***".into(),
            Value::Text(text) | Value::Pattern(MessagePattern::Text(text)) => text.clone(),
            Value::Path(path) => path.display().to_string(),
            Value::Duration(duration) => units::show_duration(*duration),
            Value::Size(size) => units::show_size(*size),
            Value::Count(count) => count.to_string(),
            Value::Word(word) => (*word).into(),
            Value::Columns(columns) => columns::show_columns(columns),
            Value::Names(names) => columns::show_names(names),
            Value::Switch(switch) => switch.to_string(),
            Value::TokenIn(token_in) => token_in.show(),
            Value::Pairs(pairs) => lists::show_secrets(pairs),
            Value::Files(pairs) => lists::show_files(pairs),
            Value::Messages(messages) => lists::show_messages(messages),
            Value::Pattern(pattern) => pattern.show(),
            Value::Patterns(patterns) => lists::show_patterns(patterns),
            Value::Rules(rules) => redact::show_rules(rules),
        }
    }
}

const EMPTY: &str = "must not be empty";

/// A control character is usually the line break of a file or of a copied text.
fn check_text(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::config(EMPTY));
    }
    if text.contains(char::is_control) {
        return Err(Error::config("contains a control character, such as a line break"));
    }
    Ok(())
}

fn parse_switch(text: &str) -> Result<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::config(format!("{} is neither true nor false", shown(text)))),
    }
}

fn parse_count(text: &str) -> Result<u32> {
    let digits = text.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // A number that exceeds the type exceeds every range.
    is_number
        .then(|| digits.parse().unwrap_or(u32::MAX))
        .ok_or_else(|| Error::config(format!("{} is not a whole number", shown(text))))
}

fn find_word(words: &'static [&'static str], text: &str) -> Result<&'static str> {
    words.iter().find(|word| **word == text).copied().ok_or_else(|| {
        let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        Error::config(format!("{} is not one of {}", shown(text), quoted.join(", ")))
    })
}

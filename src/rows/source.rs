//! The sources of a plan's columns: those of the configuration, checked against the types of the columns.

use serde_json::Value as Json;

use crate::config::pointer;
use crate::config::{FromEvent, MappingSource, ValueFormat};
use crate::rows::column_type::{ColumnType, TextForm};
use crate::rows::convert::{Reading, push_text, read};
use crate::rows::event::{Numbers, ParsedEvent};
use crate::rows::value::Value;

/// The source of a column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnSource {
    /// A JSON pointer (RFC 6901) into the event, as its unescaped tokens; without a token, the whole event.
    Pointer(Vec<String>),
    /// A value of the event with more to it than a pointer.
    Event(Box<EventValue>),
    /// The same value in each row.
    Constant(Literal),
    /// The members of the event that no other column stores: see docs/configuration.md, `mapping.columns`.
    Rest,
    /// When the sink received the event.
    ReceivedAt,
    /// The event's offset in the spool.
    Offset,
    /// The time of the transaction. The destination writes it; a row does not contain it.
    Now,
}

/// A value of the event: the first of some pointers that has one, or else the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventValue {
    /// As their unescaped tokens.
    pub(crate) pointers: Vec<Vec<String>>,
    pub(crate) reading: Reading,
    pub(crate) default: Option<Literal>,
}

/// A value for a column that is known from the start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Literal {
    value: Value,
    /// Of a `Value::Text`.
    text: String,
}

// A value is never NaN, which `float8` does not get either.
impl Eq for Literal {}

impl Literal {
    /// The error is the reason why the value does not fit.
    pub(super) fn new(json: &Json, reading: Reading, column_type: &ColumnType) -> Result<Self, &'static str> {
        let source = json.to_string();
        let event = ParsedEvent { text: &source, json: json.clone() };
        let mut text = String::new();
        let value = read(&event.json, reading, &Numbers::new(&event), column_type, &mut text)?;
        Ok(Self { value, text })
    }

    /// The value, with its text at the end of the rows' text.
    pub(super) fn push(&self, text: &mut String) -> Value {
        match self.value {
            Value::Text { .. } => push_text(text, &self.text),
            value => value,
        }
    }
}

/// Why a source does not fit its column.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is no JSON pointer.
    Pointer(String),
    /// Its value cannot be in a column of this type.
    Type,
    /// `format` is not for this type.
    Format(ValueFormat),
    /// `trim` is for texts.
    Trim,
    /// The column has no length.
    MaxLength,
    /// The reason why a value of the configuration does not fit the type.
    Default(&'static str),
    Constant(&'static str),
    Stream(&'static str),
}

impl ColumnSource {
    /// `stream`: the name of the stream.
    pub(super) fn new(source: &MappingSource, stream: &str, column_type: &ColumnType) -> Result<Self, Unfit> {
        let literal = |json: &Json| Literal::new(json, Reading::default(), column_type).map(Self::Constant);
        let is_time = matches!(column_type, ColumnType::TimestampTz | ColumnType::Timestamp | ColumnType::Date);
        let is_json = matches!(column_type, ColumnType::Json | ColumnType::Jsonb | ColumnType::Text { .. });
        let is_whole = matches!(column_type, ColumnType::Int8 | ColumnType::Numeric { precision_scale: None });
        match source {
            MappingSource::Event(from_event) => Self::of_event(from_event, column_type),
            MappingSource::Constant(constant) => literal(constant).map_err(Unfit::Constant),
            MappingSource::Stream => literal(&stream.into()).map_err(Unfit::Stream),
            MappingSource::Rest if is_json => Ok(Self::Rest),
            MappingSource::Now if is_time => Ok(Self::Now),
            MappingSource::ReceivedAt if is_time => Ok(Self::ReceivedAt),
            MappingSource::Offset if is_whole => Ok(Self::Offset),
            MappingSource::Rest | MappingSource::Now | MappingSource::ReceivedAt | MappingSource::Offset => {
                Err(Unfit::Type)
            }
        }
    }

    fn of_event(from_event: &FromEvent, column_type: &ColumnType) -> Result<Self, Unfit> {
        let FromEvent { pointers, default, format, trim, truncate, .. } = from_event;
        let pointers = pointers
            .iter()
            .map(|pointer| tokens(pointer).ok_or_else(|| Unfit::Pointer(pointer.clone())))
            .collect::<Result<Vec<_>, _>>()?;
        let reading = Reading { format: *format, trim: *trim, truncate: *truncate };
        check(reading, column_type)?;
        let default = default.as_ref().map(|default| Literal::new(default, reading, column_type));
        let default = default.transpose().map_err(Unfit::Default)?;
        if let ([pointer], None) = (&pointers[..], &default)
            && reading == Reading::default()
        {
            return Ok(Self::Pointer(pointer.clone()));
        }
        Ok(Self::Event(Box::new(EventValue { pointers, reading, default })))
    }

    /// Follows another type of the column, which is read from the same texts.
    pub(super) fn retype(&mut self, column_type: &ColumnType) -> Result<(), Unfit> {
        if let Self::Event(value) = self
            && let Some(default) = &value.default
        {
            let json = Json::from(default.text.as_str());
            value.default = Some(Literal::new(&json, value.reading, column_type).map_err(Unfit::Default)?);
        }
        Ok(())
    }

    /// The pointers into the event, as their tokens.
    pub(crate) fn pointers(&self) -> &[Vec<String>] {
        match self {
            Self::Pointer(tokens) => std::slice::from_ref(tokens),
            Self::Event(value) => &value.pointers,
            _ => &[],
        }
    }

    /// The JSON pointer, of several the first one; empty for other sources.
    pub(crate) fn pointer(&self) -> String {
        self.pointers().first().map_or_else(String::new, |tokens| pointer_of(tokens))
    }

    /// Whether it is the member `timestamp` of the event.
    pub(super) fn is_timestamp(&self) -> bool {
        self.pointers().first().is_some_and(|tokens| *tokens == ["timestamp"])
    }

    /// Whether it says something about the event, and nothing about when and how often it was delivered.
    pub(super) fn is_of_event(&self) -> bool {
        !matches!(self, Self::Now | Self::ReceivedAt | Self::Offset)
    }
}

fn check(reading: Reading, column_type: &ColumnType) -> Result<(), Unfit> {
    let has_form =
        |forms: &dyn Fn(&TextForm) -> bool| matches!(column_type, ColumnType::Other(other) if forms(&other.form));
    let is_text = matches!(column_type, ColumnType::Text { .. } | ColumnType::Uuid)
        || has_form(&|form| matches!(form, TextForm::Any | TextForm::Label(_)));
    let fits = |format| match format {
        ValueFormat::EpochS | ValueFormat::EpochMs | ValueFormat::EpochUs => {
            matches!(column_type, ColumnType::TimestampTz | ColumnType::Timestamp | ColumnType::Date)
        }
        ValueFormat::Base64 | ValueFormat::Hex => has_form(&|form| *form == TextForm::Bytes),
    };
    match reading {
        Reading { format: Some(format), .. } if !fits(format) => Err(Unfit::Format(format)),
        Reading { trim: true, .. } if !is_text => Err(Unfit::Trim),
        Reading { truncate: true, .. } if !matches!(column_type, ColumnType::Text { chars_max: Some(_) }) => {
            Err(Unfit::MaxLength)
        }
        _ => Ok(()),
    }
}

/// The unescaped tokens of a JSON pointer; `None` if it is none.
pub(super) fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let tokens = pointer.strip_prefix('/')?.split('/');
    Some(tokens.map(pointer::unescape).collect())
}

pub(crate) fn pointer_of(tokens: &[String]) -> String {
    tokens.iter().flat_map(|token| ["/".into(), pointer::escape(token)]).collect()
}

#[cfg(test)]
#[path = "tests/source.rs"]
mod tests;

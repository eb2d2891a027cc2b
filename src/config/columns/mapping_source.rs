//! The source of a column as data.

use serde_json::Value as Json;

/// The source of a column. A text becomes one: a JSON pointer (RFC 6901), or the word of a variant.
///
/// ```
/// use cxsink::config::{FromEvent, MappingSource, ValueFormat};
///
/// let mut config = cxsink::Config::default();
/// config.mapping.columns = vec![
///     ("id".into(), "/id".into()),
///     ("queue".into(), FromEvent::at("/attributes/queue").or("/queue").or_default("none").trimmed().into()),
///     ("started_at".into(), FromEvent::at("/start").in_format(ValueFormat::EpochMs).into()),
///     ("tenant".into(), MappingSource::Constant("acme".into())),
///     ("received_at".into(), MappingSource::ReceivedAt),
/// ];
/// # config.mapping.key = vec!["id".into()];
/// # config.destination.url = Some("sqlite:events.db".into());
/// # config.validate()?;
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MappingSource {
    /// A value of the event.
    Event(FromEvent),
    /// The same value in each row. It cannot be null, nor contain null.
    Constant(Json),
    /// `rest`: the members of the event that no other column stores.
    Rest,
    /// `now`: the time of the transaction.
    Now,
    /// `stream`: the name of the stream, `stream.name`.
    Stream,
    /// `received_at`: when the sink received the event.
    ReceivedAt,
    /// `offset`: the event's place in the spool.
    Offset,
}

/// A value of the event: its place, and how it is read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FromEvent {
    /// JSON pointers (RFC 6901). The first one with a value counts; null is none.
    pub pointers: Vec<String>,
    /// The value that is read in place of a missing one. It cannot be null, nor contain null.
    pub default: Option<Json>,
    /// How numbers become times, or texts become bytes.
    pub format: Option<ValueFormat>,
    /// Whether white space at both ends of a text is removed.
    pub trim: bool,
    /// Whether a text that is too long for the column is cut to its length.
    pub truncate: bool,
}

/// How a value of the event is read: `format` of a column's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueFormat {
    /// `epoch_s`: seconds since 1970-01-01 UTC, as a number or a text with one.
    EpochS,
    /// `epoch_ms`: milliseconds since then.
    EpochMs,
    /// `epoch_us`: microseconds since then.
    EpochUs,
    /// `base64`: bytes in base64 (RFC 4648 section 4).
    Base64,
    /// `hex`: bytes in hexadecimal digits.
    Hex,
}

impl ValueFormat {
    pub(super) const ALL: [Self; 5] = [Self::EpochS, Self::EpochMs, Self::EpochUs, Self::Base64, Self::Hex];

    /// The word for this value in configuration files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EpochS => "epoch_s",
            Self::EpochMs => "epoch_ms",
            Self::EpochUs => "epoch_us",
            Self::Base64 => "base64",
            Self::Hex => "hex",
        }
    }
}

impl FromEvent {
    /// The value at this pointer.
    pub fn at(pointer: impl Into<String>) -> Self {
        Self { pointers: vec![pointer.into()], default: None, format: None, trim: false, truncate: false }
    }

    /// Where the pointers so far have no value, the one at this pointer.
    #[must_use]
    pub fn or(mut self, pointer: impl Into<String>) -> Self {
        self.pointers.push(pointer.into());
        self
    }

    /// Where no pointer has a value, this one.
    #[must_use]
    pub fn or_default(self, default: impl Into<Json>) -> Self {
        Self { default: Some(default.into()), ..self }
    }

    /// Reads the value in this format.
    #[must_use]
    pub fn in_format(self, format: ValueFormat) -> Self {
        Self { format: Some(format), ..self }
    }

    /// Removes white space at both ends of a text.
    #[must_use]
    pub fn trimmed(self) -> Self {
        Self { trim: true, ..self }
    }

    /// Cuts a text that is too long for the column to its length.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self { truncate: true, ..self }
    }

    /// The pointer, if this is one and nothing else.
    fn as_pointer(&self) -> Option<&str> {
        match &self.pointers[..] {
            [pointer] if *self == Self::at(pointer) => Some(pointer),
            _ => None,
        }
    }
}

impl MappingSource {
    const WORDS: [(&'static str, Self); 5] = [
        ("rest", Self::Rest),
        ("now", Self::Now),
        ("stream", Self::Stream),
        ("received_at", Self::ReceivedAt),
        ("offset", Self::Offset),
    ];

    /// The text of a source that is one pointer or one word.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Event(from_event) => from_event.as_pointer(),
            _ => Self::WORDS.iter().find(|(_, source)| source == self).map(|(word, _)| *word),
        }
    }
}

impl From<&str> for MappingSource {
    fn from(text: &str) -> Self {
        let word = Self::WORDS.into_iter().find(|(word, _)| *word == text);
        word.map_or_else(|| FromEvent::at(text).into(), |(_, source)| source)
    }
}

impl From<String> for MappingSource {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<FromEvent> for MappingSource {
    fn from(from_event: FromEvent) -> Self {
        Self::Event(from_event)
    }
}

//! From a message of the stream to its events (`[event]`): slices of the message's own bytes, or of those of a text in it.
//!
//! No event is lost on the way: a message, or a line of one, that cannot be unwrapped is an event itself, marked as what it is, and
//! becomes a dead letter. The depth of a message costs no stack, and of a huge array nothing is kept beside its events.

use std::fmt;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::EventConfig;
use crate::error;
use crate::event::Burst;
use crate::source::raw_json::{self, Pointer};

/// Finds the events in messages. The same message gives the same events.
#[derive(Debug)]
pub(crate) struct Unwrapper {
    pointer: Pointer,
    /// The place of the event as a reason names it.
    place: String,
    /// The unit that is unwrapped by itself, as a reason names it.
    unit: &'static str,
    each: bool,
    lines: bool,
    /// A line is an event as it stands: nothing is parsed.
    are_lines_events: bool,
}

/// Why a message cannot be unwrapped: what was found where, without values.
pub(crate) type Reason = String;

impl Unwrapper {
    /// `None` if a message is one event.
    ///
    /// # Errors
    /// `Config`: `event.path` is not a JSON pointer.
    pub(crate) fn new(settings: &EventConfig) -> error::Result<Option<Self>> {
        if *settings == EventConfig::default() {
            return Ok(None);
        }
        let path = settings.path.as_deref().unwrap_or_default();
        let unit = if settings.lines { "the line" } else { "the message" };
        Ok(Some(Self {
            pointer: Pointer::parse(path).map_err(|error| error.while_doing("event.path"))?,
            place: if path.is_empty() { unit.into() } else { path.into() },
            unit,
            each: settings.each,
            lines: settings.lines,
            are_lines_events: settings.path.is_none() && !settings.each,
        }))
    }

    /// Why a message was kept whole, by these settings: only the message itself is stored.
    pub(crate) fn reason_of(settings: Option<&Self>, message: &[u8]) -> Reason {
        let again = |unwrapper: &Self| unwrapper.unwrap_again(message, &mut Burst::default()).err();
        settings.and_then(again).unwrap_or_else(|| "the message could not be unwrapped when it was received".into())
    }

    /// Appends the events of the message, without counting it; returns their number. A message, or a line of one, that cannot be
    /// unwrapped is appended whole, as what it is.
    ///
    /// A message of which only the beginning was kept is not for this: see [`Burst::push_message`].
    pub(crate) fn unwrap(&self, message: &[u8], burst: &mut Burst) -> usize {
        let before = burst.events();
        for unit in self.units(message) {
            if self.unwrap_unit(unit, burst).is_err() {
                burst.push_message(unit);
            }
        }
        burst.events() - before
    }

    /// The same for a message that could not be unwrapped once.
    ///
    /// # Errors
    /// Nothing of it can be unwrapped now either; the burst is as before.
    pub(crate) fn unwrap_again(&self, message: &[u8], burst: &mut Burst) -> Result<usize, Reason> {
        let (events, bytes) = (burst.events(), burst.bytes());
        let (mut is_any_unwrapped, mut first_reason) = (false, None);
        for unit in self.units(message) {
            match self.unwrap_unit(unit, burst) {
                Ok(()) => is_any_unwrapped = true,
                Err(reason) => {
                    burst.push_message(unit);
                    first_reason.get_or_insert(reason);
                }
            }
        }
        match first_reason {
            Some(reason) if !is_any_unwrapped => {
                burst.truncate(events, bytes);
                Err(reason)
            }
            _ => Ok(burst.events() - events),
        }
    }

    /// The parts of a message that are unwrapped by themselves: the lines that are not empty, or the whole of it.
    fn units<'m>(&self, message: &'m [u8]) -> impl Iterator<Item = &'m [u8]> {
        let lines = self.lines.then(|| message.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii));
        let whole = if self.lines { None } else { Some(message) };
        lines.into_iter().flatten().filter(|line| !line.is_empty()).chain(whole)
    }

    /// Appends all events of the unit, or nothing.
    fn unwrap_unit(&self, unit: &[u8], burst: &mut Burst) -> Result<(), Reason> {
        if self.are_lines_events {
            burst.push(unit);
            return Ok(());
        }
        let (events, bytes) = (burst.events(), burst.bytes());
        self.push_events(unit, burst).inspect_err(|_| burst.truncate(events, bytes))
    }

    fn push_events(&self, unit: &[u8], burst: &mut Burst) -> Result<(), Reason> {
        let (name, place) = (self.unit, &self.place);
        if unit.is_empty() {
            return Err(format!("{name} is empty"));
        }
        let unit = std::str::from_utf8(unit)
            .map_err(|error| format!("{name} is not UTF-8 from byte {}", error.valid_up_to()))?;
        let found = raw_json::at(unit, &self.pointer).map_err(|error| format!("{name} is not JSON: {error}"))?;
        let found = found.ok_or_else(|| format!("{place}: nothing is there"))?;
        if !found.starts_with('"') {
            return self.push_value(found, burst).map_err(|kind| format!("{place}: {kind}, {}", self.expected()));
        }
        // Its escapes are those of the message; within it begins the event's own text.
        let text: String =
            serde_json::from_str(found).map_err(|error| format!("{place}: a text that is not Unicode: {error}"))?;
        let inner: &RawValue =
            serde_json::from_str(&text).map_err(|error| format!("{place}: a text that is not JSON: {error}"))?;
        let pushed = self.push_value(inner.get(), burst);
        pushed.map_err(|kind| format!("{place}: a text that holds {kind}, {}", self.expected()))
    }

    /// Appends the events of a value that is valid JSON. The error names what it is instead.
    fn push_value(&self, raw: &str, burst: &mut Burst) -> Result<(), &'static str> {
        match raw.as_bytes().first() {
            Some(b'{') => burst.push(raw.as_bytes()),
            Some(b'[') if self.each => {
                burst.reserve(raw.len());
                // What is valid as a whole is valid in its parts.
                let pushed = serde_json::Deserializer::from_str(raw).deserialize_seq(Elements(burst));
                pushed.map_err(|_| "an array with an element that cannot be read")?;
            }
            Some(b'[') => return Err("an array"),
            Some(b'"') => return Err("a text"),
            Some(b'n') => return Err("null"),
            Some(b't' | b'f') => return Err("a boolean"),
            _ => return Err("a number"),
        }
        Ok(())
    }

    fn expected(&self) -> &'static str {
        if self.each { "not an object or an array" } else { "not an object" }
    }
}

/// Appends each element of an array.
struct Elements<'b>(&'b mut Burst);

impl<'m> Visitor<'m> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'m>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            self.0.push(element.get().as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "tests/unwrap.rs"]
mod tests;

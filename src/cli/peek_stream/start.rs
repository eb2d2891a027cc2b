//! A schema and a mapping to start with, from the members of events that the built-in schema does not know.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::suggestion::Suggestion;
use crate::time::timestamp::DateTime;

/// More columns than this are added by hand.
const COLUMNS_MAX: usize = 12;
const NAME_BYTES_MAX: usize = 60;

/// The members of the events so far, in the order in which they were first seen.
#[derive(Default)]
pub(super) struct Start {
    events: usize,
    members: Vec<Member>,
    /// An event that is delivered again says nothing new.
    seen: HashSet<Vec<u8>>,
}

struct Member {
    name: String,
    column: String,
    times: usize,
    /// The JSON types of its values.
    types: BTreeSet<&'static str>,
    values: HashSet<String>,
    are_times: bool,
}

impl Start {
    /// Adds an event, if it is an object.
    pub(super) fn note(&mut self, event: &[u8]) {
        let Ok(Value::Object(members)) = serde_json::from_slice(event) else { return };
        if !self.seen.insert(event.to_owned()) {
            return;
        }
        self.events += 1;
        for (name, value) in &members {
            let (Some(json_type), true) = (json_type(value), is_plain(name)) else { continue };
            let found = self.members.iter().position(|member| member.name == *name).unwrap_or_else(|| {
                self.members.push(Member::new(name));
                self.members.len() - 1
            });
            let member = &mut self.members[found];
            member.times += 1;
            member.types.insert(json_type);
            member.values.insert(value.to_string());
            member.are_times &= value.as_str().is_some_and(|text| DateTime::parse(text).is_some());
        }
    }

    /// Nothing if no member can be the key: it is in every event, and different in most.
    pub(super) fn suggestions(&self) -> Vec<Suggestion> {
        let is_key = |member: &&Member| {
            member.times == self.events && 2 * member.values.len() > self.events && member.types == ["string"].into()
        };
        let ranked = self.members.iter().filter(is_key).filter_map(|member| Some((rank(&member.name)?, member)));
        let Some((_, key)) = ranked.min_by_key(|(rank, _)| *rank) else { return Vec::new() };
        let others = self.members.iter().filter(|member| member.column != key.column);
        let mut columns: Vec<&Member> = vec![key];
        for member in others {
            if columns.len() < COLUMNS_MAX && columns.iter().all(|known| known.column != member.column) {
                columns.push(member);
            }
        }
        let properties: Map<String, Value> =
            columns.iter().map(|member| (member.name.clone(), member.schema(member.name == key.name))).collect();
        let schema = json!({"type": "object", "required": [key.name], "properties": properties});
        let sources: Vec<_> =
            columns.iter().map(|member| format!("{} = \"/{}\"", member.column, member.name)).collect();
        let suggest = |key, value, why: &str| Suggestion { key, value, why: why.into() };
        vec![
            suggest("schema.inline", format!("'{schema}'"), "the members of these events"),
            suggest(
                "mapping.key",
                format!("[\"{}\"]", key.column),
                "a guess: it is in every event, and different in most",
            ),
            suggest(
                "mapping.columns",
                format!("{{ {}, event = \"\", updated_at = \"now\" }}", sources.join(", ")),
                "event: the whole of it",
            ),
            suggest("destination.table", "\"stream_events\"".into(), "cxsink init-db creates it"),
        ]
    }
}

impl Member {
    fn new(name: &str) -> Self {
        let (name, column) = (name.to_owned(), column(name));
        Self { name, column, times: 0, types: BTreeSet::new(), values: HashSet::new(), are_times: true }
    }

    fn schema(&self, is_key: bool) -> Value {
        if is_key {
            return json!({"type": "string", "minLength": 1, "maxLength": 255});
        }
        let mut types: Vec<&str> = self.types.iter().copied().collect();
        // An integer is a number too.
        types.retain(|one| *one != "integer" || !self.types.contains("number"));
        types.push("null");
        types.dedup();
        if self.are_times { json!({"type": types, "format": "date-time"}) } else { json!({"type": types}) }
    }
}

/// `None` for what is no column by itself.
fn json_type(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(_) => Some("string"),
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether the name can stand in a pointer, in TOML and in SQL as it is.
fn is_plain(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= NAME_BYTES_MAX && name.bytes().all(is_letter) && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// `messageBody` becomes `message_body`. The columns of our own keep their names.
fn column(name: &str) -> String {
    let mut column = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && was_lower {
            column.push('_');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        column.push(c.to_ascii_lowercase());
    }
    if ["event", "updated_at"].contains(&column.as_str()) { column + "_value" } else { column }
}

/// How much a name sounds like that of a key; `None`: not at all.
fn rank(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "idempotencykey" | "eventid" | "event_id" => Some(0),
        "id" | "uuid" => Some(1),
        _ if name.ends_with("eventid") || name.ends_with("messageid") => Some(2),
        _ if name.ends_with("id") || name.ends_with("key") => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Validator};

    fn suggested(events: &[&str]) -> Vec<(&'static str, String)> {
        let mut start = Start::default();
        for event in events {
            start.note(event.as_bytes());
        }
        start.suggestions().into_iter().map(|one| (one.key, one.value)).collect()
    }

    #[test]
    fn the_start_fits_the_events_that_it_is_made_from() {
        let events = [
            r#"{"transcriptionEventId":"a","contactId":"c","sentAt":"2026-01-01T00:00:00Z","event":1,"n":1,"words":[],"odd name":1}"#,
            r#"{"transcriptionEventId":"b","contactId":"c","sentAt":"2026-01-01T00:00:01Z","event":2,"n":1.5,"last":true}"#,
        ];
        let found = suggested(&events);
        let columns = "{ transcription_event_id = \"/transcriptionEventId\", contact_id = \"/contactId\", event_value = \"/event\", \
                       n = \"/n\", sent_at = \"/sentAt\", last = \"/last\", event = \"\", updated_at = \"now\" }";
        assert_eq!(found[1], ("mapping.key", "[\"transcription_event_id\"]".into()));
        assert_eq!(found[2], ("mapping.columns", columns.into()));
        let mut config = Config::default();
        config.destination.url = Some("sqlite:events.db".into());
        for (key, value) in found {
            config.set(key, value.trim_matches(['\'', '"'])).unwrap();
        }
        config.validate().unwrap();
        let validator = Validator::new(&config).unwrap();
        for event in events {
            validator.validate(event.as_bytes()).unwrap();
        }
        assert!(validator.validate(br#"{"transcriptionEventId":"a","sentAt":"yesterday"}"#).is_err());
    }

    #[test]
    fn without_a_key_there_is_no_start() {
        assert_eq!(suggested(&[r#"{"id":"a","n":1}"#, r#"{"id":"a","n":2}"#]), []);
        assert_eq!(suggested(&[r#"{"id":"a"}"#, r#"{"name":"b"}"#]), []);
        assert_eq!(suggested(&[r#"{"text":"a"}"#, "7"]), []);
        assert_eq!(suggested(&[]), []);
    }
}

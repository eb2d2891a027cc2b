//! Where in a message the event may be: settings of `[event]` that its form suggests.

use serde_json::Value;

use crate::config::pointer::escape;

/// How deep an event is looked for.
const DEPTH_MAX: usize = 4;
/// Elements of an array that are looked into.
const ELEMENTS_MAX: usize = 4;
/// An object with more members is hardly an envelope.
const ENVELOPE_MEMBERS_MAX: usize = 6;

/// Settings of `[event]`, and what they are made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Envelope {
    pub(super) path: String,
    pub(super) each: bool,
    pub(super) lines: bool,
    /// Whether what is there passes the schema.
    pub(super) is_valid: bool,
    pub(super) why: &'static str,
}

/// A place where the event may be.
struct Place {
    path: String,
    each: bool,
    is_text: bool,
    event: Value,
    /// Bytes of the value there, which may be an array of events.
    size: usize,
    /// Members of the object around it.
    members_around: usize,
}

/// How an event fits the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Passes,
    /// It lacks this number of required members.
    Lacks(usize),
}

/// The settings that the message suggests; `None` if it seems to be the event itself.
pub(super) fn suggested(message: &[u8], fit: impl Fn(&Value) -> Fit) -> Option<Envelope> {
    if let Ok(value) = serde_json::from_slice::<Value>(message) {
        return within(&value, false, fit);
    }
    let lines = message.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let lines: Vec<Value> = lines.map(serde_json::from_slice).collect::<Result<_, _>>().ok()?;
    let first = lines.first().filter(|first| lines.len() > 1 && (first.is_object() || first.is_array()))?;
    let why = "a message has several lines of JSON";
    let whole = Envelope { path: String::new(), each: false, lines: true, is_valid: fit(first) == Fit::Passes, why };
    Some(within(first, true, fit).unwrap_or(whole))
}

fn within(value: &Value, lines: bool, fit: impl Fn(&Value) -> Fit) -> Option<Envelope> {
    let Fit::Lacks(lacking) = fit(value) else { return None };
    let mut places = Vec::new();
    collect(value, &mut String::new(), 0, 0, &mut places);
    let found =
        |place: &Place, why| Envelope { path: place.path.clone(), each: place.each, lines, is_valid: false, why };
    if let Some(place) = places.iter().find(|place| fit(&place.event) == Fit::Passes) {
        return Some(Envelope { is_valid: true, ..found(place, "what is there passes the schema") });
    }
    if let Some(place) = longest(places.iter().filter(|place| place.is_text)) {
        return Some(found(place, "a text there is JSON"));
    }
    if let Value::Array(elements) = value {
        if are_alike(elements) {
            let why = "a message is an array of like elements";
            return Some(Envelope { path: String::new(), each: true, lines, is_valid: false, why });
        }
        let elements = places.iter().filter(|place| place.path.matches('/').count() == 1 && !place.each);
        return longest(elements).map(|place| found(place, "the longest element of the array is there"));
    }
    let is_inside = |place: &&Place| {
        let is_most = 2 * place.size > value.to_string().len();
        // An event that is only invalid has more of what the schema requires than an object in it.
        let is_better = matches!(fit(&place.event), Fit::Lacks(number) if number <= lacking);
        !place.path.is_empty() && place.members_around <= ENVELOPE_MEMBERS_MAX && is_most && is_better
    };
    longest(places.iter().filter(is_inside)).map(|place| found(place, "the largest object is there"))
}

fn longest<'a>(places: impl Iterator<Item = &'a Place>) -> Option<&'a Place> {
    places.max_by_key(|place| place.size)
}

/// The places of a value and of what is in it, from the outside to the inside.
fn collect(value: &Value, path: &mut String, depth: usize, members_around: usize, places: &mut Vec<Place>) {
    let size = value.to_string().len();
    let mut add = |event: &Value, each, is_text| {
        places.push(Place { path: path.clone(), each, is_text, event: event.clone(), size, members_around });
    };
    match value {
        Value::Object(_) => add(value, false, false),
        Value::Array(elements) => {
            if let Some(first) = elements.first().filter(|first| first.is_object()) {
                add(first, true, false);
            }
        }
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Array(elements)) if elements.first().is_some_and(Value::is_object) => {
                add(&elements[0], true, true);
            }
            Ok(event @ Value::Object(_)) => add(&event, false, true),
            _ => {}
        },
        _ => {}
    }
    if depth == DEPTH_MAX {
        return;
    }
    let mut inside = |name: &str, value: &Value, members| {
        let length = path.len();
        path.push('/');
        path.push_str(&escape(name));
        collect(value, path, depth + 1, members, places);
        path.truncate(length);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| inside(name, value, members.len())),
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate().take(ELEMENTS_MAX) {
                inside(&index.to_string(), value, elements.len());
            }
        }
        _ => {}
    }
}

/// Whether the elements are objects with the same members, or nearly so.
fn are_alike(elements: &[Value]) -> bool {
    let Some(objects) = elements.iter().map(Value::as_object).collect::<Option<Vec<_>>>() else { return false };
    let Some((first, others)) = objects.split_first() else { return false };
    others.iter().all(|other| {
        let shared = other.keys().filter(|name| first.contains_key(*name)).count();
        2 * shared >= first.len().max(other.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":"1","kind":"call","at":"2026-11-26T22:00:00Z","by":"somebody with a name"}"#;

    fn own_fit(value: &Value) -> Fit {
        match value.get("kind") {
            Some(kind) if kind == "call" => Fit::Passes,
            Some(_) => Fit::Lacks(1),
            None => Fit::Lacks(2),
        }
    }

    fn check(message: &str, expected: Option<(&str, bool, bool)>) {
        // With a schema that fits, and with one that fits nothing: the form of the message must be enough.
        for passes in [true, false] {
            let fit = |value: &Value| if passes { own_fit(value) } else { Fit::Lacks(4) };
            let found = suggested(message.as_bytes(), fit);
            let settings = found.as_ref().map(|found| (found.path.as_str(), found.each, found.lines));
            assert_eq!(settings, expected, "{message} {passes} {found:?}");
        }
    }

    #[test]
    fn an_event_is_found_where_it_is() {
        let text = serde_json::Value::from(EVENT).to_string();
        check(EVENT, None);
        check(
            &format!(r#"{{"command":"MESSAGE","headers":{{"a":1}},"body":{{"data":{text}}}}}"#),
            Some(("/body/data", false, false)),
        );
        check(
            &format!(r#"{{"topicName":"t","version":"2","eventBody":{EVENT},"metadata":{{"c":1}}}}"#),
            Some(("/eventBody", false, false)),
        );
        check(&format!(r#"{{"page":1,"items":[{EVENT},{EVENT}]}}"#), Some(("/items", true, false)));
        check(&format!("[{EVENT},{EVENT}]"), Some(("", true, false)));
        check(&format!(r#"[{{"type":"notification","x":1}},{EVENT}]"#), Some(("/1", false, false)));
        check(&format!("{EVENT}\n{EVENT}\n"), Some(("", false, true)));
        check(&format!("{{\"d\":{text}}}\n{{\"d\":{text}}}"), Some(("/d", false, true)));
    }

    #[test]
    fn what_is_no_envelope_suggests_nothing() {
        check(r#""pong""#, None);
        check("pong", None);
        check("1\n2", None);
        check(r#"{"a":1,"b":{"c":2}}"#, None);
        let invalid = br#"{"kind":"fax","attributes":{"a":"a longer text","b":"a longer text"}}"#;
        assert_eq!(suggested(invalid, own_fit), None);
        check("", None);
        check(
            r#"{"id":1,"kind":"chat","at":"2026-11-26T22:00:00Z","queue":"a longer name","who":[{"name":"x"}]}"#,
            None,
        );
    }
}

//! The value at a place of an event.

use serde_json::Value as Json;

use crate::config::pointer;

/// The value at a JSON pointer (RFC 6901 section 4).
pub(super) fn resolve<'a>(event: &'a Json, tokens: &[String]) -> Option<&'a Json> {
    tokens.iter().try_fold(event, |json, token| match json {
        Json::Object(members) => members.get(token),
        Json::Array(items) => pointer::index(token).and_then(|index| items.get(index)),
        _ => None,
    })
}

/// The first of the pointers that has a value other than null, and this value.
pub(super) fn first<'a, 'p>(event: &'a Json, pointers: &'p [Vec<String>]) -> Option<(&'p [String], &'a Json)> {
    pointers
        .iter()
        .find_map(|tokens| resolve(event, tokens).filter(|json| !json.is_null()).map(|json| (tokens.as_slice(), json)))
}

//! Conversion of an event into a row: each value becomes a value of its column, or does not fit.
//!
//! A mismatch that is found here costs one event; one that the database finds costs the whole batch another attempt. So the rules are
//! those of PostgreSQL's input functions for the text of a JSON value. Reasons never contain values.
//!
//! A number reaches `numeric`, `json`, `jsonb` and `text` with the digits of the event; other types are rounded once, from these digits.

mod array;
mod bytes;
mod decimal;
mod epoch;
mod json;
mod map;
mod number;
mod pairs;
mod place;
mod reading;
mod rest;
mod stored_text;
mod text;
mod value;

#[cfg(test)]
pub(crate) use map::map_json;
pub(crate) use map::{key_of, map_event};
pub(crate) use reading::Reading;
pub(super) use reading::read;
pub(crate) use rest::ATTRIBUTES;
pub(super) use stored_text::push_text;

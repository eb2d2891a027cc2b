//! An event as JSON: a tree of its values for the schema and the mapping, and the digits of its numbers as they are written.
//!
//! `serde_json` keeps a number as an integer of 64 bits or as a double. Its feature `arbitrary_precision` would keep all digits, but
//! changes `serde_json` for the whole application that embeds this library. So the digits are taken from the event's own text, and
//! only for the numbers that the tree does not hold exactly.

mod numbers;
mod parse;

pub(crate) use numbers::Numbers;
pub(crate) use parse::ParsedEvent;

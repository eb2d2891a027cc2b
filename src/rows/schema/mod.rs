//! Validation of events: JSON that matches a JSON Schema (draft 2020-12, unless the schema declares another).
//!
//! [`load`] compiles the configured schema; [`validate`] checks events against it, under a [`budget`]. Formats are asserted, each
//! violation has a JSON pointer, and no message contains a value of the event. References to other files or URLs are never followed,
//! and patterns run in linear time or under the budget, so a schema can neither stall the sink nor make it read other resources.

mod budget;
mod drift;
mod ecma;
mod formats;
mod keywords;
mod load;
mod loosen;
mod patterns;
mod problems;
#[cfg(test)]
mod tests;
mod validate;
mod view;
mod walk;

pub(crate) use drift::{Explanation, Finding};
pub(crate) use validate::Schema;

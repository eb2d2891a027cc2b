//! Drift: in which ways events differ from the schema, and which changes of the schema would accept them.

mod change;
mod explain;
#[cfg(test)]
mod tests;

pub(crate) use explain::{Explanation, Finding};

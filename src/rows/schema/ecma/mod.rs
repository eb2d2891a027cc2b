//! Patterns that no linear engine can match: those with look-around or back-references, as ECMA-262 defines them with the flag `u`.
//!
//! [`parse`](parse::parse) reads a pattern, [`Program`] is its compiled form. A match backtracks, so it is counted: each step of it is
//! a step of the event's budget, and its memory is bounded.

mod compile;
mod escapes;
mod matcher;
mod parse;
mod scan;
#[cfg(test)]
mod tests;

pub(super) use compile::Program;
pub(super) use scan::is_backtracking;

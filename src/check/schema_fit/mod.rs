//! Values that the schema allows and a column does not accept: each such event would become a dead letter.

mod columns;
mod excess;
#[cfg(test)]
mod tests;

pub(super) use columns::mismatches;

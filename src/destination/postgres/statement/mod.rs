//! The statement that applies a batch.

pub(super) mod history;
mod types;
mod upsert;

pub(super) use types::{array_name, array_type, cast};
pub(super) use upsert::{Form, Upsert, UpsertOutcome};

//! The summary of dead letters: in which ways events differ from the schema and the table, how often, and what would accept them.

use std::time::SystemTime;

use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq as _, Serializer};
use serde_json::value::RawValue;

use crate::report::dead_letter::Stage;
use crate::report::json;

/// The dead letters that were not replayed, in groups.
///
/// A dead letter with several violations is in several groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// The number of dead letters.
    pub dead_letters: u64,
    /// Of these, those that match the schema as it is now: a replay takes them.
    pub accepted_now: u64,
    /// The groups, the largest first.
    pub groups: Vec<SummaryGroup>,
    /// The number of dead letters with a reason for which there was no room among the groups.
    pub ungrouped: u64,
}

/// Dead letters with one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SummaryGroup {
    /// The stage that rejected them.
    pub stage: Stage,
    /// JSON pointer to the value, with `*` for the place in an array; `None` if the reason is about no value.
    pub pointer: Option<String>,
    /// The violated keyword of the schema; `column` for a value that does not fit its column.
    pub keyword: Option<String>,
    /// The reason, without values of events.
    pub reason: String,
    /// The database's SQLSTATE.
    pub sqlstate: Option<String>,
    /// The constraint that refused them.
    pub constraint: Option<String>,
    /// The column that the value does not fit.
    pub column: Option<String>,
    /// The number of dead letters.
    pub dead_letters: u64,
    /// The offset of the first of them.
    pub first_offset: u64,
    /// The time at which the first of them was rejected.
    #[serde(serialize_with = "json::time")]
    pub first_at: SystemTime,
    /// The time at which the last of them was rejected.
    #[serde(serialize_with = "json::time")]
    pub last_at: SystemTime,
    /// What would accept them.
    pub advice: String,
    /// The same as operations of a JSON Patch (RFC 6902) for the schema, each as JSON; empty where the author has to decide.
    #[serde(serialize_with = "as_they_are")]
    pub patch: Vec<String>,
}

fn as_they_are<S: Serializer>(operations: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    let mut items = serializer.serialize_seq(Some(operations.len()))?;
    for operation in operations {
        items.serialize_element(&RawValue::from_string(operation.clone()).map_err(S::Error::custom)?)?;
    }
    items.end()
}

impl Summary {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}

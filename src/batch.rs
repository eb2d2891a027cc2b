//! The rows of one transaction.
//!
//! Values stand row by row in one vector, texts in one string beside it: a batch costs a handful of allocations whatever the
//! number of its events. Collapsing copies nothing either: it says for each key which row gives the kept columns and which
//! one the updated columns.

use std::ops::Range;
use std::sync::Arc;

use crate::mapping::Plan;

/// One value of a row, already fit for its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// int2, int4, int8
    Int(i64),
    /// float4, float8
    Float(f64),
    /// timestamptz and timestamp: microseconds since 1970-01-01 (UTC, or local for `timestamp`)
    Micros(i64),
    /// date: days since 1970-01-01
    Days(i32),
    /// text, varchar, numeric, uuid, json, jsonb: a slice of [`Rows::text`]
    Text {
        start: u32,
        len: u32,
    },
}

/// Mapped events in the order of their arrival.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) plan: Arc<Plan>,
    /// `plan.width` values a row.
    pub(crate) values: Vec<Value>,
    /// What `Value::Text` points into.
    pub(crate) text: String,
    /// The spool offset of each row's event; ascending.
    pub(crate) offsets: Vec<u64>,
}

/// The rows of one key made into one: what one-by-one execution of them would leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The row that gives key and kept columns.
    pub(crate) first: u32,
    /// The row that gives the updated columns.
    pub(crate) last: u32,
}

impl Rows {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, values: Vec::new(), text: String::new(), offsets: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    pub(crate) fn value(&self, row: usize, column: usize) -> Value {
        self.values[row * self.plan.width + column]
    }

    /// The text of a `Value::Text`; empty for any other value.
    pub(crate) fn text_of(&self, value: Value) -> &str {
        match value {
            Value::Text { start, len } => &self.text[start as usize..(start + len) as usize],
            _ => "",
        }
    }

    pub(crate) fn all(&self) -> Range<usize> {
        0..self.len()
    }
}

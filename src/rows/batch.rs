//! The rows of one transaction.
//!
//! Values stand row by row in one vector, texts in one string beside it: a batch costs a handful of allocations whatever the
//! number of its events. Collapsing copies nothing either: it says for each key which row gives the kept columns and which
//! one the updated columns.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::rows::Plan;

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

    /// The same with room for so many rows and so many bytes of text: a batch that grows by doubling leaves its smaller selves
    /// behind in memory.
    pub(crate) fn with_capacity(plan: Arc<Plan>, rows: usize, text_bytes: usize) -> Self {
        let values = Vec::with_capacity(rows * plan.width);
        Self { plan, values, text: String::with_capacity(text_bytes), offsets: Vec::with_capacity(rows) }
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
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
}

/// Merges those of the `chosen` rows that share a key, sorted by key, so that concurrent writers lock rows in the same order.
///
/// The kept columns come from the first row of a key. The updated ones come from the last; in update mode `newer`, from
/// the last of those that one-by-one execution would have applied.
pub(crate) fn collapse(rows: &Rows, chosen: &[u32]) -> Vec<Merged> {
    let mut by_key = chosen.to_vec();
    // Stable: within a key the rows stay in the order of their arrival.
    by_key.sort_by(|&a, &b| compare_keys(rows, a, b));
    by_key
        .chunk_by(|&a, &b| compare_keys(rows, a, b).is_eq())
        .map(|group| Merged { first: group[0], last: last_applied(rows, group) })
        .collect()
}

/// The rows in parts, as long as can be, in none of which a key comes twice: ranges of `rows`.
pub(crate) fn without_repeats(all: &Rows, rows: &[u32]) -> Vec<Range<usize>> {
    let mut by_key: Vec<usize> = (0..rows.len()).collect();
    by_key.sort_by(|&a, &b| compare_keys(all, rows[a], rows[b]));
    // For each row the place where its key came before.
    let mut before = vec![None; rows.len()];
    for pair in by_key.windows(2).filter(|pair| compare_keys(all, rows[pair[0]], rows[pair[1]]).is_eq()) {
        before[pair[1]] = Some(pair[0]);
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for (place, before) in before.into_iter().enumerate() {
        if before >= Some(start) {
            parts.push(start..place);
            start = place;
        }
    }
    parts.push(start..rows.len());
    parts
}

fn compare_keys(rows: &Rows, a: u32, b: u32) -> Ordering {
    let compare_columns = |&column: &usize| {
        let (a, b) = (rows.value(a as usize, column), rows.value(b as usize, column));
        match (a, b) {
            (Value::Text { .. }, Value::Text { .. }) => rows.text_of(a).cmp(rows.text_of(b)),
            (Value::Int(a) | Value::Micros(a), Value::Int(b) | Value::Micros(b)) => a.cmp(&b),
            (Value::Days(a), Value::Days(b)) => a.cmp(&b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(&b),
            // `+ 0.0` makes the two zeros one, as the database has it.
            (Value::Float(a), Value::Float(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
            // A column's values are of one kind, and a key's are never null.
            _ => Ordering::Equal,
        }
    };
    rows.plan.key.iter().map(compare_columns).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The row of a key's group that one-by-one execution would have applied last.
fn last_applied(rows: &Rows, group: &[u32]) -> u32 {
    let Some(newer_by) = rows.plan.newer_by else { return group[group.len() - 1] };
    let timestamp = |row: u32| match rows.value(row as usize, newer_by) {
        Value::Micros(micros) => Some(micros),
        _ => None,
    };
    // The same condition as in the statement: an unknown time is older than any other.
    group[1..].iter().fold(group[0], |current, &row| if timestamp(row) >= timestamp(current) { row } else { current })
}

#[cfg(test)]
#[path = "tests/batch.rs"]
mod tests;

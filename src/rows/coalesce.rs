//! Coalescing: the rows of one key become one row, with the result of one-by-one execution.
//!
//! No value is copied: each key gets the number of the row that gives the kept columns, and of the one that gives the updated
//! columns.
//!
//! A loose key ([`Plan::has_loose_key`]) is one whose equality only the database knows. Such rows are compared by a guess that
//! ignores case and the digits of numbers. A guess that takes two keys for one costs a statement. One that misses equal keys puts
//! both into one statement, which PostgreSQL refuses (21000) and bisection separates; SQLite executes rows one by one anyway.

use std::cmp::Ordering;
use std::ops::Range;

use crate::rows::batch::{Rows, Value};
use crate::rows::{ColumnType, Plan};

/// The rows of one key, coalesced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Coalesced {
    /// The row that gives key and kept columns.
    pub(crate) first: u32,
    /// The row that gives the updated columns.
    pub(crate) last: u32,
}

/// Coalesces those of the `chosen` rows that share a key. Sorted by key, so that concurrent writers lock rows in the same order;
/// in the order of arrival where the table relates rows, because there the order of keys can decide which row is refused or wins.
///
/// The kept columns come from the first row of a key. The updated ones come from the last; in update mode `newer`, from
/// the last of those that one-by-one execution would have applied.
pub(crate) fn coalesce(rows: &Rows, chosen: &[u32]) -> Vec<Coalesced> {
    let compare = |a: &(u64, u32), b: &(u64, u32)| a.0.cmp(&b.0).then_with(|| compare_keys(rows, a.1, b.1));
    let mut by_key: Vec<(u64, u32)> = chosen.iter().map(|&row| (prefix(rows, row), row)).collect();
    // Stable: within a key the rows stay in the order of their arrival.
    by_key.sort_by(compare);
    let mut coalesced: Vec<Coalesced> = by_key
        .chunk_by(|a, b| compare(a, b).is_eq())
        .map(|group| Coalesced { first: group[0].1, last: last_applied(rows, group.iter().map(|&(_, row)| row)) })
        .collect();
    if rows.plan.relates_rows {
        coalesced.sort_unstable_by_key(|coalesced| coalesced.first);
    }
    coalesced
}

/// Splits the rows into ranges, as long as possible, none of which has a key twice.
pub(crate) fn without_repeats(all: &Rows, rows: &[u32]) -> Vec<Range<usize>> {
    let mut by_key: Vec<usize> = (0..rows.len()).collect();
    by_key.sort_by(|&a, &b| compare_keys(all, rows[a], rows[b]));
    // For each row the place of the row before it with the same key.
    let mut before = vec![None; rows.len()];
    for pair in by_key.windows(2).filter(|pair| compare_keys(all, rows[pair[0]], rows[pair[1]]).is_eq()) {
        before[pair[1]] = Some(pair[0]);
    }
    let mut ranges = Vec::new();
    let mut start = 0;
    for (place, before) in before.into_iter().enumerate() {
        if before >= Some(start) {
            ranges.push(start..place);
            start = place;
        }
    }
    ranges.push(start..rows.len());
    ranges
}

/// The beginning of the key, in the order of [`compare_keys`]: mostly it decides, without a look at the text.
fn prefix(rows: &Rows, row: u32) -> u64 {
    let plan = &rows.plan;
    let Some(&column) = plan.key.first().filter(|_| !plan.has_loose_key) else { return 0 };
    match rows.value(row as usize, column) {
        value @ Value::Text { .. } => {
            let text = rows.text_of(value).as_bytes();
            let mut start = [0; 8];
            let length = text.len().min(start.len());
            start[..length].copy_from_slice(&text[..length]);
            u64::from_be_bytes(start)
        }
        _ => 0,
    }
}

fn compare_keys(rows: &Rows, a: u32, b: u32) -> Ordering {
    let compare_columns = |&column: &usize| {
        let (a, b) = (rows.value(a as usize, column), rows.value(b as usize, column));
        match (a, b) {
            (Value::Text { .. }, Value::Text { .. }) => {
                compare_texts(&rows.plan, column, rows.text_of(a), rows.text_of(b))
            }
            (Value::Int(a) | Value::Micros(a), Value::Int(b) | Value::Micros(b)) => a.cmp(&b),
            (Value::Days(a), Value::Days(b)) => a.cmp(&b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(&b),
            // `+ 0.0` makes the two zeros equal, as they are in the database.
            (Value::Float(a), Value::Float(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
            // The values of a column have one type, and those of a key are never null.
            _ => Ordering::Equal,
        }
    };
    rows.plan.key.iter().map(compare_columns).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn compare_texts(plan: &Plan, column: usize, a: &str, b: &str) -> Ordering {
    if !plan.has_loose_key {
        return a.cmp(b);
    }
    match &plan.columns[column].column_type {
        ColumnType::Numeric { .. } => {
            let number = |text: &str| text.parse().unwrap_or(f64::NAN) + 0.0;
            number(a).total_cmp(&number(b))
        }
        _ => folded(a).cmp(folded(b)),
    }
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.trim_end_matches(' ').chars().flat_map(char::to_lowercase)
}

/// The row of a key's group that one-by-one execution would have applied last.
fn last_applied(rows: &Rows, mut group: impl DoubleEndedIterator<Item = u32>) -> u32 {
    let Some(newer_by) = rows.plan.newer_by else { return group.next_back().unwrap_or_default() };
    let timestamp = |row: u32| match rows.value(row as usize, newer_by) {
        Value::Micros(micros) => Some(micros),
        _ => None,
    };
    // The condition of the statement: a missing time is older than any other.
    group.reduce(|current, row| if timestamp(row) >= timestamp(current) { row } else { current }).unwrap_or_default()
}

#[cfg(test)]
#[path = "tests/loose_keys.rs"]
mod loose_keys;
#[cfg(test)]
#[path = "tests/coalesce.rs"]
mod tests;

//! The rows of a batch.
//!
//! All values are in one vector, row by row, and all texts in one string beside it: a batch costs a handful of allocations,
//! whatever the number of its events.

use std::sync::Arc;

use crate::rows::Plan;
pub(crate) use crate::rows::value::Value;

/// When and at which place of the spool an event arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) offset: u64,
    /// In microseconds since 1970-01-01 UTC.
    pub(crate) received_at: i64,
}

/// Mapped events in the order of their arrival.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) plan: Arc<Plan>,
    /// The values of `plan.stored_columns()`, row by row.
    pub(crate) values: Vec<Value>,
    /// The text of every `Value::Text`.
    pub(crate) text: String,
    /// The spool offset of each row's event; ascending.
    pub(crate) offsets: Vec<u64>,
    /// The time of receipt of each row's event, in microseconds since 1970-01-01 UTC.
    pub(crate) received_at: Vec<i64>,
}

impl Rows {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, values: Vec::new(), text: String::new(), offsets: Vec::new(), received_at: Vec::new() }
    }

    /// Makes room for this many more rows and bytes of text: buffers that grow by doubling leave freed memory behind.
    pub(crate) fn reserve(&mut self, rows: usize, text_bytes: usize) {
        self.values.reserve(rows * self.plan.stored_width());
        self.text.reserve(text_bytes);
        self.offsets.reserve(rows);
        self.received_at.reserve(rows);
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(crate) fn value(&self, row: usize, column: usize) -> Value {
        self.values[row * self.plan.stored_width() + column]
    }

    /// Appends a row with the offset and the time of `like`. `source` gives the row that each column's value comes from; with `None` it
    /// is null.
    pub(crate) fn push_row<'a>(&mut self, like: (&Self, usize), source: impl Fn(usize) -> Option<(&'a Self, usize)>) {
        for column in 0..self.plan.stored_width() {
            let value = source(column).map_or(Value::Null, |(rows, row)| match rows.value(row, column) {
                value @ Value::Text { .. } => self.push_text(rows.text_of(value)),
                value => value,
            });
            self.values.push(value);
        }
        self.offsets.push(like.0.offsets[like.1]);
        self.received_at.push(like.0.received_at[like.1]);
    }

    fn push_text(&mut self, text: &str) -> Value {
        let start = self.text.len();
        self.text.push_str(text);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a batch is batch.bytes_max plus one event, far below 4 GiB"
        )]
        let value = Value::Text { start: start as u32, len: text.len() as u32 };
        value
    }

    /// The text of a `Value::Text`; empty for any other value.
    pub(crate) fn text_of(&self, value: Value) -> &str {
        match value {
            Value::Text { start, len } => &self.text[start as usize..(start + len) as usize],
            _ => "",
        }
    }
}

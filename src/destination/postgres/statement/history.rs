//! The part of the statement that writes the history: every event of the batch, in the same statement and so under the same fence.
//!
//! Its parameters follow those of the upsert: an array for each column with values of events, and the spool's id. The events of a
//! batch are more than its coalesced rows, so the arrays are its own.

use std::error::Error as StdError;
use std::fmt;

use bytes::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::super::catalogue::Relation;
use super::super::encode::{is_array, put_array};
use super::types::{array_type, cast, from_arrays, list, push};
use crate::destination::Write;
use crate::destination::names::quote;
use crate::rows::batch::{Rows, Value};
use crate::rows::{HistoryColumn, HistoryValue, Plan};

/// The types of the parameters; none without a history.
pub(super) fn types(plan: &Plan) -> Vec<Type> {
    let Some(history) = &plan.history else { return Vec::new() };
    let mut types: Vec<Type> = arrays_of(&history.columns).map(|column| array_type(&column.column_type)).collect();
    types.push(Type::TEXT);
    types
}

/// Adds the insert as a part of WITH, before the upsert. `parameter` is the number of its first parameter. Without a history it adds
/// nothing.
pub(super) fn push_insert(
    sql: &mut String,
    plan: &Plan,
    relation: &Relation,
    condition: &str,
    parameter: usize,
    is_late: bool,
) {
    let (Some(history), Some(name)) = (&plan.history, &relation.history) else { return };
    let (table, columns) = (name.quoted(), &history.columns);
    let rows = from_arrays(arrays_of(columns).map(|column| &column.column_type), parameter);
    let spool_id = parameter + arrays_of(columns).count();
    let mut next = 0;
    let values = list(columns.iter().map(|column| match column.value {
        HistoryValue::Now => "now()".into(),
        HistoryValue::SpoolId => format!("${spool_id}::text"),
        HistoryValue::SpoolLate => is_late.to_string(),
        HistoryValue::Stored(_) | HistoryValue::ReceivedAt | HistoryValue::SpoolOffset => {
            next += 1;
            format!("v.c{}{}", next - 1, cast(&column.column_type))
        }
    }));
    let names = list(columns.iter().map(|column| quote(&column.name)));
    let on_conflict = match list(history.identity.iter().map(|name| quote(name))) {
        identity if identity.is_empty() => String::new(),
        // An event that is written again, in order, is in the history already.
        identity => format!("  ON CONFLICT ({identity}) DO NOTHING\n"),
    };
    push(
        sql,
        format_args!(
            "history AS (\n  INSERT INTO {table} ({names})\n  SELECT {values}\n  FROM {rows}\n  \
             WHERE {condition}\n{on_conflict}), "
        ),
    );
}

/// The columns whose values travel as arrays.
fn arrays_of(columns: &[HistoryColumn]) -> impl Iterator<Item = &HistoryColumn> {
    columns.iter().filter(|column| {
        matches!(column.value, HistoryValue::Stored(_) | HistoryValue::ReceivedAt | HistoryValue::SpoolOffset)
    })
}

/// The parameters of one batch.
pub(in super::super) struct Parameters<'a> {
    arrays: Vec<EventArray<'a>>,
    spool_id: &'a str,
}

impl<'a> Parameters<'a> {
    pub(in super::super) fn new(write: &Write<'a>) -> Self {
        let Write { rows, events, spool_id, .. } = *write;
        let columns = rows.plan.history.as_ref().map_or(&[][..], |history| &history.columns);
        let array = |column: &HistoryColumn| EventArray { rows, events, value: column.value };
        Self { arrays: arrays_of(columns).map(array).collect(), spool_id }
    }

    /// In the order of [`types`].
    pub(in super::super) fn push<'p>(&'p self, parameters: &mut Vec<&'p (dyn ToSql + Sync)>) {
        if !self.arrays.is_empty() {
            parameters.extend(self.arrays.iter().map(|array| array as &(dyn ToSql + Sync)));
            parameters.push(&self.spool_id);
        }
    }
}

/// One column of the events.
struct EventArray<'a> {
    rows: &'a Rows,
    events: &'a [u32],
    value: HistoryValue,
}

impl EventArray<'_> {
    fn value(&self, row: usize) -> Value {
        match self.value {
            HistoryValue::Stored(column) => self.rows.value(row, column),
            HistoryValue::ReceivedAt => Value::Micros(self.rows.received_at[row]),
            HistoryValue::SpoolOffset => Value::Int(self.rows.offsets[row].cast_signed()),
            HistoryValue::Now | HistoryValue::SpoolId | HistoryValue::SpoolLate => Value::Null,
        }
    }
}

/// Shows no values: the `postgres` crate logs parameters by `Debug` at level debug.
impl fmt::Debug for EventArray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.events.len())
    }
}

impl ToSql for EventArray<'_> {
    fn to_sql(&self, array: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        put_array(self.rows, self.events.iter().map(|&row| self.value(row as usize)), array, out)
    }

    fn accepts(ty: &Type) -> bool {
        is_array(ty)
    }

    to_sql_checked!();
}

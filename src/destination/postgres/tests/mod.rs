//! The destination against a real PostgreSQL, and against servers that misbehave.

mod catalogue;
mod differential;
mod encryption;
mod faults;
mod fence;
mod fresh;
mod fresh_concurrent;
mod fresh_random;
mod history;
mod key_order;
mod pooler;
mod trial;
mod upsert;
mod words;

use std::sync::Arc;

use super::batch::Upserts;
use super::catalogue::Relation;
use super::connection::indicates_pooler;
use super::destination::PostgresDestination;
use super::init_db;
use super::statement::{Form, Upsert};
use super::test_server::TestDatabase;
use crate::config::{DestinationConfig, TlsConfig, UpdateMode};
use crate::destination::names::TableName;
use crate::destination::{Applied, Destination, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::rows::Plan;
use crate::rows::batch::{Rows, Value};
use crate::rows::coalesce::Coalesced;
use crate::rows::{Column, ColumnSource, ColumnType, OtherType, PlanColumn, Role, TextForm};
use crate::threads::stop_signal::StopSignal;

const TEXT: ColumnType = ColumnType::Text { chars_max: None };

/// A column of a test's plan. The key is what has `Role::Key`.
fn column(name: &str, column_type: ColumnType, role: Role) -> PlanColumn {
    PlanColumn {
        name: name.into(),
        column_type,
        source: ColumnSource::Pointer(vec![name.into()]),
        role,
        required: role == Role::Key,
    }
}

fn now(name: &str, role: Role) -> PlanColumn {
    PlanColumn { source: ColumnSource::Now, ..column(name, ColumnType::TimestampTz, role) }
}

fn plan(table: &str, columns: Vec<PlanColumn>, update_mode: UpdateMode) -> Arc<Plan> {
    Arc::new(Plan {
        table: table.into(),
        width: columns.iter().filter(|column| column.source != ColumnSource::Now).count(),
        key: (0..columns.len()).filter(|&i| columns[i].role == Role::Key).collect(),
        newer_by: columns.iter().position(|column| column.name == "ts"),
        is_guarded: false,
        relates_rows: false,
        history: None,
        has_loose_key: false,
        columns,
        update_mode,
    })
}

/// A cell of a test's row.
enum Cell<'a> {
    Text(&'a str),
    Other(Value),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<Value> for Cell<'_> {
    fn from(value: Value) -> Self {
        Self::Other(value)
    }
}

fn push_row(rows: &mut Rows, cells: &[Cell<'_>]) {
    assert_eq!(cells.len(), rows.plan.width);
    for cell in cells {
        let value = match cell {
            Cell::Other(value) => *value,
            Cell::Text(text) => {
                let start = u32::try_from(rows.text.len()).unwrap();
                rows.text.push_str(text);
                Value::Text { start, len: u32::try_from(text.len()).unwrap() }
            }
        };
        rows.values.push(value);
    }
    rows.offsets.push(rows.offsets.len() as u64);
    rows.received_at.push(0);
}

macro_rules! rows {
    ($plan:expr, $([$($cell:expr),+ $(,)?]),* $(,)?) => {{
        let mut rows = Rows::new(Arc::clone($plan));
        $(push_row(&mut rows, &[$(Cell::from($cell)),+]);)*
        rows
    }};
}
use rows;

fn each(rows: &Rows) -> Vec<Coalesced> {
    (0..u32::try_from(rows.len()).unwrap()).map(|row| Coalesced { first: row, last: row }).collect()
}

fn write<'a>(rows: &'a Rows, coalesced: &'a [Coalesced]) -> Write<'a> {
    Write { coalesced, ..Write::nothing(rows) }
}

fn apply_all(destination: &mut PostgresDestination, rows: &Rows) -> Result<Applied> {
    destination.apply(&write(rows, &each(rows)))
}

fn committed(inserted: u64, updated: u64) -> Applied {
    Applied::Committed { inserted, updated }
}

/// A connected destination for a table `t`, ready for the plan.
fn ready(database: &TestDatabase, plan: &Arc<Plan>) -> PostgresDestination {
    let mut destination = database.destination(&plan.table);
    destination.connect().unwrap();
    destination.prepare(plan).unwrap();
    destination
}

/// A table `t` with the text key `k` and the integer `n`, and its plan.
fn small_table(database: &TestDatabase, update_mode: UpdateMode) -> Arc<Plan> {
    database.execute("CREATE TABLE t (k text PRIMARY KEY, n int)");
    plan("t", vec![column("k", TEXT, Role::Key), column("n", ColumnType::Int4, Role::Updated)], update_mode)
}

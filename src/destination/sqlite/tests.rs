use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::Connection;

use super::apply::apply;
use super::catalogue::read_table;
use super::changes::Changes;
use super::statement::{ROWS, Statements};
use crate::config::{MappingConfig, UpdateMode};
use crate::destination::names::TableName;
use crate::destination::{Applied, Write};
use crate::rows::Plan;
use crate::rows::batch::{Rows, Value};
use crate::rows::coalesce::Coalesced;

const COLUMNS: &str = "kept INTEGER, v INTEGER, ts TIMESTAMPTZ, updated_at TIMESTAMPTZ";

/// By key: the values of `kept`, `v` and `ts`.
type Batch = BTreeMap<i64, (i64, i64, Option<i64>)>;

/// A table, and a connection that writes to it.
struct Target {
    connection: Connection,
    changes: Arc<Changes>,
    statements: Statements,
    plan: Arc<Plan>,
}

impl Target {
    fn new(set_up: &str, mode: UpdateMode) -> Self {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(set_up).unwrap();
        let pointers = [("k", "/k"), ("kept", "/kept"), ("v", "/v"), ("ts", "/timestamp"), ("updated_at", "now")];
        let mut mapping = MappingConfig::default();
        mapping.columns = pointers.map(|(name, source)| (name.into(), source.into())).into_iter().collect();
        mapping.key = vec!["k".into()];
        mapping.update = Some(vec!["v".into(), "updated_at".into()]);
        let plan = Plan::of(&mapping, mode, &read_table(&connection, "t").unwrap()).unwrap();
        let statements = Statements::new(&connection, &plan, &TableName::parse("t").unwrap(), None).unwrap();
        let changes = Changes::watch(&mut connection, "T").unwrap();
        Self { connection, changes, statements, plan: Arc::new(plan) }
    }

    fn apply(&mut self, batch: &Batch, is_late: bool) -> rusqlite::Result<(u64, u64)> {
        let mut rows = Rows::new(Arc::clone(&self.plan));
        let mut coalesced = Vec::new();
        for (number, (&key, &(kept, v, ts))) in (0..).zip(batch) {
            let of_column = |name: &str| match name {
                "k" => Value::Int(key),
                "kept" => Value::Int(kept),
                "v" => Value::Int(v),
                _ => ts.map_or(Value::Null, Value::Micros),
            };
            rows.values.extend(self.plan.row_columns().iter().map(|column| of_column(&column.name)));
            rows.offsets.push(number.into());
            coalesced.push(Coalesced { first: number, last: number });
        }
        let write = Write { coalesced: &coalesced, is_late, ..Write::nothing(&rows) };
        match apply(&mut self.connection, &self.statements, &self.changes, &write)? {
            Applied::Committed { inserted, updated } => Ok((inserted, updated)),
            Applied::Fenced => panic!("there is no fence"),
        }
    }

    fn rows(&self) -> Vec<String> {
        let sql =
            "SELECT format('%d %d %d %s %d', k, kept, v, coalesce(ts, 'null'), updated_at IS NULL) FROM t ORDER BY k";
        let mut select = self.connection.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }
}

fn any_batches() -> impl Strategy<Value = Vec<(Batch, bool)>> {
    let values = (0..3_i64, 0..3_i64, proptest::option::of(0..3_i64));
    proptest::collection::vec((proptest::collection::btree_map(0..60_i64, values, 0..50), any::<bool>()), 1..6)
}

fn any_mode() -> impl Strategy<Value = UpdateMode> {
    prop_oneof![Just(UpdateMode::Always), Just(UpdateMode::Changed), Just(UpdateMode::Newer)]
}

proptest! {
    #[test]
    fn groups_of_rows_write_and_count_as_single_rows(batches in any_batches(), mode in any_mode()) {
        let set_up = format!("CREATE TABLE t (id INTEGER PRIMARY KEY, k BIGINT NOT NULL UNIQUE, {COLUMNS})");
        let mut target = Target::new(&set_up, mode);
        let mut one_by_one = Target::new(&set_up, mode);
        one_by_one.statements.finds_keys.set(true);
        for (batch, is_late) in &batches {
            let found = target.apply(batch, *is_late).unwrap();
            prop_assert_eq!(found, one_by_one.apply(batch, *is_late).unwrap(), "{:?}, late: {}", mode, is_late);
            prop_assert_eq!(target.rows(), one_by_one.rows(), "{:?}, late: {}", mode, is_late);
        }
        prop_assert!(!target.statements.finds_keys.get());
    }
}

fn batch(keys: std::ops::Range<i64>) -> Batch {
    keys.map(|key| (key, (1, 1, None))).collect()
}

#[test]
fn a_table_whose_changes_sqlite_does_not_report_is_counted_by_key() {
    let mut target =
        Target::new(&format!("CREATE TABLE t (k BIGINT PRIMARY KEY, {COLUMNS}) WITHOUT ROWID"), UpdateMode::Always);
    assert_eq!(target.apply(&batch(0..20), false).unwrap(), (20, 0));
    assert!(target.statements.finds_keys.get());
    assert_eq!(target.apply(&batch(10..30), false).unwrap(), (10, 10));
}

/// The plan for a table with triggers has single rows; this trigger is newer than the plan.
#[test]
fn changes_by_a_trigger_do_not_count() {
    let mut target = Target::new(&format!("CREATE TABLE t (k BIGINT NOT NULL UNIQUE, {COLUMNS})"), UpdateMode::Always);
    assert_eq!(target.apply(&batch(0..20), false).unwrap(), (20, 0));
    assert!(!target.statements.finds_keys.get());
    let trigger = "CREATE TRIGGER more AFTER UPDATE OF v ON t BEGIN
            INSERT INTO t (k, v) VALUES (1000 + new.k, 1); UPDATE t SET kept = kept + 1 WHERE k = new.k; END";
    target.connection.execute_batch(trigger).unwrap();
    assert_eq!(target.apply(&batch(15..25), false).unwrap(), (5, 5));
    assert!(target.statements.finds_keys.get());
    let counted = target.rows().iter().filter(|row| row.split(' ').nth(1) == Some("2")).count();
    assert_eq!(counted, 5, "the trigger has fired once for each row: the first attempt was rolled back");
}

#[test]
fn a_refused_row_of_a_group_leaves_nothing() {
    let set_up = format!("CREATE TABLE t (k BIGINT UNIQUE, {COLUMNS}); CREATE UNIQUE INDEX other ON t (v)");
    let mut target = Target::new(&set_up, UpdateMode::Always);
    target.statements.finds_keys.set(false);
    let mut all: Batch = (0..i64::try_from(3 * ROWS).unwrap()).map(|key| (key, (1, key, None))).collect();
    all.get_mut(&12).unwrap().1 = 11;
    let error = target.apply(&all, false).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::ConstraintViolation));
    assert!(target.rows().is_empty());
    all.remove(&12);
    assert_eq!(target.apply(&all, false).unwrap(), (23, 0), "what was refused is not counted");
}

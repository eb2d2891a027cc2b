//! The plan of the history: which values it shares with the table, and what it refuses.

use std::sync::Arc;

use serde_json::json;

use crate::config::{MappingConfig, MappingSource, UpdateMode};
use crate::error::ErrorKind;
use crate::rows::Plan;
use crate::rows::batch::Rows;
use crate::rows::history::*;
use crate::rows::map_json;

const TEXT: ColumnType = ColumnType::Text { chars_max: None };

fn column(name: &str, column_type: ColumnType, not_null: bool) -> Column {
    let type_name = format!("{column_type:?}").to_lowercase();
    Column { type_name, not_null, ..Column::of(name, column_type) }
}

fn table(name: &str, columns: Vec<Column>, unique_keys: &[&[&str]]) -> Table {
    let unique_keys = unique_keys.iter().map(|key| key.iter().map(|name| (*name).to_owned()).collect()).collect();
    Table { unique_keys, ..Table::of(name, columns, &[]) }
}

fn origins() -> Vec<Column> {
    vec![
        column(RECEIVED_AT, ColumnType::TimestampTz, true),
        column(SPOOL_OFFSET, ColumnType::Int8, true),
        column(SPOOL_ID, TEXT, true),
    ]
}

/// A table with a key, a number and the time of the transaction.
fn current() -> Vec<Column> {
    vec![column("k", TEXT, true), column("n", ColumnType::Int4, false), column("at", ColumnType::TimestampTz, false)]
}

fn mapping() -> MappingConfig {
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into()), ("n".into(), "/n".into()), ("at".into(), MappingSource::Now)];
    mapping.key = vec!["k".into()];
    mapping.update = None;
    mapping
}

fn planned(mapping: &MappingConfig, history: Table) -> Result<Plan> {
    let table = Table { history: Some(Box::new(history)), ..table("t", current(), &[&["k"]]) };
    Plan::of(mapping, UpdateMode::Always, &table)
}

fn history_of(columns: Vec<Column>, unique_keys: &[&[&str]]) -> Result<HistoryPlan> {
    planned(&mapping(), table("h", columns, unique_keys)).map(|plan| plan.history.unwrap())
}

#[test]
fn a_column_of_the_same_type_shares_the_value_and_any_other_has_its_own() {
    let numeric = || ColumnType::Numeric { precision_scale: None };
    let columns = [vec![column("n", numeric(), true), column("k", TEXT, false)], origins()].concat();
    let plan = planned(&mapping(), table("h", columns, &[&IDENTITY])).unwrap();
    let history = plan.history.clone().unwrap();
    let values: Vec<_> = history.columns.iter().map(|column| (column.name.as_str(), column.value)).collect();
    let expected = [
        ("k", HistoryValue::Stored(0)),
        ("n", HistoryValue::Stored(2)),
        (RECEIVED_AT, HistoryValue::ReceivedAt),
        (SPOOL_OFFSET, HistoryValue::SpoolOffset),
        (SPOOL_ID, HistoryValue::SpoolId),
    ];
    assert_eq!(values, expected, "a column of `now` that the history lacks is left out");
    assert_eq!(history.identity, IDENTITY);

    let mut rows = Rows::new(Arc::new(plan));
    map_json(&json!({"k": "a", "n": 3}), 7, &mut rows).unwrap();
    assert_eq!((rows.len(), rows.text_of(rows.value(0, 2))), (1, "3"));
    let error = map_json(&json!({"k": "a", "n": null}), 8, &mut rows).unwrap_err();
    assert_eq!((error.kind(), error.column()), (ErrorKind::Unmapped, Some("h.n")), "{error}");
    assert_eq!(rows.values.len(), 3, "nothing is left of the event that does not fit");
}

#[test]
fn a_history_that_lacks_a_column_or_has_one_of_another_type_is_refused_with_the_fix() {
    let check = |columns: Vec<Column>, message: &str, hint: &str| {
        let error = history_of(columns, &[]).unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
    };
    check(origins(), "has no column \"k\"", "ALTER TABLE h ADD COLUMN k text");
    check(current(), "has no column \"received_at\"", "ALTER TABLE h ADD COLUMN received_at timestamptz");
    let mut columns = [current(), origins()].concat();
    columns[4].column_type = ColumnType::Int4;
    check(
        columns,
        "\"spool_offset\" of table h has the type int8, not bigint",
        "ALTER COLUMN spool_offset TYPE bigint",
    );
    let columns = [current(), origins(), vec![column("mine", TEXT, true)]].concat();
    check(columns, "\"mine\" of table h is NOT NULL", "drop its NOT NULL");
    let mut mapping = mapping();
    mapping.columns.push((SPOOL_ID.into(), "/id".into()));
    let history = table("h", [current(), origins()].concat(), &[]);
    let columns = [current(), vec![column(SPOOL_ID, TEXT, false)]].concat();
    let with_namesake = Table { history: Some(Box::new(history)), ..table("t", columns, &[&["k"]]) };
    let error = Plan::of(&mapping, UpdateMode::Always, &with_namesake).unwrap_err();
    assert!(error.message().contains("own meaning") && error.kind() == ErrorKind::Config, "{error}");
}

#[test]
fn a_unique_index_that_would_refuse_the_second_event_of_a_key_is_refused() {
    let columns = || [current(), origins()].concat();
    for bad in [&["k"][..], &[SPOOL_OFFSET], &[SPOOL_ID, SPOOL_OFFSET], &[RECEIVED_AT, "k"]] {
        let error = history_of(columns(), &[bad]).unwrap_err();
        assert!(error.message().contains("several rows of each key"), "{bad:?}: {error}");
    }
    let with_id = || [columns(), vec![Column { has_default: true, ..column("id", ColumnType::Int8, true) }]].concat();
    assert_eq!(history_of(with_id(), &[&["id"]]).unwrap().identity, Vec::<String>::new(), "the database's own number");
    let wide = ["k", SPOOL_OFFSET, SPOOL_ID, RECEIVED_AT];
    assert_eq!(history_of(columns(), &[&wide]).unwrap().identity, wide);
}

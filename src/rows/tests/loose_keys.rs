//! Keys of which the table may take two different values for one, and times that do not hold an instant.

use std::sync::Arc;

use serde_json::json;

use crate::config::{MappingConfig, UpdateMode};
use crate::error::Result;
use crate::rows::coalesce::*;
use crate::rows::{Column, Table, map_json};

const TEXT: ColumnType = ColumnType::Text { chars_max: None };

/// A table with the key `k` and the column `ts`.
fn table(key: ColumnType, timestamp: ColumnType) -> Table {
    Table::of("t", vec![Column::of("k", key), Column::of("ts", timestamp)], &["k"])
}

fn plan(table: &Table, update_mode: UpdateMode) -> Result<Plan> {
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into()), ("ts".into(), "/timestamp".into())];
    mapping.key = vec!["k".into()];
    mapping.update = Some(Vec::new());
    Plan::of(&mapping, update_mode, table)
}

#[test]
fn keys_whose_equality_only_the_database_knows_are_loose() {
    let check = |table: &Table, expected: bool| {
        let plan = plan(table, UpdateMode::Always).unwrap();
        let found = (plan.has_loose_key, plan.is_guarded, plan.relates_rows);
        assert_eq!(found, (expected, expected, expected), "{table:?}");
    };
    for exact in
        [TEXT, ColumnType::Int8, ColumnType::Float8, ColumnType::TimestampTz, ColumnType::Uuid, ColumnType::Bool]
    {
        check(&table(exact, TEXT), false);
    }
    for loose in [ColumnType::Numeric { precision_scale: None }, ColumnType::Jsonb] {
        check(&table(loose, TEXT), true);
    }
    check(&Table { loose_columns: vec!["k".into()], ..table(TEXT, TEXT) }, true);
    check(&Table { loose_columns: vec!["ts".into()], ..table(TEXT, TEXT) }, false);
}

fn rows(table: &Table, keys: &[serde_json::Value]) -> Rows {
    let mut rows = Rows::new(Arc::new(plan(table, UpdateMode::Always).unwrap()));
    for (offset, key) in (0..).zip(keys) {
        map_json(&json!({"k": key}), offset, &mut rows).unwrap();
    }
    rows
}

#[test]
fn rows_of_a_loose_key_stay_in_the_order_of_their_arrival() {
    let loose = Table { loose_columns: vec!["k".into()], ..table(TEXT, TEXT) };
    let words = rows(&loose, &[json!("b"), json!("a"), json!("C"), json!("B"), json!("c ")]);
    let order = |rows: &Rows, chosen: &[u32]| coalesce(rows, chosen).iter().map(|row| row.first).collect::<Vec<_>>();
    assert_eq!(order(&words, &[0, 1, 2]), [0, 1, 2]);
    assert_eq!(order(&words, &[2, 3]), [2, 3]);
    assert_eq!(order(&words, &[0, 1, 2, 3, 4]).len(), 3, "the writer cuts where keys may be one");
    assert_eq!(without_repeats(&words, &[0, 1, 2, 3, 4]), [0..3, 3..5]);

    let number = table(ColumnType::Numeric { precision_scale: None }, TEXT);
    let numbers = rows(&number, &[json!(2), json!("1.00"), json!(-0.0), json!(1), json!(0), json!("2.0")]);
    assert_eq!(without_repeats(&numbers, &[0, 1, 2, 3, 4, 5]), [0..3, 3..6]);
}

#[test]
fn rows_that_the_table_relates_stay_in_the_order_of_their_arrival() {
    let keys = [json!("b"), json!("a"), json!("b")];
    let related = rows(&Table { relates_rows: true, ..table(TEXT, TEXT) }, &keys);
    let expected = [Coalesced { first: 0, last: 2 }, Coalesced { first: 1, last: 1 }];
    assert_eq!(coalesce(&related, &[0, 1, 2]), expected);
    // Two sinks with the same keys lock the rows in the same order.
    let judged = rows(&Table { is_guarded: true, ..table(TEXT, TEXT) }, &keys);
    assert_eq!(coalesce(&judged, &[0, 1, 2]), [expected[1], expected[0]], "sorted by key");
}

#[test]
fn update_mode_newer_needs_a_column_that_holds_instants() {
    let newer = |table: &Table| plan(table, UpdateMode::Newer);
    assert_eq!(newer(&table(TEXT, ColumnType::TimestampTz)).unwrap().newer_by, Some(1));
    let as_text = newer(&Table { has_times_as_text: true, ..table(TEXT, TEXT) }).unwrap();
    assert_eq!(as_text.columns[1].column_type, ColumnType::TimestampTz, "of one width, in UTC");
    let refused = |table: &Table, reason: &str, hint: &str| {
        let error = newer(table).unwrap_err();
        assert!(error.message().contains(reason) && error.hint().unwrap().contains(hint), "{error:?}");
    };
    let local = table(TEXT, ColumnType::Timestamp);
    refused(
        &local,
        r#"column "ts" of type Timestamp does not hold them"#,
        "ALTER TABLE t ALTER COLUMN ts TYPE timestamptz",
    );
    let few_digits = Table { loose_columns: vec!["ts".into()], ..table(TEXT, ColumnType::TimestampTz) };
    refused(&few_digits, "compares instants", "TYPE timestamptz");
    refused(&Table { has_times_as_text: true, ..local }, "compares instants", "ts as TIMESTAMPTZ");
    refused(&table(TEXT, TEXT), "requires a timestamp column", "map /timestamp");
}

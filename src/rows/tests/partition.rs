//! What checkpoints in databases rest on: names, hashes, and which key goes where.

use std::sync::Arc;

use serde_json::json;

use crate::config::{MappingConfig, UpdateMode};
use crate::rows::partition::*;
use crate::rows::{Column, Table, map_event};

fn plan(key: ColumnType) -> Arc<Plan> {
    let column = |name: &str, column_type| Column {
        name: name.into(),
        column_type: Some(column_type),
        type_name: String::new(),
        not_null: false,
        has_default: false,
    };
    let columns = vec![column("k", key), column("n", ColumnType::Int4)];
    let table = Table {
        name: "t".into(),
        columns,
        unique_keys: vec![vec!["k".into(), "n".into()]],
        is_guarded: false,
        relates_rows: false,
    };
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into()), ("n".into(), "/n".into())];
    mapping.key = vec!["k".into(), "n".into()];
    mapping.update = Some(Vec::new());
    Arc::new(Plan::new(&mapping, UpdateMode::Always, &table).unwrap())
}

const TEXT: ColumnType = ColumnType::Text { chars_max: None };
const NUMERIC: ColumnType = ColumnType::Numeric { precision_scale: None };

fn rows(key: ColumnType, keys: &[(String, u32)]) -> Rows {
    let mut rows = Rows::new(plan(key));
    for (offset, (k, n)) in (0..).zip(keys) {
        map_event(&json!({"k": k, "n": n}), offset, &mut rows).unwrap();
    }
    rows
}

#[test]
fn a_key_goes_where_it_always_went() {
    let keys: Vec<_> = (0..12).map(|n| (format!("key-{}", n % 6), n / 6)).collect();
    let lanes = |lanes| -> Vec<usize> {
        let rows = rows(TEXT, &keys);
        (0..12).map(|row| lane_of(&rows, row, lanes)).collect()
    };
    assert_eq!(lanes(2), [0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(lanes(5), [0, 2, 3, 0, 1, 0, 0, 4, 2, 4, 0, 1]);
}

#[test]
fn every_row_has_one_lane_and_the_rows_of_a_key_have_the_same() {
    // No divisor of their number is one of the lanes', so that a lane which follows from the row's place is seen.
    let keys: Vec<_> = (0..1000).map(|n| (format!("k{}", n % 301), 7)).collect();
    let rows = rows(TEXT, &keys);
    let parts = split(&rows, 3);
    let mut all: Vec<u32> = parts.iter().flat_map(|part| part.rows.iter().copied()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..1000));
    for part in &parts {
        assert!(part.rows.is_sorted(), "in the order of their arrival");
        assert!((80..=120).contains(&part.merged.len()), "a third of the keys, more or less: {}", part.merged.len());
        assert!(part.merged.iter().all(|merged| part.rows.contains(&merged.first) && part.rows.contains(&merged.last)));
    }
    assert_eq!(parts.iter().map(|part| part.merged.len()).sum::<usize>(), 301, "each key in one lane");
}

#[test]
fn numbers_that_are_one_key_have_one_lane() {
    let keys: Vec<_> = ["1", "1.0", "1.00", "0.1e1"].map(|number| (number.to_owned(), 0)).into();
    let rows = rows(NUMERIC, &keys);
    let lanes: Vec<_> = (0..4).map(|row| lane_of(&rows, row, 16)).collect();
    assert!(lanes.iter().all(|lane| *lane == lanes[0]), "{lanes:?}");
}

#[test]
fn checkpoints_say_whose_they_are() {
    let one = Layout::new(1, &plan(TEXT));
    assert_eq!(one.checkpoints("spool"), ["spool"], "as if there were no lanes");
    assert_eq!(one, Layout::new(1, &plan(NUMERIC)));
    let two = Layout::new(2, &plan(TEXT));
    let names = two.checkpoints("spool");
    assert_eq!(names, ["spool/1of2/326da82e26d39170", "spool/2of2/326da82e26d39170"]);
    assert_ne!(two, Layout::new(2, &plan(NUMERIC)), "another key, other lanes");

    let at = |name: &str, position| (name.to_owned(), position);
    assert_eq!(Layout::of("spool", &[at("spool", 7)]), Some((one, vec![7])));
    assert_eq!(Layout::of("spool", &[at(&names[1], 5), at(&names[0], 3)]), Some((two, vec![3, 5])));
    assert_eq!(Layout::of("spool", &[at(&names[1], 5)]), None, "one is missing");
    assert_eq!(Layout::of("spool", &[at("spool", 1), at(&names[0], 3), at(&names[1], 5)]), None, "of two layouts");
    assert_eq!(Layout::of("spool", &[at("spool/1of99/0", 1)]), None);
    assert_eq!(Layout::of("spool", &[]), None);
}

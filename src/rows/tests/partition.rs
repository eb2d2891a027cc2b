//! Checkpoints in databases depend on these: names, hashes, and the partition of a key.

use std::sync::Arc;

use serde_json::json;

use crate::config::{MappingConfig, UpdateMode};
use crate::rows::partition::*;
use crate::rows::{Column, Table, map_json};

fn plan(key: ColumnType) -> Arc<Plan> {
    let columns = vec![Column::of("k", key), Column::of("n", ColumnType::Int4)];
    let table = Table::of("t", columns, &["k", "n"]);
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into()), ("n".into(), "/n".into())];
    mapping.key = vec!["k".into(), "n".into()];
    mapping.update = Some(Vec::new());
    Arc::new(Plan::of(&mapping, UpdateMode::Always, &table).unwrap())
}

const TEXT: ColumnType = ColumnType::Text { chars_max: None };
const NUMERIC: ColumnType = ColumnType::Numeric { precision_scale: None };

fn rows(key: ColumnType, keys: &[(String, u32)]) -> Rows {
    let mut rows = Rows::new(plan(key));
    for (offset, (k, n)) in (0..).zip(keys) {
        map_json(&json!({"k": k, "n": n}), offset, &mut rows).unwrap();
    }
    rows
}

#[test]
fn a_key_keeps_its_partition() {
    let keys: Vec<_> = (0..12).map(|n| (format!("key-{}", n % 6), n / 6)).collect();
    let partitions = |count| -> Vec<usize> {
        let rows = rows(TEXT, &keys);
        (0..12).map(|row| partition_of(&rows, row, count)).collect()
    };
    assert_eq!(partitions(2), [0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(partitions(5), [0, 2, 3, 0, 1, 0, 0, 4, 2, 4, 0, 1]);
}

#[test]
fn every_row_has_one_partition_and_the_rows_of_a_key_have_the_same() {
    // 301 and 3 have no common divisor, so a partition that follows from the row's place would be noticed.
    let keys: Vec<_> = (0..1000).map(|n| (format!("k{}", n % 301), 7)).collect();
    let rows = rows(TEXT, &keys);
    let shares = split(&rows, 3);
    let mut all: Vec<u32> = shares.iter().flat_map(|share| share.rows.iter().copied()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..1000));
    for share in &shares {
        assert!(share.rows.is_sorted(), "in the order of their arrival");
        assert!(
            (80..=120).contains(&share.coalesced.len()),
            "a third of the keys, more or less: {}",
            share.coalesced.len()
        );
        assert!(share.coalesced.iter().all(|key| share.rows.contains(&key.first) && share.rows.contains(&key.last)));
    }
    assert_eq!(shares.iter().map(|share| share.coalesced.len()).sum::<usize>(), 301, "each key in one partition");
}

#[test]
fn numbers_that_are_one_key_have_one_partition() {
    let keys: Vec<_> = ["1", "1.0", "1.00", "0.1e1"].map(|number| (number.to_owned(), 0)).into();
    let rows = rows(NUMERIC, &keys);
    let partitions: Vec<_> = (0..4).map(|row| partition_of(&rows, row, 16)).collect();
    assert!(partitions.iter().all(|partition| *partition == partitions[0]), "{partitions:?}");
}

#[test]
fn the_names_of_checkpoints_give_the_partitioning() {
    let one = Partitioning::new(1, &plan(TEXT));
    assert_eq!(one.checkpoints("spool"), ["spool"], "the spool's id alone");
    assert_eq!(one, Partitioning::new(1, &plan(NUMERIC)));
    let two = Partitioning::new(2, &plan(TEXT));
    let names = two.checkpoints("spool");
    assert_eq!(names, ["spool/1of2/326da82e26d39170", "spool/2of2/326da82e26d39170"]);
    assert_ne!(two, Partitioning::new(2, &plan(NUMERIC)), "another key, another partitioning");

    let at = |name: &str, position| (name.to_owned(), position);
    assert_eq!(Partitioning::of("spool", &[at("spool", 7)]), Some((one, vec![7])));
    assert_eq!(Partitioning::of("spool", &[at(&names[1], 5), at(&names[0], 3)]), Some((two, vec![3, 5])));
    assert_eq!(Partitioning::of("spool", &[at(&names[1], 5)]), None, "one is missing");
    assert_eq!(
        Partitioning::of("spool", &[at("spool", 1), at(&names[0], 3), at(&names[1], 5)]),
        None,
        "of two partitionings"
    );
    assert_eq!(Partitioning::of("spool", &[at("spool/1of99/0", 1)]), None);
    assert_eq!(Partitioning::of("spool", &[]), None);
}

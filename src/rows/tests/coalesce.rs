//! Coalescing against one-by-one execution, row by row in a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use crate::config::{MappingConfig, UpdateMode};
use crate::rows::coalesce::*;
use crate::rows::{Column, ColumnType, Plan, Table, map_json};

fn plan(update_mode: UpdateMode) -> Arc<Plan> {
    let columns = vec![
        Column::of("k", ColumnType::Text { chars_max: None }),
        Column::of("n", ColumnType::Int4),
        Column::of("kept", ColumnType::Int4),
        Column::of("updated", ColumnType::Int4),
        Column::of("timestamp", ColumnType::TimestampTz),
    ];
    let table = Table::of("t", columns, &["k", "n"]);
    let mut mapping = MappingConfig::default();
    mapping.columns = table.columns.iter().map(|c| (c.name.clone(), format!("/{}", c.name).into())).collect();
    mapping.key = vec!["n".into(), "k".into()];
    mapping.update = Some(vec!["updated".into()]);
    Arc::new(Plan::of(&mapping, update_mode, &table).unwrap())
}

type Event = (u8, Option<u8>, Option<u8>, Option<u8>);

/// Kept and updated value and timestamp of each key.
type Model = BTreeMap<u8, (Option<u8>, Option<u8>, Option<u8>)>;

/// One-by-one execution: kept and updated value and timestamp of each key.
fn one_by_one(events: &[Event], mode: UpdateMode, table: &mut Model) {
    for &(key, kept, updated, at) in events {
        match table.get_mut(&key) {
            None => drop(table.insert(key, (kept, updated, at))),
            Some(row) if mode == UpdateMode::Newer => {
                if row.2.is_none() || at >= row.2 && at.is_some() {
                    (row.1, row.2) = (updated, at);
                }
            }
            Some(row) => row.1 = updated,
        }
    }
}

/// Keys that differ in their first bytes, behind them, or in their length only.
#[test]
fn rows_are_in_the_order_of_the_bytes_of_their_keys() {
    let mut plan = Plan::clone(&plan(UpdateMode::Always));
    plan.key.retain(|&index| plan.columns[index].name == "k");
    let mut rows = Rows::new(Arc::new(plan));
    let keys = [
        "b",
        "same start, b",
        "a\u{1}",
        "",
        "same start, a",
        "a",
        "ü",
        "same sta",
        "a",
        "same start",
        "\u{1}",
        "same start, a",
    ];
    for (offset, key) in (0..).zip(keys) {
        map_json(&json!({"k": key, "n": 1}), offset, &mut rows).unwrap();
    }
    let coalesced = coalesce(&rows, &(0..12).collect::<Vec<_>>());
    let found: Vec<_> = coalesced.iter().map(|m| (keys[m.first as usize], m.first, m.last)).collect();
    let mut expected: Vec<_> = BTreeMap::from_iter(keys.map(|key| {
        let places = |other: &&str| *other == key;
        (key, (keys.iter().position(places).unwrap(), keys.iter().rposition(places).unwrap()))
    }))
    .into_iter()
    .map(|(key, (first, last))| (key, u32::try_from(first).unwrap(), u32::try_from(last).unwrap()))
    .collect();
    expected.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn coalesced_rows_equal_one_by_one_execution(
        events in proptest::collection::vec((0_u8..6, any::<Option<u8>>(), any::<Option<u8>>(), proptest::option::of(0_u8..4)), 0..40),
        cuts in proptest::collection::vec(0_usize..40, 0..4),
        newer in any::<bool>(),
    ) {
        let mode = if newer { UpdateMode::Newer } else { UpdateMode::Always };
        let mut rows = Rows::new(plan(mode));
        for (offset, (key, kept, updated, at)) in events.iter().enumerate() {
            let at = at.map(|at| format!("2026-01-01T00:00:00.00000{at}Z"));
            let event = json!({"k": format!("k{}", key % 3), "n": key / 3, "kept": kept, "updated": updated, "timestamp": at});
            map_json(&event, offset as u64, &mut rows).unwrap();
        }
        let chosen: Vec<u32> = (0..rows.len()).map(|row| u32::try_from(row).unwrap()).collect();
        let ranges = without_repeats(&rows, &chosen);
        prop_assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..rows.len()).collect::<Vec<_>>());
        for (range, next) in ranges.iter().zip(ranges.iter().skip(1).map(Some).chain([None])) {
            let keys: std::collections::BTreeSet<u8> = events[range.clone()].iter().map(|event| event.0).collect();
            prop_assert_eq!(keys.len(), range.len(), "no key twice");
            prop_assert!(next.is_none_or(|next| keys.contains(&events[next.start].0)), "as long as possible");
        }

        let mut expected = Model::new();
        one_by_one(&events, mode, &mut expected);

        // The same events in batches, each coalesced, then upserted row by row.
        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut.min(events.len())).chain([0, events.len()]).collect();
        bounds.sort_unstable();
        let mut table = Model::new();
        for pair in bounds.windows(2) {
            let chosen: Vec<u32> = (u32::try_from(pair[0]).unwrap()..u32::try_from(pair[1]).unwrap()).collect();
            let coalesced = coalesce(&rows, &chosen);
            let keys: Vec<u8> = coalesced.iter().map(|m| events[m.first as usize].0).collect();
            // The key's first column is n, then k: in this order the numbers ascend.
            prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "sorted, and no key twice: {:?}", keys);
            for m in coalesced {
                let (first, last) = (events[m.first as usize], events[m.last as usize]);
                prop_assert_eq!(first.0, last.0);
                one_by_one(&[(first.0, first.1, last.2, last.3)], mode, &mut table);
            }
        }
        // In update mode `always` the timestamp is a kept column, which this model does not follow.
        let visible = |row: &(Option<u8>, Option<u8>, Option<u8>)| if newer { *row } else { (row.0, row.1, None) };
        prop_assert!(expected.values().map(visible).eq(table.values().map(visible)), "{:?} {:?}", expected, table);
    }
}

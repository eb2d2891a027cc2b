//! The table equals one-by-one execution of the events, whatever the table takes for one key: collations of columns and indexes,
//! numbers with several texts, type affinity, domains, triggers; with whatever a table, or a partition of it, refuses.

use std::collections::BTreeMap;

use ::postgres::types::ToSql;
use cxsink::config::SplitProbe;
use cxsink::{Config, Sink, Stats};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rusqlite::types::Value as SqliteValue;
use serde_json::{Value as Json, json};

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::tables::{COLLATIONS, COLUMNS, POSTGRESQL, SQLITE, TableKind};

/// A key as a number, for any kind of table, and the rest of an event.
type Draw = (usize, Json);

fn event() -> impl Strategy<Value = Draw> {
    let word = prop_oneof![Just(json!(null)), Just(json!("sales")), Just(json!("Sales")), Just(json!("SALES"))];
    let number = || prop_oneof![Just(json!(1)), Just(json!(1.0)), Just(json!(2))];
    let time = prop_oneof![
        Just(json!("2026-01-01T12:00:00+02:00")),
        Just(json!("2026-01-01T11:00:00Z")),
        Just(json!("2026-01-01T10:00:00.000001Z")),
        Just(json!(null)),
    ];
    let rest = (0..6, 0..6, word, number(), number(), time);
    (any::<proptest::sample::Index>(), rest).prop_map(|(key, (kept, updated, word, doc, amount, time))| {
        let rest =
            json!({"kept": kept, "updated": updated, "word": word, "doc": doc, "amount": amount, "timestamp": time});
        (key.index(1000), rest)
    })
}

/// The events for a table of this kind.
fn events_of(kind: &TableKind, draws: &[Draw]) -> Vec<Json> {
    let keys = (kind.keys)();
    let with_key = |(key, rest): &Draw| {
        let mut event = rest.clone();
        event["k"] = keys[key % keys.len()].clone();
        event
    };
    draws.iter().map(with_key).collect()
}

fn lines(events: &[Json]) -> String {
    events.iter().flat_map(|event| [event.to_string(), "\n".into()]).collect()
}

/// A configuration for the table `found` with the key `k` and [`COLUMNS`].
fn settings(directory: &std::path::Path, url: &str, mode: &str, events_max: u32) -> Config {
    let mut config = support::config(directory, url);
    let schema = directory.join("schema.json");
    std::fs::write(&schema, r#"{"type": "object"}"#).unwrap();
    config.schema.file = Some(schema);
    config.set("destination.update", mode).unwrap();
    config.set("destination.table", "found").unwrap();
    let pointer = |name: &str| if name == "ts" { "/timestamp".into() } else { format!("/{name}").into() };
    let names = COLUMNS.iter().map(|(name, _)| *name);
    config.mapping.columns = ["k"].into_iter().chain(names).map(|name| (name.to_owned(), pointer(name))).collect();
    config.mapping.key = vec!["k".into()];
    config.mapping.update = Some(["updated", "word", "doc", "amount"].map(String::from).to_vec());
    config.batch.events_max = events_max;
    config
}

/// Runs each part through a new sink with the given number of connections; returns the sum of their numbers.
fn through_sinks(config: &Config, parts: &[Vec<Json>], connections: &[u32]) -> Stats {
    let mut sum = Stats::default();
    for (part, connections) in parts.iter().zip(connections.iter().cycle()) {
        let mut config = config.clone();
        config.destination.connections = *connections;
        let sink = Sink::open(&config).unwrap();
        // Before the start, so that batches are as large as they may be.
        sink.import(lines(part).as_bytes()).unwrap();
        sink.start().unwrap();
        sink.close_within(PATIENCE).unwrap();
        let stats = support::balanced(&sink);
        assert_eq!(stats.pending, 0, "{stats:?}");
        sum.inserted += stats.inserted;
        sum.dead_lettered += stats.dead_lettered;
    }
    sum
}

/// Prints a case that fails, and keeps its seed in tests/proptest-regressions.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, source_file: Some(file!()), ..ProptestConfig::default() })
}

fn any_mode() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("always"), Just("changed"), Just("newer")]
}

/// The statement of one event. `cast` makes the value of a column from a parameter.
fn one_by_one(mode: &str, cast: impl Fn(usize, &str) -> String, key_type: &str) -> String {
    let names: Vec<&str> = ["k"].into_iter().chain(COLUMNS.iter().map(|(name, _)| *name)).collect();
    let types = [key_type].into_iter().chain(COLUMNS.iter().map(|(_, type_name)| *type_name));
    let values: Vec<String> = types.enumerate().map(|(index, type_name)| cast(index + 1, type_name)).collect();
    let (follow, condition) = match mode {
        "newer" => (", ts = EXCLUDED.ts", " WHERE t.ts IS NULL OR EXCLUDED.ts >= t.ts"),
        _ => ("", ""),
    };
    format!(
        "INSERT INTO expected AS t ({}) VALUES ({}) ON CONFLICT (k) DO UPDATE SET updated = EXCLUDED.updated, word = EXCLUDED.word,
         doc = EXCLUDED.doc, amount = EXCLUDED.amount{follow}{condition}",
        names.join(", "),
        values.join(", ")
    )
}

/// Executes the events one by one; returns how many the table refused. Drops those that it refused at the end: they would wait for one
/// that passes.
fn execute(client: &mut ::postgres::Client, kind: &TableKind, mode: &str, events: &mut Vec<Json>) -> u64 {
    let sql = one_by_one(mode, |n, type_name| format!("(${n}::text)::{type_name}"), kind.key_type);
    let statement = client.prepare(&sql).unwrap();
    let text = |value: &Json, type_name: &str| match value {
        Json::Null => None,
        Json::String(text) if type_name != "jsonb" => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let is_refused = |event: &Json| {
        let mut values = vec![text(&event["k"], kind.key_type)];
        for (name, type_name) in COLUMNS {
            values.push(text(&event[if name == "ts" { "timestamp" } else { name }], type_name));
        }
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        match client.execute(&statement, &parameters) {
            Ok(_) => false,
            Err(error) => {
                let code = error.code().map_or("", |code| code.code());
                assert!(code.starts_with("23"), "{}: {error}", kind.name);
                true
            }
        }
    };
    let refused: Vec<bool> = events.iter().map(is_refused).collect();
    end_with_a_good_one(events, &refused)
}

/// Drops the refused events at the end; returns the number of those before.
fn end_with_a_good_one(events: &mut Vec<Json>, refused: &[bool]) -> u64 {
    events.truncate(refused.iter().rposition(|refused| !refused).map_or(0, |last| last + 1));
    refused[..events.len()].iter().filter(|refused| **refused).count() as u64
}

#[test]
fn any_postgresql_table_equals_one_by_one_execution() {
    let database = TestDatabase::new();
    database.execute(COLLATIONS);
    let parts = proptest::collection::vec(proptest::collection::vec(event(), 1..40), 1..4);
    let connections = proptest::collection::vec(1..5_u32, 1..4);
    let cases = (0..POSTGRESQL.len(), parts, any_mode(), 1..30_u32, (connections, any::<bool>()));
    let splits = std::cell::RefCell::new(BTreeMap::new());
    let outcome = runner(112).run(&cases, |(kind, parts, mode, events_max, (connections, is_split))| {
        let kind = &POSTGRESQL[kind];
        let directory = tempfile::tempdir().unwrap();
        let mut config = settings(directory.path(), &database.url(), mode, events_max);
        config.destination.split_probe = SplitProbe::default();
        config.destination.split_probe.rows_min = Some(if is_split { 1 } else { usize::MAX });
        database.execute("DROP TABLE IF EXISTS cxone_events, cxsink_checkpoint, found, expected");
        cxsink::init_db(&{
            let mut config = config.clone();
            config.destination.table = "cxone_events".into();
            config.mapping = Config::default().mapping;
            config
        })
        .unwrap();
        for table in ["found", "expected"] {
            database.execute(&kind.set_up.replace('#', table));
        }
        let mut parts: Vec<_> = parts.iter().map(|draws| events_of(kind, draws)).collect();
        let mut client = database.client();
        let refused: u64 = parts.iter_mut().map(|events| execute(&mut client, kind, mode, events)).sum();
        let stats = through_sinks(&config, &parts, &connections);
        let columns: Vec<String> = ["k", "kept", "updated", "word", "doc", "amount", "ts"]
            .map(|name| format!("{name}::text COLLATE \"C\""))
            .into();
        let rows = |table: &str| database.query(&format!("SELECT {0} FROM {table} ORDER BY {0}", columns.join(", ")));
        let (found, expected) = (rows("found"), rows("expected"));
        prop_assert_eq!(
            &found,
            &expected,
            "{}, {}, batches of {}, connections {:?}",
            kind.name,
            mode,
            events_max,
            connections
        );
        prop_assert_eq!((stats.dead_lettered, stats.inserted), (refused, found.len() as u64), "{}", kind.name);
        *splits.borrow_mut().entry((kind.name, is_split)).or_insert(0) += config.destination.split_probe.committed();
        Ok(())
    });
    outcome.unwrap();
    let splits = splits.into_inner();
    println!("split batches by kind of table: {splits:#?}");
    assert!(splits.iter().all(|((_, is_split), count)| *is_split || *count == 0), "{splits:?}");
    assert!(splits.values().sum::<u64>() > 20, "{splits:?}");
}

/// The values as cxsink stores them in SQLite, in the order of the statement.
fn sqlite_values(kind: &TableKind, mode: &str, event: &Json) -> Vec<SqliteValue> {
    let text = |value: &Json| match value {
        Json::Null => SqliteValue::Null,
        Json::String(text) => SqliteValue::Text(text.clone()),
        other => SqliteValue::Text(other.to_string()),
    };
    let float =
        |value: &Json| value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok())).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "small whole numbers")]
    let key = match kind.key_type {
        "integer" => SqliteValue::Integer(float(&event["k"]) as i64),
        "real" => SqliteValue::Real(float(&event["k"])),
        _ => text(&event["k"]),
    };
    // As instants, of one width.
    let time = match event["timestamp"].as_str() {
        Some("2026-01-01T12:00:00+02:00") if mode == "newer" => SqliteValue::Text("2026-01-01T10:00:00.000000Z".into()),
        Some("2026-01-01T11:00:00Z") if mode == "newer" => SqliteValue::Text("2026-01-01T11:00:00.000000Z".into()),
        _ => text(&event["timestamp"]),
    };
    let (kept, updated) = (event["kept"].as_i64().unwrap(), event["updated"].as_i64().unwrap());
    let (word, doc, amount) = (text(&event["word"]), text(&event["doc"]), SqliteValue::Real(float(&event["amount"])));
    vec![key, SqliteValue::Integer(kept), SqliteValue::Integer(updated), word, doc, amount, time]
}

#[test]
fn any_sqlite_table_equals_one_by_one_execution() {
    let parts = proptest::collection::vec(proptest::collection::vec(event(), 1..40), 1..3);
    let connections = proptest::collection::vec(1..5_u32, 1..4);
    let cases = (0..SQLITE.len(), parts, any_mode(), 1..30_u32, connections);
    let outcome = runner(60).run(&cases, |(kind, parts, mode, events_max, connections)| {
        let kind = &SQLITE[kind];
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.db");
        let config = settings(directory.path(), &format!("sqlite:{}", path.display()), mode, events_max);
        let connection = rusqlite::Connection::open(&path).unwrap();
        for table in ["found", "expected"] {
            connection.execute_batch(&kind.set_up.replace('#', table)).unwrap();
        }
        connection
            .execute_batch("CREATE TABLE cxsink_checkpoint (spool_id TEXT PRIMARY KEY, position INTEGER NOT NULL)")
            .unwrap();
        let mut parts: Vec<_> = parts.iter().map(|draws| events_of(kind, draws)).collect();
        let sql = one_by_one(mode, |n, _| format!("?{n}"), kind.key_type);
        let is_refused = |event: &Json| {
            let outcome = connection.execute(&sql, rusqlite::params_from_iter(sqlite_values(kind, mode, event)));
            if let Err(error) = &outcome {
                let code = error.sqlite_error_code();
                assert_eq!(code, Some(rusqlite::ErrorCode::ConstraintViolation), "{}: {error}", kind.name);
            }
            outcome.is_err()
        };
        let mut refused = 0;
        for events in &mut parts {
            let each: Vec<bool> = events.iter().map(is_refused).collect();
            refused += end_with_a_good_one(events, &each);
        }
        let stats = through_sinks(&config, &parts, &connections);
        let rows = |table: &str| -> Vec<String> {
            let sql = format!("SELECT quote(k) || '|' || quote(kept) || '|' || quote(updated) || '|' || quote(word) || '|' || quote(doc)
                || '|' || quote(amount) || '|' || quote(ts) AS line FROM {table} ORDER BY line");
            let mut select = connection.prepare(&sql).unwrap();
            select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let (found, expected) = (rows("found"), rows("expected"));
        prop_assert_eq!(&found, &expected, "{}, {}, batches of {}", kind.name, mode, events_max);
        prop_assert_eq!((stats.dead_lettered, stats.inserted), (refused, found.len() as u64), "{}", kind.name);
        Ok(())
    });
    outcome.unwrap();
}

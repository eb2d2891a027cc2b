//! The table equals one-by-one execution of the events in their order: on PostgreSQL and on SQLite, in every update mode, for
//! any repeats, nulls, absent attributes and differing timestamps and types under one key, and for any cut into batches.

use cxsink::config::SplitProbe;
use cxsink::{Sink, Stats};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use crate::support;
use crate::support::oracle;
use crate::support::postgres::TestDatabase;

/// An event of one of six keys.
pub(super) fn event() -> impl Strategy<Value = Json> {
    let attribute = |value: BoxedStrategy<Json>| prop_oneof![Just(None), Just(Some(Json::Null)), value.prop_map(Some)];
    let word = || prop_oneof![Just(json!("a")), Just(json!("")), Just(json!("ü'\"\\")), Just(json!("x\ty"))].boxed();
    let number = prop_oneof![(0..4).prop_map(|n| json!(n)), Just(json!(2.0)), Just(json!(-7))].boxed();
    let timestamp = prop_oneof![
        (0..5).prop_map(|n| format!("2026-11-22T16:00:00.00000{n}Z")),
        (0..3).prop_map(|n| format!("2026-11-22T16:00:00.000000{n}Z")),
        Just("2026-11-22 18:00:00.0000015+02:00".to_owned()),
        Just("2026-11-22T16:00:00+00".to_owned()),
        Just("1969-12-31T23:59:59.9999999Z".to_owned()),
        Just("2016-12-31T23:59:60Z".to_owned()),
    ];
    let kind = prop_oneof![Just("call"), Just("chat"), Just("email"), Just("callback")];
    let attributes = (attribute(number), attribute(word()), attribute(word()), attribute(word()));
    (0..6_u8, 0..3_u8, timestamp, kind, proptest::option::of(attributes)).prop_map(|(key, id, timestamp, kind, attributes)| {
        let mut event = json!({
            "interactionId": format!("i{id}"), "timestamp": timestamp, "type": kind, "idempotencyKey": format!("k{key}"),
        });
        if let Some((duration, disposition, queue, agent)) = attributes {
            event["attributes"] = json!({});
            for (name, value) in [("duration", duration), ("disposition", disposition), ("queueName", queue), ("agentId", agent)] {
                if let Some(value) = value {
                    event["attributes"][name] = value;
                }
            }
        }
        event
    })
}

pub(super) fn lines(events: &[Json]) -> String {
    events.iter().flat_map(|event| [event.to_string(), "\n".into()]).collect()
}

pub(super) fn any_mode() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("always"), Just("changed"), Just("newer")]
}

/// Runs each part through a new sink with the given number of connections; returns the sum of their numbers.
pub(super) fn through_sinks(config: &cxsink::Config, parts: &[Vec<Json>], connections: &[u32]) -> Stats {
    let mut sum = Stats::default();
    for (part, connections) in parts.iter().zip(connections.iter().cycle()) {
        let mut config = config.clone();
        config.destination.connections = *connections;
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        sink.import(lines(part).as_bytes()).unwrap();
        sink.close_within(support::postgres::PATIENCE).unwrap();
        let stats = sink.stats();
        assert!(stats.is_balanced() && stats.pending == 0, "{stats:?}");
        sum.received += stats.received;
        sum.dead_lettered += stats.dead_lettered;
    }
    sum
}

pub(super) fn settings(directory: &std::path::Path, url: &str, mode: &str, events_max: u32) -> cxsink::Config {
    let mut config = support::config(directory, url);
    config.set("destination.update", mode).unwrap();
    config.batch.events_max = events_max;
    config
}

/// Prints a case that fails, and keeps its seed in tests/proptest-regressions.
fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { cases: 60, source_file: Some(file!()), ..ProptestConfig::default() })
}

#[test]
fn the_postgresql_table_equals_one_by_one_execution() {
    let database = TestDatabase::new();
    database.execute(&oracle::tutorial_table("expected"));
    let mut runner = runner();
    let parts = proptest::collection::vec(proptest::collection::vec(event(), 1..25), 1..4);
    let connections = proptest::collection::vec(1..5_u32, 1..4);
    let outcome = runner.run(
        &(parts, any_mode(), 1..12_u32, any::<[bool; 2]>(), connections),
        |(parts, mode, events_max, [has_checkpoint, is_split], connections)| {
            let directory = tempfile::tempdir().unwrap();
            let mut config = settings(directory.path(), &database.url(), mode, events_max);
            config.destination.split_probe = SplitProbe::default();
            config.destination.split_probe.rows_min = Some(if is_split { 1 } else { usize::MAX });
            database.execute("DROP TABLE IF EXISTS cxone_events, cxsink_checkpoint; TRUNCATE expected");
            cxsink::init_db(&config).unwrap();
            if !has_checkpoint {
                database.execute("DROP TABLE cxsink_checkpoint");
            }
            assert_eq!(through_sinks(&config, &parts, &connections).dead_lettered, 0);
            let mut client = database.client();
            let events: Vec<Vec<u8>> = parts.iter().flatten().map(|event| event.to_string().into_bytes()).collect();
            oracle::execute(&mut client, "expected", mode, events.iter().map(Vec::as_slice));
            let differences = oracle::differences(&mut client, "cxone_events", "expected");
            prop_assert!(
                differences.is_empty(),
                "{mode}, batches of {events_max}, connections {connections:?}: {differences:#?}"
            );
            // The first batch of an empty table has fresh keys only.
            let splits = config.destination.split_probe.committed();
            prop_assert_eq!(splits > 0, has_checkpoint && is_split);
            Ok(())
        },
    );
    outcome.unwrap();
}

/// The same against SQLite's own upsert, one event a statement.
#[test]
fn the_sqlite_table_equals_one_by_one_execution() {
    let mut runner = runner();
    let parts = proptest::collection::vec(proptest::collection::vec(event(), 1..25), 1..3);
    let outcome = runner.run(&(parts, any_mode(), 1..12_u32), |(parts, mode, events_max)| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.db");
        let config = settings(directory.path(), &format!("sqlite:{}", path.display()), mode, events_max);
        cxsink::init_db(&config).unwrap();
        assert_eq!(through_sinks(&config, &parts, &[1]).dead_lettered, 0);

        // One sink and one batch for each event: nothing is coalesced, and PostgreSQL proves above what a batch of one does.
        let apart = directory.path().join("apart.db");
        let mut one_by_one = settings(directory.path(), &format!("sqlite:{}", apart.display()), mode, 1);
        one_by_one.spool.path = directory.path().join("apart-spool.db");
        cxsink::init_db(&one_by_one).unwrap();
        let connection = rusqlite::Connection::open(&apart).unwrap();
        let statement = sqlite_statement(mode);
        for event in parts.iter().flatten() {
            let values = oracle::values(event);
            let micros = micros_of(&values[1].clone().unwrap());
            let duration = values[4].as_ref().map(|number| number.trim_end_matches(".0").parse::<i64>().unwrap());
            connection
                .execute(
                    &statement,
                    rusqlite::params![
                        values[0], micros, values[2], values[3], duration, values[5], values[6], values[7]
                    ],
                )
                .unwrap();
        }
        connection.execute("ATTACH ?1 AS sink", [path.to_str().unwrap()]).unwrap();
        let compared = oracle::COMPARED;
        let difference = |a: &str, b: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM (SELECT {compared} FROM {a} EXCEPT SELECT {compared} FROM {b})");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        let (missing, extra) = (
            difference("main.cxone_events", "sink.cxone_events"),
            difference("sink.cxone_events", "main.cxone_events"),
        );
        prop_assert_eq!((missing, extra), (0, 0), "{}, batches of {}", mode, events_max);
        Ok(())
    });
    outcome.unwrap();
}

fn sqlite_statement(mode: &str) -> String {
    let timestamp = if mode == "newer" { "timestamp = excluded.timestamp, " } else { "" };
    let condition = match mode {
        "newer" => " WHERE excluded.timestamp >= t.timestamp",
        "changed" => {
            " WHERE (t.duration, t.disposition, t.queue_name, t.agent_id) IS NOT \
             (excluded.duration, excluded.disposition, excluded.queue_name, excluded.agent_id)"
        }
        _ => "",
    };
    format!(
        "INSERT INTO cxone_events AS t (interaction_id, timestamp, type, idempotency_key, duration, disposition, queue_name, agent_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (idempotency_key) DO UPDATE SET {timestamp}duration = excluded.duration,
         disposition = excluded.disposition, queue_name = excluded.queue_name, agent_id = excluded.agent_id{condition}"
    )
}

/// The few timestamps of this test as cxsink stores them in SQLite, worked out by hand.
fn micros_of(timestamp: &str) -> String {
    match timestamp {
        "2026-11-22 18:00:00.0000015+02:00" => "2026-11-22T16:00:00.000002Z".into(),
        "2026-11-22T16:00:00+00" => "2026-11-22T16:00:00.000000Z".into(),
        "1969-12-31T23:59:59.9999999Z" => "1970-01-01T00:00:00.000000Z".into(),
        "2016-12-31T23:59:60Z" => "2017-01-01T00:00:00.000000Z".into(),
        // Seven digits, the last below five: rounded down.
        long if long.len() == 28 => format!("{}Z", &long[..26]),
        exact => exact.into(),
    }
}

/// `changed`: a redelivery that says nothing new leaves even `updated_at` alone, and is counted.
#[test]
fn an_identical_redelivery_writes_nothing_in_mode_changed() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let config = settings(directory.path(), &database.url(), "changed", 100);
    cxsink::init_db(&config).unwrap();
    let event = json!({"interactionId": "i", "timestamp": "2026-11-22T16:00:00Z", "type": "call", "idempotencyKey": "k",
        "attributes": {"duration": null, "agentId": "a", "more": {"x": [1, null]}}});
    assert_eq!(through_sinks(&config, &[vec![event.clone()]], &[1]).dead_lettered, 0);
    let before = database.query("SELECT xmin, updated_at FROM cxone_events");
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.ingest(event.to_string().as_bytes()).unwrap();
    sink.close().unwrap();
    assert_eq!(database.query("SELECT xmin, updated_at FROM cxone_events"), before);
    assert_eq!((sink.stats().unchanged, sink.stats().updated), (1, 0));
}

/// A mapping of one's own: pointers, a key of two columns, types of every kind, defaults that stay, and a key-only table.
#[test]
fn a_mapping_of_ones_own_fills_a_table_of_ones_own() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    database.execute(
        r#"CREATE SCHEMA "My Data"; CREATE TABLE "My Data"."order" ("Tenant" text NOT NULL, "no" smallint NOT NULL, price numeric(6,2),
           is_open boolean, day date, local timestamp, ratio real, who uuid, doc jsonb, note text DEFAULT 'untouched',
           seen timestamptz, UNIQUE ("no", "Tenant"))"#,
    );
    let file = directory.path().join("cxsink.toml");
    let schema = directory.path().join("schema.json");
    std::fs::write(&schema, r#"{"type": "object"}"#).unwrap();
    std::fs::write(
        &file,
        format!(
            r#"[destination]
            table = '"My Data"."order"'
            [schema]
            file = '{}'
            [mapping]
            key = ["Tenant", "no"]
            [mapping.columns]
            Tenant = "/tenant/name"
            no = "/items/0/no"
            price = "/price"
            is_open = "/open"
            day = "/at"
            local = "/at"
            ratio = "/ratio"
            who = "/who"
            doc = ""
            seen = "now""#,
            schema.display()
        ),
    )
    .unwrap();
    let mut config = cxsink::Config::load(&file).unwrap();
    config.spool.path = directory.path().join("spool.db");
    config.set("destination.url", &database.url()).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let full = json!({"tenant": {"name": "T'1"}, "items": [{"no": 7.0}], "price": 12.345, "open": true, "at": "2026-11-22T23:30:00+02:00",
        "ratio": 0.1, "who": "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}"});
    let bare = json!({"tenant": {"name": "T'1"}, "items": [{"no": 8}]});
    let bad = json!({"tenant": {"name": "T'1"}, "items": [{"no": 40000}], "price": 12345.6});
    sink.import(lines(&[full, bare, bad]).as_bytes()).unwrap();
    sink.close().unwrap();
    let columns = r#""Tenant", "no", price, is_open, day, local, ratio, who, doc -> 'open', note, seen IS NULL"#;
    assert_eq!(
        database.query(&format!(r#"SELECT {columns} FROM "My Data"."order" ORDER BY "no""#)),
        [
            "T'1|7|12.35|t|2026-11-22|2026-11-22 23:30:00|0.1|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|true|untouched|f",
            "T'1|8|∅|∅|∅|∅|∅|∅|∅|untouched|f"
        ]
    );
    let letters = sink.dead_letters(0, 10).unwrap();
    assert_eq!((letters.len(), letters[0].column.as_deref()), (1, Some("no")));
    assert_eq!(letters[0].violations.len(), 2, "every column that does not fit is named");

    database.execute("CREATE TABLE keys (k text PRIMARY KEY)");
    config.set("destination.table", "keys").unwrap();
    config.set("mapping.columns", "k=/k").unwrap();
    config.set("mapping.key", "k").unwrap();
    config.spool.path = directory.path().join("keys-spool.db");
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    for _ in 0..2 {
        sink.import(r#"{"k": "a"}"#.as_bytes()).unwrap();
        while sink.stats().pending > 0 {
            sink.poll(Some(support::postgres::PATIENCE)).unwrap();
        }
    }
    sink.close().unwrap();
    assert_eq!((sink.stats().inserted, sink.stats().unchanged), (1, 1));
}

/// A timestamp in the table equals PostgreSQL's own conversion of the text, to the microsecond.
#[test]
fn timestamps_are_what_postgresql_reads() {
    let database = TestDatabase::new();
    let mut client = database.client();
    let directory = tempfile::tempdir().unwrap();
    let config = support::config(directory.path(), &database.url());
    cxsink::init_db(&config).unwrap();
    let mut texts: Vec<String> = [
        "2016-12-31T23:59:60Z",
        "2016-12-31T15:59:60-08:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "2026-03-29T02:30:00+01:00",
        "1900-02-28t23:59:59z",
        "2026-01-01T00:00:00+15:59",
        "2026-01-01 00:00:00-0330",
        "2000-02-29\t12:00:00+05",
    ]
    .map(str::to_owned)
    .into();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..500 {
        let digits: String = (0..random.usize(1..12)).map(|_| random.digit(10)).collect();
        let date = format!("{:04}-{:02}-{:02}", random.u32(1..9999), random.u32(1..13), random.u32(1..29));
        let clock = format!("{:02}:{:02}:{:02}", random.u32(0..24), random.u32(0..60), random.u32(0..60));
        let offset = format!("{:02}:{:02}", random.u32(0..16), random.u32(0..60));
        texts.push(format!("{date}T{clock}.{digits}+{offset}"));
    }
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    for (number, text) in texts.iter().enumerate() {
        let event =
            json!({"interactionId": text, "timestamp": text, "type": "call", "idempotencyKey": format!("k{number}")});
        sink.ingest(event.to_string().as_bytes()).unwrap();
    }
    sink.close().unwrap();
    assert_eq!(sink.stats().inserted, texts.len() as u64, "{:?}", sink.dead_letters(0, 3));
    let wrong = client
        .query(
            "SELECT interaction_id, timestamp::text FROM cxone_events WHERE timestamp <> interaction_id::timestamptz",
            &[],
        )
        .unwrap();
    let wrong: Vec<(String, String)> = wrong.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

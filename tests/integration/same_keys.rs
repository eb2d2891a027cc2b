//! Single cases in which a table takes two texts for one key or one value, or refuses a row in a part of itself.

use cxsink::check::{CheckArea, CheckStatus};
use cxsink::{Config, Sink, Stats};

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};

const IGNORE_CASE: &str = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);";

fn event(key: &str, id: &str, duration: u64) -> String {
    event_at(key, id, duration, "2026-11-22T16:00:00Z", "sales")
}

fn event_at(key: &str, id: &str, duration: u64, at: &str, queue: &str) -> String {
    format!(
        "{{\"interactionId\":\"{id}\",\"timestamp\":\"{at}\",\"type\":\"call\",\"idempotencyKey\":\"{key}\",\
         \"attributes\":{{\"duration\":{duration},\"queueName\":\"{queue}\"}}}}\n"
    )
}

/// Imports the lines as one batch, if they fit one.
fn run(config: &Config, lines: &str) -> Stats {
    let sink = Sink::open(config).unwrap();
    sink.import(lines.as_bytes()).unwrap();
    sink.start().unwrap();
    sink.close_within(PATIENCE).unwrap();
    assert_eq!(sink.stats().pending, 0);
    support::balanced(&sink)
}

/// A database, and a configuration for its table `cxone_events`.
fn database() -> (TestDatabase, tempfile::TempDir, Config) {
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let config = support::config(directory.path(), &database.url());
    cxsink::init_db(&config).unwrap();
    (database, directory, config)
}

/// An SQLite file, and a configuration for its table `cxone_events`, which this creates.
fn file(sql: &str) -> (rusqlite::Connection, tempfile::TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("table.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    let config = support::config(directory.path(), &format!("sqlite:{}", path.display()));
    cxsink::init_db(&config).unwrap();
    (connection, directory, config)
}

fn sqlite_rows(connection: &rusqlite::Connection, sql: &str) -> Vec<String> {
    let mut select = connection.prepare(sql).unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn keys_that_sqlite_takes_for_one_are_written_in_their_order() {
    let (connection, _directory, config) = file(
        "CREATE TABLE cxone_events (idempotency_key TEXT PRIMARY KEY COLLATE NOCASE, interaction_id TEXT, timestamp TEXT, type TEXT,
         duration INTEGER, disposition TEXT, queue_name TEXT, agent_id TEXT)",
    );
    let stats = run(&config, &(event("key", "first", 1) + &event("KEY", "second", 2)));
    assert_eq!((stats.inserted, stats.updated), (1, 1));
    let select = "SELECT idempotency_key || ' ' || interaction_id || ' ' || duration FROM cxone_events";
    assert_eq!(sqlite_rows(&connection, select), ["key first 2"]);
}

#[test]
fn keys_that_an_index_takes_for_one_are_written_in_their_order() {
    for change in [
        "ALTER TABLE cxone_events ALTER idempotency_key TYPE varchar(255) COLLATE ci",
        "ALTER TABLE cxone_events DROP CONSTRAINT cxone_events_idempotency_key_key;
         CREATE UNIQUE INDEX ON cxone_events (idempotency_key COLLATE ci)",
    ] {
        let (database, _directory, mut config) = database();
        database.execute(IGNORE_CASE);
        database.execute(change);
        config.destination.connections = 2;
        let pair = |n: u64| event(&format!("key{n}"), "first", 1) + &event(&format!("KEY{n}"), "second", 2);
        let stats = run(&config, &(0..3000).map(pair).collect::<String>());
        assert_eq!((stats.inserted, stats.updated), (3000, 3000), "{change}");
        let wrong = "SELECT count(*) FROM cxone_events
                     WHERE (left(idempotency_key, 3), interaction_id, duration) <> ('key' COLLATE \"C\", 'first', 2)";
        assert_eq!(database.query(wrong), ["0"], "{change}");
        assert_eq!(database.query("SELECT count(*) FROM cxsink_checkpoint"), ["1"], "one connection: {change}");
    }
}

#[test]
fn a_partition_judges_each_event_by_itself() {
    let (database, _directory, mut config) = database();
    database.execute(
        "DROP TABLE cxone_events;
         CREATE TABLE cxone_events (idempotency_key text, interaction_id text, timestamp timestamptz, type text, duration int,
            disposition text, queue_name text, agent_id text, PRIMARY KEY (idempotency_key, type)) PARTITION BY LIST (type);
         CREATE TABLE p_call PARTITION OF cxone_events FOR VALUES IN ('call');
         ALTER TABLE p_call ADD CHECK (duration < 100)",
    );
    config.mapping.key = vec!["idempotency_key".into(), "type".into()];
    let stats = run(&config, &(event("k1", "first", 500) + &event("k1", "second", 5)));
    assert_eq!((stats.inserted, stats.dead_lettered), (1, 1), "{stats:?}");
    let select = "SELECT idempotency_key, interaction_id, duration FROM cxone_events";
    assert_eq!(database.query(select), ["k1|second|5"]);
}

#[test]
fn the_newer_event_wins_also_where_its_local_time_is_earlier() {
    let (database, _directory, mut config) = database();
    config.set("destination.update", "newer").unwrap();
    let lines = event_at("k", "first", 1, "2026-11-22T12:00:00+02:00", "sales")
        + &event_at("k", "second", 2, "2026-11-22T11:00:00Z", "sales");
    run(&config, &lines);
    assert_eq!(database.query("SELECT duration FROM cxone_events"), ["2"]);

    for column_type in ["timestamp", "timestamptz(0)"] {
        database.execute(&format!("ALTER TABLE cxone_events ALTER timestamp TYPE {column_type}"));
        let error = Sink::open(&config).unwrap().start().unwrap_err();
        assert!(error.message().contains("`newer` compares instants"), "{error}");
        assert!(error.hint().unwrap().contains("TYPE timestamptz"), "{error}");
        let report = cxsink::check(&config, &[CheckArea::Destination], |_| {});
        let step = report.steps.iter().find(|step| step.name == "destination.columns").unwrap();
        assert_eq!(step.status, CheckStatus::Failed, "{step:?}");
    }
}

#[test]
fn update_mode_changed_writes_what_only_the_collation_takes_for_equal() {
    let events = [
        event_at("k", "i", 1, "2026-11-22T16:00:00Z", "sales"),
        event_at("k", "i", 1, "2026-11-22T16:00:00Z", "Sales"),
    ];
    let select = "SELECT queue_name FROM cxone_events";
    for batches in [vec![events.concat()], events.to_vec()] {
        let (database, _directory, mut config) = database();
        database.execute(IGNORE_CASE);
        database.execute("ALTER TABLE cxone_events ALTER queue_name TYPE text COLLATE ci");
        let (connection, _sqlite, mut sqlite) = file(
            "CREATE TABLE cxone_events (idempotency_key TEXT PRIMARY KEY, interaction_id TEXT, timestamp TEXT, type TEXT,
             duration INTEGER, disposition TEXT, queue_name TEXT COLLATE NOCASE, agent_id TEXT)",
        );
        for config in [&mut config, &mut sqlite] {
            config.set("destination.update", "changed").unwrap();
            for lines in &batches {
                run(config, lines);
            }
        }
        assert_eq!(database.query(select), ["Sales"]);
        assert_eq!(sqlite_rows(&connection, select), ["Sales"]);
    }
}

/// A STRICT table has no time types.
#[test]
fn times_as_text_are_taken_in_sqlite() {
    for strict in ["", "STRICT"] {
        let (connection, _directory, mut config) = file(&format!(
            "CREATE TABLE cxone_events (idempotency_key TEXT PRIMARY KEY, interaction_id TEXT, timestamp TEXT NOT NULL, type TEXT,
             duration INTEGER, disposition TEXT, queue_name TEXT, agent_id TEXT, created_at TEXT NOT NULL, updated_at TEXT) {strict}"
        ));
        config.set("destination.update", "newer").unwrap();
        let at = |id: &str, at: &str| event_at("k", id, 1, at, id);
        run(&config, &(at("first", "2026-11-22T12:00:00+02:00") + &at("second", "2026-11-22T11:00:00Z")));
        run(&config, &at("third", "2026-11-22T12:30:00+02:00"));
        let select = "SELECT queue_name || ' ' || timestamp FROM cxone_events WHERE created_at LIKE '20%Z' AND updated_at LIKE '20%Z'";
        assert_eq!(sqlite_rows(&connection, select), ["second 2026-11-22T11:00:00.000000Z"]);
    }
}

/// Not the default table, in which the mapping finds no column.
#[test]
fn init_db_creates_the_table_of_a_mapping_of_ones_own() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.db");
    let schema = directory.path().join("schema.json");
    let text = r#"{"type": "object", "required": ["id", "at"], "properties": {"id": {"type": "string", "maxLength": 40},
        "at": {"type": "string", "format": "date-time"}, "amount": {"type": "number"}, "open": {"type": "boolean"}}}"#;
    std::fs::write(&schema, text).unwrap();
    let event = "{\"id\":\"a\",\"at\":\"2026-11-22T16:00:00Z\",\"amount\":1.5,\"open\":true,\"more\":1}\n";
    let select = "SELECT id, amount, open, (more->'more')::text, seen > '2026-01-01' FROM \"Own\"";
    for url in [database.url(), format!("sqlite:{}", file.display())] {
        let mut config = support::config(directory.path(), &url);
        config.spool.path = directory.path().join(format!("spool-{}.db", url.starts_with("sqlite")));
        config.schema.file = Some(schema.clone());
        config.set("destination.table", "Own").unwrap();
        config.set("mapping.columns", "id=/id,at=/at,amount=/amount,open=/open,more=rest,seen=now").unwrap();
        config.set("mapping.key", "id").unwrap();
        cxsink::init_db(&config).unwrap();
        cxsink::init_db(&config).unwrap();
        let sql = cxsink::table::init_db_sql(&config).unwrap();
        assert!(sql.contains("\"Own\"") && sql.contains("UNIQUE (\"id\")") && !sql.contains("interaction_id"), "{sql}");
        let report = cxsink::check(&config, &[CheckArea::Destination], |_| {});
        let wrong = report.steps.iter().filter(|step| step.status == CheckStatus::Failed);
        assert_eq!(wrong.count(), 0, "{report:?}");
        let stats = run(&config, &event.repeat(2));
        assert_eq!((stats.inserted, stats.dead_lettered), (1, 0), "{stats:?}");

        config.set("mapping.columns", "id=/id,other=/at").unwrap();
        let error = cxsink::init_db(&config).unwrap_err();
        assert!(error.message().contains("has no column \"other\""), "the table exists without it: {error}");
    }
    assert_eq!(database.query(select), ["a|1.5|t|1|t"]);
}

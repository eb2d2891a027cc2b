//! Sources of columns that are more than a pointer, end to end: the same rows in PostgreSQL and in SQLite, whatever comes again.

use cxsink::dead_letters::{self, Selection};
use cxsink::{Config, Sink};

use crate::support;
use crate::support::journal;
use crate::support::postgres::{PATIENCE, TestDatabase};

const MAPPING: &str = r#"
    [stream]
    name = "calls"
    [schema]
    inline = '{"type": "object"}'
    [mapping]
    key = ["id", "stream"]
    update = ["queue", "started", "raw", "tenant", "level", "last_at", "last_offset", "more"]
    [mapping.columns]
    id = { pointer = ["/id", "/callId"], trim = true }
    stream = "stream"
    queue = { pointer = ["/attributes/queue", "/queue"], default = "none", trim = true, max_length = "truncate" }
    started = { pointer = "/start", format = "epoch_ms" }
    raw = { pointer = "/raw", format = "hex" }
    tenant = { constant = "acme" }
    level = { constant = 7 }
    first_at = "received_at"
    last_at = "received_at"
    last_offset = "offset"
    more = "rest"
"#;

fn settings(directory: &std::path::Path, url: &str) -> Config {
    let mut config = support::config(directory, url);
    let read = cxsink::config::Layers::default().file("mapping.toml", MAPPING).config().unwrap();
    (config.mapping, config.schema, config.stream.name) = (read.mapping, read.schema, read.stream.name);
    config.set("destination.table", "t").unwrap();
    config
}

fn import(config: &Config, events: &[&str]) {
    let sink = Sink::open(config).unwrap();
    sink.import(events.join("\n").as_bytes()).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
}

/// The rows have the same columns as texts; `query` reads them from the table. Times are in microseconds.
fn check(config: &Config, query: &dyn Fn(&str) -> Vec<String>) {
    cxsink::init_db(config).unwrap();
    let long = format!(
        r#"{{"id":" a ","attributes":{{"queue":" {} "}},"start":1764208923456,"raw":"DEad","x":1}}"#,
        "ö".repeat(300)
    );
    import(
        config,
        &[
            &long,
            r#"{"callId":"b","id":null,"attributes":{"queue":null},"queue":"q2","start":"1764208923456.789"}"#,
            r#"{"id":"c"}"#,
            r#"{"id":"d","start":"soon"}"#,
        ],
    );
    let letters = journal::dead_letters(config);
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].column.as_deref(), letters[0].violations[0].pointer.as_str()), (Some("started"), "/start"));
    assert!(letters[0].violations[0].message.contains("is not a number"), "{letters:?}");
    let rows = "id, stream, queue, started, raw, tenant, level, last_offset, more";
    let cut = "ö".repeat(255);
    let first = [
        format!("a|calls|{cut}|2025-11-27 02:02:03.456|dead|acme|7|0|x1"),
        "b|calls|q2|2025-11-27 02:02:03.456789|∅|acme|7|1|∅".into(),
        "c|calls|none|∅|∅|acme|7|2|∅".into(),
    ];
    assert_eq!(query(rows), first);
    let same = query("id, first_at = last_at");
    assert_eq!(same.iter().filter(|row| row.ends_with("|t")).count(), 3, "{same:?}");
    let before = query("first_at");

    // A redelivery is a delivery of its own: what is updated is of the last one, what is kept of the first one.
    import(config, &[&long]);
    assert_eq!(query("first_at"), before);
    assert_eq!(query("id, first_at < last_at, last_offset"), ["a|t|4", "b|f|1", "c|f|2"]);
    assert_eq!(query(rows)[0], first[0].replace("|0|x1", "|4|x1"));

    // A replay is one too, at its own offset.
    let mut replayed = config.clone();
    replayed.set("mapping.columns", &config.get("mapping.columns").unwrap().replace("/start", "/from")).unwrap();
    let report = dead_letters::replay(&replayed, &Selection::All, PATIENCE).unwrap();
    assert_eq!(report.replayed, 1, "{report:?}");
    assert_eq!(query(rows)[3], "d|calls|none|∅|∅|acme|7|5|∅");
    let known = letters[0].received_at.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    let received: u128 = query("first_at")[3].parse().unwrap();
    assert!(received > known, "{received} {known}");
}

#[test]
fn in_postgresql_every_source_gives_its_value() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let config = settings(directory.path(), &database.url());
    check(&config, &|columns| {
        let micros = |name: &str| format!("(extract(epoch FROM {name}) * 1000000)::bigint");
        let columns = columns
            .replace("raw", "encode(raw, 'hex')")
            .replace("more", "'x' || (more ->> 'x')")
            .replace("first_at", &micros("first_at"))
            .replace("last_at", &micros("last_at"))
            .replace(
                "started",
                "to_char(started AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.') || rtrim(to_char(started, 'US'), '0')",
            );
        database.query(&format!("SELECT {columns} FROM t ORDER BY id"))
    });
    let types = database.query(
        "SELECT attname, atttypid::regtype, attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0",
    );
    assert!(types.contains(&"queue|character varying|t".into()) && types.contains(&"raw|bytea|f".into()), "{types:?}");
    assert!(types.contains(&"level|bigint|t".into()) && types.contains(&"last_offset|bigint|t".into()), "{types:?}");
}

#[test]
fn in_sqlite_every_source_gives_its_value() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let config = settings(directory.path(), &format!("sqlite:{}", file.display()));
    check(&config, &|columns| {
        let micros = |name: &str| {
            format!("CAST(strftime('%s', {name}) AS INTEGER) * 1000000 + CAST(substr({name}, 21, 6) AS INTEGER)")
        };
        let sql = columns
            .replace("raw", "lower(nullif(hex(raw), ''))")
            .replace("more", "'x' || json_extract(more, '$.x')")
            .replace("first_at", &micros("first_at"))
            .replace("last_at", &micros("last_at"))
            .replace("started", "rtrim(rtrim(replace(started, 'T', ' '), 'Z'), '0')");
        let connection = rusqlite::Connection::open(&file).unwrap();
        let mut select = connection.prepare(&format!("SELECT {sql} FROM t ORDER BY id")).unwrap();
        let count = select.column_count();
        let is_truth = |index: usize| columns.split(", ").nth(index).is_some_and(|column| column.contains(['<', '=']));
        let text = |value: rusqlite::types::Value, index: usize| match value {
            rusqlite::types::Value::Null => "∅".to_owned(),
            rusqlite::types::Value::Integer(number) if is_truth(index) => if number == 1 { "t" } else { "f" }.into(),
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        };
        let rows = select.query_map([], |row| {
            (0..count).map(|index| Ok(text(row.get(index)?, index))).collect::<rusqlite::Result<Vec<String>>>()
        });
        rows.unwrap().map(|row| row.unwrap().join("|")).collect()
    });
}

#[test]
fn a_source_that_does_not_fit_the_table_is_an_error_of_the_start() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE t (id text, stream text, n integer, PRIMARY KEY (id, stream))");
    let directory = tempfile::tempdir().unwrap();
    let mut config = settings(directory.path(), &database.url());
    config.mapping.update = None;
    let mut check = |source: &str, expected: &str| {
        config.set("mapping.columns", &format!(r#"{{ id = "/id", stream = "stream", n = {source} }}"#)).unwrap();
        let error = Sink::open(&config).unwrap().start().unwrap_err();
        assert!(error.message().contains(expected) && error.hint().is_some(), "{error:?}");
    };
    check(r#""offset""#, "column \"n\" of type integer cannot have this source");
    check(r#"{ pointer = "/n", default = "none" }"#, "the default of column \"n\" does not fit its type integer");
    check(r#"{ pointer = "/n", trim = true }"#, "column \"n\" of type integer has no text to trim");
    check(r#"{ pointer = "/n", format = "epoch_s" }"#, "cannot be read in the format epoch_s");
}

/// With the default mapping they are left out; a mapping of one's own names them by mistake.
#[test]
fn generated_columns_are_left_out_and_an_identity_by_default_takes_values() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE cxone_events (n bigint GENERATED ALWAYS AS IDENTITY, interaction_id text, timestamp timestamptz, type text,
           idempotency_key text PRIMARY KEY, duration int, disposition text, agent_id text,
           queue_name text GENERATED ALWAYS AS (type || '!') STORED);
         CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, stream text, double bigint GENERATED ALWAYS AS (2 * id) STORED,
           n bigint GENERATED ALWAYS AS IDENTITY)",
    );
    let directory = tempfile::tempdir().unwrap();
    let mut default = support::config(directory.path(), &database.url());
    let event = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"chat","idempotencyKey":"k","attributes":{"queueName":"q"}}"#;
    import(&default, &[event]);
    assert_eq!(database.query("SELECT n, idempotency_key, queue_name FROM cxone_events"), ["1|k|chat!"]);
    default.mapping.key = vec!["queue_name".into()];
    default.mapping.update = None;
    let error = Sink::open(&default).unwrap().start().unwrap_err();
    assert!(error.message().contains("\"queue_name\" of table cxone_events is generated"), "{error:?}");

    let mut config = settings(directory.path(), &database.url());
    (config.mapping.key, config.mapping.update) = (vec!["id".into()], None);
    config.set("mapping.columns", "id=/id, stream=stream").unwrap();
    import(&config, &[r#"{"id":7}"#]);
    assert_eq!(database.query("SELECT id, stream, double, n FROM t"), ["7|calls|14|1"]);
    for column in ["double", "n"] {
        config.set("mapping.columns", &format!("id=/id, {column}=/x")).unwrap();
        let error = Sink::open(&config).unwrap().start().unwrap_err();
        assert_eq!((error.column(), error.sqlstate()), (Some(column), Some("428C9")), "{error:?}");
        assert!(error.hint().unwrap().contains("GENERATED BY DEFAULT"), "{error:?}");
    }
}

#[test]
fn a_generated_column_of_sqlite_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (id TEXT PRIMARY KEY, stream TEXT, a TEXT GENERATED ALWAYS AS (id || '!') STORED, b TEXT AS (id || '?'))",
        )
        .unwrap();
    let mut config = settings(directory.path(), &format!("sqlite:{}", file.display()));
    (config.mapping.key, config.mapping.update) = (vec!["id".into()], None);
    config.set("mapping.columns", "id=/id, stream=stream").unwrap();
    import(&config, &[r#"{"id":"x"}"#]);
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    assert_eq!(connection.query_row("SELECT a, b FROM t", [], row).unwrap(), ("x!".into(), "x?".into()));
    for column in ["a", "b"] {
        config.set("mapping.columns", &format!("id=/id, {column}=/x")).unwrap();
        let error = Sink::open(&config).unwrap().start().unwrap_err();
        assert!(error.message().contains(&format!("column \"{column}\" of table t is generated")), "{error:?}");
    }
}

//! The history holds every event that is committed, once, in order, and folding it by the upsert's rule gives the table.

use cxsink::check::{CheckArea, CheckStatus};
use cxsink::dead_letters::Selection;
use cxsink::{Config, Sink, State, Validator};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use super::upsert::{any_mode, event, settings, through_sinks};
use crate::support;
use crate::support::history::{TABLE, check_events, differences_of_fold};
use crate::support::oracle;
use crate::support::postgres::{PATIENCE, TestDatabase};

/// An event; one in eight is not valid.
fn event_or_not() -> impl Strategy<Value = Json> {
    prop_oneof![7 => event(), 1 => Just(json!({"idempotencyKey": "k0", "type": "fax"}))]
}

/// How the history was made.
#[derive(Debug, Clone, Copy)]
enum Made {
    ByInitDb,
    Partitioned,
    /// By hand: with types of its own, columns of others, and no unique index.
    ByHand,
}

const BY_HAND: &str = "CREATE TABLE cxone_events_history (mine serial, spool_id varchar(40), spool_offset bigint, spool_late boolean,
    received_at timestamptz DEFAULT 'epoch', agent_id text, queue_name varchar(20) NOT NULL DEFAULT 'x', disposition text,
    duration numeric, idempotency_key text, type varchar(50), timestamp timestamptz, interaction_id text, attributes json,
    created_at timestamptz, updated_at timestamptz, other int); ALTER TABLE cxone_events_history ALTER queue_name DROP NOT NULL";

fn make(database: &TestDatabase, config: &mut Config, made: Made) {
    config.destination.history_table = Some(TABLE.into());
    config.destination.history_partitioned = matches!(made, Made::Partitioned);
    if matches!(made, Made::ByHand) {
        database.execute(BY_HAND);
    }
    cxsink::init_db(config).unwrap();
}

/// The valid events with their offsets, as JSON.
fn valid(parts: &[Vec<Json>]) -> Vec<(u64, Vec<u8>)> {
    let validator = Validator::new(&Config::default()).unwrap();
    let all = (0..).zip(parts.iter().flatten().map(|event| event.to_string().into_bytes()));
    all.filter(|(_, event)| validator.validate(event).is_ok()).collect()
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases, source_file: Some(file!()), ..ProptestConfig::default() })
}

#[test]
fn in_postgresql_the_history_has_each_event_once_and_folds_to_the_table() {
    let database = TestDatabase::new();
    let parts = proptest::collection::vec(proptest::collection::vec(event_or_not(), 1..25), 1..4);
    let connections = proptest::collection::vec(1..5_u32, 1..4);
    let made = prop_oneof![Just(Made::ByInitDb), Just(Made::Partitioned), Just(Made::ByHand)];
    let cases = (parts, any_mode(), 1..12_u32, any::<bool>(), connections, made);
    let outcome = runner(60).run(&cases, |(parts, mode, events_max, has_checkpoint, connections, made)| {
        let directory = tempfile::tempdir().unwrap();
        let mut config = settings(directory.path(), &database.url(), mode, events_max);
        database.execute("DROP TABLE IF EXISTS cxone_events, cxsink_checkpoint, cxone_events_history");
        make(&database, &mut config, made);
        if !has_checkpoint {
            database.execute("DROP TABLE cxsink_checkpoint");
        }
        let stats = through_sinks(&config, &parts, &connections);
        let accepted = stats.received - stats.dead_lettered;
        let events = valid(&parts);
        prop_assert_eq!(accepted, events.len() as u64);
        let mut client = database.client();
        check_events(&mut client, events.iter().map(|(offset, event)| (*offset, event.as_slice())));
        let differences = differences_of_fold(&mut client, mode, has_checkpoint);
        prop_assert!(differences.is_empty(), "{mode}, {made:?}, {connections:?}: {differences:#?}");
        let origins = format!(
            "SELECT count(DISTINCT spool_id), bool_or(spool_late), bool_and(received_at BETWEEN now() - interval '1 hour' AND now()) FROM {TABLE}"
        );
        let expected = if events.is_empty() { "0|∅|∅" } else { "1|f|t" };
        prop_assert_eq!(database.query(&origins), [expected]);
        Ok(())
    });
    outcome.unwrap();
}

/// One spool, whose sinks have the dead letters of the first one replayed.
fn replayed(mode: &str, lines: &[String]) -> TestDatabase {
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let mut config = settings(directory.path(), &database.url(), mode, 10);
    make(&database, &mut config, Made::ByInitDb);
    database.execute("ALTER TABLE cxone_events ALTER queue_name TYPE varchar(8)");
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.import(lines.concat().as_bytes()).unwrap();
    sink.close_within(PATIENCE).unwrap();
    let stats = sink.stats();
    let accepted = stats.received - stats.dead_lettered;
    assert_eq!(database.query(&format!("SELECT count(*) FROM {TABLE}")), [accepted.to_string()], "{stats:?}");
    database.execute("ALTER TABLE cxone_events ALTER queue_name TYPE varchar(255)");
    let report = cxsink::dead_letters::replay(&config, &Selection::All, PATIENCE).unwrap();
    assert_eq!(report.replayed, stats.dead_lettered);
    let all = database.query(&format!("SELECT count(*) FROM {TABLE}"));
    assert_eq!(all, [lines.len().to_string()], "a replayed event is in the history, also a superseded one");
    database
}

/// A dead letter if the queue's name has more than eight characters.
fn timed(key: &str, minute: u32, queue: &str) -> String {
    format!(
        r#"{{"interactionId":"i{minute}","timestamp":"2026-11-22T16:{minute:02}:00Z","type":"call","idempotencyKey":"{key}","attributes":{{"duration":{minute},"queueName":"{queue}"}}}}"#
    ) + "\n"
}

#[test]
fn dead_letters_are_not_in_the_history_and_replayed_ones_fold_as_late_events() {
    const LONG: &str = "a long name";
    for mode in ["always", "changed", "newer"] {
        let lines = [
            timed("followed", 10, LONG),
            timed("followed", 11, "sales"),
            timed("alone", 20, LONG),
            timed("older", 30, "sales"),
            timed("older", 29, LONG),
            timed("twice", 40, LONG),
            timed("twice", 41, LONG),
            timed("twice", 42, "sales"),
            timed("newest", 50, "sales"),
            timed("newest", 55, LONG),
            timed("newest", 51, "sales"),
        ];
        let database = replayed(mode, &lines);
        let mut client = database.client();
        let differences = differences_of_fold(&mut client, mode, true);
        assert!(differences.is_empty(), "{mode}: {differences:#?}");
        let late = database.query(&format!("SELECT count(*) FROM {TABLE} WHERE spool_late"));
        assert_eq!(late, ["4"], "{mode}: those that a later event of their key follows");
    }
}

/// A way in which a history comes to refuse every event.
struct Trouble {
    begin: &'static str,
    repair: &'static str,
    /// What is said.
    reason: &'static str,
}

const TROUBLES: [Trouble; 5] = [
    Trouble {
        begin: "ALTER TABLE cxone_events_history RENAME TO gone",
        repair: "ALTER TABLE gone RENAME TO cxone_events_history",
        reason: "the table cxone_events_history does not exist",
    },
    Trouble {
        begin: "ALTER TABLE cxone_events_history RENAME agent_id TO agent",
        repair: "ALTER TABLE cxone_events_history RENAME agent TO agent_id",
        reason: "table cxone_events_history, the history, has no column \"agent_id\"",
    },
    Trouble {
        begin: "ALTER TABLE cxone_events_history ADD CONSTRAINT nothing CHECK (duration < 0) NOT VALID",
        repair: "ALTER TABLE cxone_events_history DROP CONSTRAINT nothing",
        reason: "constraint nothing",
    },
    Trouble {
        begin: "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
                CREATE TRIGGER no BEFORE INSERT ON cxone_events_history FOR EACH ROW EXECUTE FUNCTION no()",
        // DROP TRIGGER locks the partitions before their parent; a statement of the sink locks them the other way round.
        repair: "LOCK TABLE cxone_events_history; DROP TRIGGER no ON cxone_events_history",
        reason: "a trigger or function raised an exception",
    },
    // The months to come have no partition, and there is no default one.
    Trouble {
        begin: "DO $$ DECLARE p regclass; BEGIN FOR p IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'cxone_events_history'::regclass
                LOOP EXECUTE format('ALTER TABLE cxone_events_history DETACH PARTITION %s', p); END LOOP; END $$",
        repair: "CREATE TABLE rest PARTITION OF cxone_events_history DEFAULT",
        reason: "no partition of the table takes the row",
    },
];

fn numbered(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| timed(&format!("k{number}"), number % 60, "sales")).collect()
}

fn count(database: &TestDatabase, table: &str) -> String {
    database.query(&format!("SELECT count(*) FROM {table}")).concat()
}

#[test]
fn a_history_that_refuses_every_event_sets_none_aside() {
    for Trouble { begin, repair, reason } in &TROUBLES {
        let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
        let mut config = settings(directory.path(), &database.url(), "always", 10);
        make(&database, &mut config, Made::Partitioned);
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        sink.import(numbered(0..5).as_bytes()).unwrap();
        support::wait_quiet(&sink);
        let kept = if begin.contains("DETACH") { "0" } else { "5" };
        database.execute(begin);
        sink.import(numbered(5..30).as_bytes()).unwrap();
        support::wait_until(begin, || {
            let stats = sink.stats();
            assert_eq!(stats.dead_lettered, 0, "{begin}: {stats:?}");
            stats.state == State::Stalled && stats.last_error.is_some_and(|error| error.contains(reason))
        });
        assert_eq!(count(&database, "cxone_events"), "5", "{begin}: table and history are written together");
        database.execute(repair);
        support::wait_quiet(&sink);
        sink.close_within(PATIENCE).unwrap();
        let (accepted, of_history) = (sink.stats(), 25 + kept.parse::<u32>().unwrap());
        assert_eq!((accepted.inserted, accepted.dead_lettered), (30, 0), "{begin}");
        assert_eq!(count(&database, TABLE), of_history.to_string(), "{begin}");
    }
}

#[test]
fn an_event_that_only_the_history_refuses_is_a_dead_letter_with_its_reason() {
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let mut config = settings(directory.path(), &database.url(), "always", 100);
    make(&database, &mut config, Made::ByInitDb);
    database.execute("ALTER TABLE cxone_events_history ADD CONSTRAINT short CHECK (duration < 20)");
    let sink = Sink::open(&config).unwrap();
    // One key, and the bad event in the middle of a batch: it must not get into the table by way of a coalesced row.
    let lines = [timed("k", 1, "a"), timed("k", 33, "bad"), timed("k", 2, "b"), timed("other", 3, "c")];
    sink.import(lines.concat().as_bytes()).unwrap();
    sink.start().unwrap();
    let stats = support::wait_quiet(&sink);
    assert_eq!((stats.inserted, stats.updated + stats.coalesced, stats.dead_lettered), (2, 1, 1), "{stats:?}");
    let letter = sink.dead_letters(0, 10).unwrap().remove(0);
    assert_eq!((letter.offset, letter.constraint.as_deref()), (1, Some("short")), "{}", letter.reason);
    assert!(letter.reason.contains("table cxone_events_history"), "{}", letter.reason);
    sink.close_within(PATIENCE).unwrap();
    let rows = format!("SELECT idempotency_key, duration FROM {TABLE} ORDER BY spool_offset");
    assert_eq!(database.query(&rows), ["k|1", "k|2", "other|3"]);
    assert!(differences_of_fold(&mut database.client(), "always", true).is_empty());
}

/// The history's types are its own: here it takes less than the table.
#[test]
fn a_value_that_only_the_history_cannot_hold_names_its_column() {
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let mut config = settings(directory.path(), &database.url(), "always", 100);
    make(&database, &mut config, Made::ByInitDb);
    database.execute(
        "ALTER TABLE cxone_events_history ALTER queue_name TYPE varchar(5), ALTER disposition TYPE int4range USING NULL",
    );
    let sink = Sink::open(&config).unwrap();
    let range =
        |range: &str| timed("r", 9, "a").replace("\"duration\"", &format!("\"disposition\":\"{range}\",\"duration\""));
    let lines = [timed("k", 1, "short"), timed("k", 2, "longer"), range("[1,3)"), range("none")];
    sink.import(lines.concat().as_bytes()).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    let letters = sink.dead_letters(0, 10).unwrap();
    let columns: Vec<_> =
        letters.iter().map(|letter| (letter.offset, letter.column.as_deref().unwrap_or_default())).collect();
    let expected = [(1, "cxone_events_history.queue_name"), (3, "cxone_events_history.disposition")];
    assert_eq!(columns, expected, "{letters:?}");
    assert_eq!(letters[1].violations[0].pointer, "/attributes/disposition");
    sink.close_within(PATIENCE).unwrap();
    let rows = format!("SELECT queue_name, disposition FROM {TABLE} ORDER BY spool_offset");
    assert_eq!(database.query(&rows), ["short|∅", "a|[1,3)"]);
}

#[test]
fn numbers_reach_the_history_digit_for_digit() {
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let mut config = settings(directory.path(), &database.url(), "always", 100);
    make(&database, &mut config, Made::ByInitDb);
    database.execute("ALTER TABLE cxone_events_history ALTER duration TYPE numeric");
    let sink = Sink::open(&config).unwrap();
    sink.import(timed("k", 12, "a").replace("\"duration\":12", "\"duration\":12.000").as_bytes()).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
    assert_eq!(database.query("SELECT duration FROM cxone_events"), ["12"]);
    assert_eq!(database.query(&format!("SELECT duration FROM {TABLE}")), ["12.000"]);
}

#[test]
fn in_sqlite_the_history_has_each_event_once_and_folds_to_the_table() {
    let parts = proptest::collection::vec(proptest::collection::vec(event_or_not(), 1..25), 1..3);
    let outcome =
        runner(60).run(&(parts, any_mode(), 1..12_u32, any::<bool>()), |(parts, mode, events_max, has_checkpoint)| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("table.db");
            let mut config = settings(directory.path(), &format!("sqlite:{}", path.display()), mode, events_max);
            config.destination.history_table = Some(TABLE.into());
            cxsink::init_db(&config).unwrap();
            let connection = rusqlite::Connection::open(&path).unwrap();
            if !has_checkpoint {
                connection.execute_batch("DROP TABLE cxsink_checkpoint").unwrap();
            }
            let stats = through_sinks(&config, &parts, &[1]);
            let accepted = stats.received - stats.dead_lettered;
            let events = valid(&parts);
            prop_assert_eq!(accepted, events.len() as u64);
            let found = sqlite_events(&connection);
            let expected: Vec<_> = events.iter().map(|(offset, event)| (*offset, of_json(event))).collect();
            prop_assert_eq!(found, expected);
            fold_in_sqlite(&connection, mode);
            let difference = |a: &str, b: &str| -> i64 {
                let columns = oracle::COMPARED;
                let sql = format!("SELECT count(*) FROM (SELECT {columns} FROM {a} EXCEPT SELECT {columns} FROM {b})");
                connection.query_row(&sql, [], |row| row.get(0)).unwrap()
            };
            let differences = (difference("cxone_events", "folded"), difference("folded", "cxone_events"));
            prop_assert_eq!(differences, (0, 0), "{}, batches of {}", mode, events_max);
            Ok(())
        });
    outcome.unwrap();
}

/// The values whose text is the event's own.
type Texts = [Option<String>; 6];

fn of_json(event: &[u8]) -> Texts {
    let [interaction, _, kind, key, _, disposition, queue, agent] =
        oracle::values(&serde_json::from_slice(event).unwrap());
    [interaction, kind, key, disposition, queue, agent]
}

fn sqlite_events(connection: &rusqlite::Connection) -> Vec<(u64, Texts)> {
    let sql = format!(
        "SELECT spool_offset, interaction_id, type, idempotency_key, disposition, queue_name, agent_id FROM {TABLE}
         WHERE length(spool_id) = 32 AND NOT spool_late AND received_at > '2020' ORDER BY spool_offset"
    );
    let mut select = connection.prepare(&sql).unwrap();
    let texts = |row: &rusqlite::Row<'_>| {
        let text = |index| row.get(index);
        Ok((row.get(0)?, [text(1)?, text(2)?, text(3)?, text(4)?, text(5)?, text(6)?]))
    };
    select.query_map([], texts).unwrap().map(Result::unwrap).collect()
}

fn fold_in_sqlite(connection: &rusqlite::Connection, mode: &str) {
    let columns = oracle::COMPARED;
    let (timestamp, only_if) = match mode {
        "newer" => ("timestamp = excluded.timestamp, ", " WHERE excluded.timestamp >= t.timestamp"),
        _ => ("", ""),
    };
    connection.execute_batch(&format!("CREATE TABLE folded AS SELECT {columns} FROM cxone_events LIMIT 0; CREATE UNIQUE INDEX k ON folded (idempotency_key)")).unwrap();
    let insert = format!(
        "INSERT INTO folded AS t SELECT {columns} FROM {TABLE} WHERE spool_offset = ?1 ON CONFLICT DO UPDATE SET {timestamp}
         duration = excluded.duration, disposition = excluded.disposition, queue_name = excluded.queue_name,
         agent_id = excluded.agent_id{only_if}"
    );
    for (offset, _) in sqlite_events(connection) {
        connection.execute(&insert, [offset]).unwrap();
    }
}

/// The statements of docs/history.md that need no extension.
#[test]
fn the_statements_of_the_guide_run() {
    let guide = include_str!("../../docs/history.md");
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let mut config = settings(directory.path(), &database.url(), "always", 10);
    make(&database, &mut config, Made::Partitioned);
    database.execute(
        "CREATE TABLE cxone_events_history_p20260101 PARTITION OF cxone_events_history
         FOR VALUES FROM ('2026-01-01 00:00+00') TO ('2026-02-01 00:00+00')",
    );
    let lines = [timed("a", 1, "sales"), timed("a", 2, "support"), timed("b", 3, "sales")];
    through_lines(&config, &lines.concat());
    database.execute(
        "INSERT INTO cxone_events_history (interaction_id, timestamp, type, idempotency_key, created_at, updated_at, received_at, spool_offset,
         spool_id, spool_late) SELECT 'i', now(), 'call', 'old', now(), now(), '2027-02-15', 0, 'other', false",
    );
    let blocks = guide.split("```sql\n").skip(1).filter_map(|block| block.split("```").next());
    let plain: Vec<&str> = blocks.filter(|block| !block.contains("partman") && !block.contains("hypertable")).collect();
    assert_eq!(plain.len(), 5);
    for block in plain {
        database.execute(block);
    }
    let states = database.query("SELECT idempotency_key, queue_name, valid_to IS NULL FROM cxone_events_states WHERE spool_id <> 'other' ORDER BY spool_offset");
    assert_eq!(states, ["a|sales|f", "a|support|t", "b|sales|t"]);
    assert_eq!(database.query("SELECT idempotency_key FROM cxone_events_history_p20270201"), ["old"]);
    assert_eq!(database.query("SELECT to_regclass('cxone_events_history_p20260101')"), ["∅"]);
    through_lines(&config, &timed("c", 4, "sales"));
    assert_eq!(count(&database, TABLE), "5");
}

fn through_lines(config: &Config, lines: &str) {
    let sink = Sink::open(config).unwrap();
    sink.start().unwrap();
    sink.import(lines.as_bytes()).unwrap();
    sink.close_within(PATIENCE).unwrap();
    let stats = sink.stats();
    assert!(stats.pending == 0 && stats.dead_lettered == 0, "{stats:?}");
}

#[test]
fn init_db_adds_the_partitions_that_are_missing_and_says_which_it_cannot() {
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let mut config = settings(directory.path(), &database.url(), "always", 10);
    make(&database, &mut config, Made::Partitioned);
    let partitions = || {
        database.query("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'cxone_events_history'::regclass ORDER BY inhrelid::regclass::text")
    };
    let all = partitions();
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(all[0], "cxone_events_history_default");
    database.execute(&format!("DROP TABLE {}, {}", all[1], all[2]));
    cxsink::init_db(&config).unwrap();
    assert_eq!(partitions(), all);
    // Without its partition this month's event is in the default one.
    database.execute(&format!("DROP TABLE {}, {}", all[1], all[3]));
    through_lines(&config, &timed("a", 1, "sales"));
    let error = cxsink::init_db(&config).unwrap_err();
    assert!(error.hint().unwrap().contains("default partition"), "{error:?}");
    assert_eq!(partitions().len(), 3, "the others were added");

    config.set("destination.history_table", "plain").unwrap();
    config.destination.history_partitioned = false;
    cxsink::init_db(&config).unwrap();
    config.destination.history_partitioned = true;
    let error = cxsink::init_db(&config).unwrap_err();
    assert!(error.hint().unwrap().contains("without partitions"), "{error:?}");
    config.set("destination.history_table", &"x".repeat(54)).unwrap();
    assert!(cxsink::init_db(&config).unwrap_err().message().contains("too long"));
    let file = directory.path().join("x.db");
    config.set("destination.url", &format!("sqlite:{}", file.display())).unwrap();
    config.set("destination.history_table", "h").unwrap();
    for error in [cxsink::init_db(&config).unwrap_err(), cxsink::table::init_db_sql(&config).unwrap_err()] {
        assert!(error.message().contains("SQLite has no partitions"), "{error}");
    }
    assert!(!file.exists(), "nothing was made");
}

/// What `--print` prints makes the same tables as `init-db` itself.
#[test]
fn the_printed_sql_makes_the_same_history() {
    const COLUMNS: &str = "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
        WHERE attrelid = 'cxone_events_history'::regclass AND attnum > 0 ORDER BY attnum";
    let own = |config: &mut Config| {
        config.mapping.columns = vec![
            ("k".into(), "/idempotencyKey".into()),
            ("at".into(), "/timestamp".into()),
            ("w".into(), "now".into()),
        ];
        config.mapping.key = vec!["k".into()];
    };
    for change in [|_: &mut Config| {}, own] {
        let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
        let mut config = settings(directory.path(), &database.url(), "always", 10);
        change(&mut config);
        make(&database, &mut config, Made::Partitioned);
        let made = database.query(COLUMNS);
        database.execute("DROP TABLE cxone_events, cxsink_checkpoint, cxone_events_history");
        database.execute(&cxsink::table::init_db_sql(&config).unwrap());
        assert_eq!(database.query(COLUMNS), made);
        assert_eq!(
            made[made.len() - 4..],
            [
                "received_at|timestamp with time zone|t",
                "spool_offset|bigint|t",
                "spool_id|text|t",
                "spool_late|boolean|t"
            ]
        );
        cxsink::init_db(&config).unwrap();
    }
}

/// The sink's role must read and add, and nothing else: a history that it cannot change.
#[test]
fn the_role_needs_select_and_insert_and_check_names_what_is_missing() {
    let role = format!("writer_{}", std::iter::repeat_with(|| fastrand::char('a'..='z')).take(12).collect::<String>());
    let (database, directory) = (TestDatabase::new(), tempfile::tempdir().unwrap());
    let mut config = settings(directory.path(), &database.url(), "always", 10);
    make(&database, &mut config, Made::Partitioned);
    database.execute(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'secret';
         GRANT SELECT, INSERT, UPDATE ON cxone_events, cxsink_checkpoint TO {role}; GRANT SELECT ON {TABLE} TO {role}"
    ));
    let url = database.url();
    let (_, host) = url.split_once('@').unwrap_or(("", url.trim_start_matches("postgresql://")));
    config.set("destination.url", &format!("postgresql://{role}:secret@{host}")).unwrap();
    let step = |config: &Config| {
        let report = cxsink::check(config, &[CheckArea::Destination], |_| {});
        report.steps.into_iter().find(|step| step.name == "destination.history")
    };
    let refused = step(&config).unwrap();
    assert_eq!(refused.status, CheckStatus::Failed, "{refused:?}");
    let grant = format!("GRANT INSERT ON TABLE \"public\".\"{TABLE}\" TO \"{role}\"");
    assert_eq!(refused.hint.as_deref(), Some(grant.as_str()));
    let error = Sink::open(&config).unwrap().start().unwrap_err();
    assert!(error.message().contains(TABLE), "{error}");
    database.execute(&grant);
    let passed = step(&config).unwrap();
    assert_eq!(passed.status, CheckStatus::Passed, "{passed:?}");
    through_lines(&config, &timed("a", 1, "sales"));
    database.execute(
        "DROP TABLE cxsink_checkpoint; ALTER TABLE cxone_events_history DROP CONSTRAINT cxone_events_history_pkey",
    );
    let warned = step(&config).unwrap();
    assert_eq!(warned.status, CheckStatus::Warning, "{warned:?}");
    assert!(warned.hint.unwrap().contains("CREATE UNIQUE INDEX"), "it would have events twice");
    database.execute(&format!("ALTER TABLE {TABLE} DROP COLUMN agent_id"));
    let failed = step(&config).unwrap();
    assert!(failed.hint.unwrap().contains("ADD COLUMN agent_id character varying(255)"));
    config.destination.history_table = None;
    assert!(step(&config).is_none(), "without a history there is no such step");
    database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

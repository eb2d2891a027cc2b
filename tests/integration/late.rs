//! Replayed events never go back: what a later event of their key has written stays.

use std::path::Path;

use cxsink::dead_letters::{Fate, Selection};
use cxsink::{Config, Sink, Stats};

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::process::{cxsink, output};

/// An event of this hour, refused while the queue's name is longer than eight characters.
fn event(key: &str, hour: u32, queue: &str) -> String {
    format!(
        r#"{{"interactionId":"i{hour}","timestamp":"2026-11-22T{hour:02}:00:00Z","type":"call","idempotencyKey":"{key}","attributes":{{"duration":{hour},"queueName":"{queue}"}}}}"#
    )
}

const LONG: &str = "a queue with a long name";

struct Bench {
    directory: tempfile::TempDir,
    database: TestDatabase,
    config: Config,
}

impl Bench {
    /// The default table, with a column for the queue that is too short.
    fn new(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = TestDatabase::new();
        let mut config = support::config(directory.path(), &database.url());
        for (key, value) in settings {
            config.set(key, value).unwrap();
        }
        cxsink::init_db(&config).unwrap();
        database.execute("ALTER TABLE cxone_events ALTER queue_name TYPE varchar(8)");
        Self { directory, database, config }
    }

    fn import(&self, lines: &[String]) -> Stats {
        let sink = Sink::open(&self.config).unwrap();
        sink.start().unwrap();
        sink.import(lines.join("\n").as_bytes()).unwrap();
        sink.close_within(PATIENCE).unwrap();
        let stats = sink.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        stats
    }

    /// Each batch by a sink of its own.
    fn import_each(&self, lines: &[String]) {
        for line in lines {
            self.import(std::slice::from_ref(line));
        }
    }

    fn widen(&self) {
        self.database.execute("ALTER TABLE cxone_events ALTER queue_name TYPE varchar(255)");
    }

    /// Key and duration, which is the hour of the event that wrote the row last.
    fn rows(&self) -> Vec<String> {
        self.database.query("SELECT idempotency_key, duration FROM cxone_events ORDER BY 1")
    }

    /// The numbers that a replay reports: replayed, superseded.
    fn replay(&self) -> (u64, u64) {
        let report = cxsink::dead_letters::replay(&self.config, &Selection::All, PATIENCE).unwrap();
        (report.replayed, report.superseded)
    }

    fn dry_run(&self) -> Vec<Fate> {
        let report = cxsink::dead_letters::replay_dry_run(&self.config, &Selection::All).unwrap();
        report.fates.into_iter().map(|(_, fate)| fate).collect()
    }
}

/// The row's timestamp is that of the first event, so it does not show which event wrote it last.
#[test]
fn a_replayed_event_does_not_overwrite_a_later_one() {
    for first in [&[][..], &[event("k", 9, "sales")]] {
        for in_one_batch in [true, false] {
            let bench = Bench::new(&[]);
            let lines = [first, &[event("k", 10, LONG), event("k", 11, "sales")]].concat();
            if in_one_batch {
                drop(bench.import(&lines));
            } else {
                bench.import_each(&lines);
            }
            bench.widen();
            assert_eq!(bench.dry_run(), [Fate::Superseded]);
            assert_eq!(bench.replay(), (1, 1));
            assert_eq!(bench.rows(), ["k|11"], "{lines:?}");
        }
    }
}

#[test]
fn a_replayed_event_that_nothing_followed_is_applied() {
    for first in [&[][..], &[event("k", 9, "sales")]] {
        for in_one_batch in [true, false] {
            let bench = Bench::new(&[]);
            let lines = [first, &[event("k", 10, LONG), event("other", 11, "sales")]].concat();
            if in_one_batch {
                drop(bench.import(&lines));
            } else {
                bench.import_each(&lines);
            }
            bench.widen();
            assert_eq!(bench.dry_run(), [Fate::Replayed(None)]);
            assert_eq!(bench.replay(), (1, 0));
            assert_eq!(bench.rows(), ["k|10", "other|11"], "{lines:?}");
        }
    }
}

/// Several of one key are replayed in their order, in any portions.
#[test]
fn replayed_events_do_not_overtake_each_other() {
    let bench = Bench::new(&[]);
    bench.import(&[event("k", 10, LONG), event("k", 11, LONG), event("k", 12, LONG)]);
    bench.widen();
    let replay = |offset| {
        let selection = Selection::Offsets(vec![offset]);
        cxsink::dead_letters::replay(&bench.config, &selection, PATIENCE).unwrap().superseded
    };
    assert_eq!(replay(1), 0);
    assert_eq!(bench.rows(), ["k|11"]);
    assert_eq!(replay(0), 1, "a later one was replayed");
    assert_eq!(replay(2), 0);
    assert_eq!(bench.rows(), ["k|12"]);

    let bench = Bench::new(&[]);
    bench.import(&[event("k", 10, LONG), event("k", 11, LONG), event("l", 10, LONG)]);
    bench.widen();
    assert_eq!(bench.replay(), (3, 0));
    assert_eq!(bench.rows(), ["k|11", "l|10"]);
}

/// A later event that was refused as well has written nothing.
#[test]
fn an_event_that_was_refused_supersedes_nothing() {
    let bench = Bench::new(&[]);
    let check = "ALTER TABLE cxone_events ADD CHECK (duration NOT IN (10, 12))";
    bench.import_each(&[event("k", 9, "sales")]);
    bench.database.execute(check);
    bench.import(&[event("k", 10, "sales"), event("k", 12, "sales")]);
    bench.database.execute("ALTER TABLE cxone_events DROP CONSTRAINT cxone_events_duration_check");
    bench.database.execute("ALTER TABLE cxone_events ADD CHECK (duration <> 12)");
    assert_eq!(bench.replay(), (2, 0));
    assert_eq!(bench.rows(), ["k|10"]);
    // Refused for the second time; since then nothing has followed.
    bench.database.execute("ALTER TABLE cxone_events DROP CONSTRAINT cxone_events_duration_check");
    assert_eq!(bench.replay(), (1, 0));
    assert_eq!(bench.rows(), ["k|12"]);
}

/// Refused again, it is still behind what was written in between.
#[test]
fn an_event_that_is_refused_again_stays_superseded() {
    let bench = Bench::new(&[]);
    bench.import(&[event("k", 10, LONG), event("k", 11, "sales")]);
    bench.widen();
    bench.database.execute("DELETE FROM cxone_events; ALTER TABLE cxone_events ADD CHECK (duration <> 10)");
    bench.replay();
    bench.database.execute("ALTER TABLE cxone_events DROP CONSTRAINT cxone_events_duration_check");
    bench.import(&[event("l", 12, "sales")]);
    bench.database.execute(
        "INSERT INTO cxone_events (interaction_id, timestamp, type, idempotency_key, duration) \
                            VALUES ('i', now(), 'call', 'k', 11)",
    );
    assert_eq!(bench.replay(), (1, 1));
    assert_eq!(bench.rows(), ["k|11", "l|12"]);
}

#[test]
fn a_forced_replay_overwrites_a_later_event() {
    let bench = Bench::new(&[]);
    bench.import(&[event("k", 10, LONG), event("k", 11, "sales")]);
    bench.widen();
    let report = cxsink::dead_letters::replay_forced(&bench.config, &Selection::All, PATIENCE).unwrap();
    assert_eq!((report.replayed, report.superseded), (1, 0));
    assert_eq!(bench.rows(), ["k|10"]);
}

/// A row whose timestamp follows each update tells by itself. Events of the same time are not told apart: the row stays.
#[test]
fn with_a_timestamp_that_follows_an_export_never_goes_back() {
    for (settings, is_newer) in [(&[("destination.update", "newer")][..], true), (&[][..], false)] {
        let bench = Bench::new(settings);
        bench.import(&[
            event("k", 9, LONG),
            event("k", 11, "sales"),
            event("l", 10, "sales"),
            event("l", 12, LONG),
            event("m", 9, LONG),
        ]);
        let letters = cxsink::dead_letters::DeadLetters::open(&bench.config).unwrap().list(0, 9).unwrap();
        let export: Vec<String> = letters.iter().map(|letter| letter.to_json(true)).collect();
        bench.widen();
        let other = tempfile::tempdir().unwrap();
        let mut config = bench.config.clone();
        config.spool.path = other.path().join("spool.db");
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        assert_eq!(sink.import_exported(export.join("\n").as_bytes()).unwrap(), 3);
        sink.close_within(PATIENCE).unwrap();
        let stats = sink.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        let (superseded, l) = if is_newer { (1, "l|12") } else { (2, "l|10") };
        assert_eq!((stats.received, stats.superseded), (3, superseded), "{stats:?}");
        assert_eq!(bench.rows(), ["k|11", l, "m|9"]);
    }
}

/// Whether each dead letter was superseded when it was replayed.
fn superseded(config: &Config) -> Vec<bool> {
    let letters = cxsink::dead_letters::DeadLetters::open(config).unwrap().list(0, 9).unwrap();
    assert!(letters.iter().all(|letter| letter.replayed_at.is_some()), "{letters:?}");
    letters.iter().map(|letter| letter.superseded_at.is_some()).collect()
}

/// Of several in one statement, too.
#[test]
fn the_dead_letter_of_a_superseded_event_says_so_until_it_is_replayed_by_force() {
    let bench = Bench::new(&[]);
    bench.import(&[
        event("k", 10, LONG),
        event("k", 11, "sales"),
        event("m", 10, LONG),
        event("m", 11, "sales"),
        event("l", 10, LONG),
    ]);
    // Late, as it was followed, but not superseded: its row is gone.
    bench.database.execute("DELETE FROM cxone_events WHERE idempotency_key = 'm'");
    bench.widen();
    assert_eq!(bench.replay(), (3, 1));
    assert_eq!(superseded(&bench.config), [true, false, false]);
    assert_eq!(bench.rows(), ["k|11", "l|10", "m|10"]);
    let again = cxsink::dead_letters::replay(&bench.config, &Selection::Offsets(vec![0]), PATIENCE).unwrap();
    assert_eq!((again.replayed, again.skipped), (0, 1));
    let forced = cxsink::dead_letters::replay_forced(&bench.config, &Selection::All, PATIENCE).unwrap();
    assert_eq!((forced.replayed, forced.superseded), (1, 0));
    assert_eq!(superseded(&bench.config), [false; 3]);
    assert_eq!(bench.rows(), ["k|10", "l|10", "m|10"]);
}

#[test]
fn in_sqlite_the_dead_letter_of_a_superseded_event_says_so_too() {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("events.db");
    let config = support::config(directory.path(), &format!("sqlite:{}", table.display()));
    cxsink::init_db(&config).unwrap();
    let half = |key| event(key, 10, "sales").replace("\"duration\":10", "\"duration\":0.5");
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.ingest_many([event("n", 9, "sales"), half("k"), event("k", 11, "sales"), half("l")], None).unwrap();
    sink.close_within(PATIENCE).unwrap();
    assert_eq!(sink.stats().dead_lettered, 2, "{:?}", sink.stats());
    drop(sink);
    let alter = "ALTER TABLE cxone_events DROP COLUMN duration; ALTER TABLE cxone_events ADD COLUMN duration REAL";
    rusqlite::Connection::open(&table).unwrap().execute_batch(alter).unwrap();
    let report = cxsink::dead_letters::replay(&config, &Selection::All, PATIENCE).unwrap();
    assert_eq!((report.replayed, report.superseded), (2, 1), "{report:?}");
    assert_eq!(superseded(&config), [true, false]);
}

fn command(bench: &Bench, path: &Path, arguments: &[&str]) -> (i32, String, String) {
    output(
        cxsink(path)
            .env("CXSINK_DESTINATION__URL", bench.database.url())
            .env("CXSINK_SPOOL__PATH", "spool.db")
            .args(arguments),
    )
}

#[test]
fn the_command_says_what_is_superseded() {
    let bench = Bench::new(&[]);
    let path = bench.directory.path();
    bench.import(&[event("k", 10, LONG), event("k", 11, "sales")]);
    bench.widen();
    let (code, out, err) = command(&bench, path, &["dead-letters", "export", "letters.jsonl"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = command(&bench, path, &["dead-letters", "replay", "--dry-run"]);
    assert!(
        code == 0
            && out.contains("0  superseded")
            && out.contains("0 would be replayed, 0 still rejected, 1 superseded"),
        "{out}{err}"
    );
    let (code, out, err) = command(&bench, path, &["dead-letters", "replay"]);
    assert!(code == 0 && out.contains("1 of the replayed ones superseded") && out.contains("--force"), "{out}{err}");
    assert!(err.contains("superseded"), "{err}");
    let (code, out, err) = command(&bench, path, &["dead-letters", "list"]);
    assert!(code == 0 && out.lines().any(|line| line.contains("  superseded  ")), "{out}{err}");
    let (_, out, _) = command(&bench, path, &["dead-letters", "show", "0"]);
    assert!(out.contains("a later event of its key was in the table"), "{out}");
    let (code, _, err) = command(&bench, path, &["import", "--replay", "letters.jsonl"]);
    assert!(code == 0 && err.contains("superseded         1"), "{err}");
    assert_eq!(bench.rows(), ["k|11"]);
    let (code, _, err) = command(&bench, path, &["import", "letters.jsonl"]);
    assert!(code == 1 && err.contains("--replay"), "{err}");
}

//! Spool files of earlier versions are read: a committed one is opened and drained, and what it recorded is there.
//!
//! `make fixture` writes the files after a change of the format.

use std::fs;
use std::path::{Path, PathBuf};

use cxsink::config::OnNormalClose;
use cxsink::dead_letters::Stage;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Sink};
use rusqlite::Connection;

use crate::support;

/// The spool, and the table with the checkpoint that belongs to it.
const FILES: [&str; 2] = ["spool.db", "events.db"];

/// Read from the stream and written to the table.
const STREAMED: usize = 40;
/// Of these, the events that are dead letters.
const DEAD_LETTERS: usize = 12;
/// In the spool, not in the table.
const PENDING: usize = 3;
/// Pending too: a message that could not be unwrapped.
const MESSAGE: &str = r#"{"body":null}"#;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/spool")
}

fn config(directory: &Path) -> Config {
    support::config(directory, &format!("sqlite:{}", directory.join("events.db").display()))
}

fn keys(directory: &Path) -> Vec<String> {
    let table = Connection::open(directory.join("events.db")).unwrap();
    let mut select = table.prepare("SELECT idempotency_key FROM cxone_events ORDER BY id").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// A run that reads a stream to its end, with dead letters, and events that come after it and stay in the spool.
fn write_fixture() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    cxsink::init_db(&config).unwrap();
    let mut options = SimulatorOptions::default();
    options.seed = 1;
    options.events = Some(STREAMED as u64);
    options.invalid_percent = 20.0;
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    simulator.apply_to(&mut config);
    config.stream.on_normal_close = OnNormalClose::Stop;
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    support::run_to_the_end(&sink);
    drop(sink);

    config.set("event.path", "/body").unwrap();
    let sink = Sink::open(&config).unwrap();
    let message = serde_json::json!({ "stage": "message", "event": MESSAGE }).to_string();
    assert_eq!(sink.import_exported(message.as_bytes()).unwrap(), 1);
    for number in 0..PENDING {
        let event = format!(
            r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"pending-{number}"}}"#
        );
        sink.ingest(event.as_bytes()).unwrap();
    }
    drop(sink);

    fs::create_dir_all(fixture()).unwrap();
    for file in FILES {
        let path = directory.path().join(file);
        let database = Connection::open(&path).unwrap();
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
        drop(database);
        assert!(!path.with_extension("db-wal").exists(), "{file} has a log that is not in it");
        fs::copy(&path, fixture().join(file)).unwrap();
    }
}

#[test]
fn a_spool_of_an_earlier_version_is_drained() {
    if std::env::var_os("CXSINK_UPDATE").is_some_and(|value| value == "1") {
        write_fixture();
    }
    let directory = tempfile::tempdir().unwrap();
    for file in FILES {
        fs::copy(fixture().join(file), directory.path().join(file)).unwrap();
    }
    let config = config(directory.path());
    let before = keys(directory.path());
    assert_eq!(before.len(), STREAMED - DEAD_LETTERS);

    let sink = Sink::open(&config).unwrap();
    assert_eq!(sink.stats().pending, PENDING as u64 + 1);
    assert_eq!(sink.connections().unwrap().len(), 1);
    // From the end of that connection on.
    assert_eq!(sink.gaps().unwrap().len(), 1);
    let letters = sink.dead_letters(0, 100).unwrap();
    assert_eq!(letters.len(), DEAD_LETTERS);
    assert!(letters.iter().all(|letter| !letter.reason.is_empty() && !letter.event.0.is_empty()), "{letters:?}");

    sink.start().unwrap();
    let stats = support::wait_quiet(&sink);
    let message = sink.dead_letters(STREAMED as u64, 100).unwrap();
    sink.close().unwrap();
    // Nothing twice, and what was pending behind what was there.
    assert_eq!((stats.inserted, stats.dead_lettered), (PENDING as u64, 1), "{stats:?}");
    assert_eq!((message[0].stage, message[0].event.0.as_slice()), (Stage::Message, MESSAGE.as_bytes()));
    let expected: Vec<String> = (0..PENDING).map(|number| format!("pending-{number}")).collect();
    assert_eq!(keys(directory.path()), [before, expected].concat());
}

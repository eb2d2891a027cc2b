//! The Rust examples do what they say: run for real, as the programs that `cargo` builds from examples/rust.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cxsink::simulator::{Simulator, SimulatorOptions};
use rusqlite::Connection;

use crate::support::postgres::TestDatabase;
use crate::support::process::{of_simulator, output};

/// `cargo test` builds the examples, unless its arguments name targets, into a folder beside that of the tests.
fn example(name: &str, directory: &Path) -> Command {
    let tests = std::env::current_exe().unwrap();
    let program: PathBuf = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(program.exists(), "{} is missing: run cargo build --all-features --examples first", program.display());
    let mut command = Command::new(program);
    command.env_clear().current_dir(directory).stdin(Stdio::null());
    command
}

#[test]
fn run_sink_writes_a_stream_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let database = TestDatabase::new();
    let mut options = SimulatorOptions::default();
    options.events = Some(500);
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    let mut command = example("run_sink", directory.path());
    of_simulator(&mut command, &simulator)
        .env("CXSINK_DESTINATION__URL", database.url())
        .env("CXSINK_STREAM__ON_NORMAL_CLOSE", "stop");

    let (code, out, err) = output(&mut command);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("starting\n") || out.starts_with("running\n"), "{out}");
    assert!(out.contains("\"inserted\":500"), "{out}");
    assert_eq!(database.query("SELECT count(*) FROM cxone_events"), ["500"]);
}

#[test]
fn ingest_stores_good_lines_and_names_bad_ones() {
    let directory = tempfile::tempdir().unwrap();
    let event = |key: u32| {
        format!(r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k{key}"}}"#)
    };
    let lines = directory.path().join("events.jsonl");
    let mut file = std::fs::File::create(&lines).unwrap();
    write!(file, "{}\n{{}}\n{}\n{}\n", event(1), event(2), event(1)).unwrap();
    let mut command = example("ingest", directory.path());
    command.env("CXSINK_DESTINATION__URL", "sqlite:events.db").stdin(std::fs::File::open(&lines).unwrap());

    let (code, out, err) = output(&mut command);
    assert_eq!(code, 0, "{out}{err}");
    assert!(err.starts_with("line 2: ") && err.lines().count() == 1, "{err}");
    assert!(out.contains("committed: ") && out.contains("\"inserted\":2"), "{out}");
    let table = Connection::open(directory.path().join("events.db")).unwrap();
    let count = table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count, 2);
}

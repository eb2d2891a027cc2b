//! One event cannot take the process down again and again: after the second time it is a dead letter, and those behind it are stored.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use cxsink::Sink;
use cxsink::dead_letters::{DeadLetters, Stage};
use rusqlite::{Connection, OpenFlags};

use crate::support;
use crate::support::process::{Running, cxsink, output};

/// Long enough to be seen while it is prepared: a second, give or take.
const MEMBERS: u32 = 1_000_000;
const BYTES_MAX: &str = "64MiB";

fn event(key: &str, attributes: &str) -> String {
    format!(
        r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"{key}","attributes":{{{attributes}}}}}"#
    )
}

fn huge() -> String {
    let mut members = String::new();
    for member in 0..MEMBERS {
        let _ = write!(members, "\"member {member}\":{member},");
    }
    members.pop();
    event("huge", &members)
}

/// A sink of its own that stores what is spooled, and ends.
fn program(directory: &Path) -> Command {
    let mut command = cxsink(directory);
    command
        .env("CXSINK_DESTINATION__URL", "sqlite:events.db")
        .env("CXSINK_SPOOL__PATH", "spool.db")
        .env("CXSINK_STREAM__EVENT_BYTES_MAX", BYTES_MAX)
        .args(["import", "-"]);
    command
}

/// The processes that ended, or would now, while they prepared the event 1.
fn ends(spool: &Connection) -> Option<u32> {
    spool.query_row("SELECT max(ends) FROM suspects WHERE offset = 1", [], |row| row.get(0)).unwrap()
}

#[test]
fn an_event_that_two_processes_did_not_survive_is_set_aside_by_the_third() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &format!("sqlite:{}/events.db", directory.path().display()));
    config.set("stream.event_bytes_max", BYTES_MAX).unwrap();
    cxsink::init_db(&config).unwrap();
    let lines = [event("before", ""), huge(), event("behind", "")].join("\n");
    {
        let sink = Sink::open(&config).unwrap();
        assert_eq!(sink.import(lines.as_bytes()).unwrap(), 3);
    }
    let spool = Connection::open_with_flags(&config.spool.path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    for process in [1, 2] {
        let mut running = Running::start(&mut program(directory.path()));
        support::wait_until("the huge event is prepared", || ends(&spool) == Some(process));
        running.signal("KILL");
        running.child.wait().unwrap();
        assert_eq!(ends(&spool), Some(process), "it was killed too late");
    }
    let (code, out, err) = output(&mut program(directory.path()));
    assert_eq!(code, 0, "{out}{err}");
    let letters = DeadLetters::open(&config).unwrap().list(0, 10).unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].offset, letters[0].stage, letters[0].event.0.len()),
        (1, Stage::Guard, lines.lines().nth(1).unwrap().len())
    );
    assert!(
        letters[0].reason.contains("the process ended twice while it prepared this event"),
        "{}",
        letters[0].reason
    );
    let table = Connection::open(directory.path().join("events.db")).unwrap();
    let mut select = table.prepare("SELECT idempotency_key FROM cxone_events ORDER BY id").unwrap();
    let keys: Vec<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(keys, ["before", "behind"]);
}

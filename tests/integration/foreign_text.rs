//! Text from outside is shown on one line, escaped: names in events, in tables and in files, in every place that shows them.

use std::fs;
use std::path::Path;

use crate::support::process::{cxsink, output};

/// Rewrites a terminal, forges a line of the log, and shows text in another order.
const HOSTILE: &str = r"x\u001b[31m\nFORGED \u202e\u009b";

/// Nothing in it can do harm: no control character but the line's end, no forged line, no reordering.
#[track_caller]
fn assert_harmless(text: &str) {
    let is_harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(is_harmful), "{text:?}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{text}");
}

fn run(directory: &Path, arguments: &[&str]) -> (String, String) {
    let mut command = cxsink(directory);
    command.env("CXSINK_DESTINATION__URL", "sqlite:table.db").env("CXSINK_SPOOL__PATH", "spool.db").args(arguments);
    let (_, out, err) = output(&mut command);
    assert_harmless(&out);
    assert_harmless(&err);
    (out, err)
}

#[test]
fn hostile_names_are_escaped_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let event = format!(
        r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k","{HOSTILE}":1}}"#
    );
    fs::write(directory.path().join("events.jsonl"), format!("{event}\n")).unwrap();
    let shown = |text: &str| assert!(text.contains(r"x\u{1b}[31m\nFORGED \u{202e}\u{9b}"), "{text}");

    run(directory.path(), &["init-db"]);
    shown(&run(directory.path(), &["validate", "events.jsonl"]).0);
    run(directory.path(), &["import", "events.jsonl", "-vv"]);
    shown(&run(directory.path(), &["dead-letters", "list"]).0);
    shown(&run(directory.path(), &["dead-letters", "show", "0"]).0);
    run(directory.path(), &["dead-letters", "replay", "--dry-run"]);
}

#[test]
fn a_trigger_of_an_sqlite_table_shows_no_value() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["init-db"]);
    let table = rusqlite::Connection::open(directory.path().join("table.db")).unwrap();
    table
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON cxone_events WHEN NEW.agent_id IS NOT NULL
             BEGIN SELECT RAISE(ABORT, 'agent ' || NEW.agent_id || char(27) || '[31m'); END",
        )
        .unwrap();
    drop(table);
    let refused = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k","attributes":{"agentId":"hunter2"}}"#;
    // Beside it, so that the table is not the suspect.
    let taken = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"l"}"#;
    fs::write(directory.path().join("events.jsonl"), format!("{refused}\n{taken}\n")).unwrap();
    let (out, err) = run(directory.path(), &["import", "events.jsonl", "-vv"]);
    assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{out}{err}");
    let (list, _) = run(directory.path(), &["dead-letters", "list"]);
    assert!(list.contains("a trigger raised an exception") && !list.contains("hunter2"), "{list}");
}

#[test]
fn hostile_names_of_keys_and_files_are_escaped() {
    let directory = tempfile::tempdir().unwrap();
    let hostile = "x\u{1b}[31m\nFORGED \u{202e}";
    run(directory.path(), &["validate", "--set", &format!("{hostile}.y=1"), "events.jsonl"]);
    run(directory.path(), &["validate", "--config", hostile, "events.jsonl"]);
    run(directory.path(), &["validate", hostile]);
    run(directory.path(), &["check", "--set", &format!("spool.path={hostile}"), "--only", "spool"]);
    fs::write(directory.path().join("schema.json"), format!(r#"{{"{HOSTILE}":1}}"#)).unwrap();
    let (_, err) = run(directory.path(), &["validate", "--set", "schema.file=schema.json", "/dev/null"]);
    assert!(err.contains(r"the keyword x\u{1b}[31m\nFORGED"), "{err}");
}

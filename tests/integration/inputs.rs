//! What was read from an input is written or told, however the input ends; and errors are told once, for people or for machines.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, cxsink, output};

fn event(number: usize) -> String {
    format!(r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-{number}"}}"#)
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = cxsink(directory);
    command.env("CXSINK_DESTINATION__URL", "sqlite:table.db").args(arguments);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    output(&mut command(directory, arguments))
}

/// A directory with a table.
fn bench() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(directory.path(), &["init-db"]).0, 0);
    directory
}

fn rows(directory: &Path) -> usize {
    let table = rusqlite::Connection::open(directory.join("table.db")).unwrap();
    table.busy_timeout(PATIENCE).unwrap();
    table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get(0)).unwrap()
}

fn wait_for_rows(directory: &Path, count: usize) {
    let until = Instant::now() + PATIENCE;
    while rows(directory) < count {
        assert!(Instant::now() < until, "{} of {count} rows", rows(directory));
        std::thread::yield_now();
    }
}

/// The number after `accepted events` in an error: of those that the import has taken.
fn accepted(err: &str) -> usize {
    let line = err.lines().find(|line| line.contains("accepted events")).unwrap_or_else(|| panic!("{err}"));
    line.split_once("after ").unwrap().1.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn lines_of_a_pipe_that_stays_open_are_written_at_once() {
    let directory = bench();
    let path = directory.path();
    let mut import = Running::start(command(path, &["import", "-"]).stdin(Stdio::piped()));
    let mut pipe = import.child.stdin.take().unwrap();
    let lines: String = (0..1500).map(|number| event(number) + "\n").collect();
    pipe.write_all(lines.as_bytes()).unwrap();
    wait_for_rows(path, 1500);
    pipe.write_all(br#"{"interactionId":"#).unwrap();
    import.signal("TERM");
    let (code, err) = import.wait();
    assert_eq!((code, accepted(&err), rows(path)), (1, 1500, 1500), "{err}");
    assert!(err.contains("before the end of the input"), "{err}");
    drop(pipe);
}

/// The signal comes at any moment of the reading.
#[test]
fn what_was_read_before_a_signal_is_written() {
    for signal in ["TERM", "INT"] {
        for wait_for in [1, 700, 5000] {
            let directory = bench();
            let path = directory.path();
            let mut import = Running::start(command(path, &["import", "-"]).stdin(Stdio::piped()));
            let mut pipe = import.child.stdin.take().unwrap();
            let feeding = std::thread::spawn(move || {
                // Until nobody reads any more.
                (0..).try_for_each(|number| pipe.write_all((event(number) + "\n").as_bytes())).unwrap_err();
            });
            wait_for_rows(path, wait_for);
            import.signal(signal);
            let (code, err) = import.wait();
            assert_eq!((code, accepted(&err)), (1, rows(path)), "{err}");
            feeding.join().unwrap();
        }
    }
}

/// Whole inputs that were read end well, also when a signal comes while they are being written.
#[test]
fn an_input_that_ends_is_success() {
    let directory = bench();
    let path = directory.path();
    fs::write(path.join("events.jsonl"), format!("\u{feff}{}\r\n{}", event(1), event(2))).unwrap();
    let (code, _, err) = run(path, &["import", "events.jsonl"]);
    assert_eq!((code, rows(path)), (0, 2), "{err}");
    assert!(err.contains("dead letters       0"), "a byte order mark is no part of the first event: {err}");
    fs::write(path.join("empty.jsonl"), "").unwrap();
    assert_eq!(run(path, &["import", "empty.jsonl"]).0, 0);
}

#[test]
fn an_import_of_which_nothing_is_stored_fails() {
    let directory = bench();
    let path = directory.path();
    fs::write(path.join("events.csv"), "interactionId,timestamp\ni,2026-11-22T16:00:00Z\n").unwrap();
    let (code, _, err) = run(path, &["import", "events.csv"]);
    assert!(code == 1 && err.contains("none of its 2 events") && err.contains("dead-letters list"), "{err}");
    for (name, bytes) in [("gzip", &b"\x1f\x8b\x08\0\0\0\0\0\0\x03\n\n"[..]), ("UTF-16", b"\xff\xfe{\0}\0\n\0")] {
        fs::write(path.join("other"), bytes).unwrap();
        for action in ["import", "validate"] {
            let (code, _, err) = run(path, &[action, "other"]);
            assert!(code == 2 && err.contains(name), "{action}: {err}");
        }
    }
    let (_, out, _) = run(path, &["dead-letters", "list"]);
    assert!(out.contains("2 of 2 dead letters"), "the others made none: {out}");
}

#[test]
fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
    let directory = bench();
    let path = directory.path();
    File::create(path.join("zeros")).unwrap().set_len(70 << 20).unwrap();
    for action in ["import", "validate"] {
        let (code, _, err) = run(path, &[action, "zeros"]);
        assert!(code == 2 && err.contains("64 MiB"), "{err}");
    }
}

/// `/dev/full` refuses each write: a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_the_standard_output_is_an_error_and_behind_the_other_stream_no_panic() {
    let directory = bench();
    let path = directory.path();
    fs::write(path.join("events.jsonl"), format!("{}\nbad\n", event(1))).unwrap();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let quiet = |arguments: &[&str]| {
        let mut child = command(path, arguments).stdout(Stdio::null()).stderr(full()).spawn().unwrap();
        child.wait().unwrap().code()
    };
    assert_eq!(quiet(&["import", "events.jsonl"]), Some(0));
    assert_eq!(quiet(&["import", "missing.jsonl"]), Some(2));
    assert_eq!(quiet(&["sing"]), Some(2));
    assert_eq!(quiet(&["demo", "--events", "10"]), Some(0));
    for arguments in
        [&["validate", "events.jsonl"][..], &["dead-letters", "list"], &["dead-letters", "export"], &["--help"]]
    {
        let child = command(path, arguments).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let outcome = child.wait_with_output().unwrap();
        let err = String::from_utf8(outcome.stderr).unwrap();
        assert_eq!(outcome.status.code(), Some(1), "{arguments:?}: {err}");
        assert!(err.contains("standard output") && err.contains("No space left"), "{arguments:?}: {err}");
    }
}

/// As in `cxsink dead-letters export | head -1`. What was not read is not marked as exported.
#[test]
fn an_export_into_a_closed_pipe_is_no_error() {
    let directory = bench();
    let path = directory.path();
    let bad = format!("{{\"{}\":1}}\n", "x".repeat(500));
    fs::write(path.join("events.jsonl"), bad.repeat(4000)).unwrap();
    assert_eq!(run(path, &["import", "events.jsonl"]).0, 1);
    let mut export = Running::start(&mut command(path, &["dead-letters", "export"]));
    export.line();
    export.close_stdout();
    assert_eq!(export.wait(), (0, String::new()));
    let (code, out, _) = run(path, &["dead-letters", "list", "--json", "--from", "3000"]);
    let letters: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, letters.len()), (0, 1000));
    assert!(letters.iter().all(|letter| letter["exported_at"].is_null() && letter["event"].is_null()));

    let (code, out, _) = run(path, &["dead-letters", "list"]);
    assert!(
        code == 0
            && out.contains("100 of 4,000 dead letters")
            && out.contains("more: cxsink dead-letters list --from 100"),
        "{out}"
    );
    let (_, out, _) = run(path, &["dead-letters", "list", "--from", "3990"]);
    assert!(out.contains("10 of 4,000 dead letters") && !out.contains("more:"), "{out}");
    let (_, out, _) = run(path, &["dead-letters", "list", "--json"]);
    assert_eq!(out.lines().count(), 4000);
}

/// Each line of the standard error stream is a JSON object, and one of them is the error, with its kind and its hint.
#[test]
fn with_a_json_log_errors_are_json() {
    let directory = bench();
    let path = directory.path();
    fs::write(path.join("wrong.toml"), "[batch]\nevnets_max = 7\n").unwrap();
    fs::write(path.join("events.csv"), "a,b\n").unwrap();
    let check = |command: &mut Command, expected: i32, kind: &str, says: &str| {
        let (code, _, err) = output(command);
        let lines: Vec<serde_json::Value> = err
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{command:?}: {err}")))
            .collect();
        let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "error").collect();
        assert_eq!((code, errors.len()), (expected, 1), "{command:?}: {err}");
        let error = errors[0];
        assert!(error["message"].as_str().unwrap().contains(says), "{err}");
        assert!(error["error"]["kind"] == kind && error["time"].as_str().unwrap().ends_with('Z'), "{err}");
    };
    let json = ["--log-format", "json"];
    check(command(path, &["import", "missing.jsonl"]).args(json), 2, "INVALID_ARGUMENT", "missing.jsonl");
    check(command(path, &["init-db", "--config", "wrong.toml"]).args(json), 2, "CONFIG", "evnets_max");
    check(command(path, &["init-db", "--config", "nowhere.toml"]).args(json), 2, "CONFIG", "nowhere.toml");
    check(command(path, &["sing"]).args(json), 2, "INVALID_ARGUMENT", "sing");
    check(
        command(path, &["import", "events.csv", "--log-format=json"]).env("A", "b"),
        1,
        "SCHEMA",
        "none of its 1 event",
    );
    check(command(path, &["run"]).env("CXSINK_LOG__FORMAT", "json"), 2, "CONFIG", "no stream");
}

/// Not around lines of zeros, and not twice.
#[test]
fn an_error_at_the_start_is_told_once() {
    let directory = bench();
    let path = directory.path();
    let mut options = cxsink::simulator::SimulatorOptions::default();
    options.token_failures = vec![401; 20];
    let simulator = cxsink::simulator::Simulator::start(options).unwrap();
    let mut run = crate::support::process::cxsink_of(path, &simulator);
    let (code, _, err) = output(run.env("CXSINK_DESTINATION__URL", "sqlite:table.db").arg("run"));
    assert_eq!((code, err.matches("status 401").count()), (1, 1), "{err}");
    assert!(err.contains("CXONE_CLIENT_SECRET") && !err.contains("inserted"), "{err}");
}

//! The command line as a user sees it: help, exit codes, messages, signals.

use std::path::Path;

use crate::support;
use crate::support::process::{Running, cxsink, output};

const VALID: &str = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-1","attributes":{"duration":7}}"#;

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    output(cxsink(directory).env("CXSINK_DESTINATION__URL", "sqlite:table.db").args(arguments))
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, _) = run(directory.path(), &["--help"]);
    assert_eq!(code, 0);
    let commands =
        ["run", "check", "init-db", "import", "validate", "dead-letters", "gaps", "peek-stream", "simulate", "demo"];
    for said in commands.iter().chain(&["CXONE_CLIENT_ID", "Exit codes"]) {
        assert!(out.contains(said), "{said} is not in {out}");
    }
    for command in commands {
        let (code, out, _) = run(directory.path(), &[command, "--help"]);
        assert!(code == 0 && out.contains("Usage: cxsink"), "{command}: {out}");
    }
    let (code, out, _) = run(directory.path(), &["--version"]);
    assert_eq!((code, out.trim()), (0, concat!("cxsink ", env!("CARGO_PKG_VERSION"))));
    assert_eq!(run(directory.path(), &["sing"]).0, 2);
}

#[test]
fn the_version_says_more_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [["--version", "--verbose"], ["-v", "-V"]] {
        let (code, out, _) = run(directory.path(), &arguments);
        assert_eq!(
            (code, out.lines().next()),
            (0, Some(concat!("cxsink ", env!("CARGO_PKG_VERSION")))),
            "{arguments:?}"
        );
        for said in ["commit", "system    x86_64-linux", "profile   debug", "SQLite    3.", "rustls"] {
            assert!(out.contains(said), "{said} is not in {out}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let (code, _, err) = run(directory.path(), &["manual-pages", "."]);
    assert_eq!(code, 0, "{err}");
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect(name);
    let (_, help, _) = run(directory.path(), &["--help"]);
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let commands: Vec<&str> = listed
        .lines()
        .filter(is_name)
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() > 12, "{commands:?}");
    for command in commands {
        let text = page(&format!("cxsink-{command}.1"));
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{command}: {text}");
        assert!(page("cxsink.1").contains(&command.replace('-', "\\-")), "cxsink.1 does not name {command}");
    }
    page("cxsink-dead-letters-list.1");
    let (code, _, err) = run(directory.path(), &["manual-pages", "nowhere"]);
    assert!(code == 2 && err.contains("nowhere") && err.contains("existing folder"), "{err}");
}

#[test]
fn a_shell_completes_commands_options_and_values() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (code, out, err) = run(directory.path(), &["completions", shell]);
        assert!(code == 0 && out.contains("dead-letters") && out.contains("peek-stream"), "{shell}: {out}{err}");
        std::fs::write(directory.path().join(shell), out).unwrap();
    }
    for (words, last, expected) in [
        ("cxsink dead", 1, "dead-letters"),
        ("cxsink dead-letters purge --exp", 3, "--exported"),
        ("cxsink completions z", 2, "zsh"),
        ("cxsink --env", 1, "--env-file"),
    ] {
        let script = format!(
            "source ./bash; COMP_WORDS=({words}); COMP_CWORD={last}; \
             _cxsink cxsink \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{last}-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let mut bash = std::process::Command::new("bash");
        let (code, out, err) = output(bash.current_dir(directory.path()).args(["--norc", "-c", &script]));
        assert_eq!((code, out.trim()), (0, expected), "{words}: {err}");
    }
    assert_eq!(run(directory.path(), &["completions", "tcsh"]).0, 2);
}

#[test]
fn wrong_configuration_is_exit_code_2_and_names_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], says: &[&str]| {
        let (code, _, err) = run(directory.path(), arguments);
        assert_eq!(code, 2, "{arguments:?}: {err}");
        for text in says {
            assert!(err.contains(text), "{arguments:?}: {err} does not say {text}");
        }
    };
    std::fs::write(directory.path().join("cxsink.toml"), "[batch]\nevents_max = 100\nevnets_max = 7\n").unwrap();
    check(&["init-db"], &["cxsink.toml:3", "evnets_max", "batch.events_max"]);
    std::fs::remove_file(directory.path().join("cxsink.toml")).unwrap();
    check(&["init-db", "--config", "nowhere.toml"], &["nowhere.toml"]);
    check(&["init-db", "--set", "spool.byte_max=1GiB"], &["spool.byte_max", "spool.bytes_max"]);
    check(&["init-db", "--set", "spool"], &["="]);
    check(&["run"], &["no stream", "CXONE_STREAM_ID"]);
    let (code, _, err) = output(cxsink(directory.path()).arg("init-db"));
    assert!(code == 2 && err.contains("destination.url is missing") && err.contains("DATABASE_URL"), "{err}");
    let (code, _, err) = output(cxsink(directory.path()).arg("init-db").env("CXSINK_SPOOL__SYNC", "always"));
    assert!(code == 2 && err.contains("CXSINK_SPOOL__SYNC") && err.contains("power-loss"), "{err}");
}

#[test]
fn import_writes_json_lines_to_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (code, out, _) = run(path, &["init-db", "--print"]);
    assert!(
        code == 0 && out.contains("CREATE TABLE IF NOT EXISTS \"cxone_events\"") && out.contains("cxsink_checkpoint"),
        "{out}"
    );
    assert!(!path.join("table.db").exists(), "printing creates nothing");
    let (code, _, err) = run(path, &["import", "-"]);
    assert!(code == 1 && err.contains("no table") && err.contains("init-db"), "{err}");
    assert_eq!(run(path, &["init-db"]).0, 0);
    assert_eq!(run(path, &["init-db"]).0, 0, "a second time is not an error");

    std::fs::write(path.join("events.jsonl"), format!("{VALID}\n\nnot json\n{{\"type\":\"fax\"}}\n{VALID}\n")).unwrap();
    let (code, out, _) = run(path, &["validate", "events.jsonl"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("line 3: the event is not JSON")
            && out.contains("line 4: /type")
            && out.contains("2 valid, 2 invalid"),
        "{out}"
    );
    let wide = VALID.replace(":7", ":7.5");
    assert_ne!(wide, VALID);
    std::fs::write(path.join("columns.jsonl"), format!("{VALID}\n{{\"type\":\"fax\"}}\n{wide}\n")).unwrap();
    let (code, out, err) = run(path, &["validate", "--columns", "columns.jsonl"]);
    assert!(code == 1 && out.contains("1 valid, 2 invalid") && out.contains("line 2: /type"), "{out}{err}");
    assert!(out.contains("line 3: /attributes/duration: is not a whole number (column \"duration\")"), "{out}");
    let (code, _, err) = run(path, &["import", "events.jsonl"]);
    assert_eq!(code, 0, "{err}");
    for line in ["received           4", "inserted           1", "dead letters       2", "pending            0"] {
        assert!(err.contains(line), "{err} does not say {line}");
    }
    let count: i64 = rusqlite::Connection::open(path.join("table.db"))
        .unwrap()
        .query_row("SELECT duration FROM cxone_events", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 7);
    assert_eq!(run(path, &["import", "missing.jsonl"]).0, 2);

    let (code, out, _) = run(path, &["dead-letters", "list"]);
    assert!(code == 0 && out.contains("json") && out.contains("schema") && out.contains("2 of 2"), "{out}");
    let (code, out, _) = run(path, &["dead-letters", "show", "2"]);
    assert!(code == 0 && out.contains("required") && out.contains(r#"{"type":"fax"}"#), "{out}");
    let (code, _, err) = run(path, &["dead-letters", "show", "99"]);
    assert!(code == 2 && err.contains("99"), "{err}");
    let (code, out, _) = run(path, &["dead-letters", "export"]);
    let exported: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, exported.len()), (0, 2));
    assert_eq!((&exported[0]["event"], &exported[1]["stage"]), (&"not json".into(), &"schema".into()));
    let (code, out, _) = run(path, &["dead-letters", "list", "--limit", "1"]);
    assert!(code == 0 && out.contains("1 of 2") && out.contains("--from 2"), "{out}");
    let (code, out, _) = run(path, &["dead-letters", "export", "letters.jsonl"]);
    assert!(code == 0 && out.contains("2 dead letters exported"), "{out}");
    std::fs::write(path.join("letters.jsonl"), "of last week").unwrap();
    let (code, _, err) = run(path, &["dead-letters", "export", "letters.jsonl"]);
    assert!(code == 2 && err.contains("letters.jsonl") && err.contains("name a new file"), "{err}");
    assert_eq!(std::fs::read_to_string(path.join("letters.jsonl")).unwrap(), "of last week");
    let (code, _, err) = run(path, &["dead-letters", "list", "--set", "spool.path=none.db"]);
    assert!(code == 1 && err.contains("none.db"), "{err}");
}

#[test]
fn every_line_of_a_json_log_is_json() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["init-db"]);
    std::fs::write(directory.path().join("events.jsonl"), "bad\n").unwrap();
    let (_, _, err) = run(directory.path(), &["import", "events.jsonl", "--log-format", "json"]);
    let mut lines: Vec<serde_json::Value> = err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sum = lines.pop().unwrap();
    assert_eq!((&sum["stats"]["received"], &sum["stats"]["dead_lettered"]), (&1.into(), &1.into()), "{err}");
    assert!(
        lines.iter().any(|line| line["level"] == "warn" && line["message"].as_str().unwrap().contains("dead letter")),
        "{err}"
    );
    assert!(lines.iter().all(|line| line["time"].as_str().unwrap().ends_with('Z')), "{err}");
}

/// A simulator in one process, the sink in another.
#[test]
fn a_signal_drains_the_spool_and_ends_with_exit_code_0() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert_eq!(run(path, &["init-db"]).0, 0);
    let mut simulator = Running::start(cxsink(path).args(["simulate", "--events", "500", "--binary=true"]));
    let settings: Vec<(String, String)> = (0..5)
        .map(|_| simulator.line())
        .map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
        .collect();
    let start = |destination: &str| {
        Running::start(cxsink(path).envs(settings.clone()).env("CXSINK_DESTINATION__URL", destination).arg("run"))
    };
    let mut sink = start("sqlite:table.db");
    let table = rusqlite::Connection::open(path.join("table.db")).unwrap();
    table.busy_timeout(support::postgres::PATIENCE).unwrap();
    let until = std::time::Instant::now() + support::postgres::PATIENCE;
    while table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get::<_, i64>(0)).unwrap() < 500 {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
    // One process at a time: the second one names the first.
    let mut second = start("sqlite:table.db");
    let (code, err) = second.wait();
    assert!(code == 1 && err.contains(&format!("process {}", sink.child.id())), "{err}");
    sink.signal("INT");
    let (code, err) = sink.wait();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("received           500"), "{err}");

    simulator.signal("TERM");
    let report: serde_json::Value = serde_json::from_str(&simulator.line()).unwrap();
    assert_eq!(report["events"], 500);
    assert_eq!(simulator.wait().0, 0);
}

#[test]
fn the_simulator_lists_its_options_and_refuses_others() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, _) = run(directory.path(), &["simulate", "--list"]);
    assert!(code == 0 && out.contains("--token-failures"), "{out}");
    assert!(out.contains("Closes the stream after N events") && out.contains("[default: never]"), "{out}");
    let (code, _, err) = run(directory.path(), &["simulate", "--evnts", "5"]);
    assert!(code == 2 && err.contains("events"), "{err}");
    let (code, _, err) = run(directory.path(), &["simulate", "--events"]);
    assert!(code == 2 && err.contains("--list"), "{err}");
}

/// As in `cxsink validate … | head`.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("events.jsonl"), "bad\n".repeat(20_000)).unwrap();
    let mut process = Running::start(cxsink(directory.path()).args(["validate", "events.jsonl"]));
    process.line();
    process.close_stdout();
    let (code, err) = process.wait();
    assert!(code == 1 && err.is_empty(), "{code} {err}");
}

#[test]
fn the_demo_prints_counters_rows_and_a_dead_letter() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = output(cxsink(directory.path()).args(["demo", "--events", "3000"]));
    assert_eq!(code, 0, "{out}{err}");
    for said in [
        "received",
        "inserted",
        "coalesced",
        "reconnects         1",
        "events/s",
        "p99",
        "interaction_id",
        "The first dead letter",
        "reason",
        " keys ✓",
        " invalid events ✓",
    ] {
        assert!(out.contains(said), "{said} is not in {out}");
    }
}

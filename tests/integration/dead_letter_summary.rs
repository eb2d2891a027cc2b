//! The summary of dead letters: it names the change of the schema or table that makes a replay succeed, and shows no payload.

use std::path::Path;

use cxsink::dead_letters::{DeadLetters, Selection, Stage};
use cxsink::{Config, Sink};

use crate::support;
use crate::support::process::{cxsink, output};

fn event(key: &str, kind: &str, more: &str) -> String {
    format!(
        r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"{kind}","idempotencyKey":"{key}"{more}}}"#
    )
}

/// A running sink on a table of its own that refuses the duration 7, with these dead letters.
fn bench(lines: &[String], config: impl FnOnce(&mut Config)) -> (tempfile::TempDir, Config, Sink) {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("table.db");
    let mut settings = support::config(directory.path(), &format!("sqlite:{}", table.display()));
    cxsink::init_db(&settings).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON cxone_events WHEN new.duration = 7
        BEGIN SELECT RAISE(ABORT, 'no sevens'); END";
    rusqlite::Connection::open(&table).unwrap().execute_batch(refuse).unwrap();
    config(&mut settings);
    let sink = Sink::open(&settings).unwrap();
    sink.start().unwrap();
    sink.import(lines.join("\n").as_bytes()).unwrap();
    support::wait_until("the dead letters", || sink.stats().dead_lettered == lines.len() as u64);
    (directory, settings, sink)
}

fn shown(directory: &Path, arguments: &[&str]) -> String {
    let mut command = cxsink(directory);
    command.env("CXSINK_SPOOL__PATH", "spool.db").args(["dead-letters", "summary"]).args(arguments);
    let (code, out, err) = output(&mut command);
    assert_eq!(code, 0, "{out}{err}");
    out
}

#[test]
fn a_summary_beside_a_running_sink_shows_reasons_changes_and_no_payload() {
    let lines = [
        event("a", "call", r#","channel":"SECRET""#),
        event("b", "SECRET", r#","channel":"SECRET""#),
        event("c", "call", r#","attributes":{"duration":"SECRET"}"#),
        event("d", "call", r#","attributes":{"duration":7}"#),
        "{SECRET".to_owned(),
    ];
    let (directory, config, _sink) = bench(&lines, |_| {});
    let out = shown(directory.path(), &[]);
    for expected in [
        "2 dead letters  schema  (event)  additionalProperties",
        "1 dead letter  schema  /type  enum",
        "1 dead letter  schema  /attributes/duration  type",
        r#"change   [{"op":"add","path":"/properties/channel","value":{}}]"#,
        r#"change   [{"op":"replace","path":"/properties/attributes/properties/duration/type","value":["number","null","string"]}]"#,
        "schema.additional_properties = \"keep\"",
        "(--values shows it)",
        "1 dead letter  database",
        "1 dead letter  json",
        "5 dead letters in 5 groups",
    ] {
        assert!(out.contains(expected), "{out} does not say {expected}");
    }
    let json = shown(directory.path(), &["--json"]);
    for out in [&out, &json] {
        assert!(!out.contains("SECRET"), "{out}");
    }
    let with_values = shown(directory.path(), &["--values", "--json"]);
    let summary = cxsink::dead_letters::summary(&config, true).unwrap();
    assert_eq!(with_values.trim(), summary.to_json());
    let change = r#"{"op":"add","path":"/properties/type/enum/-","value":"SECRET"}"#;
    assert!(summary.groups.iter().any(|group| group.patch == [change]), "{summary:?}");
    // Names and values of events are cut off nowhere else: only the change of the enum has one.
    assert_eq!(with_values.matches("SECRET").count(), 1, "{with_values}");
}

#[test]
fn what_the_changed_schema_accepts_is_told_before_the_replay_and_replayed_after_it() {
    let lines = [event("a", "call", r#","channel":1"#), event("b", "fax", ""), event("c", "call", r#","extra":1"#)];
    let (directory, mut config, sink) = bench(&lines, |_| {});
    drop(sink);
    let before = cxsink::dead_letters::summary(&config, false).unwrap();
    assert_eq!((before.dead_letters, before.accepted_now, before.groups.len()), (3, 0, 3));

    config.set("schema.additional_properties", "keep").unwrap();
    let summary = cxsink::dead_letters::summary(&config, false).unwrap();
    assert_eq!((summary.dead_letters, summary.accepted_now, summary.groups.len()), (3, 2, 1), "{summary:?}");
    assert_eq!(summary.groups[0].keyword.as_deref(), Some("enum"));
    let out = shown(directory.path(), &["--set", "schema.additional_properties=keep"]);
    assert!(out.contains("2 dead letters the schema accepts now"), "{out}");

    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    assert_eq!(sink.replay(&Selection::All).unwrap().replayed, 2);
    let after = cxsink::dead_letters::summary(&config, false).unwrap();
    assert_eq!((after.dead_letters, after.accepted_now, after.groups.len()), (1, 0, 1), "{after:?}");
    assert_eq!(DeadLetters::open(&config).unwrap().count().unwrap(), 3);
}

#[test]
fn a_summary_of_many_dead_letters_counts_each_and_stays_small() {
    let mut lines: Vec<_> =
        (0..1300).map(|n| event(&format!("k{n}"), "call", &format!(r#","customer-{n}":1"#))).collect();
    lines.extend((0..1300).map(|n| event(&format!("l{n}"), "fax", "")));
    let (directory, config, _sink) = bench(&lines, |_| {});
    let summary = cxsink::dead_letters::summary(&config, false).unwrap();
    assert_eq!((summary.dead_letters, summary.groups.len()), (2600, 1000));
    assert_eq!(summary.groups.iter().map(|group| group.dead_letters).sum::<u64>() + summary.ungrouped, 2600);
    assert!(summary.groups.iter().all(|group| group.stage == Stage::Schema && group.first_at <= group.last_at));
    let out = shown(directory.path(), &[]);
    assert!(out.contains("2,600 dead letters in 1,000 groups") && out.contains("have reasons beside these groups"));

    let empty = tempfile::tempdir().unwrap();
    let config = support::config(empty.path(), "sqlite:table.db");
    assert!(cxsink::dead_letters::summary(&config, false).unwrap_err().message().contains("no such file"));
}

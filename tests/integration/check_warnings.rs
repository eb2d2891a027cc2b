//! `check` reports what works now and will not for long: a schema that checks less than it seems to, and dead letters that fill up.

use std::fs;
use std::path::Path;

use cxsink::check::{CheckArea, CheckReport, CheckStatus, CheckStep};
use cxsink::dead_letters::DeadLetters;
use cxsink::{Config, Sink};

use crate::support;
use crate::support::process::{cxsink, output};

fn config(directory: &Path) -> Config {
    support::config(directory, &format!("sqlite:{}", directory.join("events.db").display()))
}

fn step<'a>(report: &'a CheckReport, name: &str) -> &'a CheckStep {
    report.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("{name}: {}", report.to_json()))
}

#[test]
fn places_of_a_schema_that_check_nothing_are_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("schema.json");
    fs::write(&file, r#"{"properties":{"a":{"maxLenght":3}},"format":"url"}"#).unwrap();
    let mut config = config(directory.path());
    config.schema.file = Some(file);
    let report = cxsink::check(&config, &[], |_| {});
    let found = step(&report, "schema");
    assert_eq!(found.status, CheckStatus::Warning, "{found:?}");
    for said in ["maxLenght is unknown", "(at /properties/a)", "the format url is unknown", "(at the top)"] {
        assert!(found.message.contains(said), "{found:?} does not say {said}");
    }
    assert!(found.hint.as_deref().unwrap().contains("correct these places"), "{found:?}");
    assert!(report.is_ok(), "a warning is no failure");

    let mut command = cxsink(directory.path());
    let (code, out, err) = output(
        command
            .env("CXSINK_SCHEMA__FILE", "schema.json")
            .env("CXSINK_DESTINATION__URL", "sqlite:events.db")
            .args(["check", "--only", "spool"]),
    );
    assert!(code == 0 && out.contains("! schema") && out.contains("maxLenght"), "{code} {out}{err}");
}

#[test]
fn dead_letters_near_their_limit_are_a_warning_and_full_ones_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let lines: Vec<String> = (0..1000).map(|number| format!(r#"{{"wrong":{number}}}"#)).collect();
    sink.import(lines.join("\n").as_bytes()).unwrap();
    sink.close().unwrap();
    drop(sink);
    let found = |config: &Config| {
        let report = cxsink::check(config, &[CheckArea::Spool], |_| {});
        let found = step(&report, "spool.dead_letters").clone();
        assert!(found.message.starts_with("1000 dead letters take "), "{found:?}");
        assert_eq!(report.is_ok(), found.status != CheckStatus::Failed);
        (found.status, found.hint.unwrap_or_default())
    };
    let spool = rusqlite::Connection::open(&config.spool.path).unwrap();
    let space: u64 = spool.query_row("SELECT dead_letter_space FROM spool", [], |row| row.get(0)).unwrap();
    drop(spool);
    assert_eq!(found(&config), (CheckStatus::Passed, String::new()));
    config.dead_letters.bytes_max = space / 9 * 10;
    let (status, hint) = found(&config);
    assert!(status == CheckStatus::Warning && hint.contains("dead-letters export"), "{status:?} {hint}");
    config.dead_letters.bytes_max = space + 100;
    let (status, hint) = found(&config);
    assert!(status == CheckStatus::Failed && hint.contains("dead-letters export"), "{status:?} {hint}");

    // The sink may delete those that were exported.
    let letters = DeadLetters::open(&config).unwrap();
    letters.mark_exported(&(0..1000).collect::<Vec<u64>>()).unwrap();
    assert_eq!(found(&config), (CheckStatus::Passed, String::new()));
}

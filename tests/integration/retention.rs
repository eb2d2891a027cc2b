//! `retention.dead_letters`: dead letters that are too old are deleted by the running sink, and on request; none that may be replayed.

use std::path::Path;
use std::time::Duration;

use cxsink::dead_letters::DeadLetters;
use cxsink::{Config, Sink};
use rusqlite::Connection;

use crate::support;
use crate::support::process::{cxsink, output};

const DAY: i64 = 86_400_000_000;

/// A spool with this many dead letters, the first of which were rejected so many days ago.
fn aged(folder: &Path, days: &[i64]) -> Config {
    let config = support::config(folder, &format!("sqlite:{}", folder.join("table.db").display()));
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.import("{}\n".repeat(days.len()).as_bytes()).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    sink.close().unwrap();
    drop(sink);
    let file = Connection::open(&config.spool.path).unwrap();
    for (offset, days) in days.iter().enumerate() {
        let update = "UPDATE dead_letters SET rejected_at = rejected_at - ?2 WHERE offset = ?1";
        assert_eq!(file.execute(update, (offset, days * DAY)).unwrap(), 1);
    }
    config
}

fn offsets(config: &Config) -> Vec<u64> {
    let letters = DeadLetters::open(config).unwrap().list(0, 10_000).unwrap();
    letters.iter().map(|letter| letter.offset).collect()
}

#[test]
fn dead_letters_that_are_too_old_go_whether_they_were_seen_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = aged(directory.path(), &[40, 1, 31, 29, 0]);
    DeadLetters::open(&config).unwrap().mark_exported(&[0, 3]).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.close().unwrap();
    drop(sink);
    assert_eq!(offsets(&config), [0, 1, 2, 3, 4], "none goes without the setting");

    config.set("retention.dead_letters", "30d").unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    support::wait_until("the old ones are gone", || offsets(&config) == [1, 3, 4]);
    let stats = support::balanced(&sink);
    assert_eq!((stats.dead_lettered, stats.pending), (0, 0));
    sink.close().unwrap();
}

#[test]
fn many_old_ones_go_in_pages() {
    let directory = tempfile::tempdir().unwrap();
    // More than a page of young ones before those at the end.
    let is_old = |offset: u64| offset % 7 == 3 || offset > 2600;
    let days: Vec<i64> = (0..5000).map(|offset| if is_old(offset) { 50 } else { 1 }).collect();
    let mut config = aged(directory.path(), &days);
    config.retention.dead_letters = Some(Duration::from_secs(30 * 86_400));
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let expected: Vec<u64> = (0..5000).filter(|offset| !is_old(*offset)).collect();
    support::wait_until("the old ones are gone", || offsets(&config) == expected);
    sink.close().unwrap();
}

#[test]
fn none_goes_while_a_replay_is_requested() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = aged(directory.path(), &[40, 40]);
    let file = Connection::open(&config.spool.path).unwrap();
    // One that no process carries out: it names an offset that is not reached.
    let request =
        "INSERT INTO replay_requests (offsets, is_forced, next_from, requested_at) VALUES ('[0]', FALSE, 0, 0)";
    config.set("retention.dead_letters", "30d").unwrap();
    let sink = Sink::open(&config).unwrap();
    // The sink is started, and deletes nothing before the request is carried out: the letter is still there to be judged.
    file.execute(request, []).unwrap();
    sink.start().unwrap();
    let done = "SELECT rejected + 10 * skipped FROM replay_requests WHERE done_at IS NOT NULL";
    let judged = || file.query_row(done, [], |row| row.get::<_, u64>(0)).ok();
    support::wait_until("the request is carried out", || judged().is_some());
    assert_eq!(judged(), Some(1), "it was judged again, not skipped");
    support::wait_until("then they go", || offsets(&config).is_empty());
    sink.close().unwrap();
}

#[test]
fn purge_takes_an_age() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let config = aged(folder, &[40, 40, 1]);
    DeadLetters::open(&config).unwrap().mark_exported(&[0, 2]).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = cxsink(folder);
        command.env("CXSINK_SPOOL__PATH", "spool.db").env("CXSINK_DESTINATION__URL", "sqlite:table.db");
        output(command.args(["dead-letters", "purge"]).args(arguments))
    };
    let (code, out, err) = run(&["--older-than", "30d"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("1 dead letter deleted") && out.contains("neither exported nor replayed"), "{out}");
    assert_eq!(offsets(&config), [1, 2]);
    let (code, _, err) = run(&["--older-than", "30"]);
    assert!(code == 2 && err.contains("no unit"), "{err}");
}

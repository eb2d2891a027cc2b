//! A spool is its file and its owner: in however many copies, nothing is dropped that was not written.
#![cfg(unix)]

use std::fs;
use std::ops::Range;
use std::path::Path;

use cxsink::{Config, Error, Notice, State};

use crate::support;
use crate::support::postgres::TestDatabase;
use crate::support::proxy::Proxy;
use crate::support::spool::{events, open, prepare, started, stored};

/// The events that each of two sinks takes in a round.
const ROUND: u32 = 475;

fn is_conflict(error: &Error) {
    assert!(error.message().contains("another sink owns it"), "{error:?}");
    assert!(error.hint().unwrap().contains("cxsink renew-spool"), "{error:?}");
}

/// Appends `events` to a spool whose sink is refused, as a unit does that starts it again and again.
fn refused(config: &Config, spool: &Path, events: &[String]) {
    let sink = open(config, spool);
    sink.ingest_many(events, None).unwrap();
    is_conflict(&sink.start().unwrap_err());
    assert_eq!(sink.state(), State::Failed);
    sink.close().unwrap_err();
}

/// Two sinks on copies of one file: the one that comes second is refused at each start, whatever is in its file, and nothing of it
/// counts as written. 10,000 events.
#[test]
fn of_copies_in_a_restart_loop_nothing_is_lost() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let [first, second] = ["a.db", "b.db"].map(|name| directory.path().join(name));
    let sink = started(&config, &first);
    sink.ingest_many(events(0..500), None).unwrap();
    support::wait_quiet(&sink);
    sink.close().unwrap();
    drop(sink);
    fs::copy(&first, &second).unwrap();

    for round in 0..10 {
        let begin = 500 + round * 2 * ROUND;
        let sink = started(&config, &first);
        sink.ingest_many(events(begin..begin + ROUND), None).unwrap();
        refused(&config, &second, &events(begin + ROUND..begin + 2 * ROUND));
        support::wait_quiet(&sink);
        assert_eq!(sink.stats().last_error, None);
        sink.close().unwrap();
    }
    assert_eq!(stored(&database), 500 + 10 * ROUND);

    let mut config = config;
    config.spool.path = second.clone();
    cxsink::renew_spool(&config).unwrap();
    let sink = started(&config, &second);
    support::wait_quiet(&sink);
    assert_eq!((sink.stats().recovered, stored(&database)), (u64::from(10 * ROUND), 10_000));
    sink.close().unwrap();
    drop(sink);
    let sink = started(&config, &first);
    assert_eq!(sink.stats().recovered, 0);
    sink.close().unwrap();
}

/// The copy connects first, so it is the first sink that is refused: while it runs, and then at each start. What it had spooled while
/// the database was away is not taken for what the copy wrote in the meantime.
#[test]
fn a_copy_that_takes_the_checkpoint_over_takes_no_event() {
    let database = TestDatabase::new();
    let proxy = Proxy::new(database.address());
    let (directory, config) = prepare(&database.url_through(proxy.address));
    let [first, second] = ["a.db", "b.db"].map(|name| directory.path().join(name));
    let sink = started(&config, &first);
    sink.ingest_many(events(0..100), None).unwrap();
    support::wait_quiet(&sink);
    let spool = rusqlite::Connection::open(&first).unwrap();
    spool.execute("VACUUM INTO ?1", [second.to_str().unwrap()]).unwrap();

    proxy.refuse(true);
    proxy.cut_all();
    sink.ingest_many(events(100..250), None).unwrap();
    support::wait_for_state(&sink, State::Stalled);
    let mut direct = config.clone();
    direct.set("destination.url", &database.url()).unwrap();
    let copy = started(&direct, &second);
    copy.ingest_many(events(250..500), None).unwrap();
    support::wait_quiet(&copy);

    proxy.refuse(false);
    support::wait_for_state(&sink, State::Failed);
    is_conflict(&sink.failure().unwrap());
    let stats = support::balanced(&sink);
    assert_eq!((stats.pending, stats.confirmed), (150, 0), "{stats:?}");
    drop((sink, spool));
    for round in 0..3 {
        refused(&config, &first, &events(500 + round..501 + round));
    }
    support::wait_quiet(&copy);
    assert_eq!(copy.stats().last_error, None);
    copy.close().unwrap();
    assert_eq!(stored(&database), 350);

    let mut config = config;
    config.spool.path = first.clone();
    cxsink::renew_spool(&config).unwrap();
    let sink = started(&config, &first);
    support::wait_quiet(&sink);
    assert_eq!(stored(&database), 503);
    sink.close().unwrap();
}

/// The destination is restored from a backup, with an older owner of this spool: a loss, which is reported, and no conflict.
#[test]
fn a_restored_destination_is_a_regression_and_no_conflict() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let spool = directory.path().join("a.db");
    let run = |range: Range<u32>| {
        let sink = started(&config, &spool);
        sink.ingest_many(events(range), None).unwrap();
        support::wait_quiet(&sink);
        sink
    };
    run(0..10).close().unwrap();
    database.execute("CREATE TABLE kept AS SELECT * FROM cxsink_checkpoint");
    run(10..20).close().unwrap();
    let sink = run(20..30);
    // While it runs, and before a start.
    let restore = "TRUNCATE cxsink_checkpoint; INSERT INTO cxsink_checkpoint SELECT * FROM kept";
    database.execute(restore);
    sink.ingest_many(events(30..40), None).unwrap();
    let lost = |notice| match notice {
        Notice::Error(error) if error.message().contains("lost 20 events") => Some(()),
        _ => None,
    };
    support::wait_for_notice(&sink, "the loss of a running sink", lost);
    support::wait_quiet(&sink);
    sink.close().unwrap();
    database.execute(restore);
    let sink = run(40..50);
    assert!(sink.stats().last_error.unwrap().contains("lost 30 events"));
    assert_eq!((stored(&database), sink.gaps().unwrap().len()), (50, 2));
    sink.close().unwrap();
}

/// A row that somebody deletes while the sink runs is created again, and that is reported.
#[test]
fn a_deleted_checkpoint_is_reported() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let sink = started(&config, &directory.path().join("a.db"));
    sink.ingest_many(events(0..10), None).unwrap();
    support::wait_quiet(&sink);
    database.execute("DELETE FROM cxsink_checkpoint");
    sink.ingest_many(events(10..20), None).unwrap();
    support::wait_quiet(&sink);
    assert!(sink.stats().last_error.unwrap().contains("no checkpoint of this spool"));
    assert_eq!((stored(&database), sink.gaps().unwrap().len()), (20, 1));
    assert_eq!(database.query("SELECT position FROM cxsink_checkpoint"), ["20"]);
    sink.close().unwrap();
}

/// The file is restored from a backup: what the destination has under a later owner is not known to be the file's.
#[test]
fn a_restored_spool_is_a_conflict() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let [spool, backup] = ["a.db", "backup.db"].map(|name| directory.path().join(name));
    let run = |range: Range<u32>| {
        let sink = started(&config, &spool);
        sink.ingest_many(events(range), None).unwrap();
        support::wait_quiet(&sink);
        sink.close().unwrap();
    };
    run(0..10);
    fs::copy(&spool, &backup).unwrap();
    run(10..20);
    fs::copy(&backup, &spool).unwrap();
    refused(&config, &spool, &events(20..30));
    refused(&config, &spool, &[]);
    assert_eq!(stored(&database), 20);
}

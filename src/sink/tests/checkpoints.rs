//! The checkpoint and the spool: what was committed before is not written again, and nothing else is taken for it.

use std::path::Path;

use rusqlite::Connection;

use super::super::*;
use super::bench::*;
use crate::destination::sqlite::init_db_sql;
use crate::error::Class;

#[test]
fn spooled_events_are_recovered_and_committed_once() {
    let bench = Bench::new();
    {
        let sink = bench.open();
        for n in 0..3 {
            sink.ingest(event(&format!("k{n}"), n).as_bytes()).unwrap();
        }
        sink.close_within(Duration::MAX).unwrap();
        assert_eq!(sink.stats().pending, 3, "never started, nothing lost");
    }
    // Committed, but the process ends before it receives the answer.
    {
        let sink = bench.open();
        bench.faults(&[Fault::After, Fault::Unreachable, Fault::Unreachable, Fault::Unreachable]);
        bench.start(&sink, &[], None);
        wait_for_state(&sink, State::Stalled);
        sink.close_within(Duration::from_secs(30)).unwrap();
        assert!(sink.stats().is_balanced());
    }
    sync::lock(&bench.faults).clear();
    bench.sql("UPDATE cxone_events SET duration = 99");
    let sink = bench.open();
    assert!(sink.stats().recovered <= 3);
    bench.start(&sink, &[], None);
    sink.ingest(event("new", 7).as_bytes()).unwrap();
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("k0", 99), ("k1", 99), ("k2", 99), ("new", 7)]), "applied once, not again");
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.inserted == 1 && stats.updated == 0, "{stats:?}");
}

#[test]
fn a_checkpoint_regression_is_reported_and_followed() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.sql("UPDATE cxsink_checkpoint SET position = 0");
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.inserted == 2, "{stats:?}");
    assert!(stats.last_error.unwrap().contains("lost 1 events"));
}

/// It is not known which of the lost events belonged to which partition.
#[test]
fn each_regressed_checkpoint_reports_its_own_partition() {
    let mut bench = Bench::new();
    bench.config.destination.connections = 2;
    let sink = bench.open();
    bench.start(&sink, &[], None);
    let ingest = |keys: std::ops::Range<i64>| {
        keys.for_each(|n| sink.ingest(event(&format!("k{n}"), n).as_bytes()).unwrap());
        assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    };
    ingest(0..20);
    bench.sql("UPDATE cxsink_checkpoint SET position = 0");
    ingest(20..40);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows().len(), 40);
    let mut reported = Vec::new();
    while let Poll::Notice(notice) = sink.poll(None).unwrap() {
        if let Notice::Error(error) = notice {
            reported.push(error.to_string());
        }
    }
    reported.sort();
    let [first, second] = &reported[..] else { panic!("{reported:?}") };
    assert!(first.contains("lost the share of connection 1 of 2 in "), "{reported:?}");
    assert!(second.contains("lost the share of connection 2 of 2 in "), "{reported:?}");
    assert_eq!(sink.gaps().unwrap().len(), 2);
}

/// A copied spool file, and so two sinks with one id: the second one must not take the first one's progress for its own.
/// An in-doubt transaction of an earlier process can move the checkpoint until this process has committed something, not later.
#[test]
fn after_a_commit_a_moved_checkpoint_ends_the_sink() {
    let mut bench = Bench::new();
    bench.config.batch.events_max = 1;
    let sink = bench.open();
    for n in 0..3 {
        sink.ingest(event(&format!("k{n}"), n).as_bytes()).unwrap();
    }
    sink.close_within(Duration::MAX).unwrap();
    drop(sink);
    bench.sql(
        "CREATE TRIGGER other_sink AFTER INSERT ON cxone_events WHEN NEW.idempotency_key = 'k1' BEGIN
             UPDATE cxsink_checkpoint SET position = 3; END",
    );
    let sink = bench.open();
    bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Failed);
    assert!(sink.failure().unwrap().hint().unwrap().contains("copy of this spool"));
    let stats = sink.stats();
    assert!(stats.is_balanced() && (stats.recovered, stats.inserted, stats.pending) == (3, 2, 1), "{stats:?}");
}

#[test]
fn a_checkpoint_moved_by_another_process_ends_the_sink_and_drops_nothing() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.sql("UPDATE cxsink_checkpoint SET position = 7");
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    wait_for_state(&sink, State::Failed);
    let failure = sink.failure().unwrap();
    assert!(failure.hint().unwrap().contains("copy of this spool"), "{failure:?}");
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.pending == 1, "{stats:?}");
}

/// The table of checkpoints is created while the sink runs: no event is written again, now or at the next start.
#[test]
fn a_checkpoint_table_created_later_is_used() {
    let bench = Bench::new();
    bench.sql("DROP TABLE cxsink_checkpoint");
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.sql(&init_db_sql("cxone_events", None));
    bench.faults(&[Fault::Before(Class::Transient)]);
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    sink.0.engine.spool.wait_drained(Duration::from_secs(30));
    sink.close_within(Duration::from_secs(30)).unwrap();
    drop(sink);
    assert_eq!(batches.iter().count(), 3);
    bench.sql("UPDATE cxone_events SET duration = 99");
    bench.run(&[&[event("c", 3)]]);
    assert_eq!(bench.rows(), rows(&[("a", 99), ("b", 99), ("c", 3)]));
}

/// A dead letter kept before the batch was committed decides the event, even if it is valid now.
#[test]
fn an_event_with_a_dead_letter_stays_out_of_the_table() {
    let mut bench = Bench::new();
    let unknown_member = event("a", 1).replacen('{', "{\"extra\":1,", 1);
    {
        bench.faults(&[Fault::Before(Class::Transient)]);
        bench.faults(&vec![Fault::Unreachable; 10_000]);
        let sink = bench.open();
        sink.import(format!("{unknown_member}\n{}", event("b", 2)).as_bytes()).unwrap();
        bench.start(&sink, &[], None);
        wait_for_state(&sink, State::Stalled);
        sink.close_within(Duration::from_secs(30)).unwrap();
        assert_eq!((sink.dead_letters(0, 9).unwrap().len(), sink.stats().pending), (1, 2));
    }
    sync::lock(&bench.faults).clear();
    bench.config.schema.additional_properties = crate::config::AdditionalProperties::Keep;
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("b", 2)]));
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.dead_lettered == 1 && stats.inserted == 1, "{stats:?}");
}

/// The machine goes down: the table has events that the file lost, and new events must not be taken for them.
#[test]
fn a_spool_that_lost_its_tail_loses_nothing_more() {
    let bench = Bench::new();
    let copy = bench.directory.path().join("copy.db");
    let copy_spool = |from: &Path, to: &Path| {
        assert!(!from.with_extension("db-wal").exists(), "a closed spool is one file");
        std::fs::copy(from, to).unwrap();
    };
    bench.run(&[&[event("a", 1)]]);
    // The next process reaches the destination: its owner is flushed, unlike its events.
    let sink = bench.open();
    bench.start(&sink, &[], None);
    Connection::open(&bench.config.spool.path).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    for lost in [event("b", 2), event("c", 3), event("d", 4)] {
        sink.ingest(lost.as_bytes()).unwrap();
    }
    sink.close_within(Duration::from_secs(30)).unwrap();
    drop(sink);
    assert_eq!(bench.rows().len(), 4);
    copy_spool(&copy, &bench.config.spool.path);
    // First a process that never reaches the destination, then one that does.
    let sink = bench.open();
    sink.ingest(event("e", 5).as_bytes()).unwrap();
    sink.close_within(Duration::MAX).unwrap();
    drop(sink);
    bench.run(&[&[event("f", 6)]]);
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 6)]));
}

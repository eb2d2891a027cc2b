//! Faults of the destination: every event is committed once, in order, or is a dead letter.

use super::super::*;
use super::bench::*;
use crate::error::Class;
use crate::report::dead_letter::Stage;

#[test]
fn every_event_reaches_the_table_and_is_accounted_for() {
    let bench = Bench::new();
    let stats = bench
        .run(&[&[event("a", 1), event("b", 2), event("a", 3)], &[event("b", 4), "not json".into(), event("c", 5)]]);
    assert_eq!(bench.rows(), rows(&[("a", 3), ("b", 4), ("c", 5)]));
    assert_eq!((stats.received, stats.inserted, stats.dead_lettered, stats.pending), (6, 3, 1, 0));
    assert_eq!(stats.updated + stats.coalesced, 2);
    assert_eq!(stats.state, State::Closed);
    assert!(stats.latency.max > Duration::ZERO && stats.latency.p50 <= stats.latency.max);
}

#[test]
fn after_an_outage_every_event_is_committed() {
    let bench = Bench::new();
    bench.faults(&[
        Fault::Unreachable,
        Fault::Unreachable,
        Fault::Before(Class::Transient),
        Fault::Unreachable,
        Fault::Before(Class::Mismatch),
    ]);
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Stalled);
    wait_for_state(&sink, State::Running);
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    sink.close_within(Duration::MAX).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 1)]));
    assert!(sink.stats().is_balanced() && sink.stats().last_error.unwrap().contains("injected"));
}

#[test]
fn after_a_conflict_the_batch_is_committed() {
    let bench = Bench::new();
    bench.faults(&[Fault::Before(Class::Conflict), Fault::Before(Class::Conflict)]);
    let stats = bench.run(&[&[event("a", 1)]]);
    assert_eq!((stats.inserted, stats.last_error), (1, None));
}

#[test]
fn after_a_lost_answer_the_table_is_the_same() {
    let bench = Bench::new();
    bench.faults(&[Fault::After]);
    let stats = bench.run(&[&[event("a", 1), event("b", 2), "bad".into()]]);
    assert_eq!((stats.confirmed, stats.inserted, stats.updated, stats.dead_lettered), (2, 0, 0, 1), "{stats:?}");
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
}

/// No event is left to write, so no later commit shows that the destination works again.
#[test]
fn after_a_lost_answer_the_sink_is_running_again() {
    let bench = Bench::new();
    bench.faults(&[Fault::After]);
    let sink = bench.open();
    let _batches = bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Running);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    wait_for_state(&sink, State::Stalled);
    wait_for_state(&sink, State::Running);
    // The batch is counted after the state has changed.
    sink.close_within(Duration::MAX).unwrap();
    let stats = sink.stats();
    assert_eq!((stats.confirmed, stats.pending), (1, 0), "{stats:?}");
}

/// Only the first comparison may find the checkpoint of other offsets, however often a connection breaks early.
#[test]
fn a_connection_that_breaks_early_changes_nothing() {
    let bench = Bench::new();
    bench.faults(&[Fault::Unprepared]);
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.faults(&[Fault::Before(Class::Transient), Fault::Unprepared]);
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    sink.close_within(Duration::MAX).unwrap();
    let stats = sink.stats();
    assert!(stats.is_balanced() && (stats.inserted, stats.updated, stats.recovered) == (2, 0, 0), "{stats:?}");
    drop(sink);
    assert_eq!(batches.iter().count(), 3, "one for each event, and the one that failed");
    let checkpoint: u64 =
        bench.connection().query_row("SELECT position FROM cxsink_checkpoint", [], |row| row.get(0)).unwrap();
    assert_eq!(checkpoint, 2);
}

#[test]
fn without_a_checkpoint_table_a_lost_answer_is_applied_again() {
    let bench = Bench::new();
    bench.sql("DROP TABLE cxsink_checkpoint");
    bench.faults(&[Fault::After]);
    let stats = bench.run(&[&[event("a", 1), event("b", 2)]]);
    assert_eq!((stats.confirmed, stats.updated), (0, 2));
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
}

#[test]
fn bad_rows_alone_become_dead_letters_in_order() {
    let bench = Bench::new();
    let sink = bench.open();
    let mut events: Vec<String> = (0..500).map(|n| event(&format!("k{:03}", n % 400), n)).collect();
    for bad in [7, 200, 201, 499] {
        events[bad] = event_of_agent(&format!("bad{bad}"), 0, "poison");
    }
    let batches = bench.start(&sink, &[&events], None);
    while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
    let dead_letters = sink.dead_letters(0, 100).unwrap();
    assert_eq!(dead_letters.iter().map(|letter| letter.offset).collect::<Vec<_>>(), [7, 200, 201, 499]);
    assert!(dead_letters.iter().all(|letter| letter.stage == Stage::Database
        && letter.sqlstate.as_deref() == Some("XX000")
        && letter.constraint.as_deref() == Some("no_poison")));
    assert_eq!(dead_letters[0].event.0, events[7].as_bytes());
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.dead_lettered == 4, "{stats:?}");
    let statements = batches.iter().count();
    assert!(statements <= 4 * 2 * 10, "{statements} statements for 4 bad rows in 500");
    let found = bench.rows();
    for n in 0..400 {
        let last = if n < 99 { n + 400 } else { n };
        let expected = ![7, 200, 201].contains(&n) || last != n;
        let row = found.iter().find(|(key, _)| *key == format!("k{n:03}"));
        assert_eq!(row.map(|(_, duration)| duration.unwrap()), expected.then_some(i64::from(last)), "k{n:03}");
    }
}

#[test]
fn after_a_change_of_the_table_events_go_into_the_new_columns() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    sink.0.engine.spool.wait_drained(Duration::from_secs(30));
    bench.sql("ALTER TABLE cxone_events DROP COLUMN attributes");
    bench.faults(&[Fault::Before(Class::Mismatch)]);
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    sink.ingest(event("c", 3).as_bytes()).unwrap();
    sink.0.engine.spool.wait_drained(Duration::from_secs(30));
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2), ("c", 3)]));
    assert!(sink.stats().is_balanced());
}

/// Ten events a statement finish in time, more do not.
#[test]
fn after_a_statement_timeout_a_smaller_batch_is_committed() {
    let bench = Bench::new();
    bench.faults(&[Fault::TooLong(10); 20]);
    let sink = bench.open();
    let events: Vec<String> = (0..100).map(|n| event(&format!("k{n:03}"), n)).collect();
    let batches = bench.start(&sink, &[&events], None);
    while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
    assert_eq!(bench.rows().len(), 100);
    assert!(sink.stats().is_balanced());
    drop(sink);
    assert!(batches.iter().count() < 40);
}

/// A long lock stalls the sink, and a stop does not wait for it.
#[test]
fn an_endless_conflict_stalls_the_sink() {
    let bench = Bench::new();
    bench.faults(&vec![Fault::Before(Class::Conflict); 10_000]);
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Stalled);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(sink.stats().pending, 1);
}

/// The stream has ended, and then the table changes: events prepared for the old definition are still committed.
#[test]
fn after_a_change_of_the_table_the_drain_continues() {
    let bench = Bench::new();
    bench.faults(&[Fault::Unreachable]);
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    bench.faults(&[Fault::DropColumn]);
    bench.start(&sink, &[&[event("b", 2)]], None);
    while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
    assert!(sink.stats().is_balanced());
}

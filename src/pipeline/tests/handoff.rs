//! The slot between preparer and writers.

use super::*;
use crate::config::{MappingConfig, UpdateMode};
use crate::rows::{Column, ColumnType, Table};

pub(crate) fn plan() -> Arc<Plan> {
    let columns = vec![Column::of("k", ColumnType::Text { chars_max: None })];
    let table = Table::of("t", columns, &["k"]);
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into())];
    mapping.key = vec!["k".into()];
    mapping.update = None;
    Arc::new(Plan::of(&mapping, UpdateMode::Always, &table).unwrap())
}

/// The offset after the batch in the slot.
pub(crate) fn end_of_slot(handoff: &Handoff) -> Option<u64> {
    handoff.state().slot.as_ref().map(|batch| batch.to)
}

fn batch(from: u64, epoch: u64) -> PreparedBatch {
    let assignment = Assignment { epoch, plan: plan(), partitions: 1, writers: 1 };
    PreparedBatch { to: from + 1, rejected: vec![2, 3, 7], ..PreparedBatch::new(&assignment, from) }
}

fn from(taken: Option<Arc<PreparedBatch>>) -> Option<u64> {
    taken.map(|batch| batch.from)
}

#[test]
fn a_batch_of_an_old_plan_is_dropped() {
    let handoff = Handoff::default();
    handoff.assign(plan(), 1, 1);
    let old = handoff.wait_for_assignment(None).unwrap().epoch;
    assert!(handoff.put(batch(0, old)));
    handoff.assign(plan(), 1, 1);
    assert!(handoff.is_outdated(old));
    assert!(handoff.put(batch(1, old)), "it is dropped, and the handoff is open");
    let new = handoff.newer_assignment(Some(old)).unwrap().epoch;
    assert!(handoff.put(batch(5, new)));
    handoff.finish(new);
    assert_eq!(from(handoff.take(0)), Some(5));
    assert!(handoff.take(0).is_none());
}

#[test]
fn no_wait_lasts_when_the_handoff_is_closed() {
    let handoff = Arc::new(Handoff::default());
    let waiting = Arc::clone(&handoff);
    let thread = std::thread::spawn(move || waiting.wait_for_assignment(None).is_none() && waiting.take(0).is_none());
    handoff.close();
    assert!(thread.join().unwrap());
    assert!(
        !handoff.put(batch(0, 0)) && matches!(handoff.wait_for_slot(0), Slot::Closed) && !handoff.wait_for_writers(2)
    );
}

#[test]
fn an_open_batch_goes_back_to_the_preparer_until_a_writer_has_taken_it() {
    let handoff = Handoff::default();
    handoff.assign(plan(), 2, 2);
    assert!(handoff.put(batch(0, 0)));
    let Slot::Open(open) = handoff.wait_for_slot(0) else { panic!("no writer has taken it") };
    assert!(matches!(handoff.wait_for_slot(0), Slot::Free));
    assert!(handoff.put(*open));
    assert_eq!(from(handoff.take(1)), Some(0));
    std::thread::scope(|scope| {
        let preparer = scope.spawn(|| matches!(handoff.wait_for_slot(0), Slot::Free));
        assert_eq!(from(handoff.take(0)), Some(0));
        assert!(preparer.join().unwrap(), "it was not taken back from the other writer");
    });
    assert!(handoff.put(PreparedBatch { is_open: false, ..batch(1, 0) }));
    handoff.close();
    assert!(matches!(handoff.wait_for_slot(0), Slot::Closed));
}

#[test]
fn every_writer_takes_every_batch_and_none_leaves_before_the_others() {
    let handoff = Handoff::default();
    handoff.assign(plan(), 2, 2);
    assert!(handoff.put(batch(0, 0)));
    assert_eq!(from(handoff.take(0)), Some(0));
    assert_eq!(from(handoff.take(1)), Some(0));
    assert!(handoff.put(batch(1, 0)));
    assert_eq!(from(handoff.take(1)), Some(1));
    assert_eq!(from(handoff.take(0)), Some(1));
    handoff.finish(0);
    std::thread::scope(|scope| {
        let fast = scope.spawn(|| from(handoff.take(0)));
        loop {
            let state = sync::lock(&handoff.state);
            assert!(!state.is_closed, "one is still writing");
            if state.idle == 1 {
                break;
            }
            drop(state);
            std::thread::yield_now();
        }
        // The slow one finds its batch outdated: the fast one must still be there for the new assignment.
        handoff.assign(plan(), 2, 2);
        handoff.finish(0);
        assert!(handoff.put(batch(1, 1)));
        assert_eq!(from(handoff.take(1)), Some(1));
        assert_eq!(fast.join().unwrap(), Some(1));
    });
    handoff.finish(1);
    std::thread::scope(|scope| {
        let fast = scope.spawn(|| from(handoff.take(0)));
        assert_eq!(from(handoff.take(1)), None);
        assert_eq!(fast.join().unwrap(), None);
    });
}

#[test]
fn rejected_events_count_in_the_range_that_holds_them() {
    let batch = batch(0, 0);
    let counts = [(0, 9), (2, 3), (3, 7), (4, 7), (8, 9), (9, 3)].map(|(from, to)| batch.rejected_in(from, to));
    assert_eq!(counts, [3, 1, 1, 0, 0, 0]);
}

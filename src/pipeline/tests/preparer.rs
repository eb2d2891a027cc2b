//! The content of batches, and their order.

use std::path::Path;

use crate::config::Config;
use crate::event::Burst;
use crate::pipeline::handoff::tests::{end_of_slot, plan};
use crate::pipeline::preparer::*;
use crate::time::clock::SystemClock;

/// A preparer on a thread of its own, with the spool before it and the handoff behind it.
struct Road {
    spool: Arc<Spool>,
    handoff: Arc<Handoff>,
    events_max: u32,
}

impl Road {
    /// Ends the thread also when an assertion fails: the scope waits for it.
    fn run(test: impl FnOnce(&Self)) {
        Self::run_with(Config::default(), test);
    }

    fn run_with(mut config: Config, test: impl FnOnce(&Self)) {
        config.spool.path = Path::new(":memory:").into();
        let rules = EventRules::from_config(&config).unwrap();
        let status = Arc::new(Status::new(Arc::new(SystemClock)));
        let road = Self {
            spool: Arc::new(Spool::open(&config).unwrap()),
            handoff: Arc::default(),
            events_max: config.batch.events_max,
        };
        let mut preparer = Preparer::new(&road.spool, &road.handoff, &status, &rules, &config);
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || preparer.run());
            {
                let _ending = Ending(&road);
                road.handoff.assign(plan(), 1, 1);
                test(&road);
            }
            thread.join().unwrap().unwrap();
        });
    }

    fn append(&self, events: u32) {
        let mut burst = Burst::default();
        (0..events).for_each(|_| burst.push(b"{}"));
        self.spool.append(&burst, 0).unwrap();
    }

    /// Waits until the batch in the slot ends at this offset.
    fn wait_until_prepared(&self, to: u64) {
        while end_of_slot(&self.handoff) != Some(to) {
            std::thread::yield_now();
        }
    }

    /// The offsets of the batch that the only writer gets next.
    fn taken(&self) -> Option<(u64, u64)> {
        self.handoff.take(0).map(|prepared| (prepared.from, prepared.to))
    }
}

struct Ending<'a>(&'a Road);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.spool.end_intake();
        self.0.handoff.close();
    }
}

#[test]
fn a_lone_event_is_a_batch_and_those_that_come_while_it_is_written_are_the_next() {
    Road::run(|road| {
        road.append(1);
        assert_eq!(road.taken(), Some((0, 1)));
        road.append(2);
        road.wait_until_prepared(3);
        road.append(3);
        road.wait_until_prepared(6);
        assert_eq!(road.taken(), Some((1, 6)), "the batch was open until it was taken");
        road.handoff.close();
        assert_eq!(road.taken(), None);
    });
}

#[test]
fn an_open_batch_takes_no_more_events_than_a_batch_may_have() {
    let mut config = Config::default();
    config.batch.events_max = 5;
    Road::run_with(config, |road| {
        road.append(3);
        road.wait_until_prepared(3);
        road.append(10);
        road.wait_until_prepared(5);
        assert_eq!(road.taken(), Some((0, 5)));
        assert_eq!(road.taken(), Some((5, 10)));
        assert_eq!(road.taken(), Some((10, 13)));
    });
}

#[test]
fn rejected_events_of_an_open_batch_stay_in_it() {
    Road::run(|road| {
        for to in 1..=3 {
            road.append(1);
            road.wait_until_prepared(to);
        }
        let batch = road.handoff.take(0).unwrap();
        assert_eq!(
            (batch.rejected.as_slice(), batch.dead_letters.len()),
            ([0, 1, 2].as_slice(), 3),
            "{{}} misses the schema"
        );
        assert_eq!(batch.receipts, [(0, 3)]);
    });
}

#[test]
fn a_writer_that_waits_gets_an_event_that_comes_later() {
    Road::run(|road| {
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| road.taken());
            road.append(1);
            assert_eq!(writer.join().unwrap(), Some((0, 1)));
        });
    });
}

#[test]
fn many_events_are_prepared_while_the_writer_is_at_work_and_come_in_order() {
    Road::run(|road| {
        road.append(3 * road.events_max);
        let batches: Vec<_> = (0..3).map(|_| road.taken().unwrap()).collect();
        let max = u64::from(road.events_max);
        assert_eq!(batches, [(0, max), (max, 2 * max), (2 * max, 3 * max)]);
        road.spool.end_intake();
        assert_eq!(road.taken(), None);
    });
}

/// All of them are kept at once, so they must fit into the limit.
#[test]
fn a_batch_ends_before_its_rejected_events_take_too_much() {
    let mut config = Config::default();
    config.dead_letters.bytes_max = 4096;
    Road::run_with(config, |road| {
        road.append(100);
        let mut next = 0;
        while next < 100 {
            let batch = road.handoff.take(0).unwrap();
            let space: u64 = batch.dead_letters.iter().map(space_of).sum();
            assert!(space <= 4096 && batch.from == next && batch.to > next, "{batch:?}");
            assert_eq!(batch.dead_letters.len() as u64, batch.to - batch.from);
            road.spool.commit_all(batch.to).unwrap();
            next = batch.to;
        }
    });
}

#[test]
fn a_new_assignment_prepares_the_same_events_again_also_at_the_end() {
    Road::run(|road| {
        road.append(10);
        road.spool.end_intake();
        assert_eq!(road.taken(), Some((0, 10)));
        road.handoff.assign(plan(), 1, 1);
        road.spool.interrupt_wait();
        assert_eq!(road.taken(), Some((0, 10)));
        road.spool.commit_all(10).unwrap();
        assert_eq!(road.taken(), None);
    });
}

/// The reader would have to take it when the stream is open already.
#[test]
fn the_reserve_of_a_new_spool_is_taken_before_the_first_event() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.spool.path = directory.path().join("spool.db");
    let rules = EventRules::from_config(&config).unwrap();
    let status = Arc::new(Status::new(Arc::new(SystemClock)));
    let (spool, handoff) = (Arc::new(Spool::open(&config).unwrap()), Arc::<Handoff>::default());
    let mut preparer = Preparer::new(&spool, &handoff, &status, &rules, &config);
    let reserve = directory.path().join("spool.db.reserve");
    assert!(!reserve.exists());
    handoff.close();
    preparer.run().unwrap();
    assert!(reserve.exists());
}

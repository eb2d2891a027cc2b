//! The content of batches, and their order.

use std::path::Path;

use crate::config::Config;
use crate::event::Burst;
use crate::pipeline::handoff::tests::plan;
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
        let mut config = Config::default();
        config.spool.path = Path::new(":memory:").into();
        let schema = Arc::new(Schema::load(&config.schema, u64::MAX).unwrap());
        let status = Arc::new(Status::new(Arc::new(SystemClock)));
        let road = Self {
            spool: Arc::new(Spool::open(&config).unwrap()),
            handoff: Arc::default(),
            events_max: config.batch.events_max,
        };
        let mut preparer = Preparer::new(&road.spool, &road.handoff, &status, &schema, &config.batch);
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
        road.append(3);
        road.spool.commit_all(1).unwrap();
        assert_eq!(road.taken(), Some((1, 6)));
        road.handoff.close();
        assert_eq!(road.taken(), None);
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

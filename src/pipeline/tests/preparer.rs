//! Who prepares what, and in which order it is written.

use std::path::Path;

use crate::config::Config;
use crate::event::Burst;
use crate::pipeline::handoff::tests::plan;
use crate::pipeline::preparer::*;
use crate::time::clock::SystemClock;

fn preparer() -> Preparer {
    let mut config = Config::default();
    config.spool.path = Path::new(":memory:").into();
    let schema = Schema::load(&config.schema, u64::MAX).unwrap();
    let status = Arc::new(Status::new(Arc::new(SystemClock)));
    let spool = Arc::new(Spool::open(&config).unwrap());
    Preparer::new(&spool, &Arc::default(), &status, &Arc::new(schema), &config.batch)
}

/// Ends the threads also when an assertion fails: the scope waits for them.
struct Ending<'a>(&'a Preparer);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.spool.end_intake();
        self.0.pipeline.close();
    }
}

impl Preparer {
    fn append(&self, events: usize) {
        let mut burst = Burst::default();
        (0..events).for_each(|_| burst.push(b"{}"));
        self.spool.append(&burst, 0).unwrap();
    }

    /// The offsets of the batch that the only writer gets next.
    fn taken(&self) -> Option<(u64, u64)> {
        self.take().unwrap().map(|prepared| (prepared.from, prepared.to))
    }
}

#[test]
fn a_writer_that_is_free_prepares_what_there_is_without_the_thread() {
    let preparer = preparer();
    preparer.pipeline.set_course(plan(), 0, 1, 1);
    preparer.append(1);
    assert_eq!(preparer.taken(), Some((0, 1)));
    preparer.append(2);
    preparer.append(3);
    assert_eq!(preparer.taken(), Some((1, 6)), "with all that has come meanwhile");
    preparer.pipeline.close();
    assert_eq!(preparer.taken(), None);
}

#[test]
fn a_free_writer_waits_for_an_event_and_wakes() {
    let preparer = preparer();
    preparer.pipeline.set_course(plan(), 0, 1, 1);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| preparer.taken());
        preparer.append(1);
        assert_eq!(writer.join().unwrap(), Some((0, 1)));
    });
}

/// Every event is prepared once, in order, whoever does it.
#[test]
fn what_the_thread_has_prepared_comes_before_what_the_writer_prepares() {
    let preparer = preparer();
    preparer.pipeline.set_course(plan(), 0, 1, 1);
    let batch = preparer.batch.events_max;
    preparer.append(3 * batch as usize);
    std::thread::scope(|scope| {
        let _ending = Ending(&preparer);
        let thread = scope.spawn(|| preparer.run());
        let mut expected = 0;
        for _ in 0..3 {
            let (from, to) = preparer.taken().unwrap();
            assert_eq!(from, expected);
            // The writer is at work, and there is plenty: the thread prepares ahead.
            while to < preparer.spool.next() && !preparer.pipeline.has_waiting() {
                std::thread::yield_now();
            }
            preparer.spool.mark_applied(to).unwrap();
            expected = to;
        }
        assert_eq!(expected, preparer.spool.next());
        preparer.spool.end_intake();
        assert_eq!(preparer.taken(), None);
        thread.join().unwrap().unwrap();
    });
}

#[test]
fn a_writer_that_is_sent_back_gets_the_same_events_again_also_at_the_end() {
    let preparer = preparer();
    preparer.pipeline.set_course(plan(), 0, 1, 1);
    preparer.append(10);
    preparer.spool.end_intake();
    std::thread::scope(|scope| {
        let _ending = Ending(&preparer);
        let thread = scope.spawn(|| preparer.run());
        assert_eq!(preparer.taken(), Some((0, 10)));
        preparer.pipeline.set_course(plan(), 0, 1, 1);
        assert_eq!(preparer.taken(), Some((0, 10)));
        preparer.spool.mark_applied(10).unwrap();
        assert_eq!(preparer.taken(), None);
        thread.join().unwrap().unwrap();
    });
}

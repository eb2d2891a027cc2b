//! The hand-over from the preparer to the writers: one prepared batch waits while they write the one before.
//!
//! Every writer takes every batch, for the part of it that goes through its lane. A batch waits until the last of them has taken
//! it, so the fastest writer is one batch ahead of the slowest at most.
//!
//! It also carries the plan the other way: only a writer knows the table, and when the table changes, what was prepared for
//! the old one is thrown away and prepared again. The generation says for which plan a batch was made.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use crate::report::dead_letter::DeadLetter;
use crate::rows::Plan;
use crate::rows::batch::Rows;
use crate::rows::partition::Part;
use crate::threads::sync;
use crate::threads::sync::Condition;

/// A batch, ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) generation: u64,
    /// The first offset of the batch, and the one after its last.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) rows: Rows,
    /// What of `rows` goes through each lane.
    pub(crate) parts: Vec<Part>,
    /// The lanes that have yet to write their part.
    pub(crate) parts_left: AtomicUsize,
    /// The events that were rejected.
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// The offsets of the events that have no row: those that were rejected, now or in an earlier try.
    pub(crate) decided: Vec<u64>,
    /// Times of receipt in microseconds since 1970-01-01 UTC, each with the number of events received then.
    pub(crate) receipts: Vec<(i64, u64)>,
}

/// Where the preparer is to start, and for which plan.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) generation: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) from: u64,
    /// Into how many parts a batch is split.
    pub(crate) lanes: usize,
    /// How many writers take each batch: one for each lane, or a single one for all of them.
    pub(crate) writers: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    inner: Mutex<Inner>,
    changed: Condition,
}

#[derive(Debug, Default)]
struct Inner {
    course: Option<Course>,
    /// Those that some writer has yet to take.
    batches: VecDeque<Arc<Prepared>>,
    /// The number of the first of `batches`, or of the next one.
    first: u64,
    /// The number of the batch that each writer takes next.
    next: Vec<u64>,
    /// How many writers wait for a batch and have written all before.
    idle: usize,
    /// The preparer has nothing more to give.
    is_finished: bool,
    /// The writers take nothing more.
    is_closed: bool,
}

impl Inner {
    fn is_for(&self, writers: usize) -> bool {
        self.course.as_ref().is_some_and(|course| course.writers == writers)
    }

    fn set_course(&mut self, plan: Arc<Plan>, from: u64, lanes: usize, writers: usize) {
        let generation = self.course.as_ref().map_or(0, |course| course.generation + 1);
        self.course = Some(Course { generation, plan, from, lanes, writers });
        self.batches.clear();
        self.first = 0;
        self.next = vec![0; writers];
        self.is_finished = false;
    }
}

impl Pipeline {
    /// For the first writer: prepare for this plan, from this offset on; what waits is thrown away.
    pub(crate) fn set_course(&self, plan: Arc<Plan>, from: u64, lanes: usize, writers: usize) {
        sync::lock(&self.inner).set_course(plan, from, lanes, writers);
        self.changed.notify_all();
    }

    /// For a writer that has seen the table: the same as before for this plan, unless that is the course already; true if it was
    /// not.
    pub(crate) fn follow(&self, plan: &Arc<Plan>, from: u64) -> bool {
        let mut inner = sync::lock(&self.inner);
        let Some(course) = inner.course.as_ref().filter(|course| course.plan != *plan) else { return false };
        let (lanes, writers) = (course.lanes, course.writers);
        inner.set_course(Arc::clone(plan), from, lanes, writers);
        drop(inner);
        self.changed.notify_all();
        true
    }

    /// Whether there is a course for so many writers.
    pub(crate) fn is_for(&self, writers: usize) -> bool {
        sync::lock(&self.inner).is_for(writers)
    }

    /// For a writer but the first: waits until there is a course for so many writers; false when the pipeline is closed.
    pub(crate) fn wait_for_writers(&self, writers: usize) -> bool {
        let mut inner = sync::lock(&self.inner);
        loop {
            if inner.is_closed {
                return false;
            }
            if inner.is_for(writers) {
                return true;
            }
            inner = self.changed.wait(inner, None);
        }
    }

    /// For a writer: its next batch; `None` when the preparer has finished and every writer has written what it had.
    pub(crate) fn take(&self, writer: usize) -> Option<Arc<Prepared>> {
        let mut inner = sync::lock(&self.inner);
        loop {
            if let Some(number) = inner.next.get(writer).copied() {
                let waiting = usize::try_from(number - inner.first).ok().and_then(|place| inner.batches.get(place));
                if let Some(prepared) = waiting.cloned() {
                    inner.next[writer] += 1;
                    let is_last = inner.next.iter().all(|&next| next > inner.first);
                    if is_last {
                        inner.batches.pop_front();
                        inner.first += 1;
                    }
                    drop(inner);
                    if is_last {
                        self.changed.notify_all();
                    }
                    return Some(prepared);
                }
            }
            if inner.is_closed {
                return None;
            }
            if inner.is_finished && inner.batches.is_empty() && inner.idle + 1 >= inner.next.len() {
                // Until then another one may still find that its last batch is outdated.
                inner.is_closed = true;
                self.changed.notify_all();
                return None;
            }
            inner.idle += 1;
            inner = self.changed.wait(inner, None);
            inner.idle -= 1;
        }
    }

    /// Takes nothing more, wakes everybody.
    pub(crate) fn close(&self) {
        sync::lock(&self.inner).is_closed = true;
        self.changed.notify_all();
    }

    /// For the preparer: waits for the first course; `None` when the pipeline is closed.
    pub(crate) fn first_course(&self) -> Option<Course> {
        let mut inner = sync::lock(&self.inner);
        loop {
            if inner.is_closed {
                return None;
            }
            if let Some(course) = &inner.course {
                return Some(course.clone());
            }
            inner = self.changed.wait(inner, None);
        }
    }

    /// The plan of the latest course, if a destination was reached yet.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        sync::lock(&self.inner).course.as_ref().map(|course| Arc::clone(&course.plan))
    }

    /// A newer course than the one of this generation, if there is one; with `None`, any.
    pub(crate) fn newer_course(&self, generation: Option<u64>) -> Option<Course> {
        sync::lock(&self.inner).course.as_ref().filter(|course| Some(course.generation) > generation).cloned()
    }

    /// For the preparer: waits until the batch before is taken, or there is a newer course than `generation`. Nothing is prepared
    /// before that, so that no more than two batches are in memory. False when the pipeline is closed.
    pub(crate) fn wait_for_place(&self, generation: u64) -> bool {
        let mut inner = sync::lock(&self.inner);
        loop {
            if inner.is_closed {
                return false;
            }
            let is_outdated = inner.course.as_ref().is_some_and(|course| course.generation > generation);
            if inner.batches.is_empty() || is_outdated {
                return true;
            }
            inner = self.changed.wait(inner, None);
        }
    }

    /// For the preparer, when there is a place: hands the batch over. A batch of an old generation is thrown away. False when
    /// the pipeline is closed.
    pub(crate) fn put(&self, prepared: Prepared) -> bool {
        let mut inner = sync::lock(&self.inner);
        if inner.course.as_ref().is_some_and(|course| course.generation == prepared.generation) {
            inner.batches.push_back(Arc::new(prepared));
        }
        let is_open = !inner.is_closed;
        // Unlocked first: whoever is woken wants the lock.
        drop(inner);
        self.changed.notify_all();
        is_open
    }

    /// For the preparer: nothing more comes.
    pub(crate) fn finish(&self) {
        sync::lock(&self.inner).is_finished = true;
        self.changed.notify_all();
    }

    /// For the preparer: nothing more comes of the course of this generation. Waits, because a writer may still find that
    /// its last batches are outdated; `None` when the pipeline is closed.
    pub(crate) fn finish_course(&self, generation: u64) -> Option<Course> {
        let mut inner = sync::lock(&self.inner);
        loop {
            if let Some(course) = inner.course.as_ref().filter(|course| course.generation > generation) {
                return Some(course.clone());
            }
            if inner.is_closed {
                return None;
            }
            if !inner.is_finished {
                inner.is_finished = true;
                self.changed.notify_all();
            }
            inner = self.changed.wait(inner, None);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::{MappingConfig, UpdateMode};
    use crate::rows::{Column, ColumnType, Table};

    pub(crate) fn plan() -> Arc<Plan> {
        let column = |name: &str| Column {
            name: name.into(),
            column_type: Some(ColumnType::Text { chars_max: None }),
            type_name: "text".into(),
            not_null: false,
            has_default: false,
        };
        let table = Table {
            name: "t".into(),
            columns: vec![column("k")],
            unique_keys: vec![vec!["k".into()]],
            is_guarded: false,
            relates_rows: false,
        };
        let mut mapping = MappingConfig::default();
        mapping.columns = vec![("k".into(), "/k".into())];
        mapping.key = vec!["k".into()];
        mapping.update = None;
        Arc::new(Plan::new(&mapping, UpdateMode::Always, &table).unwrap())
    }

    fn prepared(from: u64, generation: u64) -> Prepared {
        let rows = Rows::new(plan());
        Prepared {
            generation,
            from,
            to: from + 1,
            rows,
            parts: Vec::new(),
            parts_left: AtomicUsize::new(0),
            dead_letters: Vec::new(),
            decided: Vec::new(),
            receipts: Vec::new(),
        }
    }

    #[test]
    fn what_was_prepared_for_an_old_plan_is_thrown_away() {
        let pipeline = Pipeline::default();
        pipeline.set_course(plan(), 0, 1, 1);
        let old = pipeline.first_course().unwrap();
        assert!(pipeline.put(prepared(0, old.generation)));
        pipeline.set_course(plan(), 5, 1, 1);
        assert!(pipeline.put(prepared(1, old.generation)), "not an end, only in vain");
        let new = pipeline.newer_course(Some(old.generation)).unwrap();
        assert_eq!(new.from, 5);
        assert!(pipeline.put(prepared(5, new.generation)));
        pipeline.finish();
        assert_eq!(pipeline.take(0).map(|prepared| prepared.from), Some(5));
        assert!(pipeline.take(0).is_none());
    }

    #[test]
    fn a_closed_pipeline_holds_nobody_up() {
        let pipeline = Arc::new(Pipeline::default());
        let waiting = Arc::clone(&pipeline);
        let thread = std::thread::spawn(move || waiting.first_course().is_none() && waiting.take(0).is_none());
        pipeline.close();
        assert!(thread.join().unwrap());
        assert!(!pipeline.put(prepared(0, 0)));
    }

    #[test]
    fn every_writer_takes_every_batch_and_none_leaves_before_the_others() {
        let pipeline = Pipeline::default();
        pipeline.set_course(plan(), 0, 2, 2);
        let from = |taken: Option<Arc<Prepared>>| taken.map(|prepared| prepared.from);
        assert!(pipeline.put(prepared(0, 0)));
        assert_eq!(from(pipeline.take(0)), Some(0));
        assert_eq!(from(pipeline.take(1)), Some(0));
        assert!(pipeline.put(prepared(1, 0)));
        assert_eq!(from(pipeline.take(1)), Some(1));
        assert_eq!(from(pipeline.take(0)), Some(1));
        pipeline.finish();
        std::thread::scope(|scope| {
            let fast = scope.spawn(|| from(pipeline.take(0)));
            loop {
                let inner = sync::lock(&pipeline.inner);
                assert!(!inner.is_closed, "one is still writing");
                if inner.idle == 1 {
                    break;
                }
                drop(inner);
                std::thread::yield_now();
            }
            // The slow one finds its batch outdated: the fast one must still be there for the new course.
            pipeline.set_course(plan(), 1, 2, 2);
            assert!(pipeline.put(prepared(1, 1)));
            assert_eq!(from(pipeline.take(1)), Some(1));
            assert_eq!(fast.join().unwrap(), Some(1));
        });
        pipeline.finish();
        std::thread::scope(|scope| {
            let fast = scope.spawn(|| from(pipeline.take(0)));
            assert_eq!(from(pipeline.take(1)), None);
            assert_eq!(fast.join().unwrap(), None);
        });
    }
}

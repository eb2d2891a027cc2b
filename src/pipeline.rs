//! The hand-over from the preparer to the writer: one prepared batch in the slot while the writer writes the one before.
//!
//! It also carries the plan the other way: only the writer knows the table, and when the table changes, what was prepared for
//! the old one is thrown away and prepared again. The generation says for which plan a batch was made.

use std::sync::{Arc, Condvar, Mutex};

use crate::batch::{Merged, Rows};
use crate::dead_letter::DeadLetter;
use crate::lock;
use crate::mapping::Plan;

/// A batch, ready to be written.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The first offset of the batch, and the one after its last.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) rows: Rows,
    /// All of `rows`, collapsed.
    pub(crate) merged: Vec<Merged>,
    /// The events that were rejected.
    pub(crate) dead_letters: Vec<DeadLetter>,
    /// Times of receipt in microseconds since 1970-01-01 UTC, each with the number of events received then.
    pub(crate) receipts: Vec<(i64, u64)>,
}

/// Where the preparer is to start, and for which plan.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    pub(crate) generation: u64,
    pub(crate) plan: Arc<Plan>,
    pub(crate) from: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    course: Option<Course>,
    slot: Option<Prepared>,
    /// The preparer has nothing more to give.
    is_finished: bool,
    /// The writer takes nothing more.
    is_closed: bool,
}

impl Pipeline {
    /// For the writer: prepare for this plan, from this offset on; what is in the slot is thrown away.
    pub(crate) fn set_course(&self, plan: Arc<Plan>, from: u64) {
        let mut inner = lock::lock(&self.inner);
        let generation = inner.course.as_ref().map_or(0, |course| course.generation + 1);
        inner.course = Some(Course { generation, plan, from });
        inner.slot = None;
        inner.is_finished = false;
        self.changed.notify_all();
    }

    /// For the writer: the next batch; `None` when the preparer has finished.
    pub(crate) fn take(&self) -> Option<Prepared> {
        let mut inner = lock::lock(&self.inner);
        loop {
            if let Some(prepared) = inner.slot.take() {
                drop(inner);
                self.changed.notify_all();
                return Some(prepared);
            }
            if inner.is_finished || inner.is_closed {
                return None;
            }
            inner = lock::wait(&self.changed, inner, None);
        }
    }

    /// Takes nothing more, wakes both sides.
    pub(crate) fn close(&self) {
        lock::lock(&self.inner).is_closed = true;
        self.changed.notify_all();
    }

    /// For the preparer: waits for the first course; `None` when the pipeline is closed.
    pub(crate) fn first_course(&self) -> Option<Course> {
        let mut inner = lock::lock(&self.inner);
        loop {
            if inner.is_closed {
                return None;
            }
            if let Some(course) = &inner.course {
                return Some(course.clone());
            }
            inner = lock::wait(&self.changed, inner, None);
        }
    }

    /// The plan of the latest course, if a destination was reached yet.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        lock::lock(&self.inner).course.as_ref().map(|course| Arc::clone(&course.plan))
    }

    /// For the preparer: a newer course than `generation`, if there is one.
    pub(crate) fn newer_course(&self, generation: u64) -> Option<Course> {
        lock::lock(&self.inner).course.as_ref().filter(|course| course.generation > generation).cloned()
    }

    /// For the preparer: hands the batch over when the slot is free. A batch of an old generation is thrown away.
    /// False when the pipeline is closed.
    pub(crate) fn put(&self, prepared: Prepared, generation: u64) -> bool {
        let mut inner = lock::lock(&self.inner);
        loop {
            if inner.is_closed {
                return false;
            }
            if inner.course.as_ref().is_some_and(|course| course.generation != generation) {
                return true;
            }
            if inner.slot.is_none() {
                inner.slot = Some(prepared);
                // Unlocked first: whoever is woken wants the lock.
                drop(inner);
                self.changed.notify_all();
                return true;
            }
            inner = lock::wait(&self.changed, inner, None);
        }
    }

    /// For the preparer: nothing more comes.
    pub(crate) fn finish(&self) {
        lock::lock(&self.inner).is_finished = true;
        self.changed.notify_all();
    }

    /// For the preparer: nothing more comes of the course of this generation. Waits, because the writer may still find that
    /// its last batches are outdated; `None` when the pipeline is closed.
    pub(crate) fn finish_course(&self, generation: u64) -> Option<Course> {
        let mut inner = lock::lock(&self.inner);
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
            inner = lock::wait(&self.changed, inner, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MappingConfig, UpdateMode};
    use crate::mapping::{Column, ColumnType, Table};

    fn plan() -> Arc<Plan> {
        let column = |name: &str| Column {
            name: name.into(),
            column_type: Some(ColumnType::Text { chars_max: None }),
            type_name: "text".into(),
            not_null: false,
            has_default: false,
        };
        let table = Table { name: "t".into(), columns: vec![column("k")], unique_keys: vec![vec!["k".into()]] };
        let mut mapping = MappingConfig::default();
        mapping.columns = vec![("k".into(), "/k".into())];
        mapping.key = vec!["k".into()];
        mapping.update = None;
        Arc::new(Plan::new(&mapping, UpdateMode::Always, &table).unwrap())
    }

    fn prepared(from: u64) -> Prepared {
        let rows = Rows::new(plan());
        Prepared { from, to: from + 1, rows, merged: Vec::new(), dead_letters: Vec::new(), receipts: Vec::new() }
    }

    #[test]
    fn what_was_prepared_for_an_old_plan_is_thrown_away() {
        let pipeline = Pipeline::default();
        pipeline.set_course(plan(), 0);
        let old = pipeline.first_course().unwrap();
        assert!(pipeline.put(prepared(0), old.generation));
        pipeline.set_course(plan(), 5);
        assert!(pipeline.put(prepared(1), old.generation), "not an end, only in vain");
        let new = pipeline.newer_course(old.generation).unwrap();
        assert_eq!(new.from, 5);
        assert!(pipeline.put(prepared(5), new.generation));
        pipeline.finish();
        assert_eq!(pipeline.take().map(|prepared| prepared.from), Some(5));
        assert!(pipeline.take().is_none());
    }

    #[test]
    fn a_closed_pipeline_holds_nobody_up() {
        let pipeline = Arc::new(Pipeline::default());
        let waiting = Arc::clone(&pipeline);
        let thread = std::thread::spawn(move || waiting.first_course().is_none() && waiting.take().is_none());
        pipeline.close();
        assert!(thread.join().unwrap());
        assert!(!pipeline.put(prepared(0), 0));
    }
}

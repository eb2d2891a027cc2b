//! `retention.dead_letters`: deletes dead letters that are too old, at the start and once an hour, a page at a time between two batches.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::report::status::Status;
use crate::spool::{Expired, Spool};

/// The time from one search to the next.
const INTERVAL: Duration = Duration::from_secs(3600);
/// The time until the next try where a replay is going on, or the file is in trouble.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Retention {
    /// `None`: dead letters are kept.
    age: Option<Duration>,
    due: Instant,
    /// The offset from which on the search goes on.
    from: u64,
    /// Those that this search has deleted.
    deleted: u64,
}

impl Retention {
    pub(super) fn new(age: Option<Duration>) -> Self {
        Self { age, due: Instant::now(), from: 0, deleted: 0 }
    }

    /// Looks through a page if it is time.
    pub(super) fn step(&mut self, spool: &Spool, status: &Status) {
        let Some(age) = self.age.filter(|_| Instant::now() >= self.due) else { return };
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = status.clock.unix_micros().saturating_sub(age);
        match self.page(spool, before) {
            Ok(pause) => self.due = Instant::now() + pause,
            Err(error) => {
                status.report(&error);
                self.due = Instant::now() + AGAIN;
            }
        }
    }

    /// Returns the pause before the next page.
    fn page(&mut self, spool: &Spool, before: i64) -> Result<Duration> {
        match spool.expire(self.from, before)? {
            Expired::Busy => Ok(AGAIN),
            Expired::Page { deleted, next: Some(next) } => {
                self.deleted += deleted;
                self.from = next;
                Ok(Duration::ZERO)
            }
            Expired::Page { deleted, next: None } => {
                let deleted = std::mem::take(&mut self.deleted) + deleted;
                if deleted > 0 {
                    log::info!("{deleted} dead letters were older than retention.dead_letters and were deleted");
                }
                self.from = 0;
                Ok(INTERVAL)
            }
        }
    }
}

//! Notices: reports of the sink to the application, which takes them with `poll()`.
//!
//! The queue is bounded and never blocks the sink: an application that does not poll loses the oldest notices, errors last, and a
//! counter says how many. Nothing else is lost: notices report what happened, they carry no events.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::report::dead_letter::Rejection;
use crate::report::json;
use crate::report::stats::{State, Stats, Stored};
use crate::threads::sync;
use crate::threads::sync::Condition;

/// Something that happened. The numbers of the kinds are those of the C header and are never reused.
///
/// Serialized, it is one object with the member `kind`, and by kind: `state`; the members of a [`Rejection`]; `error`; `stats`; the
/// members of [`Stored`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Notice {
    /// The sink's state changed.
    State(State),
    /// An event became a dead letter.
    Rejected(Rejection),
    /// Something failed. The sink continues by itself, unless its state becomes `failed`.
    Error(Error),
    /// The statistics, every ten seconds from the start on, while the application polls.
    Stats(Box<Stats>),
    /// A batch was committed.
    Stored(Stored),
}

impl Notice {
    /// The kind's number, as in the C library: never 0, and never reused.
    pub const fn kind_code(&self) -> u32 {
        match self {
            Self::State(_) => 1,
            Self::Rejected(_) => 2,
            Self::Error(_) => 3,
            Self::Stats(_) => 4,
            Self::Stored(_) => 5,
        }
    }

    /// The kind's name, as in the C library and in Python.
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::State(_) => "state",
            Self::Rejected(_) => "rejected",
            Self::Error(_) => "error",
            Self::Stats(_) => "stats",
            Self::Stored(_) => "stored",
        }
    }

    /// Everything as one JSON object, with the member `kind`.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}

/// One line for people.
///
/// ```
/// use cxsink::{Notice, State};
///
/// assert_eq!(Notice::State(State::Running).to_string(), "the sink is running");
/// ```
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "the sink is {state}"),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Error(error) => error.fmt(f),
            Self::Stats(stats) => stats.fmt(f),
            Self::Stored(stored) => stored.fmt(f),
        }
    }
}

impl Serialize for Notice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "kind", rename_all = "lowercase")]
        enum Members<'a> {
            State { state: State },
            Rejected(&'a Rejection),
            Error { error: &'a Error },
            Stats { stats: &'a Stats },
            Stored(&'a Stored),
        }
        let members = match self {
            Self::State(state) => Members::State { state: *state },
            Self::Rejected(rejection) => Members::Rejected(rejection),
            Self::Error(error) => Members::Error { error },
            Self::Stats(stats) => Members::Stats { stats },
            Self::Stored(stored) => Members::Stored(stored),
        };
        members.serialize(serializer)
    }
}

/// The outcome of [`crate::Sink::poll`].
#[derive(Debug, Clone)]
pub enum Poll {
    /// Something happened.
    Notice(Notice),
    /// Nothing happened within the timeout.
    TimedOut,
    /// The sink has ended, and every notice was fetched.
    Closed,
}

/// The queue between the sink's threads and the application.
#[derive(Debug, Default)]
pub(crate) struct NoticeQueue {
    inner: Mutex<Inner>,
    changed: Condition,
}

#[derive(Debug, Default)]
struct Inner {
    notices: VecDeque<Notice>,
    is_closed: bool,
}

const NOTICES_MAX: usize = 1024;

impl NoticeQueue {
    /// Appends the notice; returns how many were dropped for it.
    pub(crate) fn push(&self, notice: Notice) -> u64 {
        let mut inner = sync::lock(&self.inner);
        let mut dropped = 0;
        if inner.notices.len() >= NOTICES_MAX {
            let victim =
                inner.notices.iter().position(|n| !matches!(n, Notice::Error(_) | Notice::State(_))).unwrap_or(0);
            inner.notices.remove(victim);
            dropped = 1;
        }
        inner.notices.push_back(notice);
        drop(inner);
        self.changed.notify_one();
        dropped
    }

    /// Ends every wait for notices once the queue is empty, now and later.
    pub(crate) fn close(&self) {
        sync::lock(&self.inner).is_closed = true;
        self.changed.notify_all();
    }

    /// Takes the oldest notice; `None` waits forever.
    pub(crate) fn poll(&self, timeout: Option<Duration>) -> Poll {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut inner = sync::lock(&self.inner);
        loop {
            if let Some(notice) = inner.notices.pop_front() {
                return Poll::Notice(notice);
            }
            if inner.is_closed {
                return Poll::Closed;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Poll::TimedOut;
            }
            inner = self.changed.wait(inner, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::report::dead_letter::DeadLetter;

    #[test]
    fn a_notice_is_one_line() {
        let check = |notice: Notice, line: &str| assert_eq!(notice.to_string(), line);
        check(Notice::State(State::Stalled), "the sink is stalled");
        let error = Error::new(ErrorKind::Json, "the event is not JSON");
        check(Notice::Error(error.clone()), "the event is not JSON");
        let rejection = Rejection::from(&DeadLetter::new(7, 0, 0, &error, b"{"));
        check(Notice::Rejected(rejection), "event 7 is a dead letter (json): the event is not JSON");
        check(
            Notice::Stored(Stored { inserted: 3, dead_lettered: 1, ..Stored::default() }),
            "3 inserted, 1 dead-lettered",
        );
        check(Notice::Stored(Stored::default()), "no events");
        let stats = Stats { received: 7, inserted: 2, confirmed: 1, pending: 4, ..Stats::default() };
        check(Notice::Stats(Box::new(stats)), "7 events received, 3 stored, 4 pending, 0 dead letters, 0 reconnects");
    }

    #[test]
    fn a_full_queue_drops_the_oldest_notice_that_is_not_an_error() {
        let queue = NoticeQueue::default();
        assert_eq!(queue.push(Notice::Error(Error::state("kept"))), 0);
        let dropped: u64 = (0..NOTICES_MAX as u64)
            .map(|n| queue.push(Notice::Stored(Stored { inserted: n, ..Stored::default() })))
            .sum();
        assert_eq!(dropped, 1);
        assert!(matches!(queue.poll(None), Poll::Notice(Notice::Error(_))));
        assert!(matches!(queue.poll(None), Poll::Notice(Notice::Stored(Stored { inserted: 1, .. }))));
        queue.close();
        let taken = std::iter::from_fn(|| match queue.poll(None) {
            Poll::Notice(notice) => Some(notice),
            _ => None,
        });
        assert_eq!(taken.count(), NOTICES_MAX - 2);
    }
}

//! A deadline and an abort for calls that would otherwise wait for ever.
//!
//! The `postgres` crate has no timeout after the TCP connect: against a server that acknowledges but does not answer, every
//! call blocks for good. So the stream under the connection ([`crate::destination::postgres::connection::deadline_stream`]) asks this shared deadline before each read
//! and write. Another thread ends a call by [`Deadline::abort`], which wakes the blocked one.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::threads::sync::lock;

/// Why a connection was given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trip {
    TimedOut,
    Aborted,
}

/// Shared by the connection's stream, its user and whoever may abort it. Once tripped it stays tripped: what the server was
/// doing is unknown from then on, so the connection is of no further use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deadline(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    at: Option<Instant>,
    trip: Option<Trip>,
    waker: Option<Waker>,
}

impl Deadline {
    /// Lets calls run for `duration` at most while the guard lives. Nested guards: the earlier deadline wins.
    pub(crate) fn arm(&self, duration: Duration) -> Armed {
        let mut state = lock(&self.0);
        let at = Instant::now() + duration;
        let previous = state.at;
        state.at = Some(previous.map_or(at, |previous| previous.min(at)));
        Armed { deadline: self.clone(), previous }
    }

    /// Ends the running call and all later ones. May be called from any thread, at any time; does not block.
    pub(crate) fn abort(&self) {
        let waker = {
            let mut state = lock(&self.0);
            state.trip.get_or_insert(Trip::Aborted);
            state.waker.take()
        };
        // Outside the lock: waking may run code that asks this deadline.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn tripped(&self) -> Option<Trip> {
        lock(&self.0).trip
    }

    /// For the stream: fails when it is over, otherwise leaves the waker and says when it will be.
    pub(crate) fn watch(&self, waker: &Waker) -> io::Result<Option<Instant>> {
        let mut state = lock(&self.0);
        if state.trip.is_none() && state.at.is_some_and(|at| at <= Instant::now()) {
            state.trip = Some(Trip::TimedOut);
        }
        match state.trip {
            Some(Trip::TimedOut) => Err(io::Error::new(io::ErrorKind::TimedOut, "the deadline has passed")),
            // Not `Interrupted`: rustls and others try again at that.
            Some(Trip::Aborted) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the call was aborted")),
            None => {
                if !state.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                    state.waker = Some(waker.clone());
                }
                Ok(state.at)
            }
        }
    }

    /// For the stream's end: a waker keeps the file descriptors of its connection's event loop open.
    pub(crate) fn forget_waker(&self) {
        let waker = lock(&self.0).waker.take();
        drop(waker);
    }
}

/// Keeps a deadline armed. See [`Deadline::arm`].
#[must_use = "the deadline is disarmed when the guard is dropped"]
#[derive(Debug)]
pub(crate) struct Armed {
    deadline: Deadline,
    previous: Option<Instant>,
}

impl Drop for Armed {
    fn drop(&mut self) {
        lock(&self.deadline.0).at = self.previous;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_nested_deadlines_wins_and_ends_with_its_guard() {
        let deadline = Deadline::default();
        let at = |deadline: &Deadline| deadline.watch(Waker::noop()).unwrap();
        assert_eq!(at(&deadline), None);
        let outer = deadline.arm(Duration::from_secs(60));
        let outer_at = at(&deadline);
        let inner = deadline.arm(Duration::from_secs(3600));
        assert_eq!(at(&deadline), outer_at);
        drop(inner);
        assert_eq!(at(&deadline), outer_at);
        drop(outer);
        assert_eq!(at(&deadline), None);
    }

    #[test]
    fn a_trip_is_kept_and_the_first_one_counts() {
        let deadline = Deadline::default();
        drop(deadline.arm(Duration::ZERO));
        assert!(deadline.watch(Waker::noop()).is_ok(), "nobody waited while it was armed");
        let armed = deadline.arm(Duration::ZERO);
        assert_eq!(deadline.watch(Waker::noop()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        deadline.abort();
        drop(armed);
        assert_eq!(deadline.tripped(), Some(Trip::TimedOut));
        assert!(deadline.watch(Waker::noop()).is_err());
    }
}

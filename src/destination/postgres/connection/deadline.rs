//! A deadline and an abort for calls that could otherwise block forever.
//!
//! The `postgres` crate has no timeout after the TCP connect: a server that acknowledges but does not answer blocks every call.
//! So the stream under the connection (`deadline_stream`) checks this shared deadline before each read and write. Another
//! thread ends a call by [`Deadline::abort`], which wakes the blocked one.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::threads::sync::lock;

/// Why the calls on a connection were cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancelled {
    TimedOut,
    Aborted,
}

/// Shared by a connection's stream, its user and the stop signal. Once cancelled it stays cancelled: the state of the server is
/// unknown from then on, so the connection is useless.
#[derive(Debug, Clone, Default)]
pub(super) struct Deadline(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    at: Option<Instant>,
    cancelled: Option<Cancelled>,
    waker: Option<Waker>,
}

impl Deadline {
    /// Limits calls to `duration` while the guard lives. Of nested guards, the earlier deadline wins.
    pub(super) fn arm(&self, duration: Duration) -> Armed {
        let mut state = lock(&self.0);
        let at = Instant::now() + duration;
        let previous = state.at;
        state.at = Some(previous.map_or(at, |previous| previous.min(at)));
        Armed { deadline: self.clone(), previous }
    }

    /// Cancels the running call and all later ones, from any thread and without blocking.
    pub(super) fn abort(&self) {
        let waker = {
            let mut state = lock(&self.0);
            state.cancelled.get_or_insert(Cancelled::Aborted);
            state.waker.take()
        };
        // Outside the lock: waking may run code that locks this deadline.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn cancelled(&self) -> Option<Cancelled> {
        lock(&self.0).cancelled
    }

    /// For the stream: registers its waker and returns when the deadline will pass.
    ///
    /// # Errors
    /// `TimedOut` or `ConnectionAborted`, once and for all later calls.
    pub(super) fn watch(&self, waker: &Waker) -> io::Result<Option<Instant>> {
        let mut state = lock(&self.0);
        if state.cancelled.is_none() && state.at.is_some_and(|at| at <= Instant::now()) {
            state.cancelled = Some(Cancelled::TimedOut);
        }
        match state.cancelled {
            Some(Cancelled::TimedOut) => Err(io::Error::new(io::ErrorKind::TimedOut, "the deadline has passed")),
            // Not `Interrupted`, on which rustls and others try again.
            Some(Cancelled::Aborted) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the call was aborted")),
            None => {
                if !state.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                    state.waker = Some(waker.clone());
                }
                Ok(state.at)
            }
        }
    }

    /// For a stream that is dropped: a waker keeps the file descriptors of the connection's event loop open.
    pub(super) fn discard_waker(&self) {
        let waker = lock(&self.0).waker.take();
        drop(waker);
    }
}

/// Keeps a deadline armed. See [`Deadline::arm`].
#[must_use = "the deadline is disarmed when the guard is dropped"]
#[derive(Debug)]
pub(super) struct Armed {
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
    fn the_first_cancellation_is_kept() {
        let deadline = Deadline::default();
        drop(deadline.arm(Duration::ZERO));
        assert!(deadline.watch(Waker::noop()).is_ok(), "no call ran while it was armed");
        let armed = deadline.arm(Duration::ZERO);
        assert_eq!(deadline.watch(Waker::noop()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        deadline.abort();
        drop(armed);
        assert_eq!(deadline.cancelled(), Some(Cancelled::TimedOut));
        assert!(deadline.watch(Waker::noop()).is_err());
    }
}

//! System calls that cannot be interrupted, each on a thread of its own.
//!
//! `getaddrinfo` and a connect that waits for an answer to its SYN are such calls. The caller waits for the thread's report, the
//! deadline or the stop, whichever comes first. A thread that is left behind ends by itself: a connect at the deadline, a resolution at
//! the resolver's own limits.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::threads::spawn;
use crate::threads::stop_signal::{InterruptGuard, StopSignal};

/// Calls on detached threads, and their results.
pub(crate) struct DetachedCalls<T> {
    sender: Sender<Report<T>>,
    receiver: Receiver<Report<T>>,
    _interrupt: InterruptGuard,
}

enum Report<T> {
    Stopped,
    Done(T),
}

impl<T: Send + 'static> DetachedCalls<T> {
    pub(crate) fn new(stop: &StopSignal) -> Self {
        let (sender, receiver) = mpsc::channel();
        let stopped = sender.clone();
        let interrupt = stop.on_set(move || drop(stopped.send(Report::Stopped)));
        Self { sender, receiver, _interrupt: interrupt }
    }

    /// Starts a call. A result that comes too late is dropped.
    pub(crate) fn start(&self, thread: &str, call: impl FnOnce() -> T + Send + 'static) -> Result<()> {
        let sender = self.sender.clone();
        let spawned = spawn::spawn(thread, move || drop(sender.send(Report::Done(call()))));
        spawned.map(drop).map_err(|error| no_thread(&error))
    }

    /// The next result; `None` if none comes before `until`.
    pub(crate) fn next(&self, until: Instant) -> Result<Option<T>> {
        match self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Report::Done(result)) => Ok(Some(result)),
            Ok(Report::Stopped) => Err(Error::stopped()),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(no_thread(&io::Error::other("it ended without a result"))),
        }
    }
}

pub(crate) fn no_thread(error: &io::Error) -> Error {
    Error::new(ErrorKind::Connect, format!("starting a thread to connect: {error}"))
        .caused_by_io(error)
        .with_hint("raise the limits of the process on threads and memory")
}

//! Waiting in Python: detached, so that other threads run, and checking signals, so that Ctrl-C works.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use cxsink::{Error, ErrorKind, LogScope, Result};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::{error, logs};

/// The longest wait between two checks of the signals.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// Passes the log to Python and lets it handle its signals. Ctrl-C raises an exception.
pub(crate) fn look_around(py: Python<'_>) -> PyResult<()> {
    logs::drain(py)?;
    py.check_signals()
}

/// A timeout from Python, in seconds; `None` is without limit.
pub(crate) fn timeout(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    match seconds {
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => {
            Err(PyValueError::new_err(format!("a timeout must not be negative: {seconds}")))
        }
        // A time too long for a duration is without limit.
        Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).ok()),
        None => Ok(None),
    }
}

/// The deadline of a timeout.
pub(crate) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// The next slice of a wait; `None` after the deadline.
pub(crate) fn slice(deadline: Option<Instant>) -> Option<Duration> {
    match deadline {
        None => Some(SLICE),
        Some(deadline) => {
            deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).map(|left| left.min(SLICE))
        }
    }
}

/// Runs `work`, which blocks and cannot check Python's signals, on a thread of its own, and waits for it.
///
/// When a signal raises an exception, this calls `on_interrupt`, which may end the work, and does not wait for it.
pub(crate) fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
    on_interrupt: impl FnOnce() + Send,
) -> PyResult<Result<T>> {
    look_around(py)?;
    let (sender, mut receiver) = sync_channel(1);
    let scope = LogScope::current();
    let spawned = thread::Builder::new().name("cxsink-call".into()).spawn(move || {
        let _entered = scope.as_ref().map(LogScope::enter);
        // After a signal, the receiver is gone.
        let _ = sender.send(work());
    });
    if let Err(error) = spawned {
        return Ok(Err(Error::new(ErrorKind::Internal, format!("starting a thread: {error}"))));
    }
    loop {
        let found;
        (found, receiver) = py.detach(move || (receiver.recv_timeout(SLICE), receiver));
        match found {
            Ok(outcome) => {
                logs::drain(py)?;
                return Ok(outcome);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Ok(Err(Error::new(ErrorKind::Panic, "the thread cxsink-call panicked")));
            }
        }
        if let Err(interrupt) = look_around(py) {
            py.detach(on_interrupt);
            return Err(interrupt);
        }
    }
}

/// [`interruptible`], for work that cannot be ended early.
pub(crate) fn call<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    interruptible(py, work, || {})?.map_err(|failed| error::exception(py, &failed))
}

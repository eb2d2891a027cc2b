//! The queue of log records for Python's `logging`.
//!
//! The library's threads log at any time, and must never attach to Python. So records wait in a bounded queue, and a thread that calls
//! from Python passes them on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use cxsink::LogScope;
use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;

/// A record for Python: number of the logger, level, target, message, seconds since 1970, name of the thread.
type Line = (u64, u8, String, String, f64, String);

/// A Python logger, by the number that Python gave it.
struct LoggerNumber(u64);

/// The scope of the logger with this number, for the records of a thread and of the threads it starts. 0 is the default logger.
pub(crate) fn scope(logger: u64) -> LogScope {
    LogScope::new(Arc::new(LoggerNumber(logger)))
}

/// The length of the queue. A process that never calls from Python loses the oldest records beyond it.
const LINES_MAX: usize = 10_000;

struct Queue {
    lines: Mutex<VecDeque<Line>>,
    /// The length of `lines`, readable without the lock.
    waiting: AtomicUsize,
    dropped: AtomicUsize,
}

impl Queue {
    fn leaked() -> *mut Self {
        Box::into_raw(Box::new(Self {
            lines: Mutex::default(),
            waiting: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        }))
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, VecDeque<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue of this process; replaced in a forked child, in which the lock of the old one may be held forever.
static QUEUE: AtomicPtr<Queue> = AtomicPtr::new(std::ptr::null_mut());

fn queue() -> Option<&'static Queue> {
    // SAFETY: null, or from `Queue::leaked`, which is never freed.
    unsafe { QUEUE.load(Ordering::Acquire).as_ref() }
}

struct Bridge;

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates log headers and payloads at low levels.
        metadata.target().starts_with("cxsink") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        let (true, Some(queue)) = (self.enabled(record.metadata()), queue()) else { return };
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let scope = LogScope::current();
        let number = scope.as_ref().and_then(|scope| scope.value::<LoggerNumber>()).map_or(0, |logger| logger.0);
        let line = (
            number,
            level_of(record.level()),
            record.target().to_owned(),
            record.args().to_string(),
            since_epoch.as_secs_f64(),
            std::thread::current().name().unwrap_or_default().to_owned(),
        );
        let mut lines = queue.lines();
        if lines.len() >= LINES_MAX {
            lines.pop_front();
            queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
        lines.push_back(line);
        queue.waiting.store(lines.len(), Ordering::Release);
    }

    fn flush(&self) {}
}

/// The numbers of the levels in `logging`, which has none for `trace`.
fn level_of(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug => 10,
        Level::Trace => 5,
    }
}

/// Installs the queue, when the first handle is opened: the command line has a logger of its own.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        QUEUE.store(Queue::leaked(), Ordering::Release);
        let _ = log::set_logger(&Bridge);
    });
}

/// Passes the waiting records to `logging`, on this thread.
pub(crate) fn drain(py: Python<'_>) -> PyResult<()> {
    if queue().is_none() {
        return Ok(());
    }
    py.import("cxsink._logs")?.getattr("drain")?.call0().map(drop)
}

/// The same, if any record waits: for calls that come hundreds of thousands of times a second.
pub(crate) fn drain_if_any(py: Python<'_>) -> PyResult<()> {
    if queue().is_some_and(|queue| queue.waiting.load(Ordering::Acquire) > 0) { drain(py) } else { Ok(()) }
}

/// Takes the waiting records, and the number of those dropped because no call fetched them in time.
#[pyfunction]
pub(crate) fn take_logs() -> (Vec<Line>, usize) {
    let Some(queue) = queue() else { return (Vec::new(), 0) };
    if queue.waiting.load(Ordering::Acquire) == 0 {
        return (Vec::new(), 0);
    }
    let mut lines = queue.lines();
    queue.waiting.store(0, Ordering::Release);
    (std::mem::take(&mut *lines).into(), queue.dropped.swap(0, Ordering::Relaxed))
}

/// Sets the lowest level that is kept, as a number of `logging`.
#[pyfunction]
pub(crate) fn set_log_level(level: i64) {
    log::set_max_level(match level {
        ..=9 => LevelFilter::Trace,
        10..=19 => LevelFilter::Debug,
        20..=29 => LevelFilter::Info,
        30..=39 => LevelFilter::Warn,
        40..=50 => LevelFilter::Error,
        _ => LevelFilter::Off,
    });
}

/// Gives a forked child its own queue.
#[pyfunction]
pub(crate) fn after_fork() {
    if queue().is_some() {
        QUEUE.store(Queue::leaked(), Ordering::Release);
    }
}

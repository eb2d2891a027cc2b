//! The handle.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cxsink::stats::Counter;
use cxsink::{EnteredScope, ErrorKind, LogScope, Poll};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::config::Config;
use crate::error::{close_exception, exception};
use crate::events::Chunk;
use crate::logs;
use crate::replay::{Outcome, selection};
use crate::wait::{self, SLICE, look_around};

/// A sink. Any thread of the process that opened it may call any method.
#[pyclass(frozen, module = "cxsink._cxsink")]
pub(crate) struct Sink {
    /// `None` once the object is being dropped.
    handle: Option<cxsink::Sink>,
    /// A forked child has the memory, but not the threads, and locks in it may be held forever.
    process: u32,
    scope: LogScope,
    /// Notices that Python took and could not return. Only threads attached to Python lock it, briefly, so it is free after a fork.
    given_back: Mutex<VecDeque<String>>,
}

impl Sink {
    /// The sink, with this thread in its log scope.
    fn get(&self, py: Python<'_>) -> PyResult<(&cxsink::Sink, EnteredScope)> {
        let gone = || PyValueError::new_err("the sink was dropped");
        let sink = self.handle.as_ref().ok_or_else(gone)?;
        if std::process::id() != self.process {
            // It checks the process first.
            return match sink.poll(Some(Duration::ZERO)) {
                Err(error) => Err(exception(py, &error)),
                Ok(_) => Err(gone()),
            };
        }
        Ok((sink, self.scope.enter()))
    }

    fn given_back(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.given_back.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The metrics of several sinks in one text.
#[pyfunction]
pub(crate) fn metrics_of(py: Python<'_>, sinks: Vec<Py<Sink>>) -> PyResult<String> {
    let handle = |sink: &Py<Sink>| sink.get().get(py).map(|(sink, _scope)| sink.clone());
    let sinks: Vec<cxsink::Sink> = sinks.iter().map(handle).collect::<PyResult<_>>()?;
    let metrics = py.detach(|| cxsink::metrics_of(&sinks));
    logs::drain_if_any(py)?;
    Ok(metrics)
}

#[pymethods]
impl Sink {
    /// `logger`: the number of the logger for its records.
    #[new]
    fn new(py: Python<'_>, config: &Config, logger: u64) -> PyResult<Self> {
        logs::start();
        let config = config.0.clone();
        let scope = logs::scope(logger);
        let entered = scope.enter();
        let sink = wait::call(py, move || cxsink::Sink::open(&config))?;
        drop(entered);
        Ok(Self { handle: Some(sink), process: std::process::id(), scope, given_back: Mutex::default() })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let (sink, _scope) = self.get(py)?;
        let starting = sink.clone();
        // A stop ends every wait in `start`.
        let outcome = wait::interruptible(py, move || starting.start(), || sink.stop())?;
        outcome.map_err(|error| exception(py, &error))
    }

    /// Puts the next notice into `taken`, as JSON; nothing if none came in time, or the sink has ended.
    ///
    /// A signal may raise its exception right after this call. The notice in the list is not lost then: `give_back` takes it.
    #[pyo3(signature = (timeout, taken))]
    fn poll(&self, py: Python<'_>, timeout: Option<f64>, taken: &Bound<'_, PyList>) -> PyResult<()> {
        let (sink, _scope) = self.get(py)?;
        let deadline = wait::deadline(wait::timeout(timeout)?);
        loop {
            // Before a notice is taken, never after: an exception would lose it.
            look_around(py)?;
            if let Some(notice) = self.given_back().pop_front() {
                return taken.append(notice);
            }
            let slice = wait::slice(deadline);
            match py.detach(|| sink.poll(Some(slice.unwrap_or_default()))) {
                Ok(Poll::Notice(notice)) => return taken.append(notice.to_json()),
                Ok(Poll::TimedOut) if slice.is_some() => {}
                Ok(_) => return logs::drain(py),
                Err(error) => return Err(exception(py, &error)),
            }
        }
    }

    /// The next `poll` returns these first.
    fn give_back(&self, taken: Vec<String>) {
        self.given_back().extend(taken);
    }

    fn ingest(&self, py: Python<'_>, event: &Bound<'_, PyAny>) -> PyResult<()> {
        let (sink, _scope) = self.get(py)?;
        let mut chunk = Chunk::default();
        chunk.push(event)?;
        ingest_chunk(py, sink, &chunk).map_err(|stopped| with_index(py, stopped.cause, None))
    }

    /// Accepts every event of the iterable; returns their number. The attribute `index` of an exception is the number accepted before.
    fn ingest_many(&self, py: Python<'_>, events: &Bound<'_, PyAny>) -> PyResult<u64> {
        let (sink, _scope) = self.get(py)?;
        let mut accepted = 0;
        in_chunks(events, |chunk| {
            ingest_chunk(py, sink, chunk).map_err(|stopped| {
                accepted += stopped.accepted as u64;
                with_index(py, stopped.cause, Some(accepted))
            })?;
            accepted += chunk.len() as u64;
            Ok(())
        })?;
        Ok(accepted)
    }

    /// Accepts JSON Lines from any iterable; returns the number of events. `exported`: the lines are dead letters.
    fn import_lines(&self, py: Python<'_>, lines: &Bound<'_, PyAny>, exported: bool) -> PyResult<u64> {
        let (sink, _scope) = self.get(py)?;
        let mut accepted = 0;
        in_chunks(lines, |chunk| {
            let (lines, importing) = (chunk.lines(), sink.clone());
            accepted += wait::call(py, move || {
                if exported { importing.import_exported(lines.as_slice()) } else { importing.import(lines.as_slice()) }
            })?;
            Ok(())
        })?;
        Ok(accepted)
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let (sink, _scope) = self.get(py)?;
        py.detach(|| sink.stop());
        logs::drain_if_any(py)
    }

    #[pyo3(signature = (timeout))]
    fn close(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let (sink, _scope) = self.get(py)?;
        let timeout = wait::timeout(timeout)?.unwrap_or(Duration::MAX);
        let closing = sink.clone();
        let at_once = || drop(sink.close_within(Duration::ZERO));
        wait::interruptible(py, move || closing.close_within(timeout), at_once)?
            .map_err(|error| close_exception(py, &error))
    }

    /// The statistics, as JSON.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let (sink, _scope) = self.get(py)?;
        let stats = py.detach(|| sink.stats().to_json());
        logs::drain_if_any(py)?;
        Ok(stats)
    }

    /// The metrics, as text.
    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        let (sink, _scope) = self.get(py)?;
        let metrics = py.detach(|| sink.metrics());
        logs::drain_if_any(py)?;
        Ok(metrics)
    }

    fn counter(&self, py: Python<'_>, name: &str) -> PyResult<u64> {
        let (sink, _scope) = self.get(py)?;
        let counter = Counter::ALL.into_iter().find(|counter| counter.name() == name);
        let counter = counter.ok_or_else(|| {
            let names = Counter::ALL.map(Counter::name).join(", ");
            PyValueError::new_err(format!("no counter is named {name:?}; the counters are {names}"))
        })?;
        Ok(py.detach(|| sink.counter(counter)))
    }

    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.get(py)?.0.state().name())
    }

    /// The error that ended the sink, as an exception; it is not raised.
    #[getter]
    fn failure(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let failure = self.get(py)?.0.failure();
        Ok(failure.map(|error| exception(py, &error).into_value(py).into_any()))
    }

    /// At most `count` dead letters from this offset on, each as JSON with its event.
    fn dead_letters(&self, py: Python<'_>, from: u64, count: usize) -> PyResult<Vec<String>> {
        let (sink, _scope) = self.get(py)?;
        let sink = sink.clone();
        let dead_letters = wait::call(py, move || sink.dead_letters(from, count))?;
        Ok(dead_letters.iter().map(|letter| letter.to_json(true)).collect())
    }

    /// `offsets`: `None` for all. The report, as JSON.
    fn replay(&self, py: Python<'_>, offsets: Option<Vec<u64>>, forced: bool) -> PyResult<Outcome> {
        let (sink, _scope) = self.get(py)?;
        let sink = sink.clone();
        let replay = if forced { cxsink::Sink::replay_forced } else { cxsink::Sink::replay };
        wait::call(py, move || replay(&sink, &selection(offsets))).map(|replayed| replayed.to_json())
    }

    /// The connections to the stream, each as JSON.
    fn connections(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let (sink, _scope) = self.get(py)?;
        let sink = sink.clone();
        let connections = wait::call(py, move || sink.connections())?;
        Ok(connections.iter().map(cxsink::connections::StreamConnection::to_json).collect())
    }

    /// The times in which events may have been missed, each as JSON.
    fn gaps(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let (sink, _scope) = self.get(py)?;
        let sink = sink.clone();
        let gaps = wait::call(py, move || sink.gaps())?;
        Ok(gaps.iter().map(cxsink::connections::Gap::to_json).collect())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let Some(sink) = self.handle.take() else { return };
        if std::process::id() != self.process {
            // Its files and threads belong to the parent.
            std::mem::forget(sink);
            return;
        }
        let _entered = self.scope.enter();
        let mut sink = Some(sink);
        // Dropping waits for the threads of the sink; detached, so that other Python threads run.
        let _ = Python::try_attach(|py| py.detach(|| drop(sink.take())));
        drop(sink);
    }
}

/// The reason why a chunk was not accepted as a whole.
struct Stopped {
    /// The number of its events that were accepted.
    accepted: usize,
    cause: PyErr,
}

/// Accepts the chunk, and checks signals while the spool is full.
fn ingest_chunk(py: Python<'_>, sink: &cxsink::Sink, chunk: &Chunk) -> Result<(), Stopped> {
    let mut accepted = 0;
    loop {
        match py.detach(|| sink.ingest_many(chunk.from(accepted), Some(SLICE))) {
            Ok(_) => return logs::drain_if_any(py).map_err(|cause| Stopped { accepted: chunk.len(), cause }),
            Err(error) => {
                accepted += error.index().and_then(|index| usize::try_from(index).ok()).unwrap_or_default();
                if error.kind() != ErrorKind::Timeout {
                    return Err(Stopped { accepted, cause: exception(py, &error) });
                }
                look_around(py).map_err(|cause| Stopped { accepted, cause })?;
            }
        }
    }
}

/// The exception with the index of its event; `None` for a single event.
fn with_index(py: Python<'_>, exception: PyErr, index: Option<u64>) -> PyErr {
    let value = exception.value(py);
    // Other exceptions, such as KeyboardInterrupt, have no such attribute.
    if value.hasattr("index").unwrap_or_default() {
        let _ = value.setattr("index", index);
    }
    exception
}

/// Passes the items of the iterable to `take` in chunks. If the iterable raises an exception, the items before it are passed first.
fn in_chunks(items: &Bound<'_, PyAny>, mut take: impl FnMut(&Chunk) -> PyResult<()>) -> PyResult<()> {
    let mut chunk = Chunk::default();
    for item in items.try_iter()? {
        if let Err(error) = item.and_then(|item| chunk.push(&item)) {
            take(&chunk)?;
            return Err(error);
        }
        if chunk.is_due() {
            take(&chunk)?;
            chunk.clear();
            look_around(items.py())?;
        }
    }
    if chunk.is_empty() { Ok(()) } else { take(&chunk) }
}

/// Every counter: its name and its meaning.
#[pyfunction]
pub(crate) fn counters() -> Vec<(&'static str, &'static str)> {
    Counter::ALL.map(|counter| (counter.name(), counter.description())).into()
}

/// The accounting as a formula.
#[pyfunction]
pub(crate) fn accounting() -> String {
    cxsink::Stats::accounting()
}

//! The spool file without a sink: its dead letters, and the connections to the stream.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cxsink::connections::{Connections, Gap, StreamConnection};
use cxsink::dead_letters::PurgeFilter;
use pyo3::prelude::*;

use crate::config::Config;
use crate::{logs, wait};

/// The dead letters of a spool.
#[pyclass(frozen, module = "cxsink._cxsink")]
pub(crate) struct DeadLetters(Arc<Mutex<cxsink::dead_letters::DeadLetters>>);

impl DeadLetters {
    fn call<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&cxsink::dead_letters::DeadLetters) -> cxsink::Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let dead_letters = Arc::clone(&self.0);
        wait::call(py, move || work(&dead_letters.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[pymethods]
impl DeadLetters {
    #[new]
    fn new(py: Python<'_>, config: &Config) -> PyResult<Self> {
        logs::start();
        let config = config.0.clone();
        wait::call(py, move || cxsink::dead_letters::DeadLetters::open(&config))
            .map(|dead_letters| Self(Arc::new(Mutex::new(dead_letters))))
    }

    /// At most `count` from this offset on, each as JSON with its event.
    fn list(&self, py: Python<'_>, from: u64, count: usize) -> PyResult<Vec<String>> {
        let dead_letters = self.call(py, move |dead_letters| dead_letters.list(from, count))?;
        Ok(dead_letters.iter().map(|letter| letter.to_json(true)).collect())
    }

    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        self.call(py, cxsink::dead_letters::DeadLetters::count)
    }

    fn mark_exported(&self, py: Python<'_>, offsets: Vec<u64>) -> PyResult<()> {
        self.call(py, move |dead_letters| dead_letters.mark_exported(&offsets))
    }

    /// The numbers of the report: deleted, unseen, unfinished. `before`: microseconds since 1970-01-01 UTC.
    #[pyo3(signature = (exported, replayed, unseen, before))]
    fn purge(
        &self,
        py: Python<'_>,
        exported: bool,
        replayed: bool,
        unseen: bool,
        before: Option<i64>,
    ) -> PyResult<(u64, u64, u64)> {
        let mut purge = PurgeFilter::default();
        (purge.exported, purge.replayed, purge.unseen) = (exported, replayed, unseen);
        purge.before = before.map(time);
        let purged = self.call(py, move |dead_letters| dead_letters.purge(&purge))?;
        Ok((purged.deleted, purged.unseen, purged.unfinished))
    }
}

fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// The connections to the stream, each as JSON.
#[pyfunction]
pub(crate) fn connections(py: Python<'_>, config: &Config) -> PyResult<Vec<String>> {
    let list = |connections: &Connections| connections.list();
    let connections = offline(py, config, list)?;
    Ok(connections.iter().map(StreamConnection::to_json).collect())
}

/// The times in which events may have been missed, each as JSON.
#[pyfunction]
pub(crate) fn gaps(py: Python<'_>, config: &Config) -> PyResult<Vec<String>> {
    let gaps = offline(py, config, Connections::gaps)?;
    Ok(gaps.iter().map(Gap::to_json).collect())
}

fn offline<T: Send + 'static>(
    py: Python<'_>,
    config: &Config,
    read: impl FnOnce(&Connections) -> cxsink::Result<T> + Send + 'static,
) -> PyResult<T> {
    logs::start();
    let config = config.0.clone();
    wait::call(py, move || Connections::open(&config).and_then(|connections| read(&connections)))
}

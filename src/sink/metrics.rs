//! The metrics of a sink.

use crate::files::open::free_bytes;
use crate::report::metrics::process::Process;
use crate::report::metrics::text::{Format, Snapshot, text_of};
use crate::sink::Sink;

impl Sink {
    /// The metrics in Prometheus' text format (version 0.0.4): the counters of [`stats`](Self::stats), connections, times,
    /// errors and distributions, at this moment; also after the end of the sink. docs/metrics.md lists them.
    ///
    /// An application appends them to its own, or serves them alone:
    ///
    /// ```
    /// # let mut config = cxsink::Config::default();
    /// # config.set("spool.path", ":memory:").unwrap();
    /// # config.set("destination.url", "sqlite::memory:").unwrap();
    /// # let sink = cxsink::Sink::open(&config).unwrap();
    /// let metrics = sink.metrics();
    /// assert!(metrics.contains("\ncxsink_spool_events 0\n"));
    /// ```
    pub fn metrics(&self) -> String {
        self.metrics_as(Format::Prometheus, None)
    }

    /// The metrics, and those of the process, if it is given.
    pub(crate) fn metrics_as(&self, format: Format, process: Option<Process>) -> String {
        let engine = &self.0.engine;
        let spool = &engine.spool;
        let folder = spool.path().parent().filter(|folder| folder.is_dir());
        let snapshot = Snapshot {
            stats: self.stats(),
            status: engine.status.clone(),
            has_stream: self.0.config.has_stream(),
            oldest_seconds: spool.oldest_pending().map(|at| seconds_between(at, engine.status.clock.unix_micros())),
            spool_bytes_max: spool.bytes_max(),
            free_bytes: folder.and_then(|folder| free_bytes(folder).ok().flatten()),
            process,
        };
        text_of(&snapshot, format)
    }
}

/// 0 where the clock was set back.
#[expect(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]
fn seconds_between(from: i64, to: i64) -> f64 {
    (to - from).max(0) as f64 / 1e6
}

//! The metrics of a sink.

use crate::files::open::free_bytes;
use crate::report::metrics::process::Process;
use crate::report::metrics::text::{Format, Snapshot, text_of, text_of_several};
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
        text_of(&self.snapshot(process), format)
    }

    fn snapshot(&self, process: Option<Process>) -> Snapshot {
        let engine = &self.0.engine;
        let spool = &engine.spool;
        let folder = spool.path().parent().filter(|folder| folder.is_dir());
        Snapshot {
            stats: self.stats(),
            status: engine.status.clone(),
            has_stream: self.0.config.has_stream(),
            oldest_seconds: spool.oldest_pending().map(|at| seconds_between(at, engine.status.clock.unix_micros())),
            spool_bytes_max: spool.bytes_max(),
            free_bytes: folder.and_then(|folder| free_bytes(folder).ok().flatten()),
            process,
        }
    }
}

/// The metrics of several sinks in one text: each metric once, with the label `stream`, which is the `stream.name` of its sink. See
/// [`Sink::metrics`].
///
/// ```
/// use cxsink::{Config, Sink};
///
/// # fn main() -> cxsink::Result<()> {
/// let mut config = Config::default();
/// config.set("destination.url", "sqlite::memory:")?;
/// config.set("spool.path", ":memory:")?;
/// config.set("streams.sales.id", "s-1")?;
/// config.set("streams.support.id", "s-2")?;
/// # config.set("oauth.client_id", "id")?;
/// # config.set("oauth.client_secret", "secret")?;
/// let open = |name: &&str| Sink::open(&config.for_stream(name)?);
/// let sinks: Vec<Sink> = config.stream_names().iter().map(open).collect::<Result<_, _>>()?;
/// let metrics = cxsink::metrics_of(&sinks);
/// assert!(metrics.contains("\ncxsink_spool_events{stream=\"support\"} 0\n"));
/// # Ok(())
/// # }
/// ```
///
/// A name that comes again gets a number, `sales (2)`: give each stream a name of its own.
pub fn metrics_of<'a>(sinks: impl IntoIterator<Item = &'a Sink>) -> String {
    metrics_as(sinks, Format::Prometheus, None)
}

/// The metrics of several sinks, and those of the process, if it is given.
pub(crate) fn metrics_as<'a>(
    sinks: impl IntoIterator<Item = &'a Sink>,
    format: Format,
    process: Option<Process>,
) -> String {
    let mut snapshots: Vec<(String, Snapshot)> = Vec::new();
    for sink in sinks {
        let name = &sink.0.config.stream.name;
        let is_free = |label: &String| snapshots.iter().all(|(used, _)| used != label);
        let numbered = (2..).map(|number: u32| format!("{name} ({number})"));
        if let Some(label) = std::iter::once(name.clone()).chain(numbered).find(is_free) {
            snapshots.push((label, sink.snapshot(process)));
        }
    }
    text_of_several(&snapshots, format)
}

/// 0 where the clock was set back.
#[expect(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]
fn seconds_between(from: i64, to: i64) -> f64 {
    (to - from).max(0) as f64 / 1e6
}

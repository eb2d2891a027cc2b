//! A watch: what a sink does not keep by itself, for those who look now and then.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::report::stats::Counter;
use crate::report::stream_connection::Gap;
use crate::report::watch::{History, Reading};
use crate::sink::Sink;
use crate::threads::sync;
use crate::time::micros;

/// Sees a sink from its making on.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) sink: Sink,
    pub(super) history: History,
    gaps: Mutex<Option<SeenGaps>>,
}

/// The gaps as they were in the spool's file. They are read again when a connection has begun or ended.
#[derive(Debug)]
struct SeenGaps {
    read: Instant,
    changes: [u64; 3],
    gaps: Vec<Gap>,
}

/// The gaps that are shown.
const GAPS_MAX: usize = 10;
/// A stream that comes and goes must not cause a look into the file for each request.
const GAPS_INTERVAL: Duration = Duration::from_secs(2);

impl Watch {
    pub(crate) fn new(sink: &Sink) -> Self {
        let status = &sink.0.engine.status;
        status.recent.get_or_init(Default::default);
        Self { sink: sink.clone(), history: History::new(Instant::now()), gaps: Mutex::default() }
    }

    /// To be called several times a second.
    pub(crate) fn tick(&self) {
        self.history.tick(Instant::now(), || Reading {
            stats: self.sink.stats(),
            oldest_pending_s: self.sink.oldest_pending_s(),
            latency: self.sink.0.engine.status.counters.latency(),
        });
    }

    /// The last times in which events may have been missed, the latest first; also those of earlier processes.
    pub(super) fn gaps(&self) -> Vec<Gap> {
        let measures = &self.sink.0.engine.status.measures;
        let reconnects = self.sink.counter(Counter::Reconnects);
        let changes = [measures.gaps(), reconnects, measures.is_stream_connected().into()];
        let mut seen = sync::lock(&self.gaps);
        if let Some(seen) = &*seen
            && (seen.changes == changes || seen.read.elapsed() < GAPS_INTERVAL)
        {
            return seen.gaps.clone();
        }
        let mut gaps =
            self.sink.gaps().inspect_err(|error| log::debug!("showing the gaps: {error}")).unwrap_or_default();
        gaps.drain(..gaps.len().saturating_sub(GAPS_MAX));
        gaps.reverse();
        *seen = Some(SeenGaps { read: Instant::now(), changes, gaps: gaps.clone() });
        gaps
    }
}

impl Sink {
    /// How long ago the oldest pending event was received; 0 if none is pending, or where the clock was set back.
    pub(super) fn oldest_pending_s(&self) -> f64 {
        let engine = &self.0.engine;
        let now = engine.status.clock.unix_micros();
        engine.spool.oldest_pending().map_or(0.0, |at| micros::to_seconds((now - at).max(0)))
    }
}

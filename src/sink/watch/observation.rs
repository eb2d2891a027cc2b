//! Everything about a sink in one JSON object.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::report::stats::{Counter, Stats};
use crate::report::status::Tried;
use crate::report::stream_connection::Gap;
use crate::report::watch::{Counted, Recent, RecentError, Rejections, Series, Words};
use crate::sink::watch::health::{Health, Readiness};
use crate::sink::watch::watcher::Watch;
use crate::time::micros;

/// Times are seconds since 1970-01-01 UTC, or durations in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Observation {
    /// The stream's id; `None`: no stream is configured.
    stream: Option<String>,
    table: String,
    words: Words,
    /// The same in one line, with the numbers that matter most.
    line: String,
    health: Health,
    readiness: Readiness,
    stats: Stats,
    is_balanced: bool,
    stored: u64,
    /// The counters of `stats` with their words.
    counters: Vec<Counted>,
    stream_connected: Option<bool>,
    stream_next_try_s: Option<f64>,
    destination_connections: u64,
    destination_next_try_s: Option<f64>,
    oldest_pending_s: f64,
    spool_bytes_max: u64,
    token_expires_at: Option<f64>,
    last_event_at: Option<f64>,
    last_commit_at: Option<f64>,
    /// Since the sink was opened, as the next three.
    gaps: u64,
    errors: BTreeMap<String, u64>,
    dead_letters: BTreeMap<&'static str, u64>,
    rejections: Rejections,
    latest_errors: Vec<RecentError>,
    /// Also those of earlier processes.
    latest_gaps: Vec<SeenGap>,
    history: Series,
}

/// A [`Gap`] in the units of this object.
#[derive(Debug, Serialize)]
struct SeenGap {
    from: f64,
    /// `None`: it is still open.
    to: Option<f64>,
    cause: String,
    tries_failed: u64,
}

impl From<Gap> for SeenGap {
    fn from(gap: Gap) -> Self {
        let seconds = |time| micros::to_seconds(micros::from_time(time));
        Self { from: seconds(gap.from), to: gap.to.map(seconds), cause: gap.cause, tries_failed: gap.tries_failed }
    }
}

impl Watch {
    /// A loop hangs if it is overdue by `limit`.
    pub(crate) fn observation(&self, limit: Duration) -> Observation {
        let sink = &self.sink;
        let (config, engine) = (&sink.0.config, &sink.0.engine);
        let measures = &engine.status.measures;
        let (stats, health) = (sink.stats(), sink.health(limit));
        let words = sink.words(health.why.is_some());
        let recent = engine.status.recent.get();
        Observation {
            stream: config.stream.id.clone().filter(|_| config.has_stream()),
            table: config.destination.table.clone(),
            line: words.line(&stats),
            words,
            health,
            readiness: sink.readiness(),
            is_balanced: stats.is_balanced(),
            stored: stats.stored(),
            counters: Counter::ALL.into_iter().map(|counter| Counted::new(counter, &stats)).collect(),
            stats,
            stream_connected: config.has_stream().then(|| measures.is_stream_connected()),
            stream_next_try_s: sink.next_try(Tried::Stream).map(|left| left.as_secs_f64()),
            destination_connections: measures.destination_connected(),
            destination_next_try_s: sink.next_try(Tried::Destination).map(|left| left.as_secs_f64()),
            oldest_pending_s: sink.oldest_pending_s(),
            spool_bytes_max: engine.spool.bytes_max(),
            token_expires_at: measures.token_expires_at().map(micros::to_seconds),
            last_event_at: measures.last_event_at().map(micros::to_seconds),
            last_commit_at: measures.last_commit_at().map(micros::to_seconds),
            gaps: measures.gaps(),
            errors: some(measures.errors().map(|(kind, count)| (kind.name().to_ascii_lowercase(), count))),
            dead_letters: some(measures.dead_letters().map(|(stage, count)| (stage.name(), count))),
            rejections: recent.map(Recent::rejections).unwrap_or_default(),
            latest_errors: recent.map(Recent::errors).unwrap_or_default(),
            latest_gaps: self.gaps().into_iter().map(SeenGap::from).collect(),
            history: self.history.series(),
        }
    }
}

/// Those that have a count.
fn some<K: Ord>(counts: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
    counts.filter(|(_, count)| *count > 0).collect()
}

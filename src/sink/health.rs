//! How a sink is doing, for those who watch it from outside: its loops, its readiness, and everything that they may want to see.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::report::stats::{State, Stats};
use crate::report::status::{Side, Tried};
use crate::sink::Sink;
use crate::threads::sync;

/// Whether the loops of a sink move. Asks neither the database nor the network, and waits for no lock of the loops.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    /// `ok` or `hanging`.
    pub(crate) status: &'static str,
    /// The reason, if it is not `ok`.
    pub(crate) why: Option<String>,
    /// The loops that run, and how long each is overdue; 0 if it moves.
    pub(crate) loops: BTreeMap<String, f64>,
}

/// Whether events are accepted and kept.
#[derive(Debug, Serialize)]
pub(crate) struct Readiness {
    pub(crate) ready: bool,
    pub(crate) state: State,
    /// The reason why it is not, or what is wrong although it is.
    pub(crate) why: Option<String>,
}

/// Everything in one JSON object. Times are seconds since 1970-01-01 UTC, or durations in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Observation {
    pub(crate) version: &'static str,
    pub(crate) health: Health,
    pub(crate) readiness: Readiness,
    pub(crate) stats: Stats,
    pub(crate) is_balanced: bool,
    /// `None`: no stream is configured.
    pub(crate) stream_connected: Option<bool>,
    pub(crate) stream_next_try_s: Option<f64>,
    pub(crate) destination_connections: u64,
    pub(crate) destination_next_try_s: Option<f64>,
    pub(crate) oldest_pending_s: f64,
    pub(crate) spool_bytes_max: u64,
    pub(crate) token_expires_at: Option<f64>,
    pub(crate) last_event_at: Option<f64>,
    pub(crate) last_commit_at: Option<f64>,
    pub(crate) gaps: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) dead_letters: BTreeMap<&'static str, u64>,
}

impl Sink {
    /// A loop hangs if it is overdue by `limit`.
    pub(crate) fn health(&self, limit: Duration) -> Health {
        let pulses = sync::lock(&self.0.engine.pulses);
        let overdue: Vec<(&str, Duration)> =
            pulses.iter().map(|pulse| (pulse.name(), pulse.overdue().unwrap_or_default())).collect();
        let hanging: Vec<String> = overdue
            .iter()
            .filter(|(_, overdue)| *overdue >= limit)
            .map(|(name, overdue)| format!("the loop {name} has not moved for {:.0} s", overdue.as_secs_f64()))
            .collect();
        Health {
            status: if hanging.is_empty() { "ok" } else { "hanging" },
            why: (!hanging.is_empty()).then(|| hanging.join("; ")),
            loops: overdue.into_iter().map(|(name, overdue)| (name.to_owned(), overdue.as_secs_f64())).collect(),
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let engine = &self.0.engine;
        let status = &engine.status;
        let state = status.state();
        let is_away = self.0.config.has_stream() && !status.measures.is_stream_connected();
        let last_error = || status.counters.last_error().map_or_else(String::new, |error| format!(": {error}"));
        let (ready, why) = match state {
            State::Open => (false, Some("the sink is starting".to_owned())),
            State::Stopping => (false, Some("the sink is stopping: it commits the spooled events".to_owned())),
            State::Closed => (false, Some("the sink has ended".to_owned())),
            State::Failed => (false, Some(format!("the sink has failed{}", last_error()))),
            State::Running | State::Stalled if engine.spool.is_full() => {
                (false, Some("the spool is full: spool.bytes_max is reached".to_owned()))
            }
            State::Running | State::Stalled if status.is_stalled_by(Side::Spool) => {
                (false, Some(format!("the spool accepts no events{}", last_error())))
            }
            State::Running | State::Stalled if is_away => {
                (false, Some(format!("the stream is not connected{}", last_error())))
            }
            State::Running => (true, None),
            State::Stalled => {
                (true, Some(format!("events wait in the spool: the destination does not take them{}", last_error())))
            }
        };
        Readiness { ready, state, why }
    }

    pub(crate) fn observation(&self, limit: Duration) -> Observation {
        let engine = &self.0.engine;
        let measures = &engine.status.measures;
        let stats = self.stats();
        let now = engine.status.clock.unix_micros();
        Observation {
            version: env!("CARGO_PKG_VERSION"),
            health: self.health(limit),
            readiness: self.readiness(),
            is_balanced: stats.is_balanced(),
            stats,
            stream_connected: self.0.config.has_stream().then(|| measures.is_stream_connected()),
            stream_next_try_s: self.next_try(Tried::Stream).map(|left| left.as_secs_f64()),
            destination_connections: measures.destination_connected(),
            destination_next_try_s: self.next_try(Tried::Destination).map(|left| left.as_secs_f64()),
            oldest_pending_s: engine.spool.oldest_pending().map_or(0.0, |at| seconds((now - at).max(0))),
            spool_bytes_max: engine.spool.bytes_max(),
            token_expires_at: measures.token_expires_at().map(seconds),
            last_event_at: measures.last_event_at().map(seconds),
            last_commit_at: measures.last_commit_at().map(seconds),
            gaps: measures.gaps(),
            errors: some(measures.errors().map(|(kind, count)| (kind.name().to_ascii_lowercase(), count))),
            dead_letters: some(measures.dead_letters().map(|(stage, count)| (stage.name(), count))),
        }
    }
}

/// Those that have a count.
fn some<K: Ord>(counts: impl Iterator<Item = (K, u64)>) -> BTreeMap<K, u64> {
    counts.filter(|(_, count)| *count > 0).collect()
}

#[expect(clippy::cast_precision_loss, reason = "to be shown")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

//! How a sink is doing: its loops, its readiness, and both in words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::report::stats::State;
use crate::report::status::{Side, Tried};
use crate::report::watch::{Scene, Words};
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

    /// The sink and its sides in words.
    pub(crate) fn words(&self, is_hanging: bool) -> Words {
        let engine = &self.0.engine;
        let status = &engine.status;
        Words::new(&Scene {
            state: status.state(),
            is_hanging,
            is_ready: self.readiness().ready,
            is_stream_connected: self.0.config.has_stream().then(|| status.measures.is_stream_connected()),
            stream_next_try: status.next_try(Tried::Stream),
            is_spool_full: engine.spool.is_full(),
            is_spool_refusing: status.is_stalled_by(Side::Spool) || status.is_stalled_by(Side::DeadLetters),
            is_destination_connected: status.measures.destination_connected() > 0,
            is_destination_stalled: status.is_destination_stalled(),
            destination_next_try: status.next_try(Tried::Destination),
        })
    }
}

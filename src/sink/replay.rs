//! Replaying dead letters: through a running sink, or without one.
//!
//! Without one there are two ways. If no process has the spool open, a sink without a stream replays them, waits until they are
//! committed, and ends. If a process has it open, usually the service that reads the stream, a request in the file makes that process
//! replay them: it continues to read, and needs no other interface.

use std::thread;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::handle::{ROOM_CHECK, Sink};
use crate::config::{Config, OauthConfig, StreamConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::replayer::{PageReplay, Replayer};
use crate::report::replay::{ReplayReport, Selection};
use crate::report::stats::Counter;
use crate::spool::{Requests, Spool};

impl Sink {
    /// Checks dead letters again, with the schema that the sink was opened with and the mapping to the table as it is now, and accepts
    /// the valid ones as new events, in the order of their offsets.
    ///
    /// A message that could not be unwrapped is unwrapped with the settings that the sink was opened with, and each of its events is a new
    /// event; those that are not valid become dead letters of their own. The counter [`Replayed`](Counter::Replayed) counts them, and the
    /// report counts the message.
    ///
    /// A replayed event does not overwrite what a later event of its key has written since it was rejected; the counter
    /// [`Superseded`](Counter::Superseded) counts those that are left out for that. Where it is not known whether there was a later one,
    /// the timestamp of the row decides if it follows each update (`destination.update = "newer"`, or `mapping.update` names it);
    /// otherwise an existing row stays as it is.
    ///
    /// The transaction that puts one into the spool also marks it, so none is lost and none is accepted twice, also after a crash. If the
    /// database refuses it again, it becomes a dead letter again, at its new offset. Those still not valid stay, with their new reason.
    /// Those whose batch is not finished are skipped; after a crash, there may be some. Blocks while the spool is full.
    ///
    /// # Errors
    /// [`State`](crate::ErrorKind::State) when the sink is stopping, or the error that ended it; [`Spool`](crate::ErrorKind::Spool) if the file cannot be used; those
    /// replayed before stay replayed. [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn replay(&self, selection: &Selection) -> Result<ReplayReport> {
        self.replay_as(selection, false)
    }

    /// Like [`replay`](Self::replay), but a replayed event overwrites its row, whatever has been written since.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn replay_forced(&self, selection: &Selection) -> Result<ReplayReport> {
        self.replay_as(selection, true)
    }

    fn replay_as(&self, selection: &Selection, is_forced: bool) -> Result<ReplayReport> {
        self.check_process()?;
        let engine = &self.0.engine;
        let plan = engine.handoff.plan();
        let Engine { spool, status, rules, .. } = &**engine;
        let rules = &rules.now();
        let replayer = Replayer { spool, status, rules, plan: plan.as_ref(), is_forced };
        let _replaying = spool.begin_replay();
        // The dead letters that result from this replay are not part of it.
        let to = spool.committed();
        let mut report = ReplayReport::default();
        let mut from = 0;
        loop {
            if let Some(refusal) = status.refusal("replaying dead letters") {
                return Err(refusal);
            }
            let (fates, next) = match replayer.page(selection, from, to)? {
                PageReplay::Done(fates, next) => (fates, next),
                PageReplay::Full(space) => {
                    spool.wait_for_space(space, ROOM_CHECK);
                    continue;
                }
            };
            for (offset, fate) in fates {
                report.count(offset, fate);
            }
            match next {
                Some(next) => from = next,
                None => return Ok(report),
            }
        }
    }
}

/// The limit for committing the events that were spooled before, and again for those that are replayed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval between two checks of a request.
const REQUEST_CHECK: Duration = Duration::from_millis(20);

/// Replays dead letters of the spool `spool.path`; see [`Sink::replay`].
///
/// If no process has it open, this opens a sink without a stream, with `config`, replays them, and commits the spooled events if the
/// destination is reachable. Otherwise the process that has it open replays them on request, with the configuration that it was started
/// with; `timeout` limits each step of it.
///
/// # Errors
/// [`Timeout`](crate::ErrorKind::Timeout) if that process does not answer in time; nothing more is replayed then.
/// [`Spool`](crate::ErrorKind::Spool), [`Database`](crate::ErrorKind::Database), [`Config`](crate::ErrorKind::Config) as for
/// [`Sink::start`].
pub fn replay(config: &Config, selection: &Selection, timeout: Duration) -> Result<ReplayReport> {
    replay_as(config, selection, timeout, false)
}

/// Replays dead letters like [`replay`]; see [`Sink::replay_forced`].
///
/// # Errors
/// As [`replay`].
pub fn replay_forced(config: &Config, selection: &Selection, timeout: Duration) -> Result<ReplayReport> {
    replay_as(config, selection, timeout, true)
}

fn replay_as(config: &Config, selection: &Selection, timeout: Duration, is_forced: bool) -> Result<ReplayReport> {
    let mut own = config.clone();
    // This process does not read the stream.
    own.oauth = OauthConfig::default();
    let StreamConfig { name, event_bytes_max, .. } = config.stream.clone();
    own.stream = StreamConfig { name, event_bytes_max, ..StreamConfig::default() };
    // This does not create a spool.
    let requests = Requests::open(config)?;
    match Sink::open(&own) {
        Ok(sink) => {
            sink.start()?;
            sink.0.engine.spool.wait_drained(DRAIN_TIMEOUT);
            let before = sink.counter(Counter::Superseded);
            let report = sink.replay_as(selection, is_forced)?;
            match sink.close_within(DRAIN_TIMEOUT) {
                Err(error) if error.kind() != ErrorKind::Timeout => return Err(error),
                _ => {}
            }
            let pending = sink.counter(Counter::Pending);
            if pending > 0 {
                log::warn!("{pending} events are still in the spool; the next start commits them");
            }
            Ok(ReplayReport { superseded: sink.counter(Counter::Superseded) - before, ..report })
        }
        Err(error) => match Spool::holder(config) {
            Some(holder) => request_replay(&requests, selection, timeout, is_forced, holder),
            None => Err(error),
        },
    }
}

/// Places a request for the process that has the spool open, and waits until that has replayed them.
fn request_replay(
    requests: &Requests,
    selection: &Selection,
    timeout: Duration,
    is_forced: bool,
    holder: String,
) -> Result<ReplayReport> {
    let request = requests.place(selection, is_forced)?;
    let mut progress = requests.progress(request)?;
    let mut since = Instant::now();
    while progress.done.is_none() {
        if since.elapsed() >= timeout {
            requests.withdraw(request)?;
            return Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "replaying dead letters: {holder} has the spool open and did not replay them within {timeout:?}"
                ),
            )
            .with_hint(
                "try again when its destination is reachable, or end that process first; the request was withdrawn",
            ));
        }
        thread::sleep(REQUEST_CHECK);
        let before = std::mem::replace(&mut progress, requests.progress(request)?);
        if before.from != progress.from {
            since = Instant::now();
        }
    }
    requests.withdraw(request)?;
    let report = progress.done.unwrap_or_default();
    Ok(ReplayReport { by: Some(holder), ..report })
}

//! The loop that keeps the stream open and appends its events to the spool.
//!
//! It reconnects forever. When the spool is full it stops reading, which is backpressure for the server, and a burst that it has
//! read is kept until the spool has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{OnNormalClose, RetryConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::event::Burst;
use crate::pipeline::connection_log::ConnectionLog;
use crate::report::stats::Counter;
use crate::report::status::{Side, Status, Tried};
use crate::source::redact::Redactor;
use crate::source::{ReadOutcome, Source};
use crate::spool::{Appended, Spool};
use crate::threads::pulse;
use crate::time::backoff::Backoff;

pub(crate) struct Reader {
    pub(crate) spool: Arc<Spool>,
    pub(crate) status: Arc<Status>,
    pub(crate) source: Box<dyn Source>,
    /// `None` if nothing is redacted.
    pub(crate) redactor: Option<Arc<Redactor>>,
    /// A buffer for the events of one burst, once they are redacted.
    pub(crate) redacted: Burst,
    pub(crate) retry: RetryConfig,
    pub(crate) on_normal_close: OnNormalClose,
    pub(crate) connection_log: ConnectionLog,
    /// The spool is full, or nearly: reported once, not for each burst.
    pub(crate) is_full: bool,
}

/// After a connection that lasted this long, the next reconnect starts with the shortest delay.
const STABLE: Duration = Duration::from_secs(10);
/// How often a wait for room checks the stop signal.
const ROOM_CHECK: Duration = Duration::from_millis(50);

impl Reader {
    /// Runs until the stop signal is set or the stream ends permanently.
    ///
    /// # Errors
    /// Class `Permanent`: bad credentials, a stream that does not exist, a spool that cannot be written.
    pub(crate) fn run(&mut self) -> Result<()> {
        let mut backoff = Backoff::new(self.retry.delay_min, self.retry.delay_max);
        let mut connections = 0_u64;
        while !self.status.end_of_reading.is_set() {
            let mut opened_at = None;
            let outcome = self.connect(&mut connections).and_then(|()| {
                opened_at = Some(Instant::now());
                self.read()
            });
            let is_stopping = self.status.end_of_reading.is_set();
            self.connection_log.ended(&outcome, is_stopping);
            self.status.measures.note_stream(false);
            if opened_at.is_some() && !is_stopping {
                self.status.measures.note_gap();
            }
            // The time of connecting does not count: it may be a wait that the server requested.
            let was_stable = opened_at.is_some_and(|at| at.elapsed() >= STABLE);
            if was_stable {
                backoff.reset();
            }
            if self.status.end_of_reading.is_set() {
                break;
            }
            let Some(is_token_refused) = self.judge(outcome)? else { break };
            // After a stable connection a refused token has expired, and the next connection fetches another one at once.
            if is_token_refused && was_stable {
                continue;
            }
            let delay = backoff.next_delay();
            log::info!("connecting to the stream again in {:.1} s", delay.as_secs_f64());
            self.status.note_next_try(Tried::Stream, delay);
            if self.status.end_of_reading.wait(delay) {
                break;
            }
        }
        Ok(())
    }

    /// Reports the end of a connection: whether the token was refused, or `None` if the reader is to end.
    fn judge(&self, outcome: Result<()>) -> Result<Option<bool>> {
        match outcome {
            Ok(()) if self.on_normal_close == OnNormalClose::Stop => {
                log::info!("the server closed the stream; stream.on_normal_close = stop");
                Ok(None)
            }
            Ok(()) => {
                log::info!("the server closed the stream; connecting again");
                Ok(Some(false))
            }
            Err(error) if error.class() == Class::Permanent => Err(error),
            Err(error) => {
                self.status.report(&error);
                Ok(Some(error.kind() == ErrorKind::Auth))
            }
        }
    }

    /// Opens a connection. Events that come before it counts as open are kept, also if it never does.
    fn connect(&mut self, connections: &mut u64) -> Result<()> {
        let mut early = Burst::default();
        pulse::beat();
        let connected = self.source.connect(&mut early);
        pulse::beat();
        if connected.is_ok() {
            let follows_another = self.connection_log.opened();
            if follows_another && *connections == 0 {
                // The gap since the last connection of an earlier process. Those of this one are counted when they begin.
                self.status.measures.note_gap();
            }
            self.status.measures.note_stream(true);
            self.status.counters.add(Counter::Reconnects, u64::from(*connections > 0));
            *connections += 1;
        }
        self.keep(&early)?;
        connected
    }

    /// Reads one connection to its end; `Ok` when the server closed it with a close handshake.
    fn read(&mut self) -> Result<()> {
        let mut burst = Burst::default();
        loop {
            burst.clear();
            pulse::beat();
            let outcome = self.source.read(&mut burst);
            pulse::beat();
            self.keep(&burst)?;
            if self.status.end_of_reading.is_set() {
                return Ok(());
            }
            match outcome? {
                ReadOutcome::Events | ReadOutcome::Idle => {}
                ReadOutcome::Rotated => self.connection_log.rotated(),
                ReadOutcome::Closed => return Ok(()),
            }
        }
    }

    /// Appends the burst to the spool; only then may the source acknowledge its events.
    fn keep(&mut self, burst: &Burst) -> Result<()> {
        if burst.is_empty() {
            self.count_messages(burst);
            return Ok(());
        }
        match self.redactor.clone() {
            None => self.append(burst)?,
            Some(redactor) => {
                let mut redacted = std::mem::take(&mut self.redacted);
                redactor.redact_burst(burst, &mut redacted);
                let appended = self.append(&redacted);
                redacted.clear();
                self.redacted = redacted;
                appended?;
            }
        }
        self.source.kept();
        Ok(())
    }

    /// Appends the burst to the spool, however long that takes.
    fn append(&mut self, burst: &Burst) -> Result<()> {
        let received_at = self.status.clock.unix_micros();
        let mut backoff = Backoff::new(self.retry.delay_min, self.retry.delay_max);
        let mut has_waited = false;
        loop {
            match self.try_append(burst, received_at) {
                Ok(Appended::At(_)) => {
                    if self.is_full && !has_waited {
                        log::info!("the spool has room again");
                        self.is_full = false;
                    }
                    return Ok(());
                }
                Ok(Appended::Full) => {
                    has_waited = true;
                    self.wait_for_room(burst);
                }
                Err(error) => {
                    // Only damage is permanent, and what cannot be read again is not written either.
                    let is_over = error.class() == Class::Permanent || {
                        self.status.report(&error);
                        self.status.stall(Side::Spool);
                        self.wait(&mut backoff)
                    };
                    if is_over {
                        let lost = burst.events();
                        return Err(error.while_doing(format_args!("giving up {lost} events that were read")));
                    }
                }
            }
        }
    }

    fn try_append(&mut self, burst: &Burst, received_at: i64) -> Result<Appended> {
        let appended = if self.status.end_of_reading.is_set() {
            self.spool.append_last(burst, received_at, false).map(|()| Appended::At(0))?
        } else {
            self.spool.append(burst, received_at)?
        };
        if appended != Appended::Full {
            self.status.counters.add(Counter::Received, burst.events() as u64);
            self.status.measures.note_events(received_at);
            self.count_messages(burst);
            self.connection_log.read(burst.events(), received_at);
            self.status.recover(Side::Spool);
        }
        Ok(appended)
    }

    /// Messages with events are counted once the spool has those.
    fn count_messages(&self, burst: &Burst) {
        self.status.counters.add(Counter::Messages, burst.messages());
        self.status.counters.add(Counter::Ignored, burst.ignored());
    }

    fn wait_for_room(&mut self, burst: &Burst) {
        if !self.is_full {
            self.status.report(&full(&self.spool));
        }
        self.is_full = true;
        while !self.status.end_of_reading.is_set() && !self.spool.wait_for_room(burst, ROOM_CHECK) {}
    }

    /// Waits for the next try; true when there is none. After a graceful stop the tries continue until an immediate stop.
    fn wait(&self, backoff: &mut Backoff) -> bool {
        if self.status.end_of_reading.is_set() {
            return self.status.abort.wait(ROOM_CHECK);
        }
        self.status.end_of_reading.wait(backoff.next_delay());
        self.status.abort.is_set()
    }
}

fn full(spool: &Spool) -> Error {
    let bytes = spool.pending().bytes;
    Error::spool(format!("appending to the spool {}: it is full ({bytes} bytes)", spool.path().display()))
        .with_class(Class::Transient)
        .with_hint("raise spool.bytes_max if the destination is healthy; no event is lost")
}

#[cfg(test)]
#[path = "tests/reader.rs"]
mod tests;

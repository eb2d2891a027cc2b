//! The loop that keeps the stream open and puts what it reads into the spool.
//!
//! It connects for ever, stops reading when the spool is full (TCP then pushes back), and never lets go of a burst that it has
//! read before the spool has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{OnNormalClose, RetryConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::event::Burst;
use crate::pipeline::connection_log::Ledger;
use crate::report::stats::Counter;
use crate::report::status::{Side, Status};
use crate::source::{ReadOutcome, Source};
use crate::spool::{Appended, Spool};
use crate::time::backoff::Backoff;

pub(crate) struct Reader {
    pub(crate) spool: Arc<Spool>,
    pub(crate) status: Arc<Status>,
    pub(crate) source: Box<dyn Source>,
    pub(crate) retry: RetryConfig,
    pub(crate) on_normal_close: OnNormalClose,
    pub(crate) ledger: Ledger,
    /// The spool is full, or hovers there: told once, not for each burst.
    pub(crate) is_full: bool,
}

/// A connection that lasted this long was a good one: the next reconnect starts again from the shortest delay.
const STABLE: Duration = Duration::from_secs(10);
/// How often a wait for room looks at the stop signal.
const ROOM_CHECK: Duration = Duration::from_millis(50);

impl Reader {
    /// Runs until the stop signal is set or the stream ends for good.
    ///
    /// # Errors
    /// What no reconnect can help: bad credentials, a stream that does not exist, a spool that cannot be written.
    pub(crate) fn run(&mut self) -> Result<()> {
        let mut backoff = Backoff::new(self.retry.delay_min, self.retry.delay_max);
        let mut connections = 0_u64;
        while !self.status.stop.is_set() {
            let started = Instant::now();
            let outcome = self.source.connect().and_then(|()| {
                connections += 1;
                self.ledger.opened();
                self.status.counters.add(Counter::Reconnects, u64::from(connections > 1));
                self.read()
            });
            self.ledger.ended(&outcome, self.status.stop.is_set());
            let was_stable = started.elapsed() >= STABLE;
            if was_stable {
                backoff.reset();
            }
            if self.status.stop.is_set() {
                break;
            }
            let is_refused_token = match outcome {
                Ok(()) if self.on_normal_close == OnNormalClose::Stop => {
                    log::info!("the server closed the stream; stream.on_normal_close = stop");
                    break;
                }
                Ok(()) => {
                    log::info!("the server closed the stream; connecting again");
                    false
                }
                Err(error) if error.class() == Class::Permanent => return Err(error),
                Err(error) => {
                    self.status.report(&error);
                    error.kind() == ErrorKind::Auth
                }
            };
            // A token that had served its time is no trouble of the server's: its successor may connect at once.
            if !(is_refused_token && was_stable) && self.status.stop.wait(backoff.next_delay()) {
                break;
            }
        }
        Ok(())
    }

    /// Reads one connection to its end; `Ok` when the server closed it in order.
    fn read(&mut self) -> Result<()> {
        let mut burst = Burst::default();
        loop {
            burst.clear();
            let outcome = self.source.read(&mut burst);
            if !burst.is_empty() {
                self.append(&burst)?;
            }
            if self.status.stop.is_set() {
                return Ok(());
            }
            match outcome? {
                ReadOutcome::Events | ReadOutcome::Idle => {}
                ReadOutcome::Rotated => self.ledger.renewed(),
                ReadOutcome::Closed => return Ok(()),
            }
        }
    }

    /// Puts the burst into the spool, however long that takes.
    fn append(&mut self, burst: &Burst) -> Result<()> {
        let received_at = self.status.clock.unix_micros();
        let mut backoff = Backoff::new(self.retry.delay_min, self.retry.delay_max);
        let mut has_waited = false;
        loop {
            let appended = if self.status.stop.is_set() {
                self.spool.append_last(burst, received_at).map(|()| Appended::At(0))
            } else {
                self.spool.append(burst, received_at)
            };
            match appended {
                Ok(Appended::At(_)) => {
                    self.status.counters.add(Counter::Received, burst.events() as u64);
                    self.ledger.read(burst.events(), received_at);
                    self.status.recover(Side::Spool);
                    if self.is_full && !has_waited {
                        log::info!("the spool has room again");
                        self.is_full = false;
                    }
                    return Ok(());
                }
                Ok(Appended::Full) => {
                    if !self.is_full {
                        self.status.report(&full(&self.spool));
                    }
                    (self.is_full, has_waited) = (true, true);
                    while !self.status.stop.is_set() && !self.spool.wait_for_room(burst, ROOM_CHECK) {}
                }
                Err(error) if error.class() == Class::Transient => {
                    self.status.report(&error);
                    self.status.stall(Side::Spool);
                    if self.wait(&mut backoff) {
                        let lost = burst.events();
                        return Err(error.while_doing(format_args!("giving up {lost} events that were read")));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the next try; true when there is to be none. After a stop the tries go on until the sink is aborted.
    fn wait(&self, backoff: &mut Backoff) -> bool {
        if self.status.stop.is_set() {
            return self.status.abort.wait(ROOM_CHECK);
        }
        self.status.stop.wait(backoff.next_delay());
        self.status.abort.is_set()
    }
}

fn full(spool: &Spool) -> Error {
    let bytes = spool.pending().bytes;
    Error::spool(format!(
        "the spool {} is full ({bytes} bytes): not reading until the destination has taken some",
        spool.path().display()
    ))
    .with_class(Class::Transient)
    .with_hint("nothing is lost; if the destination is well, raise spool.bytes_max")
}

//! Rotation to the next connection, make before break: it is opened, with a new token, before the token of the open one expires.
//!
//! A server closes a stream whose token has expired, and events sent between that and our next handshake would be missed. So a thread of
//! its own opens the next connection while the reader reads the old one. When the old connection is idle, the close handshake begins:
//! send Close, and read until the server's Close, so that nothing in flight is lost. Only then is the next connection read, so events stay
//! in order. An event that comes on both is harmless: the destination upserts it.
//!
//! The next connection has its own conversation, and counts as open once its `stream.open_answer` has come. Acknowledgements leave on the
//! connection of their events; after our Close they cannot, and the server sends those events again.
//!
//! A connection that is being opened is never abandoned: the server may have begun to send on it, and only on it.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::net::detached::no_thread;
use crate::source::ReadOutcome;
use crate::source::oauth::shelf::Token;
use crate::source::websocket::connector::{OpenStream, StreamConnector};
use crate::threads::spawn;
use crate::time::backoff::Backoff;

/// A token that lives shorter than this would mean a new connection several times a second: no rotation.
const LIFETIME_MIN: Duration = Duration::from_secs(1);
/// How often the reader checks whether the next connection is open.
const CHECK_EVERY: Duration = Duration::from_millis(20);
/// The old connection is idle when nothing came for this long.
const IDLE: Duration = Duration::from_millis(20);
/// How long the reader waits for the old connection to become idle, and then for the server's Close.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// More than a socket's buffers hold in full bursts. Time alone is no measure: a full spool may keep the reader away for long.
const CLOSE_READS: u32 = 64;

/// The state of the change to the next connection.
pub(super) struct Rotation {
    before_expiry: Duration,
    backoff: Backoff,
    stage: RotationStage,
}

enum RotationStage {
    /// Nothing to do before this; `None`: never.
    Waiting(Option<Instant>),
    Opening(Receiver<Opened>),
    Closing(Box<Closing>),
}

/// The next connection, and the events that came on it before it was open or failed.
type Opened = (Result<OpenStream>, Burst);

/// The end of the old connection.
struct Closing {
    next: OpenStream,
    early: Burst,
    /// Whether Close was sent.
    is_sent: bool,
    /// The beginning of this part of it, and the reads since then.
    since: Instant,
    reads: u32,
}

impl Rotation {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            before_expiry: config.stream.renew_before_expiry,
            backoff: Backoff::new(config.retry.delay_min, config.retry.delay_max),
            stage: RotationStage::Waiting(None),
        }
    }

    /// A connection has been opened with this token.
    pub(super) fn begin(&mut self, token: &Token) {
        self.backoff.reset();
        let due = token.lifetime.and_then(|lifetime| due_at(token.requested_at, lifetime, self.before_expiry));
        self.stage = RotationStage::Waiting(due);
    }

    /// Does what is due, without waiting. Returns until when the caller may read `open` before it calls this again. `early` gets the
    /// events of a next connection that failed.
    pub(super) fn advance(
        &mut self,
        connector: &Arc<StreamConnector>,
        open: &OpenStream,
        early: &mut Burst,
    ) -> Option<Instant> {
        let now = connector.clock.steady();
        match &mut self.stage {
            RotationStage::Waiting(due) if due.is_none_or(|due| now < due) => return *due,
            RotationStage::Waiting(_) => match start(connector, &open.token) {
                Ok(opening) => self.stage = RotationStage::Opening(opening),
                Err(error) => return self.failed(&error, now),
            },
            RotationStage::Opening(opening) => match opening.try_recv() {
                Ok((Ok(next), early)) => {
                    log::info!("the next connection to the stream is open, with a new token; closing the old one");
                    let closing = Closing { next, early, is_sent: false, since: now, reads: 0 };
                    self.stage = RotationStage::Closing(Box::new(closing));
                }
                Ok((Err(error), mut came)) => {
                    early.append(&mut came);
                    return self.failed(&error, now);
                }
                Err(TryRecvError::Disconnected) => return self.failed(&no_result(), now),
                Err(TryRecvError::Empty) => {}
            },
            RotationStage::Closing(_) => {}
        }
        Some(match &self.stage {
            RotationStage::Closing(closing) if closing.is_sent => (closing.since + CLOSE_MAX).max(now + IDLE),
            RotationStage::Closing(_) => now + IDLE,
            RotationStage::Waiting(_) | RotationStage::Opening(_) => now + CHECK_EVERY,
        })
    }

    /// Moves the close handshake on by the outcome of a read of `open`; true when the old connection has been read for long enough.
    pub(super) fn is_closed_after(&mut self, open: &mut OpenStream, read: &ReadOutcome, now: Instant) -> bool {
        let RotationStage::Closing(closing) = &mut self.stage else {
            return false;
        };
        closing.reads += 1;
        let is_late = now.saturating_duration_since(closing.since) >= CLOSE_MAX;
        let is_idle = *read == ReadOutcome::Idle;
        let is_done = is_late && (is_idle || closing.reads >= CLOSE_READS);
        if closing.is_sent {
            return is_done;
        }
        if is_idle || is_done {
            open.connection.send_close();
            (closing.is_sent, closing.since, closing.reads) = (true, now, 0);
        }
        false
    }

    /// Whether the next connection is open, and the old one is being closed.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.stage, RotationStage::Closing(_))
    }

    /// The next connection. Waits for one that is being opened. `early` gets the events that came before it was open, or failed.
    pub(super) fn take_next(&mut self, early: &mut Burst) -> Option<OpenStream> {
        match mem::replace(&mut self.stage, RotationStage::Waiting(None)) {
            RotationStage::Waiting(_) => None,
            RotationStage::Closing(mut closing) => {
                early.append(&mut closing.early);
                Some(closing.next)
            }
            // The thread listens to the stop signal and has a deadline for everything.
            RotationStage::Opening(opening) => {
                let (opened, mut came) = opening.recv().unwrap_or_else(|_| (Err(no_result()), Burst::default()));
                early.append(&mut came);
                opened.inspect_err(warn).ok()
            }
        }
    }

    /// The old connection continues; returns when to try again.
    fn failed(&mut self, error: &Error, now: Instant) -> Option<Instant> {
        warn(error);
        let due = now.checked_add(self.backoff.next_delay());
        self.stage = RotationStage::Waiting(due);
        due
    }
}

fn warn(error: &Error) {
    log::warn!("opening the next connection before the token expires: {error}");
}

fn no_result() -> Error {
    Error::new(ErrorKind::Internal, "the thread cxsink-rotation ended without a result")
}

/// When to open the next connection; `None`: never ahead of time.
fn due_at(requested_at: Instant, lifetime: Duration, before_expiry: Duration) -> Option<Instant> {
    if before_expiry.is_zero() || lifetime < LIFETIME_MIN {
        return None;
    }
    requested_at.checked_add(lifetime.saturating_sub(before_expiry.min(lifetime / 2)))
}

/// Opens a connection on a thread of its own.
fn start(connector: &Arc<StreamConnector>, replaced: &Token) -> Result<Receiver<Opened>> {
    let (sender, receiver) = mpsc::channel();
    let (connector, replaced) = (Arc::clone(connector), replaced.clone());
    let spawned = spawn::spawn("cxsink-rotation", move || {
        // Without a receiver the source is gone, and the connection is closed here.
        let mut early = Burst::default();
        let opened = connector.open(Some(&replaced), &mut early);
        drop(sender.send((opened, early)));
    });
    spawned.map(|_detached| receiver).map_err(|error| no_thread(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_connection_is_due_before_the_expiry_and_never_before_half_of_the_life() {
        let now = Instant::now();
        let check = |lifetime_ms, before_ms, expected: Option<u64>| {
            let due = due_at(now, Duration::from_millis(lifetime_ms), Duration::from_millis(before_ms));
            assert_eq!(due, expected.map(|ms| now + Duration::from_millis(ms)), "{lifetime_ms} {before_ms}");
        };
        check(3_600_000, 60_000, Some(3_540_000));
        check(120_000, 60_000, Some(60_000));
        check(100_000, 60_000, Some(50_000));
        check(1000, 60_000, Some(500));
        check(999, 60_000, None);
        check(3_600_000, 0, None);
    }
}

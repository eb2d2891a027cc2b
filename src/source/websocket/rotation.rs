//! Make before break: the next connection, with a new token, is opened before the token of the open one expires.
//!
//! A server closes a stream whose token has expired, and what it sends between that and our next handshake is missed. So the
//! next connection is opened on a thread of its own while the old one is read on. Once it is there, the old one is read until
//! it is quiet, told goodbye, and read to the server's answer: TCP keeps the order, so nothing sent before the answer is
//! missed. Only then the new one is read, so events stay in order; what comes on both is harmless downstream.
//!
//! A connection that is being opened is never abandoned: the server may have begun to send on it, and only on it.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::threads::spawn;
use crate::time::backoff::Backoff;

use crate::source::Read;
use crate::source::net::connect;
use crate::source::oauth::token::Token;
use crate::source::websocket::connector::{Open, Opener};

/// A token that lives shorter than this is not worth the effort; it would mean a new connection several times a second.
const LIFETIME_MIN: Duration = Duration::from_secs(1);
/// How often the reader looks whether the next connection is there.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The old connection is quiet when nothing came for this long.
const QUIET: Duration = Duration::from_millis(20);
/// How long the old connection is read in the hope that it becomes quiet, and how long its server may take for its answer.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// More than a socket's buffers hold in full bursts. Time alone is no measure: the reader may be away for long when the spool is full.
const FAREWELL_READS: u32 = 64;

/// Where the change to the next connection stands.
pub(super) struct Renewal {
    before_expiry: Duration,
    backoff: Backoff,
    stage: Stage,
}

enum Stage {
    /// Nothing to do before this; `None`: not at all.
    Waiting(Option<Instant>),
    Opening(Receiver<Result<Open>>),
    Leaving(Box<Farewell>),
}

/// The old connection's end.
struct Farewell {
    next: Open,
    /// Whether the server has been told.
    told: bool,
    /// When this part of it began, and how often was read since.
    since: Instant,
    reads: u32,
}

impl Renewal {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            before_expiry: config.stream.renew_before_expiry,
            backoff: Backoff::new(config.retry.delay_min, config.retry.delay_max),
            stage: Stage::Waiting(None),
        }
    }

    /// A connection has been opened with this token.
    pub(super) fn begin(&mut self, token: &Token) {
        self.backoff.reset();
        self.stage = Stage::Waiting(due_at(token.begun_at, token.lifetime, self.before_expiry));
    }

    /// Does what is due, without waiting; returns until when `open` may be read before this wants to be called again.
    pub(super) fn advance(&mut self, opener: &Arc<Opener>, open: &mut Open) -> Option<Instant> {
        let now = opener.clock.steady();
        match &mut self.stage {
            Stage::Waiting(due) if due.is_none_or(|due| now < due) => return *due,
            Stage::Waiting(_) => match start(opener, &open.token) {
                Ok(opening) => self.stage = Stage::Opening(opening),
                Err(error) => return self.failed(&error, now),
            },
            Stage::Opening(opening) => match opening.try_recv() {
                Ok(Ok(next)) => {
                    log::info!("the next connection to the stream is open, with a new token; leaving the old one");
                    self.stage = Stage::Leaving(Box::new(Farewell { next, told: false, since: now, reads: 0 }));
                }
                Ok(Err(error)) => return self.failed(&error, now),
                Err(TryRecvError::Disconnected) => return self.failed(&no_answer(), now),
                Err(TryRecvError::Empty) => {}
            },
            Stage::Leaving(_) => {}
        }
        Some(match &self.stage {
            Stage::Leaving(farewell) if farewell.told => (farewell.since + FAREWELL_MAX).max(now + QUIET),
            Stage::Leaving(_) => now + QUIET,
            Stage::Waiting(_) | Stage::Opening(_) => now + LOOK_EVERY,
        })
    }

    /// Looks at what reading `open` gave; true when the old connection has been read for long enough.
    pub(super) fn has_left(&mut self, open: &mut Open, read: &Read, now: Instant) -> bool {
        let Stage::Leaving(farewell) = &mut self.stage else {
            return false;
        };
        farewell.reads += 1;
        let is_late = now.saturating_duration_since(farewell.since) >= FAREWELL_MAX;
        let is_idle = *read == Read::Idle;
        let is_done = is_late && (is_idle || farewell.reads >= FAREWELL_READS);
        if farewell.told {
            return is_done;
        }
        if is_idle || is_done {
            open.connection.say_goodbye();
            (farewell.told, farewell.since, farewell.reads) = (true, now, 0);
        }
        false
    }

    /// Whether the next connection is open.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving(_))
    }

    /// The next connection, if it is open or becomes so; waits for that.
    pub(super) fn take_next(&mut self) -> Option<Open> {
        match mem::replace(&mut self.stage, Stage::Waiting(None)) {
            Stage::Waiting(_) => None,
            Stage::Leaving(farewell) => Some(farewell.next),
            // The thread listens to the stop signal and has a deadline for everything.
            Stage::Opening(opening) => opening.recv().unwrap_or_else(|_| Err(no_answer())).inspect_err(warn).ok(),
        }
    }

    /// The old connection goes on; returns when to try again.
    fn failed(&mut self, error: &Error, now: Instant) -> Option<Instant> {
        warn(error);
        let due = now.checked_add(self.backoff.next_delay());
        self.stage = Stage::Waiting(due);
        due
    }
}

fn warn(error: &Error) {
    log::warn!("changing to the next connection before the token expires: {error}");
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Internal, "the thread cxsink-renewal ended without an answer")
}

/// When the next connection is to be opened; `None`: not ahead of time.
fn due_at(begun_at: Instant, lifetime: Duration, before_expiry: Duration) -> Option<Instant> {
    if before_expiry.is_zero() || lifetime < LIFETIME_MIN {
        return None;
    }
    begun_at.checked_add(lifetime.saturating_sub(before_expiry.min(lifetime / 2)))
}

/// Opens a connection on a thread of its own.
fn start(opener: &Arc<Opener>, replaced: &Token) -> Result<Receiver<Result<Open>>> {
    let (sender, receiver) = mpsc::channel();
    let (opener, replaced) = (Arc::clone(opener), replaced.clone());
    let spawned = spawn::spawn("cxsink-renewal", move || {
        // Nobody listens any more when the source is gone; the connection is closed then.
        drop(sender.send(opener.open(Some(&replaced))));
    });
    spawned.map(|_detached| receiver).map_err(|error| connect::no_thread(&error))
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

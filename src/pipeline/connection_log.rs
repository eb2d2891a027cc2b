//! The log of connections that the reader writes into the spool.
//!
//! One transaction when a connection opens, one when it ends, and one every few seconds while events come, so that the last
//! known time survives a kill. A failure to write it does not stop the reader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::report::stream_connection::RENEWED;
use crate::spool::{Spool, Tally};
use crate::time::clock::Clock;

/// How often the events of an open connection are noted.
const NOTE_INTERVAL: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct ConnectionLog {
    spool: Arc<Spool>,
    clock: Arc<dyn Clock>,
    open: Option<Open>,
    tries_failed: u64,
    try_error: Option<String>,
}

#[derive(Debug)]
struct Open {
    id: u64,
    tally: Tally,
    noted: Instant,
}

impl ConnectionLog {
    pub(crate) fn new(spool: Arc<Spool>, clock: Arc<dyn Clock>) -> Self {
        Self { spool, clock, open: None, tries_failed: 0, try_error: None }
    }

    /// Notes that a connection is open. Returns whether the spool knows of one before it, also of an earlier process.
    pub(crate) fn opened(&mut self) -> bool {
        let tries_failed = std::mem::take(&mut self.tries_failed);
        let opened =
            self.spool.connection_opened(self.clock.unix_micros(), tries_failed, self.try_error.take().as_deref());
        // The first event is noted at once: without it, the gap after a kill would begin with the connection.
        let noted = self.clock.steady().checked_sub(NOTE_INTERVAL).unwrap_or_else(|| self.clock.steady());
        self.open = log_failure(opened).map(|id| Open { id, tally: Tally::default(), noted });
        // They are numbered from 1 on.
        self.open.as_ref().is_some_and(|open| open.id > 1)
    }

    /// Counts events that were read at this time.
    pub(crate) fn read(&mut self, events: usize, at: i64) {
        let Some(open) = &mut self.open else { return };
        open.tally.first_event_at.get_or_insert(at);
        open.tally.last_event_at = Some(at);
        open.tally.events += events as u64;
        let now = self.clock.steady();
        if now.saturating_duration_since(open.noted) >= NOTE_INTERVAL {
            open.noted = now;
            log_failure(self.spool.connection_read(open.id, &open.tally));
        }
    }

    /// Notes that the next connection has replaced the open one.
    pub(crate) fn rotated(&mut self) {
        if let Some(open) = self.open.take() {
            log_failure(self.spool.connection_ended(
                open.id,
                &open.tally,
                self.clock.unix_micros(),
                RENEWED,
                Some(1000),
            ));
        }
        self.opened();
    }

    /// Notes the end of the open connection, or a failed try to open one.
    pub(crate) fn ended(&mut self, outcome: &Result<()>, is_stopping: bool) {
        let Some(open) = self.open.take() else {
            if let (Err(error), false) = (outcome, is_stopping) {
                self.tries_failed += 1;
                self.try_error = Some(error.to_string());
            }
            return;
        };
        let (cause, status) = match outcome {
            _ if is_stopping => ("the sink was stopped".to_owned(), None),
            // Close code 1000, RFC 6455 section 7.4.1.
            Ok(()) => ("the server closed the stream in order".to_owned(), Some(1000)),
            Err(error) => (error.to_string(), error.close_code()),
        };
        log_failure(self.spool.connection_ended(open.id, &open.tally, self.clock.unix_micros(), &cause, status));
    }
}

/// A failure costs an entry of `cxsink gaps`, and nothing else.
fn log_failure<T>(noted: Result<T>) -> Option<T> {
    let warn = |error: &Error| log::warn!("{error}: `cxsink gaps` will not show it");
    noted.inspect_err(warn).ok()
}

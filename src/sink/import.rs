//! Events from JSON Lines: a file or a pipe.

use std::io::{self, BufRead};
use std::time::Duration;

use super::handle::Sink;
use super::lines::{Lines, Next};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::event::Burst;
use crate::report::stats::Counter;

impl Sink {
    /// Accepts events from JSON Lines, one event a line, and skips empty lines. Returns the number of events accepted.
    ///
    /// Invalid events become dead letters, as those of the stream do; [`ingest`](Self::ingest) refuses them instead. Lines that have
    /// arrived are accepted before the next read, which may block: those of a slow pipe do not wait for later ones. Blocks while the
    /// spool is full.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if a line cannot be read; [`State`](crate::ErrorKind::State) when the sink
    /// is stopping; [`Spool`](crate::ErrorKind::Spool) if the file cannot be written. The message says how many events were accepted, and
    /// [`Error::index`] is their number; every line that was read as a whole is among them, unless the message gives the number of those
    /// that could not be kept. [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn import(&self, lines: impl BufRead) -> Result<u64> {
        self.import_as(lines, Content::Events)
    }

    /// Accepts dead letters that `cxsink dead-letters export` or [`DeadLetter::to_json`](crate::dead_letters::DeadLetter::to_json) has
    /// written, one a line, as new events. They are late: a row that an event of their key has written since is not overwritten, and the
    /// counter [`Superseded`](Counter::Superseded) counts them. Otherwise like [`import`](Self::import).
    ///
    /// # Errors
    /// As [`import`](Self::import); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) also for a line that is not a dead letter.
    pub fn import_exported(&self, lines: impl BufRead) -> Result<u64> {
        self.import_as(lines, Content::DeadLetters)
    }

    fn import_as(&self, lines: impl BufRead, content: Content) -> Result<u64> {
        self.check_process()?;
        let mut lines = Lines::new(lines);
        let mut burst = Burst::default();
        let mut accepted = 0;
        loop {
            let read = match lines.next().and_then(|next| content.push(&next, &mut burst).map(|()| next == Next::End)) {
                Ok(false) if !burst.is_full() && !lines.is_drained() => continue,
                read => read,
            };
            if !burst.is_empty() {
                self.keep(&burst, content, accepted)?;
                accepted += burst.events() as u64;
                burst.clear();
            }
            match read {
                Ok(false) => {}
                Ok(true) => return Ok(accepted),
                Err(error) => return Err(unreadable(&lines, error, accepted)),
            }
        }
    }

    /// Appends events that cannot be read again: it waits for a disk in trouble until the sink stops, and keeps them then too as long as
    /// the file is open. `accepted`: the events before them.
    fn keep(&self, burst: &Burst, content: Content, accepted: u64) -> Result<()> {
        let (spool, status) = (&self.0.engine.spool, &self.0.engine.status);
        let is_late = content == Content::DeadLetters;
        loop {
            let error = match self.append_as(burst, None, is_late) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.kind() != ErrorKind::State {
                if error.class() != Class::Transient {
                    return Err(not_kept(error, burst, accepted));
                }
                status.report(&error);
                if !status.stop.wait(RETRY_INTERVAL) {
                    continue;
                }
            }
            let now = status.clock.unix_micros();
            spool.append_last(burst, now, is_late).map_err(|_| not_kept(error, burst, accepted))?;
            status.counters.add(Counter::Received, burst.events() as u64);
            let accepted = accepted + burst.events() as u64;
            return Err(Error::state(format!("importing: the sink is stopping; {accepted} events were accepted"))
                .with_index(accepted));
        }
    }
}

/// The pause before the spool is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The content of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Events,
    /// Dead letters of an export, whose events are late.
    DeadLetters,
}

impl Content {
    /// Appends the event of a line.
    fn push(self, next: &Next<'_>, burst: &mut Burst) -> io::Result<()> {
        match (next, self) {
            (Next::Line([]) | Next::Drained | Next::End, _) => {}
            (Next::Line(line), Self::Events) => burst.push(line),
            (Next::Line(line), Self::DeadLetters) => burst.push(&event_of(line)?),
        }
        Ok(())
    }
}

/// The event of a dead letter, byte for byte.
fn event_of(line: &[u8]) -> io::Result<Vec<u8>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it is not a dead letter of an export");
    let letter: serde_json::Value = serde_json::from_slice(line).map_err(|_| invalid())?;
    if let Some(event) = letter["event"].as_str() {
        return Ok(event.as_bytes().to_vec());
    }
    let digits = letter["event_hex"].as_str().ok_or_else(invalid)?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(|pair| byte(pair).filter(|_| pair.len() == 2)).collect::<Option<_>>().ok_or_else(invalid)
}

fn not_kept(error: Error, burst: &Burst, accepted: u64) -> Error {
    let lost = burst.events();
    error
        .while_doing(format_args!(
            "importing: {accepted} events were accepted, and the {lost} that were read after them could not be kept"
        ))
        .with_index(accepted)
}

fn unreadable(lines: &Lines<impl BufRead>, error: io::Error, accepted: u64) -> Error {
    let incomplete = match lines.incomplete() {
        0 => String::new(),
        bytes => format!("; the {bytes} bytes of a line without its end were not accepted"),
    };
    let message = format!("reading the line after {accepted} accepted events: {error}{incomplete}");
    Error::new(ErrorKind::InvalidArgument, message).with_index(accepted).caused_by(error)
}

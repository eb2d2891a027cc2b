//! Events from JSON Lines: a file or a pipe.

use std::io::{self, BufRead};
use std::time::Duration;

use super::handle::Sink;
use super::lines::{Lines, Next};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::event::{Burst, Event};
use crate::pipeline::event_rules::EventRules;
use crate::report::dead_letter::Stage;
use crate::report::stats::Counter;
use crate::source::redact::Fingerprint;

impl Sink {
    /// Accepts events from JSON Lines, one event a line, and skips empty lines. Returns the number of events accepted. The lines are
    /// events, not messages of a stream: `[event]` does not apply.
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
    /// counter [`Superseded`](Counter::Superseded) counts them. A message that could not be unwrapped (stage `message`) is unwrapped with
    /// the settings of this sink, and each of its events counts as accepted. Otherwise like [`import`](Self::import).
    ///
    /// # Errors
    /// As [`import`](Self::import); [`InvalidArgument`](crate::ErrorKind::InvalidArgument) also for a line that is not a dead letter.
    pub fn import_exported(&self, lines: impl BufRead) -> Result<u64> {
        self.import_as(lines, Content::DeadLetters)
    }

    fn import_as(&self, lines: impl BufRead, content: Content) -> Result<u64> {
        self.check_process()?;
        let rules = &self.0.engine.rules;
        let mut lines = if content == Content::DeadLetters { Lines::of_export(lines) } else { Lines::new(lines) };
        let mut burst = Burst::default();
        let mut accepted = 0;
        loop {
            let push = |next: Next<'_>| content.push(&next, rules, &mut burst).map(|()| next == Next::End);
            let read = match lines.next().and_then(push) {
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
            status.measures.note_events(now);
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
    /// Appends the event of a line as it may be stored; of a message that could not be unwrapped, what it is with the current settings.
    fn push(self, next: &Next<'_>, rules: &EventRules, burst: &mut Burst) -> io::Result<()> {
        match (next, self) {
            (Next::Line([]) | Next::Drained | Next::End, _) => {}
            (Next::Line(line), Self::Events) => rules.push(Event { bytes: line, is_message: false }, burst),
            (Next::Line(line), Self::DeadLetters) => {
                let Exported { bytes, is_message, is_redacted } = Exported::parse(line)?;
                let event = Event { bytes: &bytes, is_message };
                if is_redacted {
                    // As it is: it was redacted before its dead letter was exported.
                    burst.push_event(event);
                } else if !is_message || rules.unwrap_again(&bytes, burst).is_err() {
                    rules.push(event, burst);
                }
            }
        }
        Ok(())
    }
}

/// A dead letter of an export.
struct Exported {
    /// The event, byte for byte.
    bytes: Vec<u8>,
    /// A message that could not be unwrapped, or the fingerprint of something that could not be redacted.
    is_message: bool,
    is_redacted: bool,
}

impl Exported {
    fn parse(line: &[u8]) -> io::Result<Self> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it is not a dead letter of an export");
        let letter: serde_json::Value = serde_json::from_slice(line).map_err(|_| invalid())?;
        let bytes = match letter["event"].as_str() {
            Some(event) => event.as_bytes().to_vec(),
            None => letter["event_hex"].as_str().and_then(from_hex).ok_or_else(invalid)?,
        };
        let is_redacted = letter["redacted"] == true;
        let is_message = if is_redacted {
            let is_of = |stage: Stage| letter["stage"] == stage.name();
            (is_of(Stage::Message) || is_of(Stage::Json)) && Fingerprint::parse(&bytes).is_some()
        } else {
            letter["stage"] == Stage::Message.name()
        };
        Ok(Self { bytes, is_message, is_redacted })
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(|pair| byte(pair).filter(|_| pair.len() == 2)).collect()
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

//! The port to the stream of events. The reader loop knows only this port; `source::websocket` implements it.

mod net;
mod oauth;
mod observer;
#[cfg(feature = "cli")]
mod peeked;
mod probe_step;
pub(crate) mod raw_json;
mod read_outcome;
pub(crate) mod redact;
#[cfg(test)]
mod test_server;
pub(crate) mod unwrap;
pub(crate) mod websocket;

#[cfg(feature = "cli")]
use std::time::Instant;

use crate::error::Result;
use crate::event::Burst;
use crate::report::finding::Finding;

pub(crate) use self::observer::{Observer, SourceEvent};
#[cfg(feature = "cli")]
pub(crate) use self::peeked::{Meaning, Peeked, PeekedEvent};
pub(crate) use self::probe_step::{ProbeStep, Server};
pub(crate) use self::read_outcome::ReadOutcome;

/// A stream that can be lost and opened again.
///
/// # Contract
/// - `connect` and `read` return within 100 ms once the stop signal that the implementation was built with is set; the result does not
///   matter then. `kept` never waits.
/// - An error's class decides what the reader does: `Transient` to connect again after a backoff, `Permanent` to give up. An error of
///   kind `Auth` and class `Transient` means that the server refused the token and the source dropped it: the next `connect` fetches
///   a new one.
/// - After an error, or [`ReadOutcome::Closed`], the connection is gone; `connect` opens the next one.
/// - Events in a burst have been read, whatever the result: they must be kept.
pub(crate) trait Source: Send {
    /// Opens the stream. Fetches a token first if there is none or it expires soon. Events that come before the stream counts as open
    /// are appended to `early`, about one burst at most.
    fn connect(&mut self, early: &mut Burst) -> Result<()>;

    /// Blocks until a message arrives, then appends it and all that has arrived after it to `burst`, until the burst is full
    /// ([`Burst::is_full`]).
    fn read(&mut self, burst: &mut Burst) -> Result<ReadOutcome>;

    /// The spool has all events of the calls before this one: they may be acknowledged.
    fn kept(&mut self);
}

/// The servers of a source, examined step by step for `check`. Each step uses the connection that the step before it made.
pub(crate) trait Probe {
    /// Tries one step; `None` if it does not apply.
    fn examine(&mut self, step: ProbeStep) -> Result<Option<Finding>>;
}

/// A stream that is watched and not kept, for `peek-stream`. It goes on where a [`Source`] fails: an answer that does not come, or a
/// message that cannot be unwrapped, ends nothing.
///
/// # Contract
/// - Calls return within 100 ms once the stop signal that the implementation was built with is set; the result does not matter then.
/// - No acknowledgement is sent: it would let the server forget the event.
#[cfg(feature = "cli")]
pub(crate) trait StreamPeek {
    /// Fetches a token and opens the stream; returns its address, without the query. The opening messages follow with
    /// [`next`](Self::next).
    fn open(&mut self) -> Result<String>;

    /// The next part of the conversation; `None` if nothing happens until then.
    fn next(&mut self, until: Instant) -> Result<Option<Peeked>>;

    /// A text of the conversation on one harmless line, without the secrets of the configuration and without the token, cut after
    /// `chars_max` characters.
    fn shown(&self, text: &[u8], chars_max: usize) -> String;
}

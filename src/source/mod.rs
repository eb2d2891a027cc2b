//! The port to the stream of events. The reader loop knows only this port; `source::websocket` implements it.

mod net;
mod oauth;
mod observer;
mod probe_step;
pub(crate) mod raw_json;
mod read_outcome;
#[cfg(test)]
mod test_server;
pub(crate) mod unwrap;
pub(crate) mod websocket;

use crate::error::Result;
use crate::event::Burst;
use crate::report::finding::Finding;

pub(crate) use self::observer::{Observer, SourceEvent};
pub(crate) use self::probe_step::{ProbeStep, Server};
pub(crate) use self::read_outcome::ReadOutcome;

/// A stream that can be lost and opened again.
///
/// # Contract
/// - Both calls return within 100 ms once the stop signal that the implementation was built with is set; the result does not
///   matter then.
/// - An error's class decides what the reader does: `Transient` to connect again after a backoff, `Permanent` to give up. An error of
///   kind `Auth` and class `Transient` means that the server refused the token and the source dropped it: the next `connect` fetches
///   a new one.
/// - After an error, or [`ReadOutcome::Closed`], the connection is gone; `connect` opens the next one.
pub(crate) trait Source: Send {
    /// Opens the stream. Fetches a token first if there is none or it expires soon.
    fn connect(&mut self) -> Result<()>;

    /// Blocks until a message arrives, then appends it and all that has arrived after it to `burst`, until the burst is full
    /// ([`Burst::is_full`]).
    ///
    /// On an error, the events in `burst` have been read and must be kept.
    fn read(&mut self, burst: &mut Burst) -> Result<ReadOutcome>;
}

/// The servers of a source, examined step by step for `check`. Each step uses the connection that the step before it made.
pub(crate) trait Probe {
    /// Tries one step; `None` if it does not apply.
    fn examine(&mut self, step: ProbeStep) -> Result<Option<Finding>>;
}

//! The port to the stream of events. The reader loop knows only this; `source::websocket` is the real one.

pub(crate) mod net;
pub(crate) mod oauth;
#[cfg(test)]
mod test_server;
pub(crate) mod websocket;

use std::sync::Arc;

use crate::error::Result;
use crate::event::Burst;
use crate::report::finding::Finding;

/// A stream that can be lost and opened again.
///
/// # Contract
/// - Both calls return within 100 ms once the stop signal that the implementation was built with is set; what they return
///   then does not matter.
/// - An error's class tells the reader what to do: `Transient` to connect again after a backoff, `Permanent` to give up. An error of
///   kind `Auth` and class `Transient` means that the token was refused and has been dropped: the next `connect` fetches a new one.
/// - After an error, or [`Read::Closed`], the connection is gone; `connect` opens the next one.
pub(crate) trait Source: Send {
    /// Opens the stream, fetching a token first if there is none or it expires soon.
    fn connect(&mut self) -> Result<()>;

    /// Blocks until a message is there, then takes what else has already arrived, until the burst
    /// is full ([`Burst::is_full`]), and appends it all to `burst`.
    ///
    /// What is in `burst` when an error is returned has been read and must be kept.
    fn read(&mut self, burst: &mut Burst) -> Result<Read>;
}

/// What [`Source::read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    /// At least one event was appended to the burst.
    Events,
    /// Nothing arrived for a while; the connection is healthy.
    Idle,
    /// The next connection has taken over, without a gap; what was appended to the burst, if anything, came on the one before.
    Renewed,
    /// The server closed the stream in order (close code 1000, RFC 6455 section 7.4.1).
    Closed,
}

/// The servers of a source, examined step by step for `check`. Each step uses the connection that the step before it made.
pub(crate) trait Probe {
    /// Tries one step; `None` if it does not apply.
    fn examine(&mut self, step: ProbeStep) -> Result<Option<Finding>>;
}

/// A server of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    TokenEndpoint,
    Stream,
}

/// One step on the way to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeStep {
    /// Resolves the name of the server, or of the proxy on the way.
    Names(Server),
    /// Connects.
    Tcp(Server),
    /// Has the proxy connect.
    Proxy(Server),
    /// Encrypts, verifies the certificate, and disconnects.
    Tls(Server),
    /// Fetches a token.
    Token,
    /// Compares the clock of the token endpoint with ours.
    Clock,
    /// Opens the stream and closes it again.
    Handshake,
}

/// What happens inside a source that the handle counts or tells; it has no part in how the stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceEvent {
    /// The token endpoint gave a token. The first one of a sink is no renewal.
    TokenFetched {
        /// Whether it replaces an earlier one.
        renewal: bool,
    },
}

/// Called on the thread that calls the source: must be short and must not block.
pub(crate) type Observer = Arc<dyn Fn(SourceEvent) + Send + Sync>;

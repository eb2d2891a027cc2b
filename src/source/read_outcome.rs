/// The outcome of [`Source::read`](crate::source::Source::read).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// At least one event was appended to the burst.
    Events,
    /// Nothing arrived for a while; the connection is healthy.
    Idle,
    /// The next connection has taken over without a gap. Events in the burst, if any, came on the connection before.
    Rotated,
    /// The server closed the stream in order (close code 1000, RFC 6455 section 7.4.1).
    Closed,
}

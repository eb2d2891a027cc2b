//! The end of a stream.

use std::io;
use std::time::Duration;

use super::control::Close;
use super::conversation::Unanswered;
use super::violation::ProtocolViolation;

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) enum End {
    /// A close frame came, with a code or without.
    Closed(Option<Close>),
    /// The connection ended without a close frame.
    Cut,
    /// The connection failed.
    Io(io::Error),
    /// The server broke the protocol.
    Violation(ProtocolViolation),
    /// There was no sign of life for this long.
    Silent(Duration),
    /// The server took no acknowledgement for this long.
    Untaken(Duration),
    /// A message of the server requests a delay; this is the message, fit to be shown.
    Refused(String),
    /// The opening messages were not answered in time.
    Unanswered,
    /// This many events came before the answer to the opening messages.
    TooEarly(usize),
    /// The stop signal is set.
    Stopped,
}

impl From<ProtocolViolation> for End {
    fn from(violation: ProtocolViolation) -> Self {
        Self::Violation(violation)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Unanswered> for End {
    fn from(_: Unanswered) -> Self {
        Self::Unanswered
    }
}

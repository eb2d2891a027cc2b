//! The parts of a conversation on the stream, as `peek-stream` shows them.

use crate::config::MessagePattern;

/// One part. Its texts are as they came: hide the secrets in them before showing them
/// ([`StreamPeek::shown`](crate::source::StreamPeek::shown)).
#[derive(Debug, PartialEq)]
pub(crate) enum Peeked {
    /// A message of this side, by the key that it comes from.
    Sent {
        key: &'static str,
        message: Vec<u8>,
    },
    Received {
        message: Vec<u8>,
        meaning: Meaning,
    },
    /// The server closed the stream in order.
    Closed,
}

/// The meaning of a message for the sink.
#[derive(Debug, PartialEq)]
pub(crate) enum Meaning {
    /// `stream.open_answer`
    OpenAnswer,
    /// One of `stream.open_refused`
    Refused(MessagePattern),
    /// `stream.heartbeat_answer`
    HeartbeatAnswer,
    /// One of `stream.ignore`; none of them: an array without elements.
    Ignored(Option<MessagePattern>),
    Events(Vec<PeekedEvent>),
}

/// An event of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PeekedEvent {
    pub(crate) bytes: Vec<u8>,
    /// Why the message, or this line of it, cannot be unwrapped; it is then kept whole, as a dead letter.
    pub(crate) problem: Option<String>,
}

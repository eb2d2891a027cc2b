//! The conversation on an open connection (`[stream]`): opening messages and their answer, heartbeats, refusals, messages without events,
//! acknowledgements.
//!
//! It is a value without a socket and without a clock: [`Connection`](super::connection::Connection) hands it each message and the time, and
//! does what it says. With the default settings no message is looked at.

mod heartbeat;
mod open_refusals;
mod patterns;
mod rules;
mod shown;
mod state;
mod template;

pub(crate) use self::heartbeat::Due;
pub(crate) use self::open_refusals::OpenRefusals;
pub(crate) use self::rules::{MessageKind, Rules};
pub(crate) use self::shown::{Came, show};
pub(crate) use self::state::{Conversation, Heard, Unanswered};
pub(crate) use self::template::fill;

//! One open stream: sends the next events, plays the faults of the options, and replies to the client between them.

mod end;
mod fault;
mod pace;
mod reply;
mod sender;
mod serve;

pub(super) use self::serve::serve;

//! The stream under examination: step by step for `check`, message by message for `peek-stream`.

mod conversation;
#[cfg(feature = "cli")]
mod peek;
mod steps;
mod watched;

#[cfg(feature = "cli")]
pub(crate) use self::peek::WebsocketPeek;
pub(crate) use self::steps::WebsocketProbe;

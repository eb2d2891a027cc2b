//! The event stream over WebSocket (RFC 6455): the connection, its frames, its conversation and its rotation to the next one.

mod close_reason;
mod connection;
mod connector;
mod control;
mod conversation;
mod deflate;
mod end;
mod extension;
mod frames;
mod handshake;
mod outbox;
mod probe;
mod request;
mod rotation;
mod source;
mod violation;

#[cfg(feature = "_bench")]
pub(crate) use self::frames::decode;
#[cfg(feature = "cli")]
pub(crate) use self::probe::WebsocketPeek;
pub(crate) use self::probe::WebsocketProbe;
pub(crate) use self::source::WebsocketSource;

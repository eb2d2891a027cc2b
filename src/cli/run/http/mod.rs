//! Metrics, health and a page over HTTP (`[http]`): a thread beside the sink, which asks it for numbers.
//!
//! The server is hyper's, which is kept well and already speaks to most of the network; its event loop is the one that the `postgres`
//! crate brings. A small server of ours would have to find out again what hyper knows about hostile requests. Clients share one
//! thread, a connection has one request and a few seconds, and the oldest one makes room for the newest: a slow client costs nothing.

mod access;
mod answers;
mod body;
mod client;
mod io;
mod page;
mod server;
mod shown;

pub(super) use self::client::ask;
pub(super) use self::server::Server;

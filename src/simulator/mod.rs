//! A local stand-in for CXone: token endpoint and stream on one loopback port, with faults on demand.
//!
//! Use it to try an integration without an account, and to see how a client reacts when the server refuses, closes, breaks off,
//! falls silent or sends again. Its events depend on the options alone. [`generate`] returns the same bytes without a
//! socket, so a test knows exactly which rows the table must have.
//!
//! It checks requests as a real server does (RFC 6749, RFC 6750, RFC 6455) and is safe against garbage. It is not made for an open
//! network: it listens on 127.0.0.1 only and speaks plain `http` and `ws`.
//!
//! The stream is one sequence of events. A new connection continues where the last one stopped. Only the newest open connection
//! gets events, so a client can open the next connection before it closes the last one.

mod body;
mod client_messages;
mod cursor;
mod entry;
mod frames;
mod handle;
mod handshake;
mod http;
mod options;
mod profile;
mod renewal;
mod report;
mod rng;
mod sequence;
mod server;
mod shared;
mod stream;
mod token;

pub use self::handle::Simulator;
pub use self::options::{
    Cut, InvalidKind, InvalidMix, MessageForm, OpenFailure, OptionKey, RetryAfter, SimulatorOptions,
};
pub use self::profile::Profile;
pub use self::report::SimulatorReport;
pub use self::sequence::{Events, generate};

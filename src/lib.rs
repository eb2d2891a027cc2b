//! Reads interaction events from a NICE CXone Data Actions stream, checks each against a JSON Schema, and upserts them into PostgreSQL
//! (or an SQLite file) by their idempotency key.
//!
//! cxsink is a library, linked into an application. It runs on threads of its own, keeps events in a local spool file until they are
//! committed to the table, and has no state outside its handles. It is not a service and not a message broker: one sink reads one
//! stream into one table.
//!
//! The API is blocking. From an asynchronous runtime, call it where blocking is allowed, such as in `tokio::task::spawn_blocking`.
//!
//! # Quick start
//!
//! ```
//! use cxsink::{Config, Sink};
//!
//! # fn main() -> cxsink::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = |name: &str| directory.path().join(name).display().to_string();
//! let mut config = Config::default(); // or Config::load("cxsink.toml")?, or Config::from_env()?
//! config.set("spool.path", &path("spool.db"))?;
//! config.set("destination.url", &format!("sqlite:{}", path("events.db")))?;
//! cxsink::init_db(&config)?; // creates the table
//!
//! let sink = Sink::open(&config)?; // checks the configuration, opens the spool
//! sink.start()?; // reads the stream, if one is configured
//! sink.ingest(br#"{"interactionId":"i-1","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-1"}"#)?;
//! sink.close()?; // commits the spooled events, then ends
//!
//! assert_eq!(sink.stats().inserted, 1);
//! # drop(sink);
//! # Ok(())
//! # }
//! ```
//!
//! With `oauth.client_id`, `oauth.client_secret` and `stream.id` set, `start` also opens the stream. [`Sink::notices`] and
//! [`Sink::poll`] report what happens; the sink works without them. docs/configuration.md lists every setting.
//!
//! # Guarantees
//!
//! - An event that was read is kept until its batch is committed, or becomes a dead letter with the reason ([`dead_letters`]).
//!   `spool.sync` sets what it survives: the end of the process, or a loss of power as well.
//! - The table equals one-by-one execution of the events in the order of their arrival, also after repeats, retries and restarts.
//!   For in-doubt transactions and after a crash, this needs the table `cxsink_checkpoint`, which [`init_db`] creates. Without it,
//!   the last events may be written again (at-least-once).
//! - Every event is accounted for ([`Stats::is_balanced`]).
//! - [`Sink::stop`] never blocks, and [`Sink::close_within`] returns by its timeout.
//! - The library prints nothing, and installs no logger and no signal handler. Errors and logs contain neither secrets nor payloads;
//!   dead letters do contain payloads.
//!
//! Not guaranteed: an event that has reached the socket, but was not read when the process ended, is lost unless CXone sends it again.
//!
//! docs/guarantees.md names the test behind each guarantee.
//!
//! # JSON
//!
//! Notices, statistics, dead letters and the other reports implement `serde::Serialize`. Their `to_json` returns the same JSON; the C
//! library and the Python package receive it too.
//!
//! # Features
//!
//! Both are off by default:
//!
//! - `simulator`: a local stand-in for CXone, for tests.
//! - `cli`: the command line `cxsink`.

// Allowed in one file, src/files/fork.rs, which has no other way.
#![deny(unsafe_code)]

#[cfg(feature = "_bench")]
#[doc(hidden)]
pub mod bench;
pub mod check;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod config;
mod destination;
mod error;
mod event;
mod files;
mod net;
mod pipeline;
mod report;
mod rows;
#[cfg(feature = "simulator")]
pub mod simulator;
mod sink;
mod source;
mod spool;

mod threads;
mod time;

pub use check::check;
pub use config::Config;
pub use error::{Error, ErrorKind, Result, Violation};
pub use report::notice::{Notice, Poll};
#[doc(inline)]
pub use report::stats::{self, State, Stats};
pub use sink::{Notices, Sink, Validator, metrics_of, renew_spool, validate};
#[doc(inline)]
pub use sink::{connections, dead_letters, table};
pub use table::init_db;
pub use threads::spawn::{EnteredScope, LogScope};

/// The Rust examples in README.md, so that they run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

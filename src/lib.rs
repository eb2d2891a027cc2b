//! Takes interaction events from a NICE CXone Data Actions stream, checks each one against a JSON Schema, and upserts them into
//! PostgreSQL (or an SQLite file) by their idempotency key.
//!
//! It is a library to be linked into an application. It blocks, works on threads of its own, keeps what it has read in a spool file
//! until it is in the table, and has no state outside of its handles. It is not a service, and no message broker: one sink
//! reads one stream into one table.
//!
//! Nothing in the interface is asynchronous: most calls block. From an asynchronous runtime, make them where blocking is allowed,
//! such as in `tokio::task::spawn_blocking`.
//!
//! # Quick start
//!
//! ```
//! use std::time::Duration;
//! use cxsink::{Config, Sink};
//!
//! # fn main() -> cxsink::Result<()> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = |name: &str| directory.path().join(name).display().to_string();
//! let mut config = Config::default(); // or Config::load("cxsink.toml")?, or Config::from_env()?
//! config.set("spool.path", &path("spool.db"))?;
//! config.set("destination.url", &format!("sqlite:{}", path("events.db")))?;
//! cxsink::init_db(&config)?; // makes the table
//!
//! let sink = Sink::open(&config)?; // checks the configuration, opens the spool
//! sink.start()?; // reads the stream, if one is configured
//! sink.ingest(br#"{"interactionId":"i-1","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-1"}"#)?;
//! sink.close(Some(Duration::from_secs(30)))?; // applies what is spooled, then ends
//!
//! assert_eq!(sink.stats().inserted, 1);
//! # drop(sink);
//! # Ok(())
//! # }
//! ```
//!
//! With `oauth.client_id`, `oauth.client_secret` and `stream.id` set, `start` also opens the stream. [`Sink::poll`] tells what happens;
//! polling is not needed for the sink to work. Every setting is in docs/configuration.md.
//!
//! # What it guarantees
//!
//! - An event that was read is kept until its batch is committed, or it is a dead letter with the reason
//!   ([`Sink::dead_letters`], [`DeadLetters`]). `spool.sync` says what "kept" survives: the end of the process, or also the loss
//!   of power.
//! - The table equals one-by-one execution of the events in the order of their arrival, also after repeats, retries and restarts.
//!   For a batch whose commit was not answered, and after a crash, this needs the table `cxsink_checkpoint`, which [`init_db`] makes.
//!   Without it the last events may be applied again (at-least-once).
//! - The numbers add up ([`Stats::is_balanced`]).
//! - [`Sink::stop`] never blocks, and [`Sink::close`] returns by its timeout.
//! - The library prints nothing, installs no logger and no signal handler, and shows neither secrets nor payloads in errors and logs.
//!   Dead letters are the one place where payloads are kept.
//!
//! What it cannot know: an event that was in the socket, but not yet read, when the process ended. It is lost unless CXone sends
//! it again.
//!
//! ARCHITECTURE.md names the test behind each of these, and what is not tested yet.
//!
//! # Features
//!
//! `simulator` is a local stand-in for CXone, for tests; `cli` is the command line `cxsink`. Both are off by default. The
//! destinations PostgreSQL and SQLite are always there.

#![forbid(unsafe_code)]

#[cfg(feature = "_bench")]
#[doc(hidden)]
pub mod bench;
mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
mod destination;
mod error;
mod event;
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
mod tls;

pub use crate::report::dead_letter::Rejection;
pub use crate::report::dead_letter::{DeadLetter, Payload, Stage};
pub use crate::report::notice::{Notice, Poll};
pub use crate::report::purge::{Purge, Purged};
pub use crate::report::replay::{Fate, Replayed, Selection};
pub use crate::report::stats::Stored;
pub use crate::report::stream_connection::{Gap, StreamConnection};
pub use crate::threads::spawn::{EnteredScope, LogScope};
pub use check::{Check, CheckArea, CheckStatus, CheckStep, check};
pub use config::Config;
pub use error::{Error, ErrorKind, Result, Violation};
pub use sink::{FirstRows, Sink, Validator, init_db, init_db_sql, peek, replay, replay_dry_run, validate};

pub use crate::report::stats::{Counter, Latency, State, Stats};
pub use spool::{Connections, DeadLetters};

/// The Rust examples in README.md, so that they run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

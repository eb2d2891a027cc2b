//! The sink.
mod backoff;
mod batch;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
pub mod config;
mod connection;
mod dead_letter;
mod destination;
mod error;
mod event;
mod ledger;
mod lock;
mod mapping;
mod notice;
mod pipeline;
mod preparer;
mod reader;
mod reconcile;
mod replayer;
mod schema;
#[cfg(feature = "simulator")]
pub mod simulator;
mod sink;
mod source;
mod spool;
mod stats;
mod status;
mod stop_signal;
mod writer;

pub use config::Config;
pub use connection::{Gap, StreamConnection};
pub use dead_letter::{DeadLetter, Fate, Payload, Purge, Purged, Replayed, Selection, Stage};
pub use error::{Error, ErrorKind, Result, Violation};
pub use notice::{Notice, Poll, Rejection, Stored};
pub use sink::{FirstRows, Sink, Validator, init_db, init_db_sql, peek, replay, replay_dry_run, validate};

pub use spool::{Connections, DeadLetters};
pub use stats::{Counter, Latency, State, Stats};

//! The sink.
#![allow(dead_code)]
mod backoff;
mod batch;
mod clock;
pub mod config;
mod dead_letter;
mod destination;
mod error;
mod event;
mod lock;
mod mapping;
mod schema;
#[cfg(feature = "simulator")]
pub mod simulator;
mod source;
mod spool;
mod stop_signal;

pub use config::Config;
pub use dead_letter::{DeadLetter, Payload, Stage};
pub use error::{Error, ErrorKind, Result, Violation};

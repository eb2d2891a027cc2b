//! The sink.
#![allow(dead_code)]
mod backoff;
mod batch;
mod clock;
pub mod config;
mod destination;
mod error;
mod event;
mod lock;
mod mapping;
#[cfg(feature = "simulator")]
pub mod simulator;
mod source;
mod stop_signal;

pub use config::Config;
pub use error::{Error, ErrorKind, Result, Violation};

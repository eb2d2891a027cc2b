//! The sink: a handle for the application (`handle`), an engine with the threads behind it (`engine`), and the adapters that the
//! configuration names (`adapters`).

mod adapters;
pub mod connections;
pub mod dead_letters;
mod dry_run;
mod engine;
mod handle;
mod import;
mod ingest;
mod lines;
mod metrics;
#[cfg(feature = "cli")]
mod reload;
mod renew;
mod replay;
mod summary;
pub mod table;
mod table_now;
mod validator;
#[cfg(feature = "cli")]
mod watch;

#[cfg(feature = "cli")]
pub(crate) use adapters::open_peek;
#[cfg(feature = "_bench")]
pub(crate) use adapters::{decode, encode};
pub(crate) use adapters::{open_destination, open_probe};
pub use handle::{Notices, Sink};
#[cfg(feature = "cli")]
pub(crate) use lines::{Lines, Next};
#[cfg(feature = "cli")]
pub(crate) use metrics::metrics_as;
pub use metrics::metrics_of;
pub use renew::renew_spool;
pub use validator::{Validator, validate};
#[cfg(feature = "cli")]
pub(crate) use watch::Watch;

//! The sink: a handle for the application (`handle`), an engine with the threads behind it (`engine`), and the adapters that the
//! configuration names (`adapters`).

mod adapters;
mod engine;
mod handle;
mod import;
mod ingest;
mod replay;
mod table;
mod validator;

#[cfg(feature = "_bench")]
pub(crate) use adapters::{decode, encode};
pub(crate) use adapters::{open_destination, open_probe};
pub use handle::Sink;
pub use replay::{replay, replay_dry_run};
pub use table::{FirstRows, init_db, init_db_sql, peek};
pub use validator::{Validator, validate};

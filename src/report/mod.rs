//! Reports of the sink: statistics, metrics, state, notices, dead letters, connections, and the findings of a check.

pub(crate) mod dead_letter;
pub(crate) mod finding;
mod held;
pub(crate) mod json;
pub(crate) mod metrics;
pub(crate) mod notice;
pub(crate) mod purge;
pub(crate) mod replay;
pub mod stats;
pub(crate) mod status;
pub(crate) mod stream_connection;
pub(crate) mod summary;
#[cfg(feature = "cli")]
pub(crate) mod watch;

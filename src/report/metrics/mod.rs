//! Metrics: the measures beside the statistics, the table of all metrics, and their text for Prometheus.
//!
//! One table ([`table`]) lists every metric; from it follow the text and docs/metrics.md. Nothing here is called for each event: only for
//! each burst, batch, connection or error.

pub(crate) mod ages;
mod histogram;
pub(crate) mod measures;
pub(crate) mod process;
#[cfg(test)]
mod reference;
mod table;
pub(crate) mod text;

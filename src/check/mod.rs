//! Checks of a deployment: each step tried for real, with its finding and a hint.
//!
//! [`check`](check()) is the command `cxsink check`. One file holds the steps of each area.

mod destination;
mod run;
mod schema_fit;
mod source;
mod spool;
mod steps;
mod streams;

pub use run::check;
pub use steps::{CheckArea, CheckReport, CheckStatus, CheckStep};

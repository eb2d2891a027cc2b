//! `cxsink check`: tries each step of a deployment for real, with one file for each area.

mod destination;
mod run;
mod schema_fit;
mod source;
mod spool;
mod steps;

pub use run::check;
pub use steps::{Check, CheckArea, CheckStatus, CheckStep};

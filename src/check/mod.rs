//! `cxsink check`: each step of a deployment tried for real, one file for each area.

pub(crate) mod destination;
pub(crate) mod run;
pub(crate) mod schema_fit;
pub(crate) mod source;
pub(crate) mod spool;

//! Which part of an event goes into which column.
//!
//! [`Table`] is what the catalogue says, [`Plan`] what the configuration makes of it: the columns that are written, where
//! each value comes from, and which columns an update touches. `mapping::convert` turns one JSON value into one column value,
//! and finds what does not fit before the database sees it.

pub(crate) mod allows;
pub(crate) mod batch;
mod convert;
mod decimal;
pub(crate) mod partition;
mod plan;
pub(crate) mod schema;
#[cfg(test)]
#[path = "tests/plan.rs"]
mod tests;

pub(crate) use convert::map_event;
pub(crate) use plan::{
    Column, ColumnType, OnConflict, OnlyIf, Plan, PlanColumn, Role, Source, Table, check_unique_key,
};

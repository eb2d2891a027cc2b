//! From event to row.
//!
//! [`schema`] validates the event. [`Table`] is the table of the catalogue; [`Plan`] combines it with the configuration: the columns
//! to write, the source of each value, and the columns that an update changes. [`map_event`] converts the event into a row, and finds
//! a value that does not fit its column before the database does.

pub(crate) mod allows;
pub(crate) mod batch;
pub(crate) mod coalesce;
mod column_type;
mod columns;
mod convert;
mod current_schema;
pub(crate) mod event;
mod history;
mod late;
mod new_history;
mod new_table;
pub(crate) mod partition;
mod plan;
pub(crate) mod schema;
mod source;
mod table;
#[cfg(test)]
#[path = "tests/plan.rs"]
mod tests;
mod value;

pub(crate) use batch::Arrival;
pub(crate) use column_type::{ColumnType, OtherType, TextForm};
pub(crate) use columns::{PlanColumn, Role};
#[cfg(test)]
pub(crate) use convert::map_json;
pub(crate) use convert::{ATTRIBUTES, Reading, key_of, map_event};
pub(crate) use current_schema::CurrentSchema;
pub(crate) use history::{HistoryColumn, HistoryValue, IDENTITY as HISTORY_IDENTITY};
pub(crate) use new_history::{Month, NewHistory};
pub(crate) use new_table::{NewColumn, NewTable};
pub(crate) use plan::{OnConflict, OnlyIf, Plan};
pub(crate) use source::{ColumnSource, pointer_of};
pub(crate) use table::{Column, Table, check_unique_key};

//! Late events: they come after later events of their key may have been written, and never overwrite those.
//!
//! A replayed dead letter is one, unless no later event of its key has been written since it was rejected.

use crate::rows::column_type::ColumnType;
use crate::rows::columns::{PlanColumn, Role};
use crate::rows::plan::{OnConflict, OnlyIf, Plan};

impl Plan {
    /// The action of the statement for late events when the table already has the key.
    ///
    /// The row shows what was written last if its timestamp follows each update: then it is updated by newer events only. At the same
    /// time it is not known which event is the later one, so the row stays. A timestamp of the first event, or one whose zone is not
    /// stored, decides nothing: then the row stays whatever it has.
    pub(crate) fn on_conflict_of_late(&self) -> OnConflict<'_> {
        match (self.on_conflict(), self.last_written()) {
            (OnConflict::Update { updated, .. }, Some(column)) => {
                OnConflict::Update { updated, only_if: OnlyIf::Newer(column) }
            }
            _ => OnConflict::Keep,
        }
    }

    /// The column with the timestamp of the event that was written last.
    pub(crate) fn last_written(&self) -> Option<&PlanColumn> {
        self.columns.iter().find(|column| {
            column.role == Role::Updated
                && column.column_type == ColumnType::TimestampTz
                && column.source.is_timestamp()
        })
    }
}

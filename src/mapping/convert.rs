//! One event to one row.

use serde_json::Value as Json;

use crate::batch::Rows;
use crate::error::Violation;

/// Appends the event as one row.
pub(crate) fn map_event(_event: &Json, _offset: u64, _rows: &mut Rows) -> Result<(), Vec<Violation>> {
    Ok(())
}

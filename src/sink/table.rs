//! What the application does with the destination's table beside a running sink: making it, and looking at it.

use serde_json::json;

use crate::config::Config;
use crate::error::Result;
use crate::sink::adapters::{away_from_the_caller, open_destination};
use crate::threads::stop_signal::StopSignal;

/// Makes the table that `destination.url` and `destination.table` name, and the table `cxsink_checkpoint` beside it, where they
/// do not exist.
///
/// # Errors
/// `DATABASE` if the destination cannot be reached or refuses; `CONFIG` if `destination.url` is missing or bad.
pub fn init_db(config: &Config) -> Result<()> {
    let mut destination = open_destination(config, StopSignal::new())?;
    away_from_the_caller(move || destination.init_db())
}

/// The SQL that [`init_db`] would run.
///
/// # Errors
/// `CONFIG` if `destination.url` is missing or bad.
pub fn init_db_sql(config: &Config) -> Result<String> {
    Ok(open_destination(config, StopSignal::new())?.init_db_sql())
}

/// A look at the destination table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FirstRows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, in the order of the first column; each value as text, `None` for NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl FirstRows {
    /// Everything as one JSON object: `{"columns": ["id", …], "rows": [["1", …, null], …]}`.
    pub fn to_json(&self) -> String {
        json!({"columns": self.columns, "rows": self.rows}).to_string()
    }
}

/// The first `count` rows of the destination table as text.
///
/// # Errors
/// `DATABASE` if the destination cannot be reached or has no such table; `CONFIG` if `destination.url` is missing or bad.
pub fn peek(config: &Config, count: usize) -> Result<FirstRows> {
    let mut destination = open_destination(config, StopSignal::new())?;
    away_from_the_caller(move || {
        let columns = destination.connect()?.columns.into_iter().map(|column| column.name).collect();
        Ok(FirstRows { columns, rows: destination.peek(count)? })
    })
}

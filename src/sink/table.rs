//! The table of the destination: create it, and read its first rows.

use serde::Serialize;

use crate::config::Config;
use crate::error::Result;
use crate::report::json;
use crate::sink::adapters::{away_from_the_caller, open_destination};
use crate::threads::stop_signal::StopSignal;

/// Creates the table `destination.table` at `destination.url`, and the table `cxsink_checkpoint` beside it, if they do not exist.
///
/// # Errors
/// `DATABASE` or `CONNECT` if the destination refuses or is unreachable; `CONFIG` if `destination.url` is missing or bad.
pub fn init_db(config: &Config) -> Result<()> {
    let mut destination = open_destination(config, StopSignal::new())?;
    away_from_the_caller(move || destination.init_db())
}

/// The SQL of [`init_db`]. Connects to nothing.
///
/// # Errors
/// `CONFIG` if `destination.url` is missing or bad.
pub fn init_db_sql(config: &Config) -> Result<String> {
    Ok(open_destination(config, StopSignal::new())?.init_db_sql())
}

/// The first rows of the table of the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        json::to_json(self)
    }
}

/// The first `count` rows of the table of the destination, as text.
///
/// # Errors
/// `DATABASE` or `CONNECT` if the table does not exist or the destination is unreachable; `CONFIG` if `destination.url` is missing or
/// bad.
pub fn peek(config: &Config, count: usize) -> Result<FirstRows> {
    let mut destination = open_destination(config, StopSignal::new())?;
    away_from_the_caller(move || {
        let columns = destination.connect()?.columns.into_iter().map(|column| column.name).collect();
        Ok(FirstRows { columns, rows: destination.peek(count)? })
    })
}

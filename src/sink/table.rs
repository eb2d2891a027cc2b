//! The table of the destination: create it, and read its first rows.

use serde::Serialize;

use crate::config::{Config, MappingConfig};
use crate::error::Result;
use crate::report::json;
use crate::rows::schema::Schema;
use crate::rows::{NewHistory, NewTable, Plan};
use crate::sink::adapters::{away_from_the_caller, open_destination};
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::{Clock, SystemClock};

/// Creates the table `destination.table` at `destination.url`, and the table `cxsink_checkpoint` beside it, if they do not exist; and the
/// table `destination.history_table`, if one is set.
///
/// With `mapping.columns` of your own it creates these columns, with the types that the schema allows, and a unique index over
/// `mapping.key`.
///
/// # Errors
/// [`Database`](crate::ErrorKind::Database) or [`Connect`](crate::ErrorKind::Connect) if the destination refuses or is unreachable, or if
/// the table exists and does not have the columns of your own mapping; [`Config`](crate::ErrorKind::Config) if `destination.url`, the
/// mapping or the schema is missing or bad.
pub fn init_db(config: &Config) -> Result<()> {
    let mut destination = open_destination(config, StopSignal::new())?;
    let (own, history) = (own_table(config)?, new_history(config)?);
    let config = config.clone();
    away_from_the_caller(move || {
        destination.init_db(own.as_ref())?;
        if let Some(history) = &history {
            destination.init_history(history)?;
        }
        if own.is_some() || history.is_some() {
            Plan::new(&config, &destination.connect()?)?;
        }
        Ok(())
    })
}

/// The SQL of [`init_db`]. Connects to nothing.
///
/// # Errors
/// [`Config`](crate::ErrorKind::Config) if `destination.url`, the mapping or the schema is missing or bad.
pub fn init_db_sql(config: &Config) -> Result<String> {
    let destination = open_destination(config, StopSignal::new())?;
    let (own, history) = (own_table(config)?, new_history(config)?);
    let mut sql = destination.init_db_sql(own.as_ref());
    if let Some(history) = &history {
        sql.push('\n');
        sql.push_str(&destination.init_history_sql(own.as_ref(), history)?);
    }
    Ok(sql)
}

fn new_history(config: &Config) -> Result<Option<NewHistory>> {
    if config.destination.history_table.is_none() && !config.destination.history_partitioned {
        return Ok(None);
    }
    config.validate()?;
    Ok(NewHistory::new(config, SystemClock.unix_micros()))
}

/// The table of a mapping of one's own; `None` for the default mapping, whose table has further columns.
fn own_table(config: &Config) -> Result<Option<NewTable>> {
    let default = MappingConfig::default();
    if config.mapping.columns == default.columns && config.mapping.key == default.key {
        return Ok(None);
    }
    config.validate()?;
    let schema = Schema::load(&config.schema, config.stream.event_bytes_max)?;
    Ok(Some(NewTable::new(&config.mapping, &schema)))
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
/// [`Database`](crate::ErrorKind::Database) or [`Connect`](crate::ErrorKind::Connect) if the table does not exist or the destination is
/// unreachable; [`Config`](crate::ErrorKind::Config) if `destination.url` is missing or bad.
pub fn peek(config: &Config, count: usize) -> Result<FirstRows> {
    let mut destination = open_destination(config, StopSignal::new())?;
    away_from_the_caller(move || {
        let columns = destination.connect()?.columns.into_iter().map(|column| column.name).collect();
        Ok(FirstRows { columns, rows: destination.peek(count)? })
    })
}

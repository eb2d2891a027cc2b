//! The plan of the history: a table with a row for each event that is committed, whatever becomes of the row of its key.
//!
//! A history column of the same type as the table's takes the table's value. One of another type, or one that is NOT NULL where the
//! table's is not, gets a value of its own, converted from the event. So the history holds the event's digits, not those that the
//! table could keep.

use crate::config::{Config, MappingSource};
use crate::error::{Error, Result};
use crate::rows::column_type::ColumnType;
use crate::rows::columns::{PlanColumn, Role, generated_column, plan_column};
use crate::rows::source::ColumnSource;
use crate::rows::table::{Column, Table, mismatch};

/// The time of receipt.
pub(crate) const RECEIVED_AT: &str = "received_at";
/// The offset in the spool.
pub(crate) const SPOOL_OFFSET: &str = "spool_offset";
/// The id of the spool.
pub(crate) const SPOOL_ID: &str = "spool_id";
/// Whether the event was written as a late one; the table may lack this column.
pub(crate) const SPOOL_LATE: &str = "spool_late";

/// The columns by which an event is known again. A spool that lost its last events in a crash of the machine may use an offset
/// again, but not at the same time.
pub(crate) const IDENTITY: [&str; 3] = [SPOOL_ID, SPOOL_OFFSET, RECEIVED_AT];

/// The plan of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryPlan {
    /// As configured, with or without a schema.
    pub(crate) table: String,
    /// The columns to write.
    pub(crate) columns: Vec<HistoryColumn>,
    /// The columns with values of their own, which follow those of the table in a row. Each is named with its table.
    pub(crate) own: Vec<PlanColumn>,
    /// The columns of a unique index that knows an event again; without one, none.
    pub(crate) identity: Vec<String>,
}

/// A column of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryColumn {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) value: HistoryValue,
}

/// The source of a history column's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistoryValue {
    /// A value of the row.
    Stored(usize),
    /// The time of the transaction.
    Now,
    ReceivedAt,
    SpoolOffset,
    SpoolId,
    SpoolLate,
}

/// A column that says where the event comes from.
struct Origin {
    name: &'static str,
    value: HistoryValue,
    /// In PostgreSQL.
    type_name: &'static str,
}

const ORIGINS: [Origin; 4] = [
    Origin { name: RECEIVED_AT, value: HistoryValue::ReceivedAt, type_name: "timestamptz" },
    Origin { name: SPOOL_OFFSET, value: HistoryValue::SpoolOffset, type_name: "bigint" },
    Origin { name: SPOOL_ID, value: HistoryValue::SpoolId, type_name: "text" },
    Origin { name: SPOOL_LATE, value: HistoryValue::SpoolLate, type_name: "boolean" },
];

impl HistoryPlan {
    /// Combines the planned columns of the table, of which a row has the first `width`, with the history's table. `table`: the
    /// catalogue's, whose types an added column should have.
    ///
    /// # Errors
    /// [`Database`](crate::ErrorKind::Database), class `Mismatch`: the history lacks something. [`Config`](crate::ErrorKind::Config): a
    /// column has two meanings.
    pub(super) fn new(
        config: &Config,
        (plan, width): (&[PlanColumn], usize),
        table: &Table,
        history: &Table,
    ) -> Result<Self> {
        let mut planned =
            Self { table: history.name.clone(), columns: Vec::new(), own: Vec::new(), identity: Vec::new() };
        for (index, column) in plan.iter().enumerate() {
            let own = width + planned.own.len();
            planned.add_mapped(config, table, history, (index, column), own)?;
        }
        for origin in &ORIGINS {
            planned.add_origin(history, origin)?;
        }
        planned.check_defaults(history)?;
        planned.identity = planned.find_identity(history)?;
        Ok(planned)
    }

    /// `own`: the index in a row of the next column with values of its own.
    fn add_mapped(
        &mut self,
        config: &Config,
        table: &Table,
        history: &Table,
        (index, current): (usize, &PlanColumn),
        own: usize,
    ) -> Result<()> {
        let name = &current.name;
        let Some((_, source)) = config.mapping.columns.iter().find(|(mapped, _)| mapped == name) else { return Ok(()) };
        if let Some(origin) = ORIGINS.iter().find(|origin| origin.name == name) {
            let is_the_same = matches!(
                (origin.value, source),
                (HistoryValue::ReceivedAt, MappingSource::ReceivedAt)
                    | (HistoryValue::SpoolOffset, MappingSource::Offset)
            );
            return if is_the_same { Ok(()) } else { Err(has_two_meanings(name)) };
        }
        let Some(column) = history.columns.iter().find(|column| column.name == *name) else {
            return match current.source {
                ColumnSource::Now => Ok(()),
                _ => Err(lacks(history, name, &type_of(table, name))),
            };
        };
        if column.is_generated {
            return Err(generated_column(history, name));
        }
        let found = plan_column(config, history, column, source)?;
        let value = match current.source {
            ColumnSource::Now => HistoryValue::Now,
            _ if found.column_type == current.column_type
                && found.source == current.source
                && (current.required || !column.not_null) =>
            {
                HistoryValue::Stored(index)
            }
            _ => {
                let name = format!("{}.{name}", history.name);
                self.own.push(PlanColumn { name, role: Role::Kept, required: column.not_null, ..found.clone() });
                HistoryValue::Stored(own)
            }
        };
        self.columns.push(HistoryColumn { name: name.clone(), column_type: found.column_type, value });
        Ok(())
    }

    fn add_origin(&mut self, history: &Table, origin: &Origin) -> Result<()> {
        let Some(column) = history.columns.iter().find(|column| column.name == origin.name) else {
            return if origin.name == SPOOL_LATE { Ok(()) } else { Err(lacks(history, origin.name, origin.type_name)) };
        };
        let Some(column_type) = origin_type(origin.value, column, history) else {
            let (table, name, type_name) = (&history.name, origin.name, origin.type_name);
            return Err(mismatch(format!(
                "column {name:?} of table {table} has the type {}, not {type_name}",
                column.type_name
            ))
            .with_column(Some(name))
            .with_hint(format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {type_name}")));
        };
        self.columns.push(HistoryColumn { name: origin.name.into(), column_type, value: origin.value });
        Ok(())
    }

    fn fills(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// A NOT NULL column that is not written and has no default would refuse every event.
    fn check_defaults(&self, history: &Table) -> Result<()> {
        let is_unfilled = |column: &&Column| column.not_null && !column.has_default && !self.fills(&column.name);
        history.columns.iter().find(is_unfilled).map_or(Ok(()), |column| {
            let (table, name) = (&history.name, &column.name);
            Err(mismatch(format!("column {name:?} of table {table} is NOT NULL, has no default and is not mapped"))
                .with_column(Some(name))
                .with_hint("map it in [mapping.columns], give it a default, or drop its NOT NULL"))
        })
    }

    /// Any other unique index over columns that are written would refuse the second event of a key, or an offset that is used again.
    fn find_identity(&self, history: &Table) -> Result<Vec<String>> {
        let written = history.unique_keys.iter().filter(|key| key.iter().all(|name| self.fills(name)));
        let (identities, others): (Vec<_>, Vec<_>) =
            written.partition(|key| IDENTITY.iter().all(|name| key.iter().any(|column| column == name)));
        match others.first() {
            Some(key) => Err(mismatch(format!(
                "table {} has a unique index over ({}), but a history has several rows of each key",
                history.name,
                key.join(", ")
            ))
            .with_hint(format!("drop the index, or add the columns {} to it", IDENTITY.join(", ")))),
            None => Ok(identities.first().map(|key| (*key).clone()).unwrap_or_default()),
        }
    }
}

/// The type of the column, if it can hold the value. SQLite calls each integer one of 64 bits.
fn origin_type(value: HistoryValue, column: &Column, history: &Table) -> Option<ColumnType> {
    let is_sqlite = history.has_times_as_text;
    let found = &column.column_type;
    match (value, found) {
        (HistoryValue::ReceivedAt, ColumnType::Text { .. }) if is_sqlite => Some(ColumnType::TimestampTz),
        (HistoryValue::ReceivedAt, ColumnType::TimestampTz) if !history.loose_columns.contains(&column.name) => {
            Some(found.clone())
        }
        (HistoryValue::SpoolOffset, ColumnType::Int8) | (HistoryValue::SpoolLate, ColumnType::Bool) => {
            Some(found.clone())
        }
        (HistoryValue::SpoolOffset | HistoryValue::SpoolLate, ColumnType::Int4) if is_sqlite => Some(found.clone()),
        (HistoryValue::SpoolId, ColumnType::Text { .. }) => Some(found.clone()),
        _ => None,
    }
}

fn has_two_meanings(name: &str) -> Error {
    Error::config(format!("mapping.columns: the history has its own meaning for the column {name:?}"))
        .with_column(Some(name))
        .with_hint("give the mapped column another name, or unset destination.history_table")
}

fn type_of(table: &Table, name: &str) -> String {
    let column = table.columns.iter().find(|column| column.name == name);
    column.map_or_else(|| "text".into(), |column| column.type_name.clone())
}

fn lacks(history: &Table, name: &str, type_name: &str) -> Error {
    let table = &history.name;
    mismatch(format!("table {table}, the history, has no column {name:?}"))
        .with_sqlstate("42703")
        .with_column(Some(name))
        .with_hint(format!("ALTER TABLE {table} ADD COLUMN {name} {type_name}; `cxsink init-db --print` or init_db_sql shows the whole table"))
}

#[cfg(test)]
#[path = "tests/history.rs"]
mod tests;

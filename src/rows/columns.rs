//! The columns of a plan: the source of each value, and what an update does with it.

use crate::config::{Config, FromEvent, MappingSource, ValueFormat};
use crate::error::{Error, Result};
use crate::rows::column_type::ColumnType;
use crate::rows::source::{ColumnSource, Unfit};
use crate::rows::table::{Column, Table, mismatch};

/// The role of a column when the table already has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the conflict key.
    Key,
    /// Keeps the value of the first event.
    Kept,
    /// Gets the value of the last event.
    Updated,
}

/// A column that the plan writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanColumn {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) source: ColumnSource,
    pub(crate) role: Role,
    /// Whether a null rejects the event: the column is NOT NULL, or part of the conflict key (a null key never conflicts, so
    /// each redelivery would insert another row).
    pub(crate) required: bool,
}

impl PlanColumn {
    /// Whether the database may refuse a value that fits as far as it is known here, by the type alone.
    pub(crate) fn may_be_refused(&self) -> bool {
        matches!(&self.column_type, ColumnType::Other(other) if other.may_be_refused())
    }
}

pub(super) fn plan_column(
    config: &Config,
    table: &Table,
    column: &Column,
    source: &MappingSource,
) -> Result<PlanColumn> {
    let mapping = &config.mapping;
    let is_key = mapping.key.contains(&column.name);
    let column_type = match &column.column_type {
        ColumnType::Text { .. } if table.has_times_as_text && is_time(source) => ColumnType::TimestampTz,
        column_type => column_type.clone(),
    };
    let source =
        ColumnSource::new(source, &config.stream.name, &column_type).map_err(|unfit| misfit(column, &unfit))?;
    let may_be_key = match source {
        ColumnSource::Pointer(_) | ColumnSource::Event(_) | ColumnSource::Constant(_) => {
            column_type != ColumnType::Json
        }
        ColumnSource::Rest | ColumnSource::ReceivedAt | ColumnSource::Offset | ColumnSource::Now => false,
    };
    if is_key && !may_be_key {
        return Err(misfit(column, &Unfit::Type));
    }
    let is_updated = match mapping.updated() {
        Some(update) => update.contains(&column.name),
        None => column.name != "created_at",
    };
    let role = match (is_key, is_updated) {
        (true, _) => Role::Key,
        (false, true) => Role::Updated,
        (false, false) => Role::Kept,
    };
    Ok(PlanColumn { name: column.name.clone(), column_type, source, role, required: is_key || column.not_null })
}

/// Whether the source makes times of its own; only these are known to be times where the database has no type for them.
fn is_time(source: &MappingSource) -> bool {
    match source {
        MappingSource::Now | MappingSource::ReceivedAt => true,
        MappingSource::Event(FromEvent { format, .. }) => {
            matches!(format, Some(ValueFormat::EpochS | ValueFormat::EpochMs | ValueFormat::EpochUs))
        }
        _ => false,
    }
}

fn misfit(column: &Column, unfit: &Unfit) -> Error {
    let (name, type_name) = (&column.name, &column.type_name);
    let does_not_fit = |what: &str, reason: &str| {
        (
            format!("{what} of column {name:?} does not fit its type {type_name}: {reason}"),
            "change the value, or the type of the column",
        )
    };
    let (message, hint) = match unfit {
        Unfit::Pointer(pointer) => (
            format!("the source {pointer:?} of column {name:?} is unknown"),
            "write a JSON pointer such as /attributes/duration, or one of the words rest, now, stream, received_at, offset",
        ),
        Unfit::Type => (
            format!("column {name:?} of type {type_name} cannot have this source"),
            "map `now` and `received_at` to a time column, `offset` to bigint or numeric, `rest` to a json, jsonb or text column; use none of these nor json in the key",
        ),
        Unfit::Format(format) => (
            format!("column {name:?} of type {type_name} cannot be read in the format {}", format.as_str()),
            "use epoch_s, epoch_ms and epoch_us for timestamptz, timestamp and date, base64 and hex for bytea",
        ),
        Unfit::Trim => (
            format!("column {name:?} of type {type_name} has no text to trim"),
            "remove `trim`: it is for columns of texts",
        ),
        Unfit::MaxLength => (
            format!("column {name:?} of type {type_name} has no length to truncate to"),
            "remove `max_length`, or give the column a length, such as varchar(255)",
        ),
        Unfit::Default(reason) => does_not_fit("the default", reason),
        Unfit::Constant(reason) => does_not_fit("the constant", reason),
        Unfit::Stream(reason) => does_not_fit("the name of the stream (stream.name)", reason),
    };
    Error::config(format!("mapping.columns: {message}")).with_column(Some(name)).with_hint(hint)
}

/// Whether the table may take two different values of this column for one: `1` and `1.0` are one number, in `jsonb` as well.
pub(super) fn is_loose(column: &PlanColumn, table: &Table) -> bool {
    matches!(column.column_type, ColumnType::Numeric { .. } | ColumnType::Json | ColumnType::Jsonb)
        || column.may_be_refused()
        || table.loose_columns.contains(&column.name)
}

/// In update mode `newer` the row must have the timestamp of its last update, so the column becomes an updated one.
///
/// The column must hold the event's instant. A `timestamp` holds a local time, of which 12:00+02:00 is later than 11:00Z; one of
/// few digits takes an older event for one of the same time.
pub(super) fn make_timestamp_follow(columns: &mut [PlanColumn], table: &Table) -> Result<usize> {
    let is_mapped = |column: &PlanColumn| column.source.is_timestamp() && column.role != Role::Key;
    let holds_instants = |column: &PlanColumn| match column.column_type {
        ColumnType::TimestampTz => !table.loose_columns.contains(&column.name),
        ColumnType::Text { .. } => table.has_times_as_text,
        _ => false,
    };
    let index = columns.iter().position(|column| is_mapped(column) && holds_instants(column)).ok_or_else(|| {
        let is_time =
            |column: &&PlanColumn| matches!(column.column_type, ColumnType::TimestampTz | ColumnType::Timestamp);
        match columns.iter().filter(|column| is_mapped(column)).find(is_time) {
            Some(column) => no_instants(column, table),
            None => Error::config("destination.update: `newer` requires a timestamp column").with_hint(
                "map /timestamp to a timestamptz column outside the key, or set destination.update to `always`",
            ),
        }
    })?;
    let column = &mut columns[index];
    if column.column_type != ColumnType::TimestampTz {
        let catalogued = table.columns.iter().find(|found| found.name == column.name);
        let unfit =
            |unfit| catalogued.map_or_else(|| missing_column(table, &column.name), |found| misfit(found, &unfit));
        column.source.retype(&ColumnType::TimestampTz).map_err(unfit)?;
        column.column_type = ColumnType::TimestampTz;
    }
    column.role = Role::Updated;
    Ok(index)
}

fn no_instants(column: &PlanColumn, table: &Table) -> Error {
    let name = &column.name;
    let change = if table.has_times_as_text {
        format!("create the table with {name} as TIMESTAMPTZ")
    } else {
        format!("ALTER TABLE {} ALTER COLUMN {name} TYPE timestamptz", table.name)
    };
    let type_name = table.columns.iter().find(|column| column.name == *name).map_or("", |column| &column.type_name);
    Error::config(format!(
        "destination.update: `newer` compares instants, and column {name:?} of type {type_name} does not hold them"
    ))
    .with_column(Some(name))
    .with_hint(format!("{change}; or set destination.update to `always`"))
}

/// A value for such a column is refused (428C9), in PostgreSQL and in SQLite.
pub(super) fn generated_column(table: &Table, name: &str) -> Error {
    mismatch(format!("column {name:?} of table {} is generated: the database always makes its value", table.name))
        .with_sqlstate("428C9")
        .with_column(Some(name))
        .with_hint(
            "remove the column from [mapping.columns]; an identity column takes values if it is GENERATED BY DEFAULT",
        )
}

pub(super) fn missing_column(table: &Table, name: &str) -> Error {
    let nearest = table
        .columns
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(&a.name, name).total_cmp(&strsim::jaro_winkler(&b.name, name)));
    let nearest = nearest.map_or_else(String::new, |column| format!(" (the nearest is {:?})", column.name));
    mismatch(format!("table {} has no column {name:?}{nearest}", table.name))
        .with_sqlstate("42703")
        .with_column(Some(name))
        .with_hint(
            "add the column, or remove it from [mapping.columns]; `cxsink init-db --print` or init_db_sql shows the default table",
        )
}

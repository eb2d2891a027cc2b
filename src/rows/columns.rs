//! The columns of a plan: the source of each value, and what an update does with it.

use crate::config::MappingConfig;
use crate::error::{Error, Result};
use crate::rows::column_type::ColumnType;
use crate::rows::table::{Column, Table, mismatch};

/// The source of a column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnSource {
    /// A JSON pointer (RFC 6901) into the event, as its unescaped tokens; without a token, the whole event.
    Pointer(Vec<String>),
    /// The members of the event that no other column stores: see docs/configuration.md, `mapping.columns`.
    Rest,
    /// The time of the transaction. The destination writes it; a row does not contain it.
    Now,
}

impl ColumnSource {
    /// The JSON pointer; empty for other sources.
    pub(crate) fn pointer(&self) -> String {
        let Self::Pointer(tokens) = self else { return String::new() };
        tokens.iter().flat_map(|token| ["/".into(), token.replace('~', "~0").replace('/', "~1")]).collect()
    }
}

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

pub(super) fn parse_source(column: &str, source: &str) -> Result<ColumnSource> {
    match source {
        "rest" => Ok(ColumnSource::Rest),
        "now" => Ok(ColumnSource::Now),
        "" => Ok(ColumnSource::Pointer(Vec::new())),
        _ => match source.strip_prefix('/') {
            Some(tokens) => Ok(ColumnSource::Pointer(
                tokens.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect(),
            )),
            None => {
                Err(Error::config(format!("mapping.columns: the source {source:?} of column {column:?} is unknown"))
                    .with_hint("write a JSON pointer such as /attributes/duration, or `rest`, or `now`"))
            }
        },
    }
}

pub(super) fn plan_column(
    mapping: &MappingConfig,
    table: &Table,
    column: &Column,
    source: ColumnSource,
) -> Result<PlanColumn> {
    let is_key = mapping.key.contains(&column.name);
    let column_type = match &column.column_type {
        ColumnType::Text { .. } if source == ColumnSource::Now && table.has_times_as_text => ColumnType::TimestampTz,
        column_type => column_type.clone(),
    };
    let fits = match source {
        ColumnSource::Now => {
            matches!(column_type, ColumnType::TimestampTz | ColumnType::Timestamp | ColumnType::Date) && !is_key
        }
        ColumnSource::Rest => {
            matches!(column_type, ColumnType::Json | ColumnType::Jsonb | ColumnType::Text { .. }) && !is_key
        }
        ColumnSource::Pointer(_) => !(is_key && column_type == ColumnType::Json),
    };
    if !fits {
        return Err(Error::config(format!(
            "mapping.columns: column {:?} of type {} cannot have this source",
            column.name, column.type_name
        ))
        .with_column(Some(&column.name))
        .with_hint(
            "map `now` to a time column, `rest` to a json, jsonb or text column; use neither these nor json in the key",
        ));
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
    let is_mapped = |column: &PlanColumn| {
        column.source == ColumnSource::Pointer(vec!["timestamp".into()]) && column.role != Role::Key
    };
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
    columns[index].column_type = ColumnType::TimestampTz;
    columns[index].role = Role::Updated;
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

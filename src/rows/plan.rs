//! The plan of an upsert, made once for each connection from the configuration and the catalogue.

use crate::config::{MappingConfig, UpdateMode};
use crate::error::{Class, Error, ErrorKind, Result};

/// The column types that cxsink can fill, with PostgreSQL's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// `text`, `varchar`, `varchar(n)`: at most `chars_max` characters.
    Text {
        chars_max: Option<u32>,
    },
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// `numeric` or `numeric(precision, scale)`.
    Numeric {
        precision_scale: Option<(u32, i32)>,
    },
    Bool,
    TimestampTz,
    Timestamp,
    Date,
    Uuid,
    Json,
    Jsonb,
}

/// A column of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "`type` is a keyword")]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `None`: a type that cxsink cannot fill.
    pub(crate) column_type: Option<ColumnType>,
    /// The database's name of the type, for errors: `character varying(255)`.
    pub(crate) type_name: String,
    pub(crate) not_null: bool,
    /// Whether the database fills a column that is left out: it has a default, or is an identity or generated column.
    pub(crate) has_default: bool,
}

/// A table of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// As configured, with or without a schema: `reporting.cxone_events`.
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// The column sets that ON CONFLICT can name: valid, immediate unique indexes without a condition or an expression.
    pub(crate) unique_keys: Vec<Vec<String>>,
    /// Whether constraints, triggers or policies may refuse or change a row.
    pub(crate) is_guarded: bool,
    /// Whether constraints relate rows of different keys, unique indexes apart.
    pub(crate) relates_rows: bool,
}

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

/// The action of the statement when the table already has the key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnConflict<'a> {
    /// The row stays unchanged.
    Keep,
    /// These columns get the values of the new row.
    Update { updated: Vec<&'a PlanColumn>, only_if: OnlyIf<'a> },
}

/// The condition of an update.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnlyIf<'a> {
    Always,
    /// At least one of these columns gets another value.
    Changed(Vec<&'a PlanColumn>),
    /// The new value of this timestamp column is not older.
    NotOlder(&'a PlanColumn),
}

/// The plan of an upsert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As configured, with or without a schema: `reporting.cxone_events`.
    pub(crate) table: String,
    /// First the columns of a row (`ColumnSource::Pointer`, `ColumnSource::Rest`), in the configured order; then those that the
    /// destination writes by itself (`ColumnSource::Now`).
    pub(crate) columns: Vec<PlanColumn>,
    /// The number of columns of a row.
    pub(crate) width: usize,
    /// Indexes into `columns`, in the order of the conflict key.
    pub(crate) key: Vec<usize>,
    pub(crate) update_mode: UpdateMode,
    /// The timestamp column of update mode `newer`: an index into `columns`.
    pub(crate) newer_by: Option<usize>,
    /// Whether the database must see each event by itself. The coalesced row of a key might pass a check that refuses its first event;
    /// the table would then contain values of a refused event.
    pub(crate) is_guarded: bool,
    /// Whether the order of events with different keys decides which of them is refused.
    pub(crate) relates_rows: bool,
}

impl Plan {
    /// Combines a valid configuration with the table.
    ///
    /// # Errors
    /// `DATABASE`, class `Mismatch`: the table lacks something. `CONFIG`: the mapping contradicts itself.
    pub(crate) fn new(mapping: &MappingConfig, update_mode: UpdateMode, table: &Table) -> Result<Self> {
        let plan = Self::of_columns(mapping, update_mode, table)?;
        check_unique_key(mapping, table)?;
        Ok(plan)
    }

    /// Like [`new`](Self::new), without the check of the unique indexes, which is [`check_unique_key`].
    pub(crate) fn of_columns(mapping: &MappingConfig, update_mode: UpdateMode, table: &Table) -> Result<Self> {
        let mut columns = Vec::new();
        for (name, source) in &mapping.columns {
            let source = parse_source(name, source)?;
            match table.columns.iter().find(|column| column.name == *name) {
                Some(column) => columns.push(plan_column(mapping, table, column, source)?),
                // The table of the CXone tutorial lacks the column `attributes`, and the time columns are optional.
                None if !matches!(source, ColumnSource::Pointer(_)) && is_default(mapping) => {}
                None => return Err(missing_column(table, name)),
            }
        }
        check_defaults(mapping, table)?;
        // A row has a prefix of the columns. The sort is stable, so they stay in the configured order.
        columns.sort_by_key(|column| column.source == ColumnSource::Now);
        let width = columns.iter().filter(|column| column.source != ColumnSource::Now).count();
        let index_of = |name: &String| columns.iter().position(|column| column.name == *name);
        let key = mapping.key.iter().filter_map(index_of).collect();
        let newer_by = match update_mode {
            UpdateMode::Newer => Some(make_timestamp_follow(&mut columns)?),
            UpdateMode::Always | UpdateMode::Changed => None,
        };
        let has_other_key = has_other_key(mapping, table);
        Ok(Self {
            table: table.name.clone(),
            columns,
            width,
            key,
            update_mode,
            newer_by,
            is_guarded: table.is_guarded || has_other_key,
            relates_rows: table.relates_rows || has_other_key,
        })
    }

    /// The columns of a row.
    pub(crate) fn row_columns(&self) -> &[PlanColumn] {
        &self.columns[..self.width]
    }

    /// The action of the statement when the table already has the key.
    pub(crate) fn on_conflict(&self) -> OnConflict<'_> {
        let updated: Vec<&PlanColumn> = self.columns.iter().filter(|column| column.role == Role::Updated).collect();
        let only_if = match (self.update_mode, self.newer_by) {
            (UpdateMode::Newer, Some(newer_by)) => OnlyIf::NotOlder(&self.columns[newer_by]),
            // The time of the transaction does not count as a change.
            (UpdateMode::Changed, _) => {
                OnlyIf::Changed(updated.iter().copied().filter(|column| column.source != ColumnSource::Now).collect())
            }
            (UpdateMode::Always, _) | (UpdateMode::Newer, None) => OnlyIf::Always,
        };
        let never = matches!(&only_if, OnlyIf::Changed(compared) if compared.is_empty());
        if updated.is_empty() || never { OnConflict::Keep } else { OnConflict::Update { updated, only_if } }
    }
}

fn is_default(mapping: &MappingConfig) -> bool {
    mapping.columns == MappingConfig::default().columns
}

fn parse_source(column: &str, source: &str) -> Result<ColumnSource> {
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

fn plan_column(mapping: &MappingConfig, table: &Table, column: &Column, source: ColumnSource) -> Result<PlanColumn> {
    let Some(column_type) = column.column_type else {
        return Err(mismatch(format!(
            "column {:?} of table {} has the unsupported type {}",
            column.name, table.name, column.type_name
        ))
        .with_column(Some(&column.name))
        .with_hint(
            "use text, varchar, smallint, integer, bigint, real, double precision, numeric, boolean, timestamptz, \
                 timestamp, date, uuid, json or jsonb",
        ));
    };
    let is_key = mapping.key.contains(&column.name);
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
    let is_updated = match &mapping.update {
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

/// A NOT NULL column that is not mapped and has no default would refuse every row.
fn check_defaults(mapping: &MappingConfig, table: &Table) -> Result<()> {
    let unfilled = table.columns.iter().find(|column| {
        column.not_null && !column.has_default && !mapping.columns.iter().any(|(name, _)| *name == column.name)
    });
    match unfilled {
        None => Ok(()),
        Some(column) => Err(mismatch(format!(
            "column {:?} of table {} is NOT NULL, has no default and is not mapped",
            column.name, table.name
        ))
        .with_column(Some(&column.name))
        .with_hint("map it in [mapping.columns], give it a default, or drop its NOT NULL")),
    }
}

/// ON CONFLICT needs a unique index over exactly the columns of the key (PostgreSQL manual, INSERT, `conflict_target`).
pub(crate) fn check_unique_key(mapping: &MappingConfig, table: &Table) -> Result<()> {
    if table.unique_keys.iter().any(|unique| is_conflict_key(mapping, unique)) {
        return Ok(());
    }
    let columns = mapping.key.join(", ");
    Err(mismatch(format!("table {} has no unique index over exactly ({columns})", table.name))
        .with_sqlstate("42P10")
        .with_hint(format!(
            "CREATE UNIQUE INDEX ON {} ({columns}); or set mapping.key to the columns of an existing unique index",
            table.name
        )))
}

/// Whether another unique index, with a mapped column, can refuse a row.
fn has_other_key(mapping: &MappingConfig, table: &Table) -> bool {
    let is_mapped = |column: &String| mapping.columns.iter().any(|(name, _)| name == column);
    table.unique_keys.iter().any(|unique| unique.iter().any(is_mapped) && !is_conflict_key(mapping, unique))
}

fn is_conflict_key(mapping: &MappingConfig, unique: &[String]) -> bool {
    unique.len() == mapping.key.len() && unique.iter().all(|name| mapping.key.contains(name))
}

/// In update mode `newer` the row must have the timestamp of its last update, so the column becomes an updated one.
fn make_timestamp_follow(columns: &mut [PlanColumn]) -> Result<usize> {
    let from_timestamp = |column: &PlanColumn| {
        column.source == ColumnSource::Pointer(vec!["timestamp".into()])
            && matches!(column.column_type, ColumnType::TimestampTz | ColumnType::Timestamp)
            && column.role != Role::Key
    };
    let index = columns.iter().position(from_timestamp).ok_or_else(|| {
        Error::config("destination.update: `newer` requires a timestamp column").with_hint(
            "map /timestamp to a timestamptz or timestamp column outside the key, or set destination.update to `always`",
        )
    })?;
    columns[index].role = Role::Updated;
    Ok(index)
}

fn missing_column(table: &Table, name: &str) -> Error {
    let nearest = table
        .columns
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(&a.name, name).total_cmp(&strsim::jaro_winkler(&b.name, name)));
    let nearest = nearest.map_or_else(String::new, |column| format!(" (the nearest is {:?})", column.name));
    mismatch(format!("table {} has no column {name:?}{nearest}", table.name))
        .with_sqlstate("42703")
        .with_column(Some(name))
        .with_hint(
            "add the column, or remove it from [mapping.columns]; `cxsink init-db --print` shows the default table",
        )
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::Database, message).with_class(Class::Mismatch)
}

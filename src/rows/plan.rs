//! The plan of an upsert: made once for each connection from the configuration and the table's catalogue.

use crate::config::{MappingConfig, UpdateMode};
use crate::error::{Class, Error, ErrorKind, Result};

/// The types of columns that cxsink can fill. Each name is PostgreSQL's.
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

/// A column as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "`type` is a keyword")]
pub(crate) struct Column {
    pub(crate) name: String,
    /// `None` for a type that cxsink cannot fill.
    pub(crate) column_type: Option<ColumnType>,
    /// The type as the database writes it, for messages: `character varying(255)`.
    pub(crate) type_name: String,
    pub(crate) not_null: bool,
    /// Whether the database fills the column by itself when it is left out: a default, an identity or a generated column.
    pub(crate) has_default: bool,
}

/// A table as the catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// As configured, possibly with a schema: `reporting.cxone_events`.
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// The column sets that ON CONFLICT can name: unique indexes without a condition or an expression, valid and immediate.
    pub(crate) unique_keys: Vec<Vec<String>>,
    /// Whether the table may refuse a row for its values, or does more than keep it: constraints, triggers, policies.
    pub(crate) is_guarded: bool,
    /// Whether rows of different keys may exclude or need each other: constraints between rows, the plain unique indexes apart.
    pub(crate) relates_rows: bool,
}

/// Where a column's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A JSON pointer (RFC 6901) into the event, split into its unescaped tokens; no token is the whole event.
    Pointer(Vec<String>),
    /// The members of the event that no pointer takes: see docs/configuration.md, `mapping.columns`.
    Rest,
    /// The time of the transaction. Not part of a row: the destination writes it.
    Now,
}

/// What an upsert does with a column when the key is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the conflict key.
    Key,
    /// Keeps the value of the first event.
    Kept,
    /// Takes the value of the last event.
    Updated,
}

/// A column that the plan writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanColumn {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    pub(crate) source: Source,
    pub(crate) role: Role,
    /// A null here is a rejection: the column is NOT NULL, or part of the conflict key (a null key never conflicts, so every
    /// redelivery would insert another row).
    pub(crate) required: bool,
}

/// What the statement does with a key that is already there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnConflict<'a> {
    /// The row stays as it is.
    Keep,
    /// These columns take the values of the new row.
    Update { updated: Vec<&'a PlanColumn>, only_if: OnlyIf<'a> },
}

/// When a row that is already there is updated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnlyIf<'a> {
    Always,
    /// One of these columns gets another value.
    Changed(Vec<&'a PlanColumn>),
    /// This column does not go back.
    NotOlder(&'a PlanColumn),
}

/// What is written, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// As configured, possibly with a schema: `reporting.cxone_events`.
    pub(crate) table: String,
    /// First the columns that rows hold (`Source::Pointer`, `Source::Rest`), in this order; then those that the destination
    /// writes by itself (`Source::Now`).
    pub(crate) columns: Vec<PlanColumn>,
    /// How many of `columns` rows hold.
    pub(crate) width: usize,
    /// Indexes into `columns`, in the order of the conflict key.
    pub(crate) key: Vec<usize>,
    pub(crate) update_mode: UpdateMode,
    /// The timestamp column that decides in update mode `newer`: an index into `columns`.
    pub(crate) newer_by: Option<usize>,
    /// The database must see each event by itself: the row that events of one key make together might pass where the first of
    /// them would have been refused, and the table would keep what that one says.
    pub(crate) is_guarded: bool,
    /// Which event is refused is a matter of the order in which events of different keys come.
    pub(crate) relates_rows: bool,
}

impl Plan {
    /// Fits the configuration, which `Config::validate` has passed, to the table.
    ///
    /// # Errors
    /// Kind `DATABASE`, class `Mismatch`, where the table lacks something; `CONFIG` where the mapping contradicts itself.
    pub(crate) fn new(mapping: &MappingConfig, update_mode: UpdateMode, table: &Table) -> Result<Self> {
        let plan = Self::of_columns(mapping, update_mode, table)?;
        check_unique_key(mapping, table)?;
        Ok(plan)
    }

    /// `new` without a look at the table's unique indexes, for [`check_unique_key`] to follow.
    pub(crate) fn of_columns(mapping: &MappingConfig, update_mode: UpdateMode, table: &Table) -> Result<Self> {
        let mut columns = Vec::new();
        for (name, source) in &mapping.columns {
            let source = parse_source(name, source)?;
            match table.columns.iter().find(|column| column.name == *name) {
                Some(column) => columns.push(plan_column(mapping, table, column, source)?),
                // The table of the CXone tutorial has no column `attributes`, and nobody needs both time columns.
                None if !matches!(source, Source::Pointer(_)) && is_default(mapping) => {}
                None => return Err(missing_column(table, name)),
            }
        }
        check_defaults(mapping, table)?;
        // Rows hold a prefix of the columns; the sort is stable, so the configured order stays.
        columns.sort_by_key(|column| column.source == Source::Now);
        let width = columns.iter().filter(|column| column.source != Source::Now).count();
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

    /// The columns that rows hold.
    pub(crate) fn row_columns(&self) -> &[PlanColumn] {
        &self.columns[..self.width]
    }

    /// What the statement does with a key that is already there.
    pub(crate) fn on_conflict(&self) -> OnConflict<'_> {
        let updated: Vec<&PlanColumn> = self.columns.iter().filter(|column| column.role == Role::Updated).collect();
        let only_if = match (self.update_mode, self.newer_by) {
            (UpdateMode::Newer, Some(newer_by)) => OnlyIf::NotOlder(&self.columns[newer_by]),
            // The time of the update does not count as a change.
            (UpdateMode::Changed, _) => {
                OnlyIf::Changed(updated.iter().copied().filter(|column| column.source != Source::Now).collect())
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

fn parse_source(column: &str, source: &str) -> Result<Source> {
    match source {
        "rest" => Ok(Source::Rest),
        "now" => Ok(Source::Now),
        "" => Ok(Source::Pointer(Vec::new())),
        _ => match source.strip_prefix('/') {
            Some(tokens) => Ok(Source::Pointer(
                tokens.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect(),
            )),
            None => {
                Err(Error::config(format!("mapping.columns: the source {source:?} of column {column:?} is unknown"))
                    .with_hint("a source is a JSON pointer such as /attributes/duration, or `rest`, or `now`"))
            }
        },
    }
}

fn plan_column(mapping: &MappingConfig, table: &Table, column: &Column, source: Source) -> Result<PlanColumn> {
    let Some(column_type) = column.column_type else {
        return Err(misfit(format!(
            "column {:?} of table {} has the type {}",
            column.name, table.name, column.type_name
        ))
        .with_column(Some(&column.name))
        .with_hint(
            "cxsink fills text, varchar, smallint, integer, bigint, real, double precision, numeric, boolean, \
                 timestamptz, timestamp, date, uuid, json and jsonb",
        ));
    };
    let is_key = mapping.key.contains(&column.name);
    let fits = match source {
        Source::Now => {
            matches!(column_type, ColumnType::TimestampTz | ColumnType::Timestamp | ColumnType::Date) && !is_key
        }
        Source::Rest => {
            matches!(column_type, ColumnType::Json | ColumnType::Jsonb | ColumnType::Text { .. }) && !is_key
        }
        Source::Pointer(_) => !(is_key && column_type == ColumnType::Json),
    };
    if !fits {
        return Err(Error::config(format!(
            "mapping.columns: column {:?} of type {} cannot be filled this way",
            column.name, column.type_name
        ))
        .with_column(Some(&column.name))
        .with_hint("`now` needs a time column, `rest` a json, jsonb or text column; neither these nor json can be part of the key"));
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

/// A column that nobody fills, without a default, would refuse every row.
fn check_defaults(mapping: &MappingConfig, table: &Table) -> Result<()> {
    let unfilled = table.columns.iter().find(|column| {
        column.not_null && !column.has_default && !mapping.columns.iter().any(|(name, _)| *name == column.name)
    });
    match unfilled {
        None => Ok(()),
        Some(column) => Err(misfit(format!(
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
    Err(misfit(format!("table {} has no unique index over exactly ({columns})", table.name))
        .with_sqlstate("42P10")
        .with_hint(format!(
            "CREATE UNIQUE INDEX ON {} ({columns}); or set mapping.key to the columns of an existing unique index",
            table.name
        )))
}

/// Whether another unique index can refuse a row: one with a column that is mapped.
fn has_other_key(mapping: &MappingConfig, table: &Table) -> bool {
    let is_mapped = |column: &String| mapping.columns.iter().any(|(name, _)| name == column);
    table.unique_keys.iter().any(|unique| unique.iter().any(is_mapped) && !is_conflict_key(mapping, unique))
}

fn is_conflict_key(mapping: &MappingConfig, unique: &[String]) -> bool {
    unique.len() == mapping.key.len() && unique.iter().all(|name| mapping.key.contains(name))
}

/// In update mode `newer` the timestamp decides, so it must be what the row was last updated with.
fn make_timestamp_follow(columns: &mut [PlanColumn]) -> Result<usize> {
    let from_timestamp = |column: &PlanColumn| {
        column.source == Source::Pointer(vec!["timestamp".into()])
            && matches!(column.column_type, ColumnType::TimestampTz | ColumnType::Timestamp)
            && column.role != Role::Key
    };
    let index = columns.iter().position(from_timestamp).ok_or_else(|| {
        Error::config("destination.update = newer needs a column that shows how new a row is").with_hint(
            "map /timestamp to a timestamptz or timestamp column outside the key, or use destination.update = always",
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
    misfit(format!("table {} has no column {name:?}{nearest}", table.name))
        .with_sqlstate("42703")
        .with_column(Some(name))
        .with_hint(
            "add the column, or leave it out of [mapping.columns]; `cxsink init-db --print` shows the default table",
        )
}

fn misfit(message: String) -> Error {
    Error::new(ErrorKind::Database, message).with_class(Class::Mismatch)
}

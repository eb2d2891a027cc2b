//! The plan of an upsert: made once for each connection from the configuration and the table's catalogue.

use crate::config::UpdateMode;

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
}

impl Plan {
    /// The columns that rows hold.
    pub(crate) fn row_columns(&self) -> &[PlanColumn] {
        &self.columns[..self.width]
    }

    /// Whether a key that is already there is left alone: no column is updated.
    pub(crate) fn keeps_existing_rows(&self) -> bool {
        !self.columns.iter().any(|column| column.role == Role::Updated)
    }
}

//! The table of the catalogue, and whether a mapping fits its unique indexes.

use crate::config::MappingConfig;
use crate::error::{Class, Error, ErrorKind, Result};
use crate::rows::column_type::ColumnType;

/// A column of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "`type` is a keyword")]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    /// The database's name of the type, for errors: `character varying(255)`.
    pub(crate) type_name: String,
    pub(crate) not_null: bool,
    /// Whether the database fills a column that is left out: it has a default, or is an identity or generated column.
    pub(crate) has_default: bool,
    /// Whether the database refuses a value for it, because it always makes its own: a generated column, or GENERATED ALWAYS AS IDENTITY.
    pub(crate) is_generated: bool,
}

/// A table of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// As configured, with or without a schema: `reporting.cxone_events`.
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// The column sets that ON CONFLICT can name: valid, immediate unique indexes without a condition or an expression.
    pub(crate) unique_keys: Vec<Vec<String>>,
    /// Columns of which the table may take two different values for one: by the collation of a unique index, by its operator
    /// class, or because the column's type has fewer digits than the value.
    pub(crate) loose_columns: Vec<String>,
    /// Whether the database has no time types, so that times are text of fixed width in UTC.
    pub(crate) has_times_as_text: bool,
    /// Whether constraints, triggers or policies may refuse or change a row.
    pub(crate) is_guarded: bool,
    /// Whether the order of rows with different keys can matter, unique indexes apart.
    pub(crate) relates_rows: bool,
    /// The table of `destination.history_table`.
    pub(crate) history: Option<Box<Table>>,
}

#[cfg(any(test, feature = "_bench"))]
impl Column {
    /// One that may be null and that the database never fills, for tests and benches/.
    pub(crate) fn of(name: &str, column_type: ColumnType) -> Self {
        let type_name = format!("{column_type:?}");
        Self { name: name.into(), column_type, type_name, not_null: false, has_default: false, is_generated: false }
    }
}

#[cfg(any(test, feature = "_bench"))]
impl Table {
    /// One with a single unique index, which neither judges nor relates rows, for tests and benches/.
    pub(crate) fn of(name: &str, columns: Vec<Column>, key: &[&str]) -> Self {
        Self {
            name: name.into(),
            columns,
            unique_keys: vec![key.iter().map(|&name| name.into()).collect()],
            loose_columns: Vec::new(),
            has_times_as_text: false,
            is_guarded: false,
            relates_rows: false,
            history: None,
        }
    }
}

/// A NOT NULL column that is not mapped and has no default would refuse every row.
pub(super) fn check_defaults(mapping: &MappingConfig, table: &Table) -> Result<()> {
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
pub(super) fn has_other_key(mapping: &MappingConfig, table: &Table) -> bool {
    let is_mapped = |column: &String| mapping.columns.iter().any(|(name, _)| name == column);
    table.unique_keys.iter().any(|unique| unique.iter().any(is_mapped) && !is_conflict_key(mapping, unique))
}

fn is_conflict_key(mapping: &MappingConfig, unique: &[String]) -> bool {
    unique.len() == mapping.key.len() && unique.iter().all(|name| mapping.key.contains(name))
}

pub(super) fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::Database, message).with_class(Class::Mismatch)
}

//! The table in the database's catalogue: its columns and the keys that ON CONFLICT can name.
//!
//! It uses unnamed statements and built-in types only, so that it works through a pooler that refuses prepared statements. (The
//! `postgres` crate looks up a type that it does not know by a prepared query; hence the casts to text.)

use std::sync::Arc;
use std::time::Duration;

use postgres::Row;
use postgres::types::Type;

use super::catalogue_sql::{COLUMNS, FIND, UNIQUE_KEYS, guards, relations};
use super::connection::{PgResult, Session, UNDEFINED_TABLE, WRONG_OBJECT_TYPE};
use crate::destination::names::TableName;
use crate::error::{Class, Error, ErrorKind, Result};
use crate::rows::{Column, ColumnType, OtherType, Table, TextForm};

/// A table, or something else with its name.
pub(super) struct Found {
    pub(super) oid: u32,
    pub(super) relation: Relation,
    /// `pg_class.relkind`
    kind: String,
}

/// The names and properties of a table that statements need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    /// With its schema, whether or not the configuration names one.
    pub(super) name: TableName,
    pub(super) partitioned: bool,
    pub(super) has_checkpoint: bool,
    /// Whether an INSERT does to a new row what an upsert does.
    pub(super) takes_plain_inserts: bool,
    /// The table of the history, with its schema.
    pub(super) history: Option<TableName>,
}

impl Relation {
    /// Whether both are one table. It may have got other triggers and policies.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        *self == Self { takes_plain_inserts: self.takes_plain_inserts, ..other.clone() }
    }
}

/// Finds the table by its name, or by its bare name along the search path.
pub(super) fn find(session: &mut Session, name: &TableName, timeout: Duration) -> Result<Option<Found>> {
    session.run("looking up the table", timeout, |client| {
        let checkpoint = name.checkpoint().name;
        let rows = client.query_typed(FIND, &[(&name.quoted(), Type::TEXT), (&checkpoint, Type::TEXT)])?;
        rows.first().map(read_found).transpose()
    })
}

fn read_found(row: &Row) -> PgResult<Found> {
    let kind: String = row.try_get(3)?;
    let relation = Relation {
        name: TableName { schema: Some(row.try_get(1)?), name: row.try_get(2)? },
        partitioned: kind == "p",
        has_checkpoint: row.try_get(4)?,
        takes_plain_inserts: row.try_get(5)?,
        history: None,
    };
    Ok(Found { oid: row.try_get(0)?, relation, kind })
}

/// Reads everything. `configured` is the name in messages, as the user wrote it.
pub(super) fn read(
    session: &mut Session,
    configured: &str,
    name: &TableName,
    timeout: Duration,
) -> Result<(Relation, Table)> {
    let Some(Found { oid, relation, kind }) = find(session, name, timeout)? else {
        return Err(no_table(configured));
    };
    if let Some(kind) = other_than_a_table(&kind) {
        return Err(mismatch(format!("{configured} is {kind}, not a table"))
            .with_sqlstate(WRONG_OBJECT_TYPE)
            .with_hint("set destination.table to the table itself: an upsert needs the table's unique index"));
    }
    let table = session.run("reading the table's columns", timeout, |client| {
        let mut query = |sql: &str| client.query_typed(sql, &[(&oid, Type::OID)]);
        let (columns, keys) = (query(COLUMNS)?, query(UNIQUE_KEYS)?);
        let mut is_so = |sql: &str| query(sql)?.first().map_or(Ok(true), |row| row.try_get(0));
        let mut loose_columns = Vec::new();
        for column in &columns {
            if is_stored_loosely(column)? {
                loose_columns.push(column.try_get(0)?);
            }
        }
        for column in &keys {
            if column.try_get(2)? {
                loose_columns.push(column.try_get(1)?);
            }
        }
        Ok(Table {
            name: configured.into(),
            columns: columns.iter().map(read_column).collect::<PgResult<_>>()?,
            unique_keys: read_keys(&keys)?,
            loose_columns,
            has_times_as_text: false,
            is_guarded: is_so(&guards())?,
            relates_rows: is_so(&relations())?,
            history: None,
        })
    })?;
    Ok((relation, table))
}

/// Reads the table of the history.
pub(super) fn read_history(
    session: &mut Session,
    configured: &str,
    name: &TableName,
    timeout: Duration,
) -> Result<(TableName, Table)> {
    let (relation, table) = read(session, configured, name, timeout).map_err(|error| match error.sqlstate() {
        Some(UNDEFINED_TABLE) => error.with_hint(
            "run `cxsink init-db` or call init_db, which creates it, or set destination.history_table to an existing table",
        ),
        Some(WRONG_OBJECT_TYPE) => error.with_hint("set destination.history_table to a table"),
        _ => error,
    })?;
    Ok((relation.name, table))
}

/// `configured` is the name as the user wrote it.
pub(super) fn no_table(configured: &str) -> Error {
    mismatch(format!("the table {configured} does not exist"))
        .with_sqlstate(UNDEFINED_TABLE)
        .with_hint("run `cxsink init-db` or call init_db, or set destination.table to an existing table")
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::Database, message).with_class(Class::Mismatch)
}

/// `None` for an ordinary or partitioned table. (`pg_class.relkind`)
fn other_than_a_table(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "r" | "p" => return None,
        "v" => "a view",
        "m" => "a materialized view",
        "f" => "a foreign table",
        "S" => "a sequence",
        "i" | "I" => "an index",
        _ => "something else",
    })
}

fn read_column(row: &Row) -> PgResult<Column> {
    let base = BaseType {
        oid: row.try_get(2)?,
        modifier: row.try_get(3)?,
        name: row.try_get(7)?,
        sql_name: row.try_get(8)?,
        labels: row.try_get(9)?,
    };
    let element = match row.try_get(10)? {
        None => None,
        Some(oid) => Some(BaseType {
            oid,
            modifier: row.try_get(11)?,
            name: row.try_get(12)?,
            sql_name: row.try_get(13)?,
            labels: row.try_get(14)?,
        }),
    };
    let delimiter: Option<String> = row.try_get(15)?;
    let delimiter = delimiter.and_then(|text| text.chars().next()).unwrap_or(',');
    Ok(Column {
        name: row.try_get(0)?,
        type_name: row.try_get(1)?,
        column_type: match element {
            Some(element) => array_of(base, element, delimiter),
            None => column_type(base),
        },
        not_null: row.try_get(4)?,
        has_default: row.try_get(5)?,
        is_generated: row.try_get(16)?,
    })
}

/// Whether the column may store two different values as one: texts in an encoding with several characters for one, `char(n)`, which
/// ignores spaces at the end, and times with fewer digits than microseconds, whose type has a modifier.
fn is_stored_loosely(row: &Row) -> PgResult<bool> {
    let (oid, modifier, is_converted): (u32, i32, bool) = (row.try_get(2)?, row.try_get(3)?, row.try_get(6)?);
    Ok(match Type::from_oid(oid) {
        Some(Type::TEXT | Type::VARCHAR) => is_converted,
        Some(Type::BPCHAR) => true,
        Some(Type::TIMESTAMPTZ | Type::TIMESTAMP) => (0..6).contains(&modifier),
        _ => false,
    })
}

fn read_keys(rows: &[Row]) -> PgResult<Vec<Vec<String>>> {
    let mut keys: Vec<Vec<String>> = Vec::new();
    let mut last_index = None;
    for row in rows {
        let index: u32 = row.try_get(0)?;
        if last_index != Some(index) {
            last_index = Some(index);
            keys.push(Vec::new());
        }
        if let Some(key) = keys.last_mut() {
            key.push(row.try_get(1)?);
        }
    }
    Ok(keys)
}

/// A type that is no domain.
struct BaseType {
    oid: u32,
    modifier: i32,
    name: String,
    /// With its schema.
    sql_name: String,
    /// Of an enum.
    labels: Vec<String>,
}

fn array_of(array: BaseType, element: BaseType, delimiter: char) -> ColumnType {
    other(array.sql_name, TextForm::Array { element: column_type(element), delimiter })
}

/// A type modifier is -1 if there is none; otherwise it counts from 4 (varlena's header). The types `citext` and `hstore` of
/// extensions have other oids in each database.
fn column_type(base: BaseType) -> ColumnType {
    let modifier = u32::try_from(base.modifier - 4).ok();
    match Type::from_oid(base.oid) {
        Some(Type::TEXT) => ColumnType::Text { chars_max: None },
        Some(Type::VARCHAR | Type::BPCHAR) => ColumnType::Text { chars_max: modifier },
        Some(Type::INT2) => ColumnType::Int2,
        Some(Type::INT4) => ColumnType::Int4,
        Some(Type::INT8) => ColumnType::Int8,
        Some(Type::FLOAT4) => ColumnType::Float4,
        Some(Type::FLOAT8) => ColumnType::Float8,
        Some(Type::NUMERIC) => ColumnType::Numeric { precision_scale: modifier.map(precision_scale) },
        Some(Type::BOOL) => ColumnType::Bool,
        Some(Type::TIMESTAMPTZ) => ColumnType::TimestampTz,
        Some(Type::TIMESTAMP) => ColumnType::Timestamp,
        Some(Type::DATE) => ColumnType::Date,
        Some(Type::UUID) => ColumnType::Uuid,
        Some(Type::JSON) => ColumnType::Json,
        Some(Type::JSONB) => ColumnType::Jsonb,
        Some(Type::BYTEA) => other(base.sql_name, TextForm::Bytes),
        None if base.name == "citext" => ColumnType::Text { chars_max: None },
        None if base.name == "hstore" => other(base.sql_name, TextForm::Pairs),
        _ if !base.labels.is_empty() => other(base.sql_name, TextForm::Label(base.labels)),
        _ => other(base.sql_name, TextForm::Any),
    }
}

fn other(sql_name: String, form: TextForm) -> ColumnType {
    ColumnType::Other(Arc::new(OtherType { sql_name, form }))
}

/// Precision in the upper half; the scale, signed since PostgreSQL 15, in the lower 11 bits (numeric.c, `numeric_typmod_scale`).
fn precision_scale(modifier: u32) -> (u32, i32) {
    let scale = (modifier & 0x7ff).cast_signed();
    ((modifier >> 16) & 0xffff, (scale ^ 1024) - 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_are_decoded() {
        let found = |oid, name: &str, modifier| {
            column_type(BaseType { oid, modifier, name: name.into(), sql_name: "s.n".into(), labels: Vec::new() })
        };
        assert_eq!(found(1043, "", 259), ColumnType::Text { chars_max: Some(255) });
        assert_eq!(found(1043, "", -1), ColumnType::Text { chars_max: None });
        let numeric = |precision_scale| ColumnType::Numeric { precision_scale };
        assert_eq!(found(1700, "", (10 << 16) + 2 + 4), numeric(Some((10, 2))));
        assert_eq!(found(1700, "", (10 << 16) + (0x7ff & -3) + 4), numeric(Some((10, -3))));
        assert_eq!(found(1700, "", -1), numeric(None));
        let any = other("s.n".into(), TextForm::Any);
        assert_eq!(found(600, "point", -1), any);
        assert_eq!(found(99_999, "mine", -1), any);
        assert_eq!(found(1042, "bpchar", 7), ColumnType::Text { chars_max: Some(3) });
        assert_eq!(found(99_999, "citext", -1), ColumnType::Text { chars_max: None });
    }
}

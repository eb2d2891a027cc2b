//! The embedded destination: a table in an SQLite file, for demos, tests and small deployments without a server.
//!
//! It behaves as PostgreSQL does wherever SQLite can: the same checks, the same upsert, the same checkpoint. Times are stored as
//! text of fixed width in UTC, so that they sort and compare as times.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, Transaction, params_from_iter};

use super::names::{CHECKPOINT, TableName, quote};
use super::{Applied, Destination, Examination, Write, moved_checkpoint};
use crate::config::DestinationConfig;
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::batch::{Rows, Value};
use crate::rows::{Column, ColumnType, OnConflict, OnlyIf, Plan, PlanColumn, Role, Table};
use crate::threads::stop_signal::{InterruptGuard, StopSignal};
use crate::time::clock::{Clock, SystemClock};
use crate::time::timestamp::{format_days, format_micros};

/// A table in an SQLite file.
pub(crate) struct SqliteDestination {
    path: PathBuf,
    table: TableName,
    abort: StopSignal,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    statements: Option<Statements>,
    _interrupt: InterruptGuard,
}

const BUSY_TIMEOUT: Duration = Duration::from_millis(50);

/// The SQL of a plan.
struct Statements {
    /// Whether the key is there already.
    find: String,
    upsert: String,
}

impl SqliteDestination {
    /// `path`: what follows `sqlite:` in `destination.url`.
    pub(crate) fn new(path: &str, config: &DestinationConfig, abort: StopSignal) -> Result<Self> {
        Ok(Self { path: PathBuf::from(path), table: TableName::parse(&config.table)?, abort, open: None })
    }

    fn connect_file(&self) -> Result<Connection> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&self.path)?;
            // Short, because nothing interrupts this wait; the writer tries again.
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            Ok(connection)
        };
        open().map_err(|error| self.error("opening", &error))
    }

    fn opened(&mut self) -> Result<&mut Open> {
        let path = &self.path;
        self.open.as_mut().ok_or_else(|| not_connected(path))
    }

    fn error(&self, what: &str, error: &rusqlite::Error) -> Error {
        sqlite_error(&self.path, what, error)
    }
}

/// The looks of `check`.
impl SqliteDestination {
    /// Opening a file that is not there would make it.
    fn examine_file(&self) -> Result<Finding> {
        if !self.path.exists() {
            let message = format!("opening the SQLite database {}: there is no such file", self.path.display());
            return Err(Error::new(ErrorKind::Database, message)
                .with_class(Class::Mismatch)
                .with_hint("`cxsink init-db` makes it; or correct destination.url"));
        }
        Ok(Finding::good(format!("SQLite {}, {}", rusqlite::version(), self.path.display())))
    }

    /// Begins to write, compiles the statements and takes it all back.
    fn examine_writing(&mut self, plan: &Plan) -> Result<Finding> {
        let (path, table) = (self.path.clone(), self.table.quoted());
        let connection = &mut self.opened()?.connection;
        let mut attempt = || -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            transaction.prepare(&find_sql(plan, &table))?;
            transaction.prepare(&upsert_sql(plan, &table))?;
            transaction.rollback()
        };
        attempt().map_err(|error| sqlite_error(&path, "writing to", &error))?;
        Ok(Finding::good(format!("{} may be written", path.display())))
    }

    fn examine_checkpoint(&mut self) -> Result<Finding> {
        let path = self.path.clone();
        let is_there = self.opened()?.connection.table_exists(None, CHECKPOINT);
        Ok(if is_there.map_err(|error| sqlite_error(&path, "reading the checkpoint in", &error))? {
            Finding::good(format!("{CHECKPOINT} is there: each batch is applied exactly once"))
        } else {
            Finding::warning(
                format!(
                    "there is no table {CHECKPOINT}: after a crash the last events may be applied again (at-least-once)"
                ),
                "run `cxsink init-db`, which makes it",
            )
        })
    }
}

impl Destination for SqliteDestination {
    fn connect(&mut self) -> Result<Table> {
        self.open = None;
        let connection = self.connect_file()?;
        let handle = connection.get_interrupt_handle();
        let interrupt = self.abort.on_set(move || handle.interrupt());
        let table =
            read_table(&connection, &self.table.name).map_err(|error| self.error("reading the table in", &error))?;
        if table.columns.is_empty() {
            return Err(Error::new(
                ErrorKind::Database,
                format!("the SQLite database {} has no table {}", self.path.display(), self.table.quoted()),
            )
            .with_class(Class::Mismatch)
            .with_hint("`cxsink init-db` makes it"));
        }
        self.open = Some(Open { connection, statements: None, _interrupt: interrupt });
        Ok(table)
    }

    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()> {
        let table = self.table.quoted();
        self.opened()?.statements = Some(Statements { find: find_sql(plan, &table), upsert: upsert_sql(plan, &table) });
        Ok(())
    }

    fn position(&mut self, spool_id: &str, applied: u64) -> Result<Option<u64>> {
        let connection = &self.opened()?.connection;
        let read = || -> rusqlite::Result<Option<u64>> {
            if !connection.table_exists(None, CHECKPOINT)? {
                return Ok(None);
            }
            connection.execute(
                "INSERT INTO cxsink_checkpoint (spool_id, position) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                (spool_id, applied),
            )?;
            let select = "SELECT position FROM cxsink_checkpoint WHERE spool_id = ?1";
            connection.query_row(select, [spool_id], |row| row.get(0)).map(Some)
        };
        let position = read();
        position.map_err(|error| self.error("reading the checkpoint in", &error))
    }

    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<(String, u64)>>> {
        let connection = &self.opened()?.connection;
        let read = || -> rusqlite::Result<Option<Vec<(String, u64)>>> {
            if !connection.table_exists(None, CHECKPOINT)? {
                return Ok(None);
            }
            let mut select = connection.prepare(
                "SELECT spool_id, position FROM cxsink_checkpoint
                 WHERE spool_id = ?1 OR substr(spool_id, 1, length(?1) + 1) = ?1 || '/' ORDER BY spool_id",
            )?;
            select
                .query_map([spool_id], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()
                .map(Some)
        };
        let found = read();
        found.map_err(|error| self.error("reading the checkpoints in", &error))
    }

    fn replace_checkpoints(&mut self, old: &[(String, u64)], new: &[String], position: u64) -> Result<()> {
        let connection = &mut self.opened()?.connection;
        let mut replace = || -> rusqlite::Result<Option<String>> {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            for (name, position) in old {
                let delete = "DELETE FROM cxsink_checkpoint WHERE spool_id = ?1 AND position = ?2";
                if transaction.execute(delete, (name, position))? == 0 {
                    return Ok(Some(name.clone()));
                }
            }
            for name in new {
                let insert = "INSERT INTO cxsink_checkpoint (spool_id, position) VALUES (?1, ?2)";
                transaction.execute(insert, (name, position))?;
            }
            transaction.commit()?;
            Ok(None)
        };
        let moved = replace();
        let moved = moved.map_err(|error| self.error("replacing the checkpoints in", &error))?;
        moved.map_or(Ok(()), |name| Err(moved_checkpoint(&name)))
    }

    fn init_db(&mut self) -> Result<()> {
        let connection = self.connect_file()?;
        connection.execute_batch(&self.init_db_sql()).map_err(|error| self.error("making the table in", &error))
    }

    fn init_db_sql(&self) -> String {
        init_db_sql(&self.table.quoted())
    }

    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        let table = self.table.quoted();
        let connection = &self.opened()?.connection;
        let read = || -> rusqlite::Result<Vec<Vec<Option<String>>>> {
            let mut select = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1 LIMIT {count}"))?;
            let columns = select.column_count();
            let rows =
                select.query_map([], |row| (0..columns).map(|index| Ok(as_text(row.get_ref(index)?))).collect())?;
            rows.collect()
        };
        let rows = read();
        rows.map_err(|error| self.error("reading", &error))
    }

    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>> {
        match what {
            Examination::Names | Examination::Tcp | Examination::Tls | Examination::Pooler | Examination::Clock => {
                Ok(None)
            }
            Examination::Connection => self.examine_file().map(Some),
            Examination::Privileges(plan) => self.examine_writing(plan).map(Some),
            Examination::Checkpoint => self.examine_checkpoint().map(Some),
        }
    }

    fn apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        let path = self.path.clone();
        let open = self.opened()?;
        let statements = open.statements.as_ref().ok_or_else(|| not_connected(&path))?;
        let applied = apply(&mut open.connection, statements, write);
        applied.map_err(|error| {
            let error = self.error("writing to", &error);
            if matches!(error.class(), Class::Transient | Class::Mismatch) {
                self.open = None;
            }
            error
        })
    }
}

/// The SQL of `init-db`, for a table whose name is quoted.
pub(crate) fn init_db_sql(table: &str) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (
  id INTEGER PRIMARY KEY,
  interaction_id VARCHAR(255) NOT NULL,
  timestamp TIMESTAMPTZ NOT NULL,
  type VARCHAR(50) NOT NULL,
  idempotency_key VARCHAR(255) NOT NULL UNIQUE,
  duration INTEGER,
  disposition VARCHAR(255),
  queue_name VARCHAR(255),
  agent_id VARCHAR(255),
  attributes JSON,
  created_at TIMESTAMPTZ NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z')),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z'))
);
CREATE TABLE IF NOT EXISTS {CHECKPOINT} (
  spool_id TEXT PRIMARY KEY,
  position INTEGER NOT NULL
);
"
    )
}

fn apply(connection: &mut Connection, statements: &Statements, write: &Write<'_>) -> rusqlite::Result<Applied> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if let Some(fence) = write.fence {
        let mut update = transaction
            .prepare_cached("UPDATE cxsink_checkpoint SET position = ?1 WHERE spool_id = ?2 AND position = ?3")?;
        if update.execute((fence.to, fence.spool_id, fence.from))? == 0 {
            return Ok(Applied::Fenced);
        }
    }
    let counts = upsert_rows(&transaction, statements, write)?;
    transaction.commit()?;
    Ok(counts)
}

fn upsert_rows(transaction: &Transaction<'_>, statements: &Statements, write: &Write<'_>) -> rusqlite::Result<Applied> {
    let (mut inserted, mut updated) = (0, 0);
    let plan = &write.rows.plan;
    let now = format!("{}Z", format_micros(SystemClock.unix_micros()));
    let mut find = transaction.prepare_cached(&statements.find)?;
    let mut upsert = transaction.prepare_cached(&statements.upsert)?;
    for merged in write.merged {
        let parameter = |(index, column): (usize, &crate::rows::PlanColumn)| {
            let row = if column.role == Role::Updated { merged.last } else { merged.first };
            Parameter {
                rows: write.rows,
                value: write.rows.value(row as usize, index),
                column_type: column.column_type,
            }
        };
        let key = plan.key.iter().map(|&index| parameter((index, &plan.columns[index])));
        let is_there = find.exists(params_from_iter(key))?;
        let values = plan.row_columns().iter().enumerate().map(parameter);
        for (index, value) in values.enumerate() {
            upsert.raw_bind_parameter(index + 1, value)?;
        }
        if plan.columns.len() > plan.width {
            upsert.raw_bind_parameter(plan.width + 1, &now)?;
        }
        match (upsert.raw_execute()?, is_there) {
            (0, _) => {}
            (_, false) => inserted += 1,
            (_, true) => updated += 1,
        }
    }
    Ok(Applied::Committed { inserted, updated })
}

fn find_sql(plan: &Plan, table: &str) -> String {
    let conditions: Vec<String> = plan
        .key
        .iter()
        .enumerate()
        .map(|(n, &index)| format!("{} = ?{}", quote(&plan.columns[index].name), n + 1))
        .collect();
    format!("SELECT 1 FROM {table} WHERE {}", conditions.join(" AND "))
}

/// One parameter for each column of a row, and the last one, where there are such columns, for the time of the transaction.
fn upsert_sql(plan: &Plan, table: &str) -> String {
    let names: Vec<String> = plan.columns.iter().map(|column| quote(&column.name)).collect();
    let values: Vec<String> = (0..plan.columns.len()).map(|index| format!("?{}", index.min(plan.width) + 1)).collect();
    let key: Vec<&str> = plan.key.iter().map(|&index| names[index].as_str()).collect();
    let mut sql = format!(
        "INSERT INTO {table} AS t ({}) VALUES ({}) ON CONFLICT ({}) DO ",
        names.join(", "),
        values.join(", "),
        key.join(", ")
    );
    let OnConflict::Update { updated, only_if } = plan.on_conflict() else {
        sql.push_str("NOTHING");
        return sql;
    };
    let each = |columns: &[&PlanColumn], make: &dyn Fn(String) -> String| -> Vec<String> {
        columns.iter().map(|column| make(quote(&column.name))).collect()
    };
    let _ = write!(sql, "UPDATE SET {}", each(&updated, &|name| format!("{name} = excluded.{name}")).join(", "));
    match only_if {
        OnlyIf::Always => {}
        OnlyIf::Changed(compared) => {
            let differences = each(&compared, &|name| format!("t.{name} IS NOT excluded.{name}"));
            let _ = write!(sql, " WHERE {}", differences.join(" OR "));
        }
        OnlyIf::NotOlder(column) => {
            let name = quote(&column.name);
            let _ = write!(sql, " WHERE t.{name} IS NULL OR excluded.{name} >= t.{name}");
        }
    }
    sql
}

/// A value on its way into a statement.
struct Parameter<'a> {
    rows: &'a Rows,
    value: Value,
    column_type: ColumnType,
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.value {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer(value.into())),
            Value::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(value)),
            Value::Float(value) => ToSqlOutput::Borrowed(ValueRef::Real(value)),
            Value::Micros(micros) if self.column_type == ColumnType::TimestampTz => {
                ToSqlOutput::from(format!("{}Z", format_micros(micros)))
            }
            Value::Micros(micros) => ToSqlOutput::from(format_micros(micros)),
            Value::Days(days) => ToSqlOutput::from(format_days(days)),
            Value::Text { .. } => ToSqlOutput::Borrowed(ValueRef::Text(self.rows.text_of(self.value).as_bytes())),
        })
    }
}

fn as_text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value.to_string()),
        ValueRef::Text(text) | ValueRef::Blob(text) => Some(String::from_utf8_lossy(text).into_owned()),
    }
}

// ---- the catalogue ----

fn read_table(connection: &Connection, table: &str) -> rusqlite::Result<Table> {
    let mut columns = Vec::new();
    let mut primary_key: Vec<(i64, String)> = Vec::new();
    let mut select = connection.prepare(
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?;
    let mut rows = select.query([table])?;
    while let Some(row) = rows.next()? {
        let (name, type_name): (String, String) = (row.get(0)?, row.get(1)?);
        let (place_in_key, hidden): (i64, i64) = (row.get(4)?, row.get(5)?);
        let is_rowid = place_in_key > 0 && type_name.eq_ignore_ascii_case("integer");
        if place_in_key > 0 {
            primary_key.push((place_in_key, name.clone()));
        }
        columns.push(Column {
            name,
            column_type: column_type(&type_name),
            type_name,
            not_null: row.get(2)?,
            has_default: row.get::<_, bool>(3)? || is_rowid || hidden > 1,
        });
    }
    primary_key.sort();
    let mut unique_keys = Vec::new();
    if !primary_key.is_empty() {
        unique_keys.push(primary_key.into_iter().map(|(_, name)| name).collect());
    }
    let mut indexes = connection.prepare("SELECT name FROM pragma_index_list(?1) WHERE \"unique\" AND NOT partial")?;
    for index in indexes.query_map([table], |row| row.get::<_, String>(0))? {
        let mut members = connection.prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
        let members = members.query_map([index?], |row| row.get::<_, Option<String>>(0))?;
        // An expression has no name; such an index is no conflict target.
        if let Some(names) = members.collect::<rusqlite::Result<Option<Vec<String>>>>()? {
            unique_keys.push(names);
        }
    }
    // Without a parser of its language: a word too many costs speed, one too few a wrong row.
    let guards = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND (type = 'trigger'
         OR sql LIKE '%check%' OR sql LIKE '%references%' OR sql LIKE '%generated%' OR sql LIKE '%unique index%where%'))";
    let is_guarded = connection.query_row(guards, [table], |row| row.get(0))?;
    // It has one writer whatever its rows are to each other.
    Ok(Table { name: table.to_owned(), columns, unique_keys, is_guarded, relates_rows: false })
}

/// SQLite keeps the declared type as text; these are the words people declare.
fn column_type(declared: &str) -> Option<ColumnType> {
    let declared = declared.to_ascii_lowercase();
    let (word, arguments) = match declared.split_once('(') {
        Some((word, rest)) => (word.trim(), rest.trim_end_matches(')')),
        None => (declared.trim(), ""),
    };
    let mut numbers = arguments.split(',').map(|number| number.trim().parse::<u32>().ok());
    let first = numbers.next().flatten();
    Some(match word {
        "text" | "varchar" | "character varying" | "clob" => ColumnType::Text { chars_max: first },
        "smallint" | "int2" => ColumnType::Int2,
        "integer" | "int" | "int4" => ColumnType::Int4,
        "bigint" | "int8" => ColumnType::Int8,
        "real" | "double" | "double precision" | "float" | "float8" => ColumnType::Float8,
        "numeric" | "decimal" => {
            let scale = numbers.next().flatten().and_then(|scale| i32::try_from(scale).ok()).unwrap_or(0);
            ColumnType::Numeric { precision_scale: first.map(|precision| (precision, scale)) }
        }
        "boolean" | "bool" => ColumnType::Bool,
        "timestamptz" | "timestamp with time zone" | "datetime" => ColumnType::TimestampTz,
        "timestamp" => ColumnType::Timestamp,
        "date" => ColumnType::Date,
        "uuid" => ColumnType::Uuid,
        "json" | "jsonb" => ColumnType::Json,
        _ => return None,
    })
}

// ---- names and errors ----

fn not_connected(path: &Path) -> Error {
    Error::new(ErrorKind::Database, format!("the SQLite database {} is not open", path.display()))
        .with_class(Class::Transient)
}

fn sqlite_error(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let (class, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => (Class::BadRow, None),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Class::Conflict,
            Some("another program has the file locked: the sink goes on when that one ends its transaction"),
        ),
        Some(ErrorCode::DiskFull) => (Class::Transient, Some("the disk is full: make room; nothing is lost")),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            (Class::Mismatch, Some("the file is no sound SQLite database: check destination.url"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            (Class::Mismatch, Some("the directory must exist, and file and directory must be writable for this user"))
        }
        Some(ErrorCode::Unknown) => {
            (Class::Mismatch, Some("the table is not as expected: see `cxsink init-db --print`"))
        }
        _ => (Class::Transient, None),
    };
    let kind = if class == Class::BadRow { ErrorKind::Constraint } else { ErrorKind::Database };
    let error = Error::new(kind, format!("{what} the SQLite database {}: {error}", path.display())).with_class(class);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

//! The port's implementation.

use std::path::{self, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::apply::{apply, trial};
use super::catalogue::read_table;
use super::changes::Changes;
use super::errors::{not_connected, sqlite_error};
use super::init_db::{definitions, init_db_sql};
use super::statement::Statements;
use super::wal::WalLimit;
use super::{checkpoint, examine, history, late};
use crate::config::DestinationConfig;
use crate::destination::checkpoint::moved;
use crate::destination::names::{CHECKPOINT, TableName, not_another_table};
use crate::destination::new_history;
use crate::destination::{Applied, Checkpoint, Destination, Examination, Trial, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::files::sqlite::{self, IN_MEMORY};
use crate::report::finding::Finding;
use crate::rows::batch::Rows;
use crate::rows::{NewHistory, NewTable, Plan, Table};
use crate::threads::stop_signal::{InterruptGuard, StopSignal};

/// Short, because nothing interrupts this wait; the writer tries again.
const BUSY_TIMEOUT: Duration = Duration::from_millis(50);
/// The time for which `init_db` waits for other processes.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A table in an SQLite file.
pub(crate) struct SqliteDestination {
    path: PathBuf,
    table: TableName,
    history: Option<TableName>,
    abort: StopSignal,
    file: Option<OpenFile>,
}

struct OpenFile {
    connection: Connection,
    statements: Option<Statements>,
    changes: Arc<Changes>,
    wal_limit: WalLimit,
    _interrupt: InterruptGuard,
}

impl SqliteDestination {
    /// `path` follows `sqlite:` in `destination.url`.
    pub(crate) fn new(path: &str, config: &DestinationConfig, abort: StopSignal) -> Result<Self> {
        // Resolved once: the process may change its directory later.
        let path =
            if path == IN_MEMORY { PathBuf::from(path) } else { path::absolute(path).unwrap_or_else(|_| path.into()) };
        let (table, history) = (TableName::parse(&config.table)?, TableName::of_history(config)?);
        Ok(Self { path, table, history, abort, file: None })
    }

    fn open_file(&self) -> Result<Connection> {
        let open = || -> rusqlite::Result<Connection> {
            let connection = sqlite::open_or_create(&self.path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            Ok(connection)
        };
        open().map_err(|error| self.error("opening", &error))
    }

    fn try_init_db(&self, own: Option<&NewTable>) -> Result<()> {
        let connection = self.open_file()?;
        let create =
            connection.execute_batch(&self.init_db_sql(own)).and_then(|()| checkpoint::add_owner_column(&connection));
        create.map_err(|error| self.error("creating the tables in", &error))
    }

    /// The table, and the history if there is one.
    fn read_tables(&self, connection: &Connection) -> Result<Table> {
        if let Some(TableName { name, .. }) = &self.history
            && [self.table.name.as_str(), CHECKPOINT].iter().any(|other| name.eq_ignore_ascii_case(other))
        {
            return Err(not_another_table(name));
        }
        let history = self.history.as_ref().map(|name| self.read_table(connection, name)).transpose()?;
        Ok(Table { history: history.map(Box::new), ..self.read_table(connection, &self.table)? })
    }

    fn read_table(&self, connection: &Connection, name: &TableName) -> Result<Table> {
        let table = read_table(connection, &name.name).map_err(|error| self.error("reading the table in", &error))?;
        if table.columns.is_empty() {
            let message = format!("the SQLite database {} has no table {}", self.path.display(), name.quoted());
            return Err(Error::new(ErrorKind::Database, message)
                .with_class(Class::Mismatch)
                .with_hint("run `cxsink init-db` or call init_db, which creates it"));
        }
        Ok(table)
    }

    /// Closes the file after an error by which the connection is lost: the port's contract.
    fn close_after(&mut self, error: Error) -> Error {
        if !error.is_refusal() && matches!(error.class(), Class::Transient | Class::Mismatch) {
            self.file = None;
        }
        error
    }

    fn file(&mut self) -> Result<&mut OpenFile> {
        let path = &self.path;
        self.file.as_mut().ok_or_else(|| not_connected(path))
    }

    /// `action` begins the message of an error: "reading".
    fn run<T>(&mut self, action: &str, call: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        let result = call(&mut self.file()?.connection);
        result.map_err(|error| self.error(action, &error))
    }

    fn error(&self, action: &str, error: &rusqlite::Error) -> Error {
        sqlite_error(&self.path, action, error)
    }
}

impl Destination for SqliteDestination {
    fn connect(&mut self) -> Result<Table> {
        self.file = None;
        let mut connection = self.open_file()?;
        let handle = connection.get_interrupt_handle();
        let interrupt = self.abort.on_set(move || handle.interrupt());
        let table = self.read_tables(&connection)?;
        checkpoint::add_owner_column(&connection)
            .map_err(|error| self.error("adding the owner's column in", &error))?;
        let changes =
            Changes::watch(&mut connection, &self.table.name).map_err(|error| self.error("opening", &error))?;
        self.file =
            Some(OpenFile { connection, statements: None, changes, wal_limit: WalLimit::new(), _interrupt: interrupt });
        Ok(table)
    }

    fn table(&mut self) -> Result<Table> {
        let file = self.file.as_ref().ok_or_else(|| not_connected(&self.path))?;
        self.read_tables(&file.connection)
    }

    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()> {
        let (table, history) = (self.table.clone(), self.history.clone());
        let new = |connection: &mut Connection| Statements::new(connection, plan, &table, history.as_ref());
        let statements = self.run("reading the table in", new)?;
        self.file()?.statements = Some(statements);
        Ok(())
    }

    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<Checkpoint>>> {
        self.run("reading the checkpoints in", |connection| checkpoint::all(connection, spool_id))
    }

    fn claim_checkpoints(&mut self, found: &[Checkpoint], owner: &str) -> Result<bool> {
        self.run("taking over the checkpoints in", |connection| checkpoint::claim(connection, found, owner))
    }

    fn replace_checkpoints(&mut self, old: &[Checkpoint], new: &[Checkpoint]) -> Result<()> {
        let elsewhere =
            self.run("replacing the checkpoints in", |connection| checkpoint::replace(connection, old, new))?;
        elsewhere.map_or(Ok(()), |name| Err(moved(&name)))
    }

    /// Waits for other processes that do the same, or write.
    fn init_db(&mut self, own: Option<&NewTable>) -> Result<()> {
        let until = Instant::now() + INIT_TIMEOUT;
        loop {
            match self.try_init_db(own) {
                Err(error) if error.class() == Class::Conflict && Instant::now() < until => {
                    if self.abort.wait(BUSY_TIMEOUT) {
                        return Err(Error::stopped());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    fn init_db_sql(&self, own: Option<&NewTable>) -> String {
        init_db_sql(&self.table.quoted(), own)
    }

    fn init_history(&mut self, new: &NewHistory) -> Result<()> {
        let Some(name) = &self.history else { return Ok(()) };
        let connection = self.open_file()?;
        let table = self.read_table(&connection, &self.table)?;
        let create = history::create_sql(name, &new_history::of_table(new, &table));
        connection
            .busy_timeout(INIT_TIMEOUT)
            .and_then(|()| connection.execute_batch(&create))
            .map_err(|error| self.error("creating the history in", &error))
    }

    fn init_history_sql(&self, own: Option<&NewTable>, new: &NewHistory) -> Result<String> {
        Ok(self.history.as_ref().map_or_else(String::new, |name| history::create_sql(name, &definitions(own, new))))
    }

    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        let select = format!("SELECT * FROM {} ORDER BY 1 LIMIT {count}", self.table.quoted());
        self.run("reading", |connection| {
            let mut select = connection.prepare(&select)?;
            let columns = select.column_count();
            let rows =
                select.query_map([], |row| (0..columns).map(|index| Ok(as_text(row.get_ref(index)?))).collect())?;
            rows.collect()
        })
    }

    fn superseded(&mut self, rows: &Rows, which: &[u32]) -> Result<Vec<u32>> {
        let table = self.table.quoted();
        self.run("reading", |connection| late::superseded(connection, &table, rows, which))
    }

    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>> {
        let (path, table, history) = (self.path.clone(), self.table.clone(), self.history.clone());
        match what {
            Examination::Names
            | Examination::Tcp
            | Examination::Tls
            | Examination::Pooler
            | Examination::Clock
            | Examination::Key(_) => Ok(None),
            Examination::Connection => examine::file(&path).map(Some),
            Examination::Privileges(plan) => {
                examine::writing(&mut self.file()?.connection, &path, &table, None, plan).map(Some)
            }
            Examination::History(plan) => {
                let connection = &mut self.file()?.connection;
                examine::writing(connection, &path, &table, history.as_ref(), plan).map(Some)
            }
            Examination::Checkpoint => examine::checkpoint(&self.file()?.connection, &path).map(Some),
        }
    }

    fn apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        let path = self.path.clone();
        let file = self.file()?;
        let statements = file.statements.as_ref().ok_or_else(|| not_connected(&path))?;
        let applied = file
            .wal_limit
            .set(&file.connection, write.coalesced.len())
            .and_then(|()| apply(&mut file.connection, statements, &file.changes, write));
        applied.map_err(|error| {
            let error = self.error("writing to", &error);
            self.close_after(error)
        })
    }

    fn trial(&mut self, suspect: &Write<'_>, witnesses: &[Write<'_>]) -> Result<Trial> {
        let path = self.path.clone();
        let mapped = |error| sqlite_error(&path, "writing to", &error);
        let file = self.file()?;
        let statements = file.statements.as_ref().ok_or_else(|| not_connected(&path))?;
        let trial = trial(&mut file.connection, statements, suspect, witnesses, mapped);
        trial.map_err(|error| self.close_after(error))
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

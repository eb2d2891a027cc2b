//! The port's implementation.

use std::fmt;
use std::sync::Arc;

use postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::batch::{RunOptions, Upserts};
use super::catalogue::{self, Relation};
use super::checkpoint::or_without_owner;
use super::connection::indicates_pooler;
use super::fresh::FreshKeys;
use super::server::{Server, not_connected};
use super::{checkpoint, examine, init_db, init_history, late, refused_column};
use crate::config::{DestinationConfig, TlsConfig};
use crate::destination::names::{self, TableName};
use crate::destination::new_history;
use crate::destination::{Applied, Checkpoint, Destination, Examination, Trial, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::batch::Rows;
use crate::rows::{NewHistory, NewTable, Plan, Table};
use crate::threads::stop_signal::StopSignal;

/// A table in PostgreSQL.
pub(crate) struct PostgresDestination {
    pub(super) server: Server,
    pub(super) table: TableName,
    history: Option<TableName>,
    /// Distinguishes our statements from another process's: see `statement`.
    nonce: String,
    /// Set once a pooler has shown that it does not keep prepared statements.
    pub(super) unnamed_only: bool,
    pub(super) relation: Option<Relation>,
    pub(super) upserts: Option<Upserts>,
    /// Kept while the connection is lost.
    fresh_keys: FreshKeys,
}

impl fmt::Debug for PostgresDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDestination")
            .field("server", &self.server)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl PostgresDestination {
    /// Reads the connection string, the files that it names and the table's name; does not connect. `abort` ends every call.
    pub(crate) fn new(config: &DestinationConfig, tls: &TlsConfig, abort: StopSignal) -> Result<Self> {
        Ok(Self {
            server: Server::new(config, tls, abort)?,
            table: TableName::parse(&config.table)?,
            history: TableName::of_history(config)?,
            nonce: std::iter::repeat_with(fastrand::alphanumeric).take(16).collect(),
            unnamed_only: false,
            relation: None,
            upserts: None,
            fresh_keys: FreshKeys::new(config),
        })
    }

    pub(super) fn disconnect(&mut self) {
        // The statements first: each one closes itself on its connection.
        self.upserts = None;
        self.relation = None;
        self.server.disconnect();
    }

    /// Runs a call, and disconnects after an error by which the connection is lost: the port's contract.
    fn call<T>(&mut self, call: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let result = call(self);
        if result.as_ref().is_err_and(|error| self.server.is_lost_after(error)) {
            self.disconnect();
        }
        result
    }

    fn try_connect(&mut self) -> Result<Table> {
        self.server.ensure_session()?;
        self.detect_pooler()?;
        let (relation, table) = self.read_catalogue()?;
        self.relation = Some(relation);
        Ok(table)
    }

    fn read_catalogue(&mut self) -> Result<(Relation, Table)> {
        let (timeout, config) = (self.server.timeout(), self.server.config());
        let (configured, history_configured) = (config.table.clone(), config.history_table.clone().unwrap_or_default());
        let session = self.server.session()?;
        let (mut relation, mut table) = catalogue::read(session, &configured, &self.table, timeout)?;
        if let Some(name) = &self.history {
            let (name, history) = catalogue::read_history(session, &history_configured, name, timeout)?;
            if name == relation.name || name == relation.name.checkpoint() {
                return Err(names::not_another_table(&history_configured));
            }
            relation.history = Some(name);
            table.history = Some(Box::new(history));
        }
        Ok((relation, table))
    }

    /// Another table may have taken the name.
    fn try_table(&mut self) -> Result<Table> {
        let (relation, table) = self.read_catalogue()?;
        if !self.relation.as_ref().is_some_and(|known| known.is_same(&relation)) {
            return Err(replaced(&table.name));
        }
        if let Some(upserts) = self.upserts.as_mut().filter(|_| !relation.takes_plain_inserts) {
            upserts.never_split();
        }
        self.relation = Some(relation);
        Ok(table)
    }

    fn try_trial(&mut self, suspect: &Write<'_>, witnesses: &[Write<'_>]) -> Result<Trial> {
        let options = self.options();
        let upserts = self.upserts.as_ref().ok_or_else(not_connected)?;
        upserts.trial(self.server.session()?, suspect, witnesses, &options)
    }

    /// Through a pooler nothing is prepared: a named statement would stay behind on a server connection that other clients use.
    fn detect_pooler(&mut self) -> Result<()> {
        let timeout = self.server.timeout();
        if !self.unnamed_only && self.server.session()?.is_pooled(timeout)? {
            self.use_unnamed(&"it leads through a pooler");
        }
        Ok(())
    }

    fn use_unnamed(&mut self, reason: &dyn fmt::Display) {
        if !self.unnamed_only {
            self.unnamed_only = true;
            log::info!(
                "the connection to {} does not keep prepared statements: using unnamed ones from now on ({reason})",
                self.server.target()
            );
        }
    }

    fn try_prepare(&mut self, plan: &Plan) -> Result<()> {
        let relation = self.relation.as_ref().ok_or_else(not_connected)?;
        let upserts = self.upserts.insert(Upserts::new(plan, relation, &self.nonce));
        let timeout = self.server.timeout();
        let session = self.server.session()?;
        // An empty batch shows before the first event whether this user may write and whether the key has its index.
        upserts.try_empty(session, plan, timeout)?;
        if self.unnamed_only {
            return Ok(());
        }
        match upserts.prepare(session, relation.has_checkpoint, timeout) {
            Err(error) if indicates_pooler(&error) => {
                self.use_unnamed(&error);
                Ok(())
            }
            // The statement without a fence has just run.
            outcome => outcome.map_err(|error| or_without_owner(error, &relation.name.checkpoint().quoted())),
        }
    }

    fn try_apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        if write.coalesced.is_empty() && write.fence.is_none() {
            return Ok(Applied::Committed { inserted: 0, updated: 0 });
        }
        match self.run_upsert(write) {
            // Nothing was written: these errors come before the statement starts, or from a foreign statement.
            Err(error) if !self.unnamed_only && indicates_pooler(&error) => {
                self.use_unnamed(&error);
                if self.server.is_disconnected() {
                    return Err(error.with_class(Class::Transient));
                }
                self.run_upsert(write)
            }
            outcome => outcome,
        }
        .map_err(|error| self.with_refused_column(error, write))
    }

    fn with_refused_column(&mut self, error: Error, write: &Write<'_>) -> Error {
        let timeout = self.server.timeout();
        let table = self.relation.as_ref().map(|relation| &relation.name);
        match self.server.session() {
            Ok(session) => refused_column::named(session, error, write, table, timeout),
            Err(_) => error,
        }
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            timeout: self.server.timeout(),
            lock_timeout: self.server.config().lock_timeout,
            unnamed_only: self.unnamed_only,
        }
    }

    fn run_upsert(&mut self, write: &Write<'_>) -> Result<Applied> {
        let options = self.options();
        let upserts = self.upserts.as_mut().ok_or_else(not_connected)?;
        self.fresh_keys.write(upserts, self.server.session()?, write, &options)
    }

    fn checkpoint_table(&self) -> Result<String> {
        let relation = self.relation.as_ref().ok_or_else(not_connected)?;
        Ok(relation.name.checkpoint().quoted())
    }

    fn try_init_db(&mut self, own: Option<&NewTable>) -> Result<()> {
        let timeout = self.server.timeout();
        let session = self.server.ensure_session()?;
        let found = catalogue::find(session, &self.table, timeout)?;
        let table = found.map_or_else(|| self.table.clone(), |found| found.relation.name);
        init_db::create(session, "creating the tables", &init_db::sql(&table, own), timeout)?;
        // With its schema, whatever the search path is.
        match catalogue::find(session, &self.table, timeout)? {
            Some(found) => checkpoint::add_owner_column(session, &found.relation.name.checkpoint().quoted(), timeout),
            None => Ok(()),
        }
    }

    fn try_init_history(&mut self, new: &NewHistory) -> Result<()> {
        let Some(name) = self.history.clone() else { return Ok(()) };
        let (timeout, configured) = (self.server.timeout(), self.server.config().table.clone());
        let session = self.server.ensure_session()?;
        let (_, table) = catalogue::read(session, &configured, &self.table, timeout)?;
        let name = catalogue::find(session, &name, timeout)?.map_or(name, |found| found.relation.name);
        let create = init_history::table(&name, &new_history::of_table(new, &table), new);
        init_history::run(session, std::iter::once(create).chain(init_history::partitions(&name, new)?), timeout)
    }

    fn try_peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        let timeout = self.server.timeout();
        let select = format!("SELECT * FROM {} ORDER BY 1 LIMIT {count}", self.table.quoted());
        let messages =
            self.server.session()?.run("reading the first rows", timeout, |client| client.simple_query(&select))?;
        let as_texts = |row: &SimpleQueryRow| (0..row.len()).map(|index| row.get(index).map(Into::into)).collect();
        Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(as_texts(row)),
                _ => None,
            })
            .collect())
    }
}

impl Destination for PostgresDestination {
    fn connect(&mut self) -> Result<Table> {
        self.disconnect();
        self.call(Self::try_connect)
    }

    fn table(&mut self) -> Result<Table> {
        self.call(Self::try_table)
    }

    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()> {
        self.call(|destination| destination.try_prepare(plan))
    }

    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<Checkpoint>>> {
        self.call(|destination| {
            let (table, timeout) = (destination.checkpoint_table()?, destination.server.timeout());
            checkpoint::all(destination.server.session()?, &table, spool_id, timeout)
        })
    }

    fn claim_checkpoints(&mut self, found: &[Checkpoint], owner: &str) -> Result<bool> {
        self.call(|destination| {
            let (table, timeout) = (destination.checkpoint_table()?, destination.server.timeout());
            checkpoint::claim(destination.server.session()?, &table, found, owner, timeout)
        })
    }

    fn replace_checkpoints(&mut self, old: &[Checkpoint], new: &[Checkpoint]) -> Result<()> {
        self.call(|destination| {
            let (table, timeout) = (destination.checkpoint_table()?, destination.server.timeout());
            checkpoint::replace(destination.server.session()?, &table, old, new, timeout)
        })
    }

    /// A table that the search path finds in another schema stays as it is, and gets its checkpoint table in that schema.
    fn init_db(&mut self, own: Option<&NewTable>) -> Result<()> {
        self.call(|destination| destination.try_init_db(own))
    }

    fn init_db_sql(&self, own: Option<&NewTable>) -> String {
        init_db::sql(&self.table, own)
    }

    fn init_history(&mut self, history: &NewHistory) -> Result<()> {
        self.call(|destination| destination.try_init_history(history))
    }

    fn init_history_sql(&self, own: Option<&NewTable>, history: &NewHistory) -> Result<String> {
        let Some(name) = &self.history else { return Ok(String::new()) };
        let table = init_history::table(name, &init_db::definitions(own, history), history);
        Ok(table + &init_history::partitions(name, history)?.concat())
    }

    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        self.call(|destination| destination.try_peek(count))
    }

    fn superseded(&mut self, rows: &Rows, which: &[u32]) -> Result<Vec<u32>> {
        self.call(|destination| {
            let relation = destination.relation.as_ref().ok_or_else(not_connected)?;
            let (sql, timeout) = (late::sql(&rows.plan, relation), destination.server.timeout());
            late::superseded(destination.server.session()?, &sql, rows, which, timeout)
        })
    }

    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>> {
        self.call(|PostgresDestination { server, table, history, .. }| {
            examine::examine(server, table, history.as_ref(), what)
        })
    }

    fn apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        self.call(|destination| destination.try_apply(write))
    }

    fn trial(&mut self, suspect: &Write<'_>, witnesses: &[Write<'_>]) -> Result<Trial> {
        self.call(|destination| destination.try_trial(suspect, witnesses))
    }
}

fn replaced(table: &str) -> Error {
    Error::new(ErrorKind::Database, format!("the table {table} was replaced")).with_class(Class::Transient)
}

impl Drop for PostgresDestination {
    fn drop(&mut self) {
        self.disconnect();
    }
}

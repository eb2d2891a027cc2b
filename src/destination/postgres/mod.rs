//! The destination `postgresql://…`: one connection, one statement a batch.
//!
//! Every call keeps the port's deadlines and its promptness on abort, over TCP, TLS and Unix sockets alike; how, is told in
//! [`connector`] and [`session`]. The calls block on an event loop of the `postgres` crate, so they must not be made on a
//! thread that is itself inside an asynchronous runtime.

mod catalogue;
pub(crate) mod connection;
mod encode;
mod examine;
mod init_db;
pub(crate) mod params;
mod statement;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postgres::types::{ToSql, Type};
use postgres::{Client, Row, SimpleQueryMessage, SimpleQueryRow, Statement};
use secrecy::ExposeSecret;

use self::catalogue::Relation;
use self::connection::errors::PgResult;
use self::connection::session::Session;
use self::encode::ColumnArray;
use self::params::target::Target;
use self::statement::{Upsert, answer};
use super::names::TableName;
use super::{Applied, Destination, Examination, Fence, Write, moved_checkpoint};
use crate::config::{DestinationConfig, TlsConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::batch::Rows;
use crate::rows::{Plan, Table};
use crate::threads::stop_signal::StopSignal;

/// A table in PostgreSQL. See the [module documentation](self).
pub(crate) struct PostgresDestination {
    config: DestinationConfig,
    tls: TlsConfig,
    target: Target,
    table: TableName,
    abort: StopSignal,
    /// Tells our statements from another process's: see [`statement`].
    nonce: String,
    /// Set once a pooler has shown that it does not keep prepared statements.
    unnamed_only: bool,
    session: Option<Session>,
    relation: Option<Relation>,
    upserts: Option<Upserts>,
}

/// The statement of the current plan, in both variants.
struct Upserts {
    fenced: Variant,
    unfenced: Variant,
}

struct Variant {
    upsert: Upsert,
    /// Prepared at its first use on this connection.
    prepared: Option<Statement>,
}

impl fmt::Debug for PostgresDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDestination")
            .field("target", &self.target)
            .field("table", &self.table)
            .field("connected", &self.session.is_some())
            .finish_non_exhaustive()
    }
}

impl PostgresDestination {
    /// Reads the connection string, the files that it names and the table's name; connects to nothing yet. `abort` ends every
    /// call.
    pub(crate) fn new(config: &DestinationConfig, tls: &TlsConfig, abort: StopSignal) -> Result<Self> {
        let url = config.url.as_ref().ok_or_else(|| {
            Error::config("destination.url is not set").with_hint("set it to postgresql://user@host/database")
        })?;
        let target = Target::resolve(url.expose_secret(), &config.libpq)?;
        // Only to know that it works: each connection reads the files again.
        connection::tls::client_config(&target.tls, tls)?;
        Ok(Self {
            target,
            tls: tls.clone(),
            table: TableName::parse(&config.table)?,
            config: config.clone(),
            abort,
            nonce: std::iter::repeat_with(fastrand::alphanumeric).take(16).collect(),
            unnamed_only: false,
            session: None,
            relation: None,
            upserts: None,
        })
    }

    fn timeout(&self) -> Duration {
        self.config.statement_timeout
    }

    fn hang_up(&mut self) {
        // Statements first: each tells its connection to forget it.
        self.upserts = None;
        self.relation = None;
        self.session = None;
    }

    fn ensure_session(&mut self) -> Result<()> {
        if self.session.is_none() {
            let password = self.config.password()?;
            // Read anew each time: services and password files change while the sink runs.
            if let Some(url) = &self.config.url {
                self.target = Target::resolve(url.expose_secret(), &self.config.libpq)?;
            }
            self.session = Some(connection::connect::connect(
                &self.target,
                &self.tls,
                password,
                self.config.connect_timeout,
                &self.abort,
            )?);
        }
        Ok(())
    }

    /// After an error that costs the connection, there is none: the port's contract.
    fn settle<T>(&mut self, result: Result<T>) -> Result<T> {
        let lost = match &result {
            Ok(_) => false,
            Err(error) => match error.class() {
                Class::Transient | Class::Mismatch | Class::Permanent => true,
                Class::Conflict | Class::BadRow => self.session.as_ref().is_none_or(Session::is_closed),
            },
        };
        if lost {
            self.hang_up();
        }
        result
    }

    fn try_prepare(&mut self, plan: &Plan) -> Result<()> {
        let relation = self.relation.as_ref().ok_or_else(not_connected)?;
        let variant = |fenced| Variant { upsert: Upsert::new(plan, relation, &self.nonce, fenced), prepared: None };
        let (has_checkpoint, unfenced) = (relation.has_checkpoint, variant(false));
        let upserts = self.upserts.insert(Upserts { fenced: variant(true), unfenced });
        let session = open(self.session.as_mut())?;
        let timeout = self.config.statement_timeout;

        // An empty batch tells now, and not at the first event, whether this user may write and whether the key has its index.
        try_upsert(session, plan, &upserts.unfenced.upsert, &self.nonce, timeout)?;

        if self.unnamed_only {
            return Ok(());
        }
        let variant = if has_checkpoint { &mut upserts.fenced } else { &mut upserts.unfenced };
        let prepared = prepare(session, variant, timeout);
        match prepared {
            Err(error) if shows_pooler(&error) => {
                self.use_unnamed(&error);
                Ok(())
            }
            other => other,
        }
    }

    fn try_apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        if write.merged.is_empty() && write.fence.is_none() {
            return Ok(Applied::Committed { inserted: 0, updated: 0 });
        }
        if !self.unnamed_only {
            match self.run_upsert(write) {
                // Nothing was done: these come before the statement starts, or from a statement that is not ours.
                Err(error) if shows_pooler(&error) => {
                    self.use_unnamed(&error);
                    if self.session.as_ref().is_none_or(Session::is_closed) {
                        return Err(error.with_class(Class::Transient));
                    }
                }
                other => return other,
            }
        }
        self.run_upsert(write)
    }

    fn run_upsert(&mut self, write: &Write<'_>) -> Result<Applied> {
        let session = open(self.session.as_mut())?;
        let upserts = self.upserts.as_mut().ok_or_else(not_connected)?;
        let variant = if write.fence.is_some() { &mut upserts.fenced } else { &mut upserts.unfenced };
        let timeout = self.config.statement_timeout;
        if !self.unnamed_only {
            prepare(session, variant, timeout)?;
        }
        let fence = write.fence.map(Positions::new).transpose()?;
        let arrays = arrays(write.rows, write.merged);
        let parameters = parameters(&self.nonce, &arrays, fence.as_ref());
        let limits = self.config.lock_timeout.map(|lock_timeout| begin_with_limits(lock_timeout, timeout));
        let run = |client: &mut Client| {
            let rows = match &variant.prepared {
                Some(statement) if !self.unnamed_only => client.query(statement, &parameters)?,
                _ => client.query_typed(&variant.upsert.sql, &with_types(&parameters, &variant.upsert))?,
            };
            rows.first().map(Answer::read).transpose()
        };
        session
            .run("writing a batch", timeout, |client| match &limits {
                // One statement is a transaction by itself.
                None => run(client),
                Some(begin) => {
                    client.batch_execute(begin)?;
                    let answer = run(client);
                    let is_good = answer.as_ref().is_ok_and(|answer| answer.as_ref().is_some_and(|answer| answer.ours));
                    // The answer counts, not what becomes of the clean-up.
                    if is_good {
                        client.batch_execute("COMMIT")?;
                    } else {
                        drop(client.batch_execute("ROLLBACK"));
                    }
                    answer
                }
            })?
            .map_or_else(|| Err(not_ours()), Answer::applied)
    }

    /// Through a pooler nothing is prepared: a named statement would stay behind on a server connection that others use too.
    fn notice_pooler(&mut self) -> Result<()> {
        let timeout = self.timeout();
        if !self.unnamed_only && open(self.session.as_mut())?.is_pooled(timeout)? {
            self.use_unnamed(&"it leads through a pooler");
        }
        Ok(())
    }

    fn use_unnamed(&mut self, why: &dyn fmt::Display) {
        if !self.unnamed_only {
            self.unnamed_only = true;
            log::info!(
                "the connection to {} does not keep prepared statements: using unnamed ones from now on ({why})",
                self.target
            );
        }
    }

    fn try_position(&mut self, spool_id: &str, applied: u64) -> Result<Option<u64>> {
        let relation = self.relation.as_ref().ok_or_else(not_connected)?;
        let session = open(self.session.as_mut())?;
        let timeout = self.config.statement_timeout;
        let checkpoint = relation.name.checkpoint().quoted();
        let applied = to_bigint(applied)?;
        let select = format!("SELECT position FROM {checkpoint} WHERE spool_id = $1");
        let insert = format!(
            "INSERT INTO {checkpoint} (spool_id, position, updated_at) VALUES ($1, $2, now()) ON CONFLICT (spool_id) DO NOTHING"
        );
        let position = session.run("reading the checkpoint", timeout, |client| {
            let id: (&(dyn ToSql + Sync), Type) = (&spool_id, Type::TEXT);
            if let Some(row) = client.query_typed(&select, std::slice::from_ref(&id))?.first() {
                return row.try_get::<_, i64>(0);
            }
            client.query_typed(&insert, &[id.clone(), (&applied, Type::INT8)])?;
            // Read again: another process with this spool's id may have been faster.
            client.query_typed(&select, &[id])?.first().map_or(Ok(applied), |row| row.try_get(0))
        });
        if_there_is(position)?.map(|position| from_bigint(spool_id, position)).transpose()
    }

    fn try_checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<(String, u64)>>> {
        let relation = self.relation.as_ref().ok_or_else(not_connected)?;
        let session = open(self.session.as_mut())?;
        let select = format!(
            "SELECT spool_id::text, position FROM {} WHERE (spool_id = $1 OR left(spool_id, length($1) + 1) = $1 || '/') \
             AND position <> {TAKEN_BACK} ORDER BY 1",
            relation.name.checkpoint().quoted()
        );
        let found = session.run("reading the checkpoints", self.config.statement_timeout, |client| {
            let rows = client.query_typed(&select, &[(&spool_id, Type::TEXT)])?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<PgResult<Vec<(String, i64)>>>()
        });
        let named = |(name, position): (String, i64)| from_bigint(&name, position).map(|position| (name, position));
        if_there_is(found)?.map(|found| found.into_iter().map(named).collect()).transpose()
    }

    /// The old rows stay, with a position where no statement looks for them: this user may not be allowed to delete.
    fn try_replace(&mut self, old: &[(String, u64)], new: &[String], position: u64) -> Result<()> {
        let relation = self.relation.as_ref().ok_or_else(not_connected)?;
        let session = open(self.session.as_mut())?;
        let checkpoint = relation.name.checkpoint().quoted();
        let take_back = format!(
            "UPDATE {checkpoint} SET position = {TAKEN_BACK}, updated_at = now() WHERE spool_id = $1 AND position = $2 RETURNING 1"
        );
        let make = format!(
            "INSERT INTO {checkpoint} (spool_id, position, updated_at) VALUES ($1, $2, now()) \
             ON CONFLICT (spool_id) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at"
        );
        let old = old.iter().map(|(name, position)| Ok((name, to_bigint(*position)?))).collect::<Result<Vec<_>>>()?;
        let position = to_bigint(position)?;
        let moved = session.run("replacing the checkpoints", self.config.statement_timeout, |client| {
            let mut transaction = client.transaction()?;
            for (name, position) in &old {
                if transaction.query_typed(&take_back, &[(name, Type::TEXT), (position, Type::INT8)])?.is_empty() {
                    transaction.rollback()?;
                    return Ok(Some(*name));
                }
            }
            for name in new {
                transaction.query_typed(&make, &[(name, Type::TEXT), (&position, Type::INT8)])?;
            }
            transaction.commit()?;
            Ok(None)
        })?;
        moved.map_or(Ok(()), |name| Err(moved_checkpoint(name)))
    }
}

/// The position of a checkpoint that was taken back. Fences begin at 0.
const TAKEN_BACK: i64 = -1;

impl Destination for PostgresDestination {
    fn connect(&mut self) -> Result<Table> {
        self.hang_up();
        let timeout = self.timeout();
        let result = self.ensure_session().and_then(|()| {
            self.notice_pooler()?;
            catalogue::read(open(self.session.as_mut())?, &self.config.table, &self.table, timeout)
        });
        let (relation, table) = self.settle(result)?;
        self.relation = Some(relation);
        Ok(table)
    }

    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()> {
        let result = self.try_prepare(plan);
        self.settle(result)
    }

    fn position(&mut self, spool_id: &str, applied: u64) -> Result<Option<u64>> {
        let result = self.try_position(spool_id, applied);
        self.settle(result)
    }

    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<(String, u64)>>> {
        let result = self.try_checkpoints(spool_id);
        self.settle(result)
    }

    fn replace_checkpoints(&mut self, old: &[(String, u64)], new: &[String], position: u64) -> Result<()> {
        let result = self.try_replace(old, new, position);
        self.settle(result)
    }

    /// A table that the search path finds in another schema is left as it is, and gets its checkpoint table beside it.
    fn init_db(&mut self) -> Result<()> {
        let timeout = self.timeout();
        let result = self.ensure_session().and_then(|()| {
            let table = self.table.clone();
            let session = open(self.session.as_mut())?;
            let found = catalogue::find(session, &table, timeout)?;
            let table = found.map_or(table, |(_, relation, _)| relation.name);
            // Behind a pooler another client may have left its own search path.
            let sql = format!("SET LOCAL search_path TO DEFAULT; {}", init_db::sql(&table));
            session.run("making the tables", timeout, |client| client.batch_execute(&sql))
        });
        self.settle(result)
    }

    fn init_db_sql(&self) -> String {
        init_db::sql(&self.table)
    }

    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        let timeout = self.timeout();
        let select = format!("SELECT * FROM {} ORDER BY 1 LIMIT {count}", self.table.quoted());
        let result = open(self.session.as_mut())
            .and_then(|session| session.run("reading the first rows", timeout, |client| client.simple_query(&select)));
        let messages = self.settle(result)?;
        let as_texts = |row: &SimpleQueryRow| (0..row.len()).map(|index| row.get(index).map(Into::into)).collect();
        Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(as_texts(row)),
                _ => None,
            })
            .collect())
    }

    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>> {
        let result = self.try_examine(what);
        self.settle(result)
    }

    fn apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        let result = self.try_apply(write);
        self.settle(result)
    }
}

impl Drop for PostgresDestination {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// What the statement answered.
struct Answer {
    ours: bool,
    moved: i64,
    inserted: i64,
    updated: i64,
}

impl Answer {
    fn read(row: &Row) -> PgResult<Self> {
        Ok(Self {
            ours: row.try_get(answer::OURS)?,
            moved: row.try_get(answer::MOVED)?,
            inserted: row.try_get(answer::INSERTED)?,
            updated: row.try_get(answer::UPDATED)?,
        })
    }

    fn applied(self) -> Result<Applied> {
        if !self.ours {
            return Err(not_ours());
        }
        if self.moved == 0 {
            return Ok(Applied::Fenced);
        }
        Ok(Applied::Committed { inserted: self.inserted.unsigned_abs(), updated: self.updated.unsigned_abs() })
    }
}

/// A fence, as PostgreSQL's types have it.
struct Positions<'a> {
    spool_id: &'a str,
    from: i64,
    to: i64,
}

impl<'a> Positions<'a> {
    fn new(fence: Fence<'a>) -> Result<Self> {
        Ok(Self { spool_id: fence.spool_id, from: to_bigint(fence.from)?, to: to_bigint(fence.to)? })
    }
}

fn arrays<'a>(rows: &'a Rows, merged: &'a [crate::rows::batch::Merged]) -> Vec<ColumnArray<'a>> {
    (0..rows.plan.width).map(|column| ColumnArray::new(rows, merged, column)).collect()
}

/// Encodes the arrays of a batch and throws them away; returns their size in bytes.
#[cfg(feature = "bench")]
pub(crate) fn encode(rows: &Rows, merged: &[crate::rows::batch::Merged]) -> Result<usize> {
    let mut out = bytes::BytesMut::new();
    for (array, column) in arrays(rows, merged).iter().zip(rows.plan.row_columns()) {
        let encoded = array.to_sql(&statement::array_type(column.column_type), &mut out);
        encoded.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    }
    Ok(out.len())
}

/// In the order of [`Upsert`].
fn parameters<'a>(
    nonce: &'a String,
    arrays: &'a [ColumnArray<'a>],
    fence: Option<&'a Positions<'a>>,
) -> Vec<&'a (dyn ToSql + Sync)> {
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![nonce];
    parameters.extend(arrays.iter().map(|array| array as &(dyn ToSql + Sync)));
    if let Some(fence) = fence {
        parameters.extend([&fence.spool_id as &(dyn ToSql + Sync), &fence.from, &fence.to]);
    }
    parameters
}

/// Runs the statement with no rows.
fn try_upsert(session: &mut Session, plan: &Plan, upsert: &Upsert, nonce: &String, timeout: Duration) -> Result<()> {
    let rows = Rows::new(Arc::new(plan.clone()));
    let arrays = arrays(&rows, &[]);
    let parameters = parameters(nonce, &arrays, None);
    let typed = with_types(&parameters, upsert);
    session.run("trying the upsert", timeout, |client| client.query_typed(&upsert.sql, &typed)).map(drop)
}

fn with_types<'a>(parameters: &[&'a (dyn ToSql + Sync)], upsert: &Upsert) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    parameters.iter().copied().zip(upsert.types.iter().cloned()).collect()
}

/// Begins a transaction with limits of its own: they end with it, so nothing of them is left behind for others of a pool. If we
/// are gone, the server does not keep the rows locked for longer than we would have waited.
fn begin_with_limits(lock_timeout: Duration, timeout: Duration) -> String {
    let (lock, all) = (lock_timeout.as_millis(), timeout.as_millis());
    format!(
        "BEGIN; SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {all}; \
         SET LOCAL idle_in_transaction_session_timeout = {all}"
    )
}

fn prepare(session: &mut Session, variant: &mut Variant, timeout: Duration) -> Result<()> {
    if variant.prepared.is_none() {
        let Upsert { sql, types } = &variant.upsert;
        variant.prepared =
            Some(session.run("preparing the upsert", timeout, |client| client.prepare_typed(sql, types))?);
    }
    Ok(())
}

/// The marks of a pooler that gives us another server connection than the one we prepared on: no such statement, there is
/// one already, another one has that name (its parameters do not fit, or it says that it is not ours), or
/// PgBouncer's own word for it.
fn shows_pooler(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("26000" | "42P05" | "08P01" | "22P03")) || error.kind() == ErrorKind::Protocol
}

fn not_ours() -> Error {
    Error::new(ErrorKind::Protocol, "another statement than the one that was prepared has run")
        .with_class(Class::Transient)
        .with_hint("a pooler mixes up prepared statements")
}

fn open(session: Option<&mut Session>) -> Result<&mut Session> {
    session.ok_or_else(not_connected)
}

fn not_connected() -> Error {
    Error::new(ErrorKind::Connect, "not connected to PostgreSQL")
}

/// `None` if there is no checkpoint table.
fn if_there_is<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.sqlstate() == Some("42P01") => Ok(None),
        Err(error) => Err(error),
    }
}

fn from_bigint(checkpoint: &str, position: i64) -> Result<u64> {
    u64::try_from(position).map_err(|_| {
        let message = if position == TAKEN_BACK {
            format!("the checkpoint {checkpoint} was taken back by a sink with another number of connections")
        } else {
            format!("the checkpoint {checkpoint} is negative: {position}")
        };
        Error::new(ErrorKind::Database, message)
            .with_class(Class::Mismatch)
            .with_hint("start the sink again; if that does not help, delete the row from cxsink_checkpoint")
    })
}

fn to_bigint(position: u64) -> Result<i64> {
    i64::try_from(position).map_err(|_| Error::new(ErrorKind::Internal, "a spool offset is beyond bigint"))
}

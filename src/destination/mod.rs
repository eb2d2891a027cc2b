//! The port to the database. The writer knows only this; `postgres` and `sqlite` are its adapters.

mod checkpoint;
mod names;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

use crate::error::Result;
use crate::report::finding::Finding;
use crate::rows::batch::{Merged, Rows};
use crate::rows::{Plan, Table};
use crate::threads::stop_signal::StopSignal;

/// A database table that takes batches of rows.
///
/// # Contract
/// - A call that fails leaves the table unchanged, or its transaction is in doubt: it may have committed. It never applies half a
///   batch.
/// - An error's class decides what the writer does (`Class`). After an error of class `Transient` or `Mismatch` the connection is
///   closed and the writer starts again at `connect`. After `Conflict` and `BadRow` the connection is still good.
/// - Every call returns within 100 ms once the implementation's abort signal is set, and otherwise within its deadline
///   (`destination.connect_timeout`, `destination.statement_timeout`).
pub(crate) trait Destination: Send {
    /// Opens a new connection in place of any earlier one, and reads the table from the catalogue.
    fn connect(&mut self) -> Result<Table>;

    /// Prepares for batches of this plan. The writer calls it after each `connect`, before `apply`.
    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()>;

    /// The checkpoint of this spool in the database: every event below it is committed. Creates it at `committed` if there is
    /// none. `None` if the table `cxsink_checkpoint` does not exist: delivery is then at-least-once.
    fn position(&mut self, spool_id: &str, committed: u64) -> Result<Option<u64>>;

    /// Every checkpoint of this spool: the one named by its id, and those with its id and a slash as a prefix. `None` as above.
    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<(String, u64)>>>;

    /// In one transaction: retires the old checkpoints if each has the position given, and creates the new ones at `position`. A
    /// late statement that is fenced by a retired checkpoint does nothing.
    ///
    /// # Errors
    /// Class `Transient` if an old checkpoint has another position.
    fn replace_checkpoints(&mut self, old: &[(String, u64)], new: &[String], position: u64) -> Result<()>;

    /// Creates the default table and the checkpoint table, where they do not exist. Needs no `connect`.
    fn init_db(&mut self) -> Result<()>;

    /// The statements of `init_db`.
    fn init_db_sql(&self) -> String;

    /// The first rows as text, with the columns in the order of `connect`.
    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>>;

    /// One step of `check`, which changes nothing. Connects if needed; `None` if the step does not apply to this destination.
    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>>;

    /// Upserts the rows in one transaction, together with the move of the checkpoint if there is one.
    fn apply(&mut self, write: &Write<'_>) -> Result<Applied>;
}

/// One connection to the destination, and the signal that aborts its running call.
pub(crate) struct Link {
    pub(crate) destination: Box<dyn Destination>,
    pub(crate) abort: StopSignal,
}

/// A step of [`Destination::examine`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Examination<'a> {
    /// The addresses of the host names.
    Names,
    /// A TCP connection to each host.
    Tcp,
    /// The login, and the server's version.
    Connection,
    /// The encryption, and the validity of the certificate.
    Tls,
    /// The pooler in between, and its mode.
    Pooler,
    /// The server's clock.
    Clock,
    /// The privileges to write rows of this plan.
    Privileges(&'a Arc<Plan>),
    /// The checkpoint table, and the privileges to write it.
    Checkpoint,
}

/// The work of one transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) rows: &'a Rows,
    /// One entry for each row to write, sorted by key; each key at most once.
    pub(crate) merged: &'a [Merged],
    pub(crate) fence: Option<Fence<'a>>,
}

/// A compare-and-set on the checkpoint, in the same transaction as a batch: the batch is refused unless the position is `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence<'a> {
    pub(crate) spool_id: &'a str,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// The outcome of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Committed. Rows in neither count stayed as they were (update modes `changed` and `newer`, or a key-only table).
    Committed { inserted: u64, updated: u64 },
    /// The checkpoint was not at `fence.from`: nothing was changed. Read [`Destination::position`] again.
    Fenced,
}

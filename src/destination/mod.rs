//! The port to the database. The writer depends on nothing else; `postgres` and `sqlite` are its adapters.

mod checkpoint;
mod examination;
mod link;
mod names;
mod new_history;
mod new_table;
pub(crate) mod postgres;
pub(crate) mod sqlite;
mod write;

use std::sync::Arc;

use crate::error::Result;
use crate::report::finding::Finding;
use crate::rows::batch::Rows;
use crate::rows::{NewHistory, NewTable, Plan, Table};

pub(crate) use checkpoint::Checkpoint;
pub(crate) use examination::Examination;
pub(crate) use link::Link;
pub(crate) use write::{Applied, Fence, Trial, Write};

/// A database table that takes batches of rows.
///
/// # Contract
/// - A call that fails leaves the table unchanged, or its transaction is in doubt: it may have committed. It never applies half a
///   batch.
/// - An error's class decides what the writer does (`Class`). After an error of class `Transient` or `Mismatch` the connection is
///   closed and the writer starts again at `connect`. After `Conflict`, and after a refusal (`Error::is_refusal`), the connection is
///   still good.
/// - Every call returns within 100 ms once the implementation's abort signal is set, and otherwise within its deadline
///   (`destination.connect_timeout`, `destination.statement_timeout`).
pub(crate) trait Destination: Send {
    /// Opens a new connection in place of any earlier one, and reads the table from the catalogue.
    fn connect(&mut self) -> Result<Table>;

    /// Reads the table from the catalogue again, over the open connection.
    fn table(&mut self) -> Result<Table>;

    /// Prepares for batches of this plan. The writer calls it after each `connect`, before `apply`.
    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()>;

    /// Every checkpoint of this spool: the one named by its id, and those with its id and a slash as a prefix. `None` if the table
    /// `cxsink_checkpoint` does not exist: delivery is then at-least-once.
    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<Checkpoint>>>;

    /// In one transaction: makes `owner` the owner of these checkpoints, if each has the position and the owner given. From then on
    /// every statement that is fenced by an earlier owner does nothing. False, and nothing is changed, if one is not as given.
    fn claim_checkpoints(&mut self, found: &[Checkpoint], owner: &str) -> Result<bool>;

    /// In one transaction: retires the old checkpoints if each has the position and the owner given, and creates the new ones. A late
    /// statement that is fenced by a retired checkpoint does nothing.
    ///
    /// # Errors
    /// Class `Transient` if an old checkpoint is not as given, or a new one exists.
    fn replace_checkpoints(&mut self, old: &[Checkpoint], new: &[Checkpoint]) -> Result<()>;

    /// Creates a table and the checkpoint table, where they do not exist: the default table, or `own`. Needs no `connect`.
    fn init_db(&mut self, own: Option<&NewTable>) -> Result<()>;

    /// The statements of `init_db`.
    fn init_db_sql(&self, own: Option<&NewTable>) -> String;

    /// Creates the history, where it does not exist, with the columns that the table has now; and its partitions. Needs no `connect`.
    fn init_history(&mut self, history: &NewHistory) -> Result<()>;

    /// The statements of `init_history` for a table that `init_db` creates.
    fn init_history_sql(&self, own: Option<&NewTable>, history: &NewHistory) -> Result<String>;

    /// The first rows as text, with the columns in the order of `connect`.
    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>>;

    /// Those of the rows in `which` that, as late events, would leave the table as it is now. Changes nothing.
    fn superseded(&mut self, rows: &Rows, which: &[u32]) -> Result<Vec<u32>>;

    /// One step of `check`, which changes nothing. Connects if needed; `None` if the step does not apply to this destination.
    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>>;

    /// Upserts the rows in one transaction, together with the move of the checkpoint if there is one.
    fn apply(&mut self, write: &Write<'_>) -> Result<Applied>;

    /// Tries the suspect and the witnesses, each by itself, in one transaction that is rolled back: an empty write first, whose lock
    /// keeps the table's definition as it is; then the suspect, the witnesses until one passes, and the suspect again. Deferred
    /// constraints count. Fences are left out, so that the checkpoint table has no say.
    ///
    /// # Errors
    /// The table refuses even the empty write, or the trial could not be finished.
    fn trial(&mut self, suspect: &Write<'_>, witnesses: &[Write<'_>]) -> Result<Trial>;
}

//! The port to the database. The writer loop knows only this; `destination::postgres` and `destination::sqlite` are the real ones.

mod names;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::sync::Arc;

use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::batch::{Merged, Rows};
use crate::rows::{Plan, Table};
use crate::threads::stop_signal::StopSignal;

/// A database table that takes batches of rows.
///
/// # Contract
/// - A call that fails leaves the table as it was, or has committed without our learning of it; it never applies half a batch.
/// - An error's class tells the writer what to do (`Class`). After an error of class `Transient` or `Mismatch` the connection is
///   gone and the writer starts again at `connect`. After `Conflict` and `BadRow` the connection is still good.
/// - Every call returns within 100 ms once the abort signal that the implementation was built with is set, and otherwise within
///   its deadline (`destination.connect_timeout`, `destination.statement_timeout`).
pub(crate) trait Destination: Send {
    /// Connects anew, closing any earlier connection, and reads the table from the catalogue.
    fn connect(&mut self) -> Result<Table>;

    /// Makes ready to apply batches of this plan. Called after each `connect`, before `apply`.
    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()>;

    /// The checkpoint of this spool as the database knows it: every event below it is applied. Made at `applied` if there is
    /// none yet. `None` if the table `cxsink_checkpoint` does not exist: delivery is then at-least-once.
    fn position(&mut self, spool_id: &str, applied: u64) -> Result<Option<u64>>;

    /// Every checkpoint of this spool: the one of its id, and those whose names begin with it and a slash. `None` as above.
    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<(String, u64)>>>;

    /// In one transaction: takes these checkpoints back, which must stand where they are said to, and makes the new ones at
    /// `position`. A statement that is fenced by one that was taken back does nothing, however late it comes.
    ///
    /// # Errors
    /// Class `Transient` if one of them stands elsewhere.
    fn replace_checkpoints(&mut self, old: &[(String, u64)], new: &[String], position: u64) -> Result<()>;

    /// Makes the default table and the checkpoint table, where they do not exist. Needs no `connect`.
    fn init_db(&mut self) -> Result<()>;

    /// What `init_db` would run.
    fn init_db_sql(&self) -> String;

    /// The first rows as text, in the order of the columns that `connect` found.
    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>>;

    /// One look of `check`, which changes nothing. Connects if it has to; `None` if this destination has no such thing.
    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>>;

    /// Upserts the rows in one transaction, together with the move of the checkpoint if there is one.
    fn apply(&mut self, write: &Write<'_>) -> Result<Applied>;
}

/// One connection to the destination, and what ends the call on it that is under way.
pub(crate) struct Link {
    pub(crate) destination: Box<dyn Destination>,
    pub(crate) abort: StopSignal,
}

/// What [`Destination::examine`] looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Examination<'a> {
    /// Whether the names of its hosts have addresses.
    Names,
    /// Whether something listens there.
    Tcp,
    /// Whether it lets us in, and what it is.
    Connection,
    /// How the connection is encrypted, and for how long the certificate is good.
    Tls,
    /// Whether a pooler is in between, and what a connection through it is.
    Pooler,
    /// What time it has.
    Clock,
    /// Whether rows of this plan may be written.
    Privileges(&'a Arc<Plan>),
    /// Whether there is a checkpoint table, and it may be written.
    Checkpoint,
}

/// One transaction's work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) rows: &'a Rows,
    /// One entry for each row to write, sorted by key; no key stands twice.
    pub(crate) merged: &'a [Merged],
    pub(crate) fence: Option<Fence<'a>>,
}

/// The move of the checkpoint that goes with a batch: refused, with the whole batch, unless the checkpoint stands at `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence<'a> {
    pub(crate) spool_id: &'a str,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// For [`Destination::replace_checkpoints`]: one does not stand where it is said to.
fn moved_checkpoint(name: &str) -> Error {
    let message = format!("the destination's checkpoint {name} moves although no other sink has the spool open");
    Error::new(ErrorKind::Database, message).with_class(Class::Transient)
}

/// What a batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Committed. Rows that are in neither count were left as they were (update modes `changed` and `newer`, or a key-only table).
    Committed { inserted: u64, updated: u64 },
    /// The checkpoint did not stand at `fence.from`: nothing was changed. Read [`Destination::position`] again.
    Fenced,
}

//! Where events wait between the stream and the table: a queue in one SQLite file, the only queue there is.
//!
//! Events get consecutive offsets as they are appended and keep them for ever. They are stored a burst at a time, one row of
//! at most 64 KiB for many events, which takes a third of the CPU that a row per event takes. An event leaves the file only
//! when it is applied: committed in the destination, or kept as a dead letter.
//!
//! Three connections: one appends, deletes and keeps dead letters, under a lock; the others read, and keep the write-ahead log
//! short, and so are never in the way.

mod append;
mod checkpoint_history;
mod checksum;
mod connections;
#[cfg(test)]
mod damage;
mod dead_letters;
pub(crate) mod examine;
mod file;
mod offline;
mod purge;
mod read;
mod replay;
mod reserve;
#[cfg(test)]
mod tests;
mod transaction;
mod wal;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

pub(crate) use append::Appended;
pub(crate) use connections::Tally;
pub use offline::{Connections, DeadLetters};
pub(crate) use read::SpooledEvents;
pub(crate) use replay::{Judged, Page, Request, Requests};

use crate::config::{Config, SpoolSync};
use crate::error::{Class, Error, Result};
use crate::threads::sync;
use crate::threads::sync::Condition;
use file::SpoolFile;
use reserve::Reserve;
use wal::Checkpointer;

/// The queue. Every method may be called from any thread.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    /// Names this spool in the destination's checkpoint table; made at random with the file.
    id: String,
    unchecked_from: u64,
    reserve: Reserve,
    bytes_max: u64,
    dead_letters_bytes_max: u64,
    /// `None` for `:memory:`, where the writer's connection is the only one that sees the data. Stands before the writer, so
    /// that it is dropped first: the last connection to close tidies up the write-ahead log, which only the writer can.
    reader: Option<Mutex<Connection>>,
    /// `None` for `:memory:`, which has no log.
    checkpointer: Option<Checkpointer>,
    writer: Mutex<Connection>,
    /// See `forgotten`.
    confirmed: Mutex<checkpoint_history::Confirmed>,
    /// Up to where each lane's events are settled. Locked before `state`.
    lanes: Mutex<Vec<u64>>,
    state: Mutex<State>,
    /// There is something to prepare: more events, or nothing left for the writers to do.
    wanted: Condition,
    /// Events were applied or deleted.
    changed: Condition,
    /// Held as long as the spool is open: one process at a time.
    lock: Mutex<Option<std::fs::File>>,
}

/// How long one connection waits for another: none of them holds the file for long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// So many events are prepared while the writer is at work. Preparing them takes half a millisecond, writing them several.
const AHEAD_EVENTS_MIN: u64 = 256;

/// What is in the file, kept beside it so that nobody has to count.
#[derive(Debug, Clone, Copy)]
struct State {
    /// The offset that the next event gets.
    next: u64,
    /// Every event below this offset is applied.
    applied: u64,
    /// How many beyond it are applied too, by lanes that are faster than the slowest.
    ahead: u64,
    /// What `applied` was when rows were last deleted.
    deleted: u64,
    /// Every event below this offset was taken from here to be written.
    taken: u64,
    /// When the event of the last mark was received, if there is one of this process; see `forgotten`.
    marked_at: Option<i64>,
    /// The size of the rows in the file.
    bytes: u64,
    /// The wait for events is to end although there are none.
    is_interrupted: bool,
    /// No event comes any more: appends are refused and no wait lasts.
    intake_ended: bool,
}

impl State {
    fn is_time_to_prepare(&self) -> bool {
        self.next > self.taken && (self.applied >= self.taken || self.has_plenty())
    }

    /// Whether preparing takes a while, or no more events will join those that there are.
    fn has_plenty(&self) -> bool {
        self.next.saturating_sub(self.taken) >= AHEAD_EVENTS_MIN || self.intake_ended
    }
}

/// What the preparer is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There are events, and it is time to prepare them.
    Events,
    /// What is to be prepared has changed: see [`Spool::interrupt_wait`].
    Changed,
    /// Nothing came.
    Idle,
    /// Nothing is left, and nothing comes any more.
    End,
}

/// How much is in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backlog {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Spool {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// Kind `SPOOL`: another process has it open, it is not a spool, it was written by a newer version, or the disk refuses.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let SpoolFile { path, id, writer, reader, checkpointer, lock, next, applied, confirmed, unchecked_from, bytes } =
            SpoolFile::open(&config.spool.path, config.spool.sync)?;
        Ok(Self {
            reserve: Reserve::beside(&path),
            path,
            id,
            unchecked_from,
            bytes_max: config.spool.bytes_max,
            dead_letters_bytes_max: config.dead_letters.bytes_max,
            writer: Mutex::new(writer),
            reader: reader.map(Mutex::new),
            checkpointer,
            confirmed: Mutex::new(confirmed),
            lanes: Mutex::new(vec![applied]),
            state: Mutex::new(State {
                next,
                applied,
                ahead: 0,
                deleted: applied,
                taken: applied,
                marked_at: None,
                bytes,
                is_interrupted: false,
                intake_ended: false,
            }),
            wanted: Condition::default(),
            changed: Condition::default(),
            lock: Mutex::new(lock),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Every event below this offset is applied.
    pub(crate) fn applied(&self) -> u64 {
        self.state().applied
    }

    /// The offset that the next event gets.
    pub(crate) fn next(&self) -> u64 {
        self.state().next
    }

    /// Events below this offset have it in the destination's numbering too; see `spool::file`.
    pub(crate) fn unchecked_from(&self) -> u64 {
        self.unchecked_from
    }

    /// The destination's checkpoint and this file have been compared. Flushed to the disk, once a process: if the note were lost
    /// but later events were not, the next process would set the checkpoint back before what is applied.
    pub(crate) fn note_checked(&self) -> Result<()> {
        let note = |writer: &Connection| -> rusqlite::Result<()> {
            let usual: i32 = writer.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
            writer.pragma_update(None, "synchronous", "FULL")?;
            writer.execute("UPDATE spool SET unchecked_from = NULL", [])?;
            writer.pragma_update(None, "synchronous", usual)
        };
        note(&self.writer()).map_err(|error| self.error("writing to", &error))
    }

    pub(crate) fn backlog(&self) -> Backlog {
        let state = self.state();
        Backlog { events: state.next - state.applied - state.ahead, bytes: state.bytes }
    }

    /// The events below `offset` are with the writers, or on the way to them; those from there on are to be prepared.
    pub(crate) fn note_taken(&self, offset: u64) {
        self.state().taken = offset;
    }

    /// Waits until there are events to prepare, and the writers have nothing left to do or preparing them takes a while; until
    /// the wait is interrupted, the intake ends, or `timeout` has passed.
    ///
    /// A few events are not prepared ahead: what is handed over is closed, and later events would have to wait for another
    /// batch. Left here until the writers are free, they go with all that come meanwhile.
    pub(crate) fn wait_to_prepare(&self, timeout: Duration) -> Next {
        let mut state =
            self.wait_while(&self.wanted, timeout, |state| !state.is_interrupted && !state.is_time_to_prepare());
        if std::mem::take(&mut state.is_interrupted) {
            Next::Changed
        } else if state.is_time_to_prepare() {
            Next::Events
        } else if state.intake_ended {
            Next::End
        } else {
            Next::Idle
        }
    }

    /// Ends the wait for events, the one under way or the next one: what is to be prepared has changed.
    pub(crate) fn interrupt_wait(&self) {
        self.state().is_interrupted = true;
        self.wanted.notify_all();
    }

    /// Waits until every event is applied, the intake ends, or `timeout` has passed; true if all are applied.
    pub(crate) fn wait_drained(&self, timeout: Duration) -> bool {
        self.wait_until(&self.changed, timeout, |state| state.applied >= state.next)
    }

    /// No event comes any more: later appends are refused, and every wait ends, now and later.
    pub(crate) fn end_intake(&self) {
        self.state().intake_ended = true;
        self.wanted.notify_all();
        self.changed.notify_all();
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.wake();
        }
    }

    pub(crate) fn is_intake_ended(&self) -> bool {
        self.state().intake_ended
    }

    /// Deletes what is applied, and lets another process open the file: from here on nothing is written any more. Repeating it
    /// does nothing.
    pub(crate) fn release(&self) -> Result<()> {
        // An append that is under way was let in before the intake ended: it must not overtake the next process.
        let mut writer = self.writer();
        let mut lock = sync::lock(&self.lock);
        if lock.is_none() {
            return Ok(());
        }
        let deleted = self.delete_with(&mut writer);
        lock.take();
        deleted
    }

    fn wait_until(&self, changed: &Condition, timeout: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        is_so(&self.wait_while(changed, timeout, |state| !is_so(state)))
    }

    /// Waits as long as it is so, but not beyond the end of the intake, or `timeout`.
    fn wait_while(
        &self,
        changed: &Condition,
        timeout: Duration,
        is_so: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let deadline = std::time::Instant::now() + timeout;
        let mut state = self.state();
        while is_so(&state) && !state.intake_ended {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                break;
            }
            state = changed.wait(state, Some(left));
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        sync::lock(&self.writer)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        sync::lock(self.reader.as_ref().unwrap_or(&self.writer))
    }

    /// Says what was tried, on which file, and whether waiting may help.
    fn error(&self, what: &str, error: &rusqlite::Error) -> Error {
        own_file_error(&self.path, what, error)
    }
}

/// The same for a file that is known to be a spool: what has no other explanation is damage.
fn own_file_error(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let error = spool_error(path, what, error);
    if error.hint().is_none() { error.with_hint(DAMAGED) } else { error }
}

/// The file of this purpose beside the spool's own.
fn beside(path: &Path, purpose: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(purpose);
    PathBuf::from(name)
}

/// What contradicts itself in the file: reported as SQLite reports what it finds damaged.
fn damaged(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(what.into()))
}

const DAMAGED: &str = "the file is damaged: keep a copy, move it away and start with a new one; `sqlite3 FILE .recover` may save its rows";

/// The words and the class of an SQLite failure.
fn spool_error(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let message = format!("{what} the spool {}: {error}", path.display());
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::spool(message)
            .with_class(Class::Transient)
            .with_hint("the disk is full: nothing is lost, and the sink goes on by itself when the destination has taken what is spooled, or \
                 when there is room"),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DatabaseBusy) => {
            Error::spool(message).with_class(Class::Transient).with_hint(
                "check that the directory exists, is writable and has room, and that no other program uses the file",
            )
        }
        Some(ErrorCode::NotADatabase) => {
            Error::spool(message).with_hint("the file is not a cxsink spool: set spool.path to another file")
        }
        Some(ErrorCode::DatabaseCorrupt) => Error::spool(message).with_hint(DAMAGED),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Error::spool(message).with_hint("the file or its directory is not writable for this user")
        }
        _ => Error::spool(message),
    }
}

/// How SQLite flushes (SQLite documentation, `PRAGMA synchronous`): in WAL mode NORMAL survives the end of the process,
/// FULL also the loss of power.
fn synchronous(sync: SpoolSync) -> &'static str {
    match sync {
        SpoolSync::ProcessCrash => "NORMAL",
        SpoolSync::PowerLoss => "FULL",
    }
}

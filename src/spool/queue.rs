//! The handle of an open spool: its connections, its offsets, and the waits for events, for room and for the end.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::config::{Config, SpoolSync};
use crate::error::{Error, Result};
use crate::report::metrics::ages::Ages;
use crate::spool::dead_letters::{OpenKeys, Switches, is_redacted};
use crate::spool::disk::{Reserve, WalCheckpointer};
use crate::spool::errors::own_file_error;
use crate::spool::file::SpoolFile;
use crate::spool::guard::Guard;
use crate::spool::identity::{Lock, Opened, holder, owner};
use crate::spool::late::LateRanges;
use crate::spool::offsets::{Checkpoints, Offsets};
use crate::spool::row::sample_receipts;
use crate::spool::statements::flushed;
use crate::threads::sync;
use crate::threads::sync::Condition;

/// The queue. Every method may be called from any thread.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    /// Names this spool in the destination's checkpoint table; made at random with the file.
    id: String,
    /// Names this opening there.
    owner: String,
    unchecked_from: u64,
    /// For the watch.
    pub(super) opened: Opened,
    pub(super) reserve: Reserve,
    pub(super) bytes_max: u64,
    pub(super) dead_letters_bytes_max: u64,
    /// Each commit is flushed to the disk.
    pub(super) is_flushed: bool,
    /// `None` for `:memory:`, where the writer's connection is the only one that sees the data. Declared before the writer, so
    /// that it is dropped first: the last connection to close removes the write-ahead log, which only the writer can.
    reader: Option<Mutex<Connection>>,
    /// `None` for `:memory:`, which has no log.
    pub(super) wal_checkpointer: Option<WalCheckpointer>,
    writer: Mutex<Connection>,
    pub(super) checkpoints: Mutex<Checkpoints>,
    pub(super) guard: Guard,
    pub(super) late: Mutex<LateRanges>,
    pub(super) open_keys: Mutex<OpenKeys>,
    /// As they were when the file was opened: no other process changes them.
    switches: Switches,
    /// Held by a replay of this process.
    pub(super) replays: Mutex<()>,
    state: Mutex<QueueState>,
    /// There are events to prepare, or the preparer has something else to do.
    pub(super) work: Condition,
    /// Events were committed or deleted.
    pub(super) progress: Condition,
    /// Held as long as the spool is open; `None` for `:memory:`. Dropped last: see [`Lock`].
    lock: Mutex<Option<Lock>>,
}

/// The content of the file in numbers, kept in memory so that nothing has to be counted.
#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) offsets: Offsets,
    /// The space of the rows of events in the file.
    pub(super) space: u64,
    pub(super) ages: Ages,
    /// The space of the burst that did not fit, until one does.
    pub(super) refused_space: Option<u64>,
    /// The time of receipt of the last mark of this process; see `checkpoint_history`.
    pub(super) marked_at: Option<i64>,
    /// The preparer's wait is to end although there are no events.
    is_interrupted: bool,
    /// No event comes any more: appends are refused and no wait lasts.
    pub(super) intake_ended: bool,
    /// The file was removed, replaced, moved or truncated: events that are in it are committed, and new ones refused.
    lost: Option<Error>,
    /// Another process may open the file.
    is_released: bool,
}

impl QueueState {
    fn has_events(&self) -> bool {
        self.offsets.taken() < self.offsets.end()
    }
}

/// How the preparer's wait for events ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There are events to prepare.
    Events,
    /// The wait was interrupted: see [`Spool::interrupt_wait`].
    Interrupted,
    /// No event came.
    Idle,
    /// Every event is taken, and no event comes any more.
    End,
}

/// The content of a spool that is not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) events: u64,
    /// The space of all rows of events in the file.
    pub(crate) bytes: u64,
}

impl Spool {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// Kind [`Spool`](crate::ErrorKind::Spool): another process has it open, it is not a spool, it was written by a newer version, or the
    /// disk refuses.
    pub(crate) fn open(config: &Config) -> Result<Self> {
        let file = SpoolFile::open(config)?;
        // Only a metric needs it.
        let receipts = sample_receipts(&file.writer, file.offsets.committed(), file.offsets.end()).unwrap_or_default();
        Ok(Self {
            opened: Opened::at(&file.path),
            reserve: Reserve::beside(&file.path),
            path: file.path,
            id: file.id,
            owner: file.owner,
            unchecked_from: file.unchecked_from,
            bytes_max: config.spool.bytes_max,
            dead_letters_bytes_max: config.dead_letters.bytes_max,
            is_flushed: config.spool.sync == SpoolSync::PowerLoss,
            writer: Mutex::new(file.writer),
            reader: file.reader.map(Mutex::new),
            wal_checkpointer: file.wal_checkpointer,
            checkpoints: Mutex::new(file.checkpoints),
            guard: file.guard,
            late: Mutex::new(file.late),
            open_keys: Mutex::new(file.open_keys),
            switches: file.switches,
            replays: Mutex::default(),
            state: Mutex::new(QueueState {
                offsets: file.offsets,
                space: file.space,
                ages: Ages::new(receipts),
                refused_space: None,
                marked_at: None,
                is_interrupted: false,
                intake_ended: false,
                lost: None,
                is_released: false,
            }),
            work: Condition::default(),
            progress: Condition::default(),
            lock: Mutex::new(file.lock),
        })
    }

    /// The process that has the file open, if there is one.
    pub(crate) fn holder(config: &Config) -> Option<String> {
        holder(&config.spool.path)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The owner of the destination's checkpoints, once this opening has taken them over.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Events below this offset have it in the destination's numbering too; see `spool::statements`.
    pub(crate) fn unchecked_from(&self) -> u64 {
        self.unchecked_from
    }

    /// Notes that the destination's checkpoint and this file have been compared. Flushed to the disk, once a process: if the
    /// note were lost but later events were not, the next process would set the checkpoint back below committed events.
    pub(crate) fn note_checked(&self) -> Result<()> {
        let checkpoints = sync::lock(&self.checkpoints).to_text();
        let note = |writer: &Connection| -> rusqlite::Result<()> {
            let transaction = writer.unchecked_transaction()?;
            transaction.execute("UPDATE spool SET unchecked_from = NULL, checkpoints = ?1", [&checkpoints])?;
            owner::confirm(&transaction, &self.owner)?;
            transaction.commit()
        };
        flushed(&self.writer(), note).map_err(|error| self.error("writing to", &error))
    }

    /// Whether the event at this offset was redacted before it was spooled.
    pub(crate) fn is_redacted(&self, offset: u64) -> bool {
        is_redacted(&self.switches, offset)
    }

    // ---- how far the events are ----

    /// The offset that the next event gets.
    pub(crate) fn end(&self) -> u64 {
        self.state().offsets.end()
    }

    /// Every event below this offset is committed or kept as a dead letter.
    pub(crate) fn committed(&self) -> u64 {
        self.state().offsets.committed()
    }

    /// The same for the events of one partition.
    pub(crate) fn committed_of(&self, partition: usize) -> u64 {
        self.state().offsets.committed_of(partition)
    }

    pub(crate) fn pending(&self) -> Pending {
        let state = self.state();
        Pending { events: state.offsets.lag(), bytes: state.space }
    }

    /// When the oldest pending event was received, in microseconds since 1970-01-01 UTC; `None` if none is pending.
    pub(crate) fn oldest_pending(&self) -> Option<i64> {
        let state = self.state();
        if state.offsets.lag() == 0 { None } else { state.ages.oldest() }
    }

    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// The read position: events from there on are to be prepared.
    pub(crate) fn taken(&self) -> u64 {
        self.state().offsets.taken()
    }

    /// Moves the read position: the events below `to` are on the way to the destination.
    pub(crate) fn take(&self, to: u64) {
        self.state().offsets.take(to);
    }

    /// Moves the read position back to the committed offset, and returns it.
    pub(crate) fn rewind(&self) -> u64 {
        let mut state = self.state();
        state.offsets.rewind();
        state.offsets.taken()
    }

    /// From here on there are this many partitions, all at the committed offset.
    pub(crate) fn repartition(&self, partitions: usize) {
        self.state().offsets.repartition(partitions);
    }

    /// Moves the committed offset of one partition to `to`: `events` more are committed or kept as dead letters. Their rows are
    /// deleted later.
    pub(crate) fn commit(&self, partition: usize, to: u64, events: u64) -> Result<()> {
        self.advance(|offsets| offsets.commit(partition, to, events))
    }

    /// Moves the committed offset of every partition to `to`, the position of the destination's checkpoint.
    pub(crate) fn commit_all(&self, to: u64) -> Result<()> {
        self.advance(|offsets| offsets.commit_all(to))
    }

    fn advance(&self, commit: impl FnOnce(&mut Offsets)) -> Result<()> {
        let mut state = self.state();
        commit(&mut state.offsets);
        let committed = state.offsets.committed();
        state.ages.commit(committed);
        let is_delete_due = self.is_delete_due(&state);
        drop(state);
        self.progress.notify_all();
        if is_delete_due { self.delete_soon() } else { Ok(()) }
    }

    // ---- waiting ----

    /// Waits until there are events to prepare, the wait is interrupted, the intake ends, or `timeout` has passed.
    pub(crate) fn wait_to_prepare(&self, timeout: Duration) -> Next {
        let is_idle = |state: &QueueState| !state.is_interrupted && !state.has_events();
        let mut state = self.wait_while(&self.work, timeout, is_idle);
        if std::mem::take(&mut state.is_interrupted) {
            Next::Interrupted
        } else if state.has_events() {
            Next::Events
        } else if state.intake_ended {
            Next::End
        } else {
            Next::Idle
        }
    }

    /// Ends the preparer's wait for events, the one under way or the next one.
    pub(crate) fn interrupt_wait(&self) {
        self.state().is_interrupted = true;
        self.work.notify_all();
    }

    /// Waits until every event is committed, the intake ends, or `timeout` has passed; true if every event is.
    pub(crate) fn wait_drained(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| state.offsets.committed() == state.offsets.end())
    }

    /// Waits for progress until it is so, the intake ends, or `timeout` has passed; whether it is so.
    pub(super) fn wait_until(&self, timeout: Duration, is_so: impl Fn(&QueueState) -> bool) -> bool {
        is_so(&self.wait_while(&self.progress, timeout, |state| !is_so(state)))
    }

    fn wait_while(
        &self,
        changed: &Condition,
        timeout: Duration,
        is_so: impl Fn(&QueueState) -> bool,
    ) -> MutexGuard<'_, QueueState> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        while is_so(&state) && !state.intake_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = changed.wait(state, Some(left));
        }
        state
    }

    // ---- the end ----

    /// Refuses later appends, and ends every wait, now and later.
    pub(crate) fn end_intake(&self) {
        self.state().intake_ended = true;
        self.work.notify_all();
        self.progress.notify_all();
    }

    /// Ends [`keep_short`](Self::keep_short), now or later.
    pub(crate) fn end_upkeep(&self) {
        if let Some(wal_checkpointer) = &self.wal_checkpointer {
            wal_checkpointer.end();
        }
    }

    /// The loss of the file under this spool, if it was noticed.
    pub(crate) fn lost(&self) -> Option<Error> {
        self.state().lost.clone()
    }

    pub(super) fn note_lost(&self, error: &Error) {
        self.state().lost.get_or_insert_with(|| error.clone());
    }

    pub(crate) fn is_intake_ended(&self) -> bool {
        self.state().intake_ended
    }

    /// Deletes committed events, and lets another process open the file: from here on nothing is written any more. Repeating it
    /// does nothing.
    pub(crate) fn release(&self) -> Result<()> {
        let noted = self.noted_event();
        // An append that is under way was let in before the intake ended: it must not overtake the next process.
        let mut writer = self.writer();
        self.state().is_released = true;
        let mut lock = sync::lock(&self.lock);
        let Some(lock) = lock.as_mut() else { return Ok(()) };
        if !lock.end_use() {
            return Ok(());
        }
        let deleted = self.delete_with(&mut writer);
        let closed = self.with_reserve(&mut writer, |writer| self.note_closed(writer, noted));
        if self.lost().is_some() || !lock.is_at(&self.path) {
            // Held until the connections are closed: SQLite then deletes the log by its name, which may be another file's.
            self.save_if_removed(&writer, lock);
        } else {
            lock.release();
        }
        deleted.and(closed.map_err(|error| self.error("closing", &error)))
    }

    // ---- for the files beside this one ----

    pub(super) fn state(&self) -> MutexGuard<'_, QueueState> {
        sync::lock(&self.state)
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Connection> {
        sync::lock(&self.writer)
    }

    /// The writer, unless the intake has ended or the file is lost.
    pub(super) fn intake(&self) -> Result<MutexGuard<'_, Connection>> {
        if let Some(lost) = self.lost() {
            return Err(lost);
        }
        let writer = self.last_intake()?;
        if self.is_intake_ended() { Err(Error::stopped()) } else { Ok(writer) }
    }

    /// The same for events that have been read: a lost file takes them, too, and one whose intake has ended, until another process may
    /// have it open.
    pub(super) fn last_intake(&self) -> Result<MutexGuard<'_, Connection>> {
        let writer = self.writer();
        if self.state().is_released { Err(Error::stopped()) } else { Ok(writer) }
    }

    /// `None` for `:memory:`.
    pub(super) fn with_lock<T>(&self, work: impl FnOnce(&mut Lock) -> T) -> Option<T> {
        sync::lock(&self.lock).as_mut().map(work)
    }

    pub(super) fn reader(&self) -> MutexGuard<'_, Connection> {
        sync::lock(self.reader.as_ref().unwrap_or(&self.writer))
    }

    pub(super) fn error(&self, what: &str, error: &rusqlite::Error) -> Error {
        own_file_error(&self.path, what, error)
    }
}

//! One cursor over the sequence of events, shared by all connections.
//!
//! A connection takes a batch of events, writes it, and records how many events it has sent; the others go back and are sent
//! next. So events are neither skipped nor reordered when connections end. The newest open connection is the active one: a
//! client that opens the next connection before it closes the last one gets events on the new one from then on, and none on
//! the old one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::entry::Entry;
use super::frames;
use super::options::SimulatorOptions;
use super::profile::{Packing, Piece, dialect};
use super::report::SimulatorReport;
use super::sequence::Sequence;
use crate::threads::sync::{self, Condition};

/// The limit of messages that wait for their acknowledgement; then the stream pauses.
const UNACKNOWLEDGED_MAX: usize = 1000;

/// Events on their way to a socket, as frames.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pieces: Vec<Piece>,
    messages: Vec<Message>,
    /// The message being framed: a header needs its length.
    body: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    n: u64,
    /// End of its events in `pieces`.
    pieces_end: usize,
    /// End of its frame in `bytes`.
    end: usize,
}

impl Batch {
    /// Number of whole messages in the first `written` bytes, and the end of the message that is partly in them.
    pub(super) fn messages_in(&self, written: usize) -> (usize, Option<usize>) {
        let whole = self.messages.partition_point(|message| message.end <= written);
        let whole_bytes = whole.checked_sub(1).map_or(0, |last| self.messages[last].end);
        let partial = self.messages.get(whole).filter(|_| written > whole_bytes);
        (whole, partial.map(|message| message.end))
    }

    /// Number of events in the first `messages` messages.
    pub(super) fn events_in(&self, messages: usize) -> usize {
        messages.checked_sub(1).map_or(0, |last| self.messages[last].pieces_end)
    }
}

/// Outcome of [`Cursor::fill`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// The batch has events; [`Cursor::record_sent`] must follow.
    Events,
    /// Another connection is active, or has not recorded its last batch yet, or acknowledgements are missing.
    NotNow,
    /// Every event of the sequence has been sent.
    AtEnd,
}

pub(super) struct Cursor {
    position: Mutex<Position>,
    changed: Condition,
    events: Option<u64>,
    tail_max: usize,
    opcode: OpCode,
    packing: Packing,
    is_acknowledged: bool,
}

struct Position {
    sequence: Sequence,
    /// The numbers of the open connections, the active one last.
    open: Vec<u64>,
    /// A connection has a batch and has not recorded it yet.
    is_batch_out: bool,
    /// The active connection has not begun yet: its replay is chosen once all earlier batches are recorded.
    is_replay_due: bool,
    replay: VecDeque<Entry>,
    /// Taken from the sequence, but not sent.
    unsent: VecDeque<Entry>,
    /// The latest events of the sequence that were sent.
    tail: VecDeque<Entry>,
    /// Messages that were sent, or are being sent, and not acknowledged, by number.
    unacknowledged: VecDeque<(u64, Vec<Entry>)>,
    next_message: u64,
    report: SimulatorReport,
    is_stopped: bool,
}

impl Cursor {
    pub(super) fn new(options: &SimulatorOptions) -> Self {
        let mut report = SimulatorReport::default();
        report.finished = options.events == Some(0);
        Self {
            position: Mutex::new(Position {
                sequence: Sequence::new(options),
                open: Vec::new(),
                is_batch_out: false,
                is_replay_due: false,
                replay: VecDeque::new(),
                unsent: VecDeque::new(),
                tail: VecDeque::new(),
                unacknowledged: VecDeque::new(),
                next_message: 1,
                report,
                is_stopped: false,
            }),
            changed: Condition::default(),
            events: options.events,
            tail_max: options.replay_events as usize,
            opcode: OpCode::Data(if options.binary { Data::Binary } else { Data::Text }),
            packing: Packing::new(options),
            is_acknowledged: dialect(options.profile).ack.is_some(),
        }
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        sync::lock(&self.position)
    }

    /// Adds a connection, makes it the active one and returns its number; the first is 1.
    pub(super) fn open(&self) -> u64 {
        let mut position = self.position();
        position.report.connections += 1;
        position.is_replay_due = true;
        let id = position.report.connections;
        position.open.push(id);
        id
    }

    pub(super) fn close(&self, id: u64) {
        self.position().open.retain(|open| *open != id);
    }

    pub(super) fn is_active(&self, id: u64) -> bool {
        self.position().is_active(id)
    }

    /// Replaces the content of `batch` with the next events: at most `events_max`, and no further one at `bytes_full` bytes or more.
    pub(super) fn fill(&self, id: u64, events_max: u64, bytes_full: usize, batch: &mut Batch) -> Fill {
        batch.bytes.clear();
        batch.pieces.clear();
        batch.messages.clear();
        let mut position = self.position();
        if !position.is_active(id) {
            return if position.report.finished { Fill::AtEnd } else { Fill::NotNow };
        }
        if position.is_batch_out {
            drop(self.changed.wait(position, Some(Duration::from_millis(20))));
            return Fill::NotNow;
        }
        if std::mem::take(&mut position.is_replay_due) {
            position.begin_replay(self.is_acknowledged);
        }
        if position.unacknowledged.len() >= UNACKNOWLEDGED_MAX {
            return Fill::NotNow;
        }
        while (batch.pieces.len() as u64) < events_max && batch.bytes.len() < bytes_full {
            let begin = batch.pieces.len();
            position.take(&self.packing, events_max - begin as u64, &mut batch.pieces);
            if batch.pieces.len() == begin {
                break;
            }
            let n = position.next_message;
            position.next_message += 1;
            batch.body.clear();
            self.packing.write(&batch.pieces[begin..], n, &mut batch.body);
            frames::push_message(&mut batch.bytes, self.opcode, &batch.body);
            batch.messages.push(Message { n, pieces_end: batch.pieces.len(), end: batch.bytes.len() });
            if self.is_acknowledged {
                // Before it is sent: its acknowledgement may be faster than the record of sending it.
                let entries = batch.pieces[begin..].iter().map(|piece| piece.entry).collect();
                position.unacknowledged.push_back((n, entries));
            }
        }
        if batch.pieces.is_empty() {
            return Fill::AtEnd;
        }
        position.is_batch_out = true;
        Fill::Events
    }

    /// Records that the first `sent` messages of the batch were sent; the events of the others go back.
    pub(super) fn record_sent(&self, batch: &Batch, sent: usize) {
        let mut position = self.position();
        let (sent_pieces, unsent) = batch.pieces.split_at(batch.events_in(sent));
        for piece in sent_pieces {
            position.report.count(piece.entry.kind, piece.is_replay);
            if !piece.is_replay && self.tail_max > 0 {
                if position.tail.len() == self.tail_max {
                    position.tail.pop_front();
                }
                position.tail.push_back(piece.entry);
            }
        }
        position.report.messages += sent as u64;
        if let Some(unsent) = batch.messages.get(sent) {
            position.unacknowledged.retain(|(n, _)| *n < unsent.n);
        }
        for piece in unsent.iter().rev() {
            position.put_back(*piece);
        }
        position.is_batch_out = false;
        position.report.finished |= self.events == Some(position.report.positions());
        self.changed.notify_all();
    }

    /// Notes the client's acknowledgement of a message. One of an earlier connection changes nothing: its events were sent again.
    pub(super) fn acknowledge(&self, n: u64) {
        let mut position = self.position();
        position.report.acknowledgements_received += 1;
        if let Ok(at) = position.unacknowledged.binary_search_by_key(&n, |(n, _)| *n) {
            position.unacknowledged.remove(at);
        }
    }

    /// Counts something in the report.
    pub(super) fn count(&self, change: impl FnOnce(&mut SimulatorReport)) {
        change(&mut self.position().report);
    }

    pub(super) fn report(&self) -> SimulatorReport {
        self.position().report.clone()
    }

    /// Blocks until every event was sent, `timeout` has passed or the simulator was stopped; true when every event was sent.
    pub(super) fn wait_finished(&self, timeout: Duration) -> bool {
        // A timeout beyond what the clock can express never ends.
        let deadline = Instant::now().checked_add(timeout);
        let mut position = self.position();
        while !position.report.finished && !position.is_stopped {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            position = self.changed.wait(position, left);
        }
        position.report.finished
    }

    pub(super) fn stop(&self) {
        self.position().is_stopped = true;
        self.changed.notify_all();
    }
}

impl Position {
    fn is_active(&self, id: u64) -> bool {
        self.open.last() == Some(&id)
    }

    /// Chooses the events that a new connection gets again: what was not acknowledged, or the latest ones.
    fn begin_replay(&mut self, is_acknowledged: bool) {
        if is_acknowledged {
            let unacknowledged = self.unacknowledged.drain(..).flat_map(|(_, entries)| entries);
            self.replay = unacknowledged.chain(std::mem::take(&mut self.replay)).collect();
        } else {
            self.replay.clone_from(&self.tail);
        }
    }

    /// Takes the events of the next message, at most `events_max`, and appends them to `pieces`.
    fn take(&mut self, packing: &Packing, events_max: u64, pieces: &mut Vec<Piece>) {
        let begin = pieces.len();
        while ((pieces.len() - begin) as u64) < events_max.min(packing.events_max() as u64) {
            let Some(piece) = self.next() else { return };
            if !packing.may_follow(&pieces[begin..], &piece) {
                self.put_back(piece);
                return;
            }
            pieces.push(piece);
        }
    }

    fn put_back(&mut self, piece: Piece) {
        let queue = if piece.is_replay { &mut self.replay } else { &mut self.unsent };
        queue.push_front(piece.entry);
    }

    fn next(&mut self) -> Option<Piece> {
        if let Some(entry) = self.replay.pop_front() {
            return Some(Piece { entry, is_replay: true });
        }
        let entry = self.unsent.pop_front().or_else(|| self.sequence.next())?;
        Some(Piece { entry, is_replay: false })
    }
}

#[cfg(test)]
#[path = "tests/cursor.rs"]
mod tests;

//! Where the stream stands: one cursor over the sequence that all connections share.
//!
//! A connection takes a batch of events, writes it, and says how much of it was written; what was not goes back and is sent
//! next. So no event is skipped and none is out of order, whatever happens to connections. The newest open connection is the
//! one that is fed: a client that opens the next connection before it closes the last one gets live events on the new one
//! from then on, and none on the old one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::simulator::body::BodyWriter;
use crate::simulator::frame;
use crate::simulator::options::SimulatorOptions;
use crate::simulator::report::SimulatorReport;
use crate::simulator::sequence;
use crate::simulator::sequence::{Entry, Sequence};
use crate::threads::sync;
use crate::threads::sync::Condition;

/// Events on their way to a socket, as frames.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    entry: Entry,
    is_replay: bool,
    /// Where its frame ends in `bytes`.
    end: usize,
}

impl Batch {
    /// How many whole events are in the first `written` bytes, and where the event ends that is only partly in them.
    pub(super) fn events_in(&self, written: usize) -> (usize, Option<usize>) {
        let whole = self.items.partition_point(|item| item.end <= written);
        let whole_bytes = whole.checked_sub(1).map_or(0, |last| self.items[last].end);
        let partial = self.items.get(whole).filter(|_| written > whole_bytes);
        (whole, partial.map(|item| item.end))
    }
}

/// What [`Feed::fill`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// The batch has events, and must be settled.
    Events,
    /// Another connection is fed, or still has to settle its last batch.
    NotNow,
    /// Every event of the sequence has been sent.
    AtEnd,
}

pub(super) struct Feed {
    state: Mutex<State>,
    changed: Condition,
    events: Option<u64>,
    tail_max: usize,
    opcode: u8,
    body: BodyWriter,
}

struct State {
    sequence: Sequence,
    /// The numbers of the open connections, the fed one last.
    open: Vec<u64>,
    /// A connection has a batch to settle.
    is_batch_out: bool,
    /// The fed connection has not begun yet: what it repeats is decided when all earlier batches are settled.
    is_replay_due: bool,
    replay: VecDeque<Entry>,
    /// Taken from the sequence, but not sent.
    unsent: VecDeque<Entry>,
    /// The latest events of the sequence that were sent.
    tail: VecDeque<Entry>,
    report: SimulatorReport,
    is_stopped: bool,
}

impl Feed {
    pub(super) fn new(options: &SimulatorOptions) -> Self {
        let mut report = SimulatorReport::default();
        report.finished = options.events == Some(0);
        Self {
            state: Mutex::new(State {
                sequence: Sequence::new(options),
                open: Vec::new(),
                is_batch_out: false,
                is_replay_due: false,
                replay: VecDeque::new(),
                unsent: VecDeque::new(),
                tail: VecDeque::new(),
                report,
                is_stopped: false,
            }),
            changed: Condition::default(),
            events: options.events,
            tail_max: options.replay_events as usize,
            opcode: if options.binary { frame::BINARY } else { frame::TEXT },
            body: sequence::body_writer(options),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        sync::lock(&self.state)
    }

    /// The number of a new connection, which is fed from now on; the first is 1.
    pub(super) fn open(&self) -> u64 {
        let mut state = self.state();
        state.report.connections += 1;
        state.is_replay_due = true;
        let id = state.report.connections;
        state.open.push(id);
        id
    }

    pub(super) fn close(&self, id: u64) {
        self.state().open.retain(|open| *open != id);
    }

    pub(super) fn is_fed(&self, id: u64) -> bool {
        self.state().is_fed(id)
    }

    /// Replaces what is in `batch` by the next events: at most `events_max`, and no further one once there are `bytes_full` bytes.
    pub(super) fn fill(&self, id: u64, events_max: u64, bytes_full: usize, batch: &mut Batch) -> Fill {
        batch.bytes.clear();
        batch.items.clear();
        let mut state = self.state();
        if !state.is_fed(id) {
            return if state.report.finished { Fill::AtEnd } else { Fill::NotNow };
        }
        if state.is_batch_out {
            drop(self.changed.wait(state, Some(Duration::from_millis(20))));
            return Fill::NotNow;
        }
        if std::mem::take(&mut state.is_replay_due) {
            let state = &mut *state;
            state.replay.clone_from(&state.tail);
        }
        while (batch.items.len() as u64) < events_max && batch.bytes.len() < bytes_full {
            let Some((entry, is_replay)) = state.next() else {
                break;
            };
            frame::push_message(&mut batch.bytes, self.opcode, |out| self.body.write(&entry, out));
            batch.items.push(Item { entry, is_replay, end: batch.bytes.len() });
        }
        if batch.items.is_empty() {
            return Fill::AtEnd;
        }
        state.is_batch_out = true;
        Fill::Events
    }

    /// Says that the first `sent` events of the batch were sent; the others go back.
    pub(super) fn settle(&self, batch: &Batch, sent: usize) {
        let mut state = self.state();
        let (sent, unsent) = batch.items.split_at(sent);
        for item in sent {
            state.report.count(item.entry.kind, item.is_replay);
            if !item.is_replay && self.tail_max > 0 {
                if state.tail.len() == self.tail_max {
                    state.tail.pop_front();
                }
                state.tail.push_back(item.entry);
            }
        }
        for item in unsent.iter().rev() {
            let queue = if item.is_replay { &mut state.replay } else { &mut state.unsent };
            queue.push_front(item.entry);
        }
        state.is_batch_out = false;
        state.report.finished |= self.events == Some(state.report.positions());
        self.changed.notify_all();
    }

    /// Changes the report.
    pub(super) fn note(&self, change: impl FnOnce(&mut SimulatorReport)) {
        change(&mut self.state().report);
    }

    pub(super) fn report(&self) -> SimulatorReport {
        self.state().report.clone()
    }

    /// Whether every event was sent, at the latest when `timeout` has passed or the simulator was stopped.
    pub(super) fn wait_finished(&self, timeout: Duration) -> bool {
        // A timeout that the clock cannot express never ends.
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.state();
        while !state.report.finished && !state.is_stopped {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                break;
            }
            state = self.changed.wait(state, left);
        }
        state.report.finished
    }

    pub(super) fn stop(&self) {
        self.state().is_stopped = true;
        self.changed.notify_all();
    }
}

impl State {
    fn is_fed(&self, id: u64) -> bool {
        self.open.last() == Some(&id)
    }

    fn next(&mut self) -> Option<(Entry, bool)> {
        if let Some(entry) = self.replay.pop_front() {
            return Some((entry, true));
        }
        let entry = self.unsent.pop_front().or_else(|| self.sequence.next())?;
        Some((entry, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(events: u64, replay_events: u32) -> Feed {
        Feed::new(&SimulatorOptions { events: Some(events), replay_events, ..SimulatorOptions::default() })
    }

    fn positions(batch: &Batch) -> Vec<u64> {
        batch.items.iter().map(|item| item.entry.body).collect()
    }

    #[test]
    fn what_was_not_written_is_sent_next_and_in_order() {
        let feed = feed(10, 0);
        let mut batch = Batch::default();
        let first = feed.open();
        assert_eq!(feed.fill(first, 6, usize::MAX, &mut batch), Fill::Events);
        let third_ends = batch.items[2].end;
        assert_eq!(batch.events_in(third_ends), (3, None));
        assert_eq!(batch.events_in(third_ends + 1), (3, Some(batch.items[3].end)));
        feed.settle(&batch, 3);
        feed.close(first);

        let second = feed.open();
        feed.fill(second, 99, usize::MAX, &mut batch);
        assert_eq!(positions(&batch), [3, 4, 5, 6, 7, 8, 9]);
        feed.settle(&batch, 7);
        assert!(feed.report().finished);
        assert_eq!(feed.fill(second, 99, usize::MAX, &mut batch), Fill::AtEnd);
    }

    #[test]
    fn a_new_connection_takes_over_once_the_old_one_has_settled() {
        let feed = feed(10, 2);
        let (mut old_batch, mut batch) = (Batch::default(), Batch::default());
        let old = feed.open();
        feed.fill(old, 4, usize::MAX, &mut old_batch);
        let new = feed.open();
        assert_eq!(feed.fill(new, 4, usize::MAX, &mut batch), Fill::NotNow);
        feed.settle(&old_batch, 3);
        assert_eq!(feed.fill(old, 4, usize::MAX, &mut old_batch), Fill::NotNow);
        feed.fill(new, 4, usize::MAX, &mut batch);
        assert_eq!(positions(&batch), [1, 2, 3, 4], "the last two again, then what the old one did not send");
        feed.settle(&batch, 4);
        assert_eq!(feed.report().replays, 2);

        feed.close(new);
        feed.fill(old, 2, usize::MAX, &mut batch);
        assert_eq!(positions(&batch), [5, 6], "the old one goes on, without a replay");
    }

    #[test]
    fn an_interrupted_replay_begins_again() {
        let feed = feed(10, 3);
        let mut batch = Batch::default();
        for (connection, expected) in [(1, vec![0, 1, 2, 3]), (2, vec![1, 2, 3, 4]), (3, vec![1, 2, 3, 4])] {
            let id = feed.open();
            feed.fill(id, 4, usize::MAX, &mut batch);
            assert_eq!(positions(&batch), expected);
            feed.settle(&batch, if connection == 2 { 1 } else { 4 });
            feed.close(id);
        }
        let report = feed.report();
        assert_eq!((report.events, report.replays, report.positions()), (9, 4, 5));
    }
}

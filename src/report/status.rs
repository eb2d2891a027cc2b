//! What the threads of a sink tell each other and the application: where it stands, what failed, what it did.

use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::report::notice::{Notice, NoticeQueue};
use crate::report::stats::{Counter, Counters, State};
use crate::threads::stop_signal::StopSignal;
use crate::threads::sync;
use crate::time::clock::Clock;

/// What can hold the sink up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The reader cannot append.
    Spool,
    /// The writer cannot keep dead letters.
    DeadLetters,
    /// The writer of this number cannot write.
    Destination(usize),
}

/// Shared by the handle and its threads.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) counters: Counters,
    pub(crate) notices: NoticeQueue,
    /// Set once: stop reading, apply what is spooled, end.
    pub(crate) stop: StopSignal,
    /// Set once: end now, wherever you are. What is spooled stays there.
    pub(crate) abort: StopSignal,
    pub(crate) clock: Arc<dyn Clock>,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    state: State,
    stalled: Vec<Side>,
    failure: Option<Error>,
}

impl Status {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            counters: Counters::new(),
            notices: NoticeQueue::default(),
            stop: StopSignal::new(),
            abort: StopSignal::new(),
            clock,
            standing: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        sync::lock(&self.standing).state
    }

    /// The error that ended the sink.
    pub(crate) fn failure(&self) -> Option<Error> {
        sync::lock(&self.standing).failure.clone()
    }

    /// This side holds the sink up: `stalled` until it recovers.
    pub(crate) fn stall(&self, side: Side) {
        self.change(|standing| {
            if !standing.stalled.contains(&side) {
                standing.stalled.push(side);
            }
            State::Stalled
        });
    }

    /// This side works (again): `running` unless another one holds the sink up.
    pub(crate) fn recover(&self, side: Side) {
        self.change(|standing| {
            standing.stalled.retain(|&stalled| stalled != side);
            if standing.stalled.is_empty() { State::Running } else { State::Stalled }
        });
    }

    /// The stream has ended: what is spooled is still applied, however long that takes.
    pub(crate) fn begin_drain(&self) {
        self.change(|_| State::Stopping);
    }

    /// Stop reading, apply what is spooled unless the destination is away, end.
    pub(crate) fn begin_stop(&self) {
        self.change(|_| State::Stopping);
        self.stop.set();
    }

    /// End now.
    pub(crate) fn begin_abort(&self) {
        self.begin_stop();
        self.abort.set();
    }

    /// Every thread has ended.
    pub(crate) fn end(&self) {
        self.change(|standing| if standing.failure.is_some() { State::Failed } else { State::Closed });
        self.notices.close();
    }

    /// Moves on to another state, with a notice; a state that is past does not come again.
    fn change(&self, next: impl FnOnce(&mut Standing) -> State) {
        let mut standing = sync::lock(&self.standing);
        let (from, to) = (standing.state, next(&mut standing));
        let is_past = from.is_final() || (from == State::Stopping && !to.is_final());
        if from == to || is_past {
            return;
        }
        standing.state = to;
        drop(standing);
        log::info!("the sink is {to}");
        self.notify(Notice::State(to));
    }

    /// Ends the sink as failed: the reader stops, what is spooled is still applied.
    pub(crate) fn fail(&self, error: Error) {
        self.report(&error);
        sync::lock(&self.standing).failure.get_or_insert(error);
        self.begin_stop();
    }

    /// The sink could not be started; the caller is told the error itself.
    pub(crate) fn fail_to_start(&self, error: &Error) {
        self.counters.note_error(error);
        self.notify(Notice::Error(error.clone()));
        sync::lock(&self.standing).failure.get_or_insert_with(|| error.clone());
        self.begin_stop();
    }

    /// An error that the sink lives with.
    pub(crate) fn report(&self, error: &Error) {
        if self.abort.is_set() {
            log::debug!("the sink ends: {error}");
            return;
        }
        match error.hint() {
            Some(hint) => log::warn!("{error} ({hint})"),
            None => log::warn!("{error}"),
        }
        self.counters.note_error(error);
        self.notify(Notice::Error(error.clone()));
    }

    pub(crate) fn notify(&self, notice: Notice) {
        self.counters.add(Counter::NoticesDropped, self.notices.push(notice));
    }
}

//! What the threads of a sink tell each other and the application: where it stands, what failed, what it did.

use std::sync::Mutex;

use crate::clock::Clock;
use crate::error::Error;
use crate::lock;
use crate::notice::{Notice, NoticeQueue};
use crate::stats::{Counter, Counters, State};
use crate::stop_signal::StopSignal;

/// Shared by the handle and its threads.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) counters: Counters,
    pub(crate) notices: NoticeQueue,
    /// Set once: stop reading, apply what is spooled, end.
    pub(crate) stop: StopSignal,
    /// Set once: end now, wherever you are. What is spooled stays there.
    pub(crate) abort: StopSignal,
    pub(crate) clock: Box<dyn Clock>,
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    state: State,
    failure: Option<Error>,
}

impl Status {
    pub(crate) fn new(clock: Box<dyn Clock>) -> Self {
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
        lock::lock(&self.standing).state
    }

    /// The error that ended the sink.
    pub(crate) fn failure(&self) -> Option<Error> {
        lock::lock(&self.standing).failure.clone()
    }

    /// Moves on to `state`, with a notice, unless the sink is there already or past it.
    pub(crate) fn move_to(&self, state: State) {
        let mut standing = lock::lock(&self.standing);
        let from = standing.state;
        let is_past = from.is_final() || (from == State::Stopping && !state.is_final());
        if from == state || is_past {
            return;
        }
        standing.state = state;
        drop(standing);
        log::info!("the sink is {state}");
        self.notify(Notice::State(state));
    }

    /// Ends the sink as failed: the reader stops, what is spooled is still applied.
    pub(crate) fn fail(&self, error: Error) {
        self.report(&error);
        lock::lock(&self.standing).failure.get_or_insert(error);
        self.stop.set();
    }

    /// An error that the sink lives with.
    pub(crate) fn report(&self, error: &Error) {
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

//! The status of a sink, shared by its threads and the handle: state, failure, counters, notices.

#[cfg(feature = "cli")]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::report::dead_letter::{DeadLetter, Rejection};
use crate::report::held::HeldLines;
use crate::report::metrics::measures::Measures;
use crate::report::notice::{Notice, NoticeQueue};
use crate::report::stats::{Counter, Counters, State};
#[cfg(feature = "cli")]
use crate::report::watch::Recent;
use crate::threads::stop_signal::StopSignal;
use crate::threads::sync;
use crate::time::clock::Clock;
#[cfg(feature = "cli")]
use crate::time::micros;

/// A side of the sink that can stall it.
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
    pub(crate) measures: Measures,
    pub(crate) notices: NoticeQueue,
    /// Set once: graceful stop. Stop reading, commit the spooled events, end.
    pub(crate) stop: StopSignal,
    /// Set once, with `stop` or before it: stop reading.
    pub(crate) end_of_reading: StopSignal,
    /// Set once: immediate stop. Spooled events stay in the spool.
    pub(crate) abort: StopSignal,
    pub(crate) clock: Arc<dyn Clock>,
    /// Set when somebody begins to watch.
    #[cfg(feature = "cli")]
    pub(crate) recent: OnceLock<Recent>,
    standing: Mutex<Standing>,
    next_tries: Mutex<NextTries>,
    held_lines: Mutex<HeldLines>,
}

/// A side that is tried again after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    Stream,
    Destination,
}

/// The times of the next tries, for those who wait beside the sink.
#[derive(Debug, Default)]
struct NextTries {
    stream: Option<Instant>,
    destination: Option<Instant>,
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
            measures: Measures::default(),
            notices: NoticeQueue::default(),
            stop: StopSignal::new(),
            end_of_reading: StopSignal::new(),
            abort: StopSignal::new(),
            clock,
            #[cfg(feature = "cli")]
            recent: OnceLock::new(),
            standing: Mutex::default(),
            next_tries: Mutex::default(),
            held_lines: Mutex::default(),
        }
    }

    /// The next try is after this delay.
    pub(crate) fn note_next_try(&self, side: Tried, delay: Duration) {
        let at = Instant::now().checked_add(delay);
        let mut next = sync::lock(&self.next_tries);
        match side {
            Tried::Stream => next.stream = at,
            Tried::Destination => next.destination = at,
        }
    }

    /// The time until the next try; `None` while there is none to wait for.
    #[cfg(feature = "cli")]
    pub(crate) fn next_try(&self, side: Tried) -> Option<Duration> {
        let next = sync::lock(&self.next_tries);
        let at = match side {
            Tried::Stream => next.stream,
            Tried::Destination => next.destination,
        };
        at.map(|at| at.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    pub(crate) fn state(&self) -> State {
        sync::lock(&self.standing).state
    }

    /// Whether this side stalls the sink.
    #[cfg(feature = "cli")]
    pub(crate) fn is_stalled_by(&self, side: Side) -> bool {
        sync::lock(&self.standing).stalled.contains(&side)
    }

    /// Whether a writer stalls the sink.
    #[cfg(feature = "cli")]
    pub(crate) fn is_destination_stalled(&self) -> bool {
        sync::lock(&self.standing).stalled.iter().any(|side| matches!(side, Side::Destination(_)))
    }

    /// The error that ended the sink.
    pub(crate) fn failure(&self) -> Option<Error> {
        sync::lock(&self.standing).failure.clone()
    }

    /// Why nothing more is accepted: the error that ended the sink, or that it is stopping. `None` while it accepts events.
    pub(crate) fn refusal(&self, doing: &str) -> Option<Error> {
        let is_ending = self.stop.is_set() || self.state().is_final();
        is_ending.then(|| self.failure().unwrap_or_else(|| Error::state(format!("{doing}: the sink is stopping"))))
    }

    /// This side stalls the sink until it recovers.
    pub(crate) fn stall(&self, side: Side) {
        self.change(|standing| {
            if !standing.stalled.contains(&side) {
                standing.stalled.push(side);
            }
            State::Stalled
        });
    }

    /// This side works (again): the sink is `running` unless another side stalls it.
    pub(crate) fn recover(&self, side: Side) {
        self.change(|standing| {
            standing.stalled.retain(|&stalled| stalled != side);
            if standing.stalled.is_empty() { State::Running } else { State::Stalled }
        });
    }

    /// The stream has ended: spooled events are committed, without a limit of time.
    pub(crate) fn begin_drain(&self) {
        self.change(|_| State::Stopping);
    }

    /// Graceful stop: stop reading, commit the spooled events unless the destination is unreachable, end.
    pub(crate) fn begin_stop(&self) {
        self.change(|_| State::Stopping);
        self.end_of_reading.set();
        self.stop.set();
    }

    /// Immediate stop.
    pub(crate) fn begin_abort(&self) {
        self.begin_stop();
        self.abort.set();
    }

    /// Every thread has ended.
    pub(crate) fn end(&self) {
        self.change(|standing| if standing.failure.is_some() { State::Failed } else { State::Closed });
        let held = sync::lock(&self.held_lines).take();
        if held > 0 {
            log::warn!("{held} more lines of errors were held back");
        }
        self.notices.close();
    }

    /// Changes the state, with a notice. A sink never returns to an earlier state.
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

    /// Ends the sink as failed: the reader stops, and spooled events are still committed. The first error is the reason; it is logged
    /// here and nowhere else.
    pub(crate) fn fail(&self, error: Error) {
        let is_first = {
            let mut standing = sync::lock(&self.standing);
            let is_first = standing.failure.is_none();
            standing.failure.get_or_insert_with(|| error.clone());
            is_first
        };
        if is_first {
            match error.hint() {
                Some(hint) => log::error!("{error} ({hint})"),
                None => log::error!("{error}"),
            }
            self.note_error(&error);
            self.notify(Notice::Error(error));
        } else {
            self.report(&error);
        }
        self.begin_stop();
    }

    /// Ends the sink as failed once the spooled events are committed, without a limit of time: they are in no other place.
    pub(crate) fn fail_after_drain(&self, error: &Error) {
        self.report(error);
        sync::lock(&self.standing).failure.get_or_insert_with(|| error.clone());
        self.begin_drain();
        self.end_of_reading.set();
    }

    /// The start failed; the caller gets the error.
    pub(crate) fn fail_to_start(&self, error: &Error) {
        self.note_error(error);
        self.notify(Notice::Error(error.clone()));
        sync::lock(&self.standing).failure.get_or_insert_with(|| error.clone());
        self.begin_stop();
    }

    /// Reports an error from which the sink recovers by itself. The log gets a few lines of each kind a minute, and how many more there
    /// were; every one of them is a notice and is counted.
    pub(crate) fn report(&self, error: &Error) {
        if self.abort.is_set() {
            log::debug!("the sink ends: {error}");
            return;
        }
        if let Some(held) = sync::lock(&self.held_lines).admit(error.message(), Instant::now()) {
            let hint = error.hint().map_or_else(String::new, |hint| format!(" ({hint})"));
            let more = if held == 0 { String::new() } else { format!("; {held} lines like this were held back") };
            log::warn!("{error}{hint}{more}");
        }
        self.note_error(error);
        self.notify(Notice::Error(error.clone()));
    }

    fn note_error(&self, error: &Error) {
        self.counters.note_error(error);
        self.measures.note_error(error.kind());
        #[cfg(feature = "cli")]
        if let Some(recent) = self.recent.get() {
            recent.note_error(error, micros::to_seconds(self.clock.unix_micros()));
        }
    }

    /// The spool keeps this dead letter.
    pub(crate) fn note_dead_letter(&self, letter: &DeadLetter) {
        self.measures.note_dead_letter(letter.stage);
        #[cfg(feature = "cli")]
        if let Some(recent) = self.recent.get() {
            recent.note_dead_letter(letter);
        }
        self.notify(Notice::Rejected(Rejection::from(letter)));
    }

    pub(crate) fn notify(&self, notice: Notice) {
        self.counters.add(Counter::NoticesDropped, self.notices.push(notice));
    }
}

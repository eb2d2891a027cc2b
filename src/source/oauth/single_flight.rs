//! A state that one caller at a time renews, while the others wait for the outcome, whatever that is.
//!
//! The lock is held for moments only, never during a renewal: the callers may be sinks that stop independently of each other. A stop ends
//! the wait of its sink at once, and the renewal of another one goes on.

use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::threads::stop_signal::{InterruptGuard, StopSignal};
use crate::threads::sync;
use crate::threads::sync::Condition;

#[derive(Default)]
pub(super) struct SingleFlight<S> {
    flights: Mutex<Flights<S>>,
    changed: Condition,
}

#[derive(Default)]
struct Flights<S> {
    state: S,
    is_flying: bool,
    /// The number of the latest one.
    latest: u64,
    /// The latest one that failed, and why.
    failed: Option<(u64, Error)>,
}

/// The answer to a caller.
pub(super) enum Turn<'a, S, F> {
    Found(F),
    /// The caller must renew the state.
    Renew(Renewal<'a, S>),
}

impl<S: Send + 'static> SingleFlight<S> {
    /// What `find` finds in the state, at once or after the renewal of another caller; or the turn to renew it.
    ///
    /// # Errors
    /// Of the renewal that was waited for; `Stopped` after a stop.
    pub(super) fn turn<F>(
        self: &Arc<Self>,
        stop: &StopSignal,
        find: impl Fn(&S) -> Option<F>,
    ) -> Result<Turn<'_, S, F>> {
        let mut waited_for = None;
        let mut wake: Option<InterruptGuard> = None;
        let mut flights = sync::lock(&self.flights);
        loop {
            if let Some(found) = find(&flights.state) {
                return Ok(Turn::Found(found));
            }
            if let (Some(flight), Some((failed, error))) = (waited_for, &flights.failed)
                && flight <= *failed
            {
                return Err(error.clone());
            }
            if stop.is_set() {
                return Err(Error::stopped());
            }
            if !flights.is_flying {
                flights.is_flying = true;
                flights.latest += 1;
                return Ok(Turn::Renew(Renewal { of: self, is_over: false }));
            }
            waited_for = Some(flights.latest);
            flights = if wake.is_some() {
                self.changed.wait(flights, None)
            } else {
                // Not under the lock: after a stop this runs at once.
                drop(flights);
                let waiting = Arc::clone(self);
                wake = Some(stop.on_set(move || waiting.wake()));
                sync::lock(&self.flights)
            };
        }
    }

    fn wake(&self) {
        let _flights = sync::lock(&self.flights);
        self.changed.notify_all();
    }
}

impl<S> SingleFlight<S> {
    /// Looks at the state, or changes it, for a moment.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut S) -> T) -> T {
        work(&mut sync::lock(&self.flights).state)
    }

    fn end(&self, error: Option<Error>) {
        let mut flights = sync::lock(&self.flights);
        flights.is_flying = false;
        flights.failed = error.map(|error| (flights.latest, error));
        self.changed.notify_all();
    }
}

/// The turn of a caller. The others wait until it is over.
pub(super) struct Renewal<'a, S> {
    of: &'a SingleFlight<S>,
    is_over: bool,
}

impl<S> Renewal<'_, S> {
    /// The state has been renewed, or this is why not.
    pub(super) fn end<T>(mut self, outcome: Result<T>, stop: &StopSignal) -> Result<T> {
        self.is_over = true;
        // One that was stopped says nothing about the state: another caller takes its turn.
        let error = outcome.as_ref().err().filter(|_| !stop.is_set());
        self.of.end(error.cloned());
        outcome
    }
}

/// After a panic, another caller takes the turn.
impl<S> Drop for Renewal<'_, S> {
    fn drop(&mut self) {
        if !self.is_over {
            self.of.end(None);
        }
    }
}

#[cfg(test)]
#[path = "tests/single_flight.rs"]
mod tests;

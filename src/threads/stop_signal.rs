//! The signal that ends every wait.
//!
//! A thread sleeps in [`StopSignal::wait`]. A thread that blocks in a socket or a database call registers an interrupt that ends
//! the call. Setting the signal wakes the sleepers and runs the interrupts, so every thread notices a stop at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::threads::sync::{self, Condition};

/// A flag that is shared by its clones. Once set, it stays set.
#[derive(Clone, Default)]
pub(crate) struct StopSignal(Arc<Shared>);

#[derive(Default)]
struct Shared {
    set: AtomicBool,
    interrupts: Mutex<Interrupts>,
    changed: Condition,
}

#[derive(Default)]
struct Interrupts {
    next_id: u64,
    by_id: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
}

impl StopSignal {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets the signal, wakes every waiting thread and runs every registered interrupt. A second call does nothing.
    pub(crate) fn set(&self) {
        let mut interrupts = sync::lock(&self.0.interrupts);
        self.0.set.store(true, Ordering::SeqCst);
        self.0.changed.notify_all();
        let taken = std::mem::take(&mut interrupts.by_id);
        // Unlock first: an interrupt may drop a guard of this signal.
        drop(interrupts);
        for (_, interrupt) in taken {
            interrupt();
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }

    /// Sleeps for `duration`, or until the signal is set; returns whether it is set.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        let mut interrupts = sync::lock(&self.0.interrupts);
        while !self.is_set() {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return false;
            };
            interrupts = self.0.changed.wait(interrupts, Some(left));
        }
        true
    }

    /// Runs `interrupt` once when the signal is set, at once if it is already set. Dropping the guard unregisters it.
    ///
    /// The interrupt runs on the thread that sets the signal, so it must be short and must not block.
    pub(crate) fn on_set(&self, interrupt: impl FnOnce() + Send + 'static) -> InterruptGuard {
        let mut interrupts = sync::lock(&self.0.interrupts);
        let id = interrupts.next_id;
        if self.is_set() {
            drop(interrupts);
            interrupt();
        } else {
            interrupts.next_id += 1;
            interrupts.by_id.insert(id, Box::new(interrupt));
        }
        InterruptGuard { signal: self.clone(), id }
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopSignal").field(&self.is_set()).finish()
    }
}

/// Keeps an interrupt registered. See [`StopSignal::on_set`].
#[must_use = "dropping the guard unregisters the interrupt"]
#[derive(Debug)]
pub(crate) struct InterruptGuard {
    signal: StopSignal,
    id: u64,
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        // Dropped after the lock is released: the interrupt may own another guard of this signal.
        let unregistered = sync::lock(&self.signal.0.interrupts).by_id.remove(&self.id);
        drop(unregistered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_sleeping_thread_wakes_at_once() {
        let signal = StopSignal::new();
        let sleeper = signal.clone();
        let thread = std::thread::spawn(move || sleeper.wait(Duration::from_secs(60)));
        signal.set();
        assert!(thread.join().unwrap());
    }

    #[test]
    fn an_interrupt_runs_once_and_only_while_guarded() {
        let signal = StopSignal::new();
        let (sender, receiver) = mpsc::channel();
        let dropped = sender.clone();
        drop(signal.on_set(move || dropped.send("dropped").unwrap()));
        let kept = sender.clone();
        let _guard = signal.on_set(move || kept.send("kept").unwrap());
        signal.set();
        signal.set();
        let _late = signal.on_set(move || sender.send("late").unwrap());
        assert_eq!(receiver.iter().take(2).collect::<Vec<_>>(), ["kept", "late"]);
        assert!(receiver.try_recv().is_err());
    }
}

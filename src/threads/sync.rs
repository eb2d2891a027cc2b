//! Locks without poisoning: a panic in a thread already ends the sink as `failed`. The state behind these locks is valid after
//! every statement, so the other threads can shut down in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::threads::pulse;

/// Locks the mutex, poisoned or not.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A condition variable that notifies without a system call if no thread waits: the engine notifies for every event, and under load
/// its threads rarely wait.
///
/// The state must change with the mutex locked. Then a waiter either was counted before the change, and is notified, or sees the
/// change.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    condvar: Condvar,
    waiting: AtomicUsize,
}

impl Condition {
    /// Waits until notified, or until `timeout` has passed; `None` waits forever.
    /// A loop with a [pulse] may wake up earlier, without a reason: it beats.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Option<Duration>) -> MutexGuard<'a, T> {
        let timeout = timeout.into_iter().chain(pulse::tick()).min();
        // Relaxed: the mutex orders the counter before the check of a notifier.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = match timeout {
            None => self.condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        pulse::beat();
        guard
    }

    /// The number of threads that wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Wakes all waiting threads.
    pub(crate) fn notify_all(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.condvar.notify_all();
        }
    }

    /// Wakes one waiting thread.
    pub(crate) fn notify_one(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.condvar.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a timeout: a single lost notification makes the test hang.
    #[test]
    fn no_notification_is_lost() {
        let (turn, changed) = (Mutex::new(0_u32), Condition::default());
        let play = |own: u32| {
            for _ in 0..20_000 {
                let mut turn = lock(&turn);
                while *turn % 2 != own {
                    turn = changed.wait(turn, None);
                }
                *turn += 1;
                drop(turn);
                changed.notify_all();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| play(0));
            play(1);
        });
        assert_eq!(*lock(&turn), 40_000);
    }
}

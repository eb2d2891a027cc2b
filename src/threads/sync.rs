//! Locks without poison: a panic in one of the sink's threads already ends the sink as `failed`, and the state behind
//! these locks is valid after every statement, so the other threads may go on to shut down in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A condition variable that makes no system call where nobody waits: the engine notifies for every event, and under load
/// hardly anybody sleeps.
///
/// What is waited for must change with the mutex locked. Then a waiter has either been counted before the change, and is
/// notified, or sees the change.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    condvar: Condvar,
    waiting: AtomicUsize,
}

impl Condition {
    /// Waits until notified or until `timeout` has passed; `None` waits for ever.
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Option<Duration>) -> MutexGuard<'a, T> {
        // The mutex orders this and the look of whoever notifies.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = match timeout {
            None => self.condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    /// Wakes everybody who waits.
    pub(crate) fn notify_all(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.condvar.notify_all();
        }
    }

    /// Wakes one of those who wait.
    pub(crate) fn notify_one(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.condvar.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a timeout: one notification that is lost, and it hangs.
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

//! The pulse of a loop: whether it moves, as far as another thread can see.
//!
//! A loop beats at each of its turns, and while it waits: [`Condition`](super::sync::Condition) beats on its behalf, so a wait of
//! any length is a healthy one. A call that blocks elsewhere, in a socket or a database, has a deadline, which the pulse allows for. A loop
//! that moves no more, because its thread is stopped, a disk does not answer, or there is a bug, is found by its silence.
//!
//! The pulse of a thread is a value of the thread, so waits need not be told for which loop they are. Other threads have none.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

thread_local! {
    static CURRENT: RefCell<Option<Arc<Pulse>>> = const { RefCell::new(None) };
}

/// The longest wait of a loop between two beats.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Pulse {
    name: String,
    started: Instant,
    /// How long a turn may take.
    turn: Duration,
    /// When the next beat is due, in milliseconds since `started`.
    due_ms: AtomicU64,
    has_ended: AtomicBool,
}

impl Pulse {
    /// The pulse of the loop of this name, in which nothing blocks for longer than `turn`.
    pub(crate) fn new(name: &str, turn: Duration) -> Arc<Self> {
        let pulse = Self {
            name: name.to_owned(),
            started: Instant::now(),
            turn,
            due_ms: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
        };
        pulse.beat();
        Arc::new(pulse)
    }

    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only the command line asks"))]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs the loop on this thread.
    pub(crate) fn run<T>(self: Arc<Self>, body: impl FnOnce() -> T) -> T {
        let _end = End(Arc::clone(&self));
        CURRENT.set(Some(self));
        body()
    }

    /// How long the loop is overdue; `None` if it moves or has ended.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "only the command line asks"))]
    pub(crate) fn overdue(&self) -> Option<Duration> {
        if self.has_ended.load(Ordering::Relaxed) {
            return None;
        }
        let due = Duration::from_millis(self.due_ms.load(Ordering::Relaxed));
        self.started.elapsed().checked_sub(due)
    }

    fn beat(&self) {
        let due = self.started.elapsed() + self.turn;
        self.due_ms.store(u64::try_from(due.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Ends the pulse with its loop, also after a panic.
struct End(Arc<Pulse>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Relaxed);
        let _ = CURRENT.try_with(RefCell::take);
    }
}

/// The loop of this thread moves; nothing on any other thread.
pub(crate) fn beat() {
    // An error while the thread is being destroyed.
    let _ = CURRENT.try_with(|current| {
        if let Some(pulse) = &*current.borrow() {
            pulse.beat();
        }
    });
}

/// The limit of a wait of this thread, after which it must beat.
pub(super) fn tick() -> Option<Duration> {
    CURRENT.try_with(|current| current.borrow().is_some()).unwrap_or(false).then_some(TICK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_loop_that_blocks_is_overdue_after_its_turn_until_it_ends() {
        let pulse = Pulse::new("loop", Duration::ZERO);
        let (release, released) = mpsc::channel::<()>();
        let running = Arc::clone(&pulse);
        let thread = std::thread::spawn(move || running.run(|| released.recv().unwrap()));
        let started = Instant::now();
        while pulse.overdue().is_none_or(|overdue| overdue < Duration::from_millis(20)) {
            assert!(started.elapsed() < Duration::from_secs(30));
        }
        release.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(pulse.overdue(), None);
        assert_eq!(Pulse::new("patient", Duration::from_secs(60)).overdue(), None);
    }

    #[test]
    fn a_loop_that_waits_for_a_condition_is_not_overdue() {
        use crate::threads::sync::{Condition, lock};
        use std::sync::Mutex;

        let pulse = Pulse::new("loop", TICK);
        let (is_over, changed) = (Mutex::new(false), Condition::default());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                Arc::clone(&pulse).run(|| {
                    let mut over = lock(&is_over);
                    while !*over {
                        over = changed.wait(over, None);
                    }
                });
            });
            // Its due time moves on, and nobody has notified it.
            let started = Instant::now();
            while pulse.due_ms.load(Ordering::Relaxed) < 4 * 1000 {
                assert!(started.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(20));
            }
            *lock(&is_over) = true;
            changed.notify_all();
        });
        assert_eq!(pulse.overdue(), None, "it has ended");
    }
}

//! Time as a value, from a wall clock and a steady clock, so that tests of expiry and backoff need not wait.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock and the steady clock.
pub(crate) trait Clock: Send + Sync + std::fmt::Debug {
    /// The steady clock, which never goes back; for durations and deadlines.
    fn steady(&self) -> Instant;

    /// The wall clock, in microseconds since 1970-01-01 UTC; for times that are shown or stored. It may jump.
    fn unix_micros(&self) -> i64;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn steady(&self) -> Instant {
        Instant::now()
    }

    fn unix_micros(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
    }
}

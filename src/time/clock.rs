//! Time as a value: what the wall clock and a steady clock say, so that expiry and backoff can be tested without waiting.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The two clocks the engine reads.
pub(crate) trait Clock: Send + Sync + std::fmt::Debug {
    /// A clock that never goes back; for durations and deadlines.
    fn steady(&self) -> Instant;

    /// Microseconds since 1970-01-01 UTC; for what is shown and stored. May jump.
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

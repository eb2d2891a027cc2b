//! The delay before the next attempt: exponential backoff with full jitter.
//!
//! Full jitter spreads the reconnects of many clients evenly over the interval, so that they do not overload a server that just
//! came back (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    delay_min: Duration,
    delay_max: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(delay_min: Duration, delay_max: Duration) -> Self {
        Self { delay_min, delay_max: delay_max.max(delay_min), attempts: 0 }
    }

    /// The next delay: at least `delay_min`; at most twice that at the first attempt, doubling up to `delay_max`.
    pub(crate) fn next_delay(&mut self) -> Duration {
        self.delay_for(fastrand::f64())
    }

    /// The delay for a random `fraction` of 0..1.
    fn delay_for(&mut self, fraction: f64) -> Duration {
        let ceiling = self.delay_min.saturating_mul(2 << self.attempts.min(20)).min(self.delay_max);
        self.attempts = self.attempts.saturating_add(1);
        self.delay_min + ceiling.saturating_sub(self.delay_min).mul_f64(fraction)
    }

    /// Starts again from the shortest delay, after a success.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_ceiling_and_start_again() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 30 * second);
        let ceilings: Vec<u64> = (0..7).map(|_| backoff.delay_for(1.0).as_secs()).collect();
        assert_eq!(ceilings, [2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(backoff.delay_for(0.0), second, "jitter never goes below the shortest delay");
        backoff.reset();
        assert_eq!(backoff.delay_for(1.0), 2 * second);
    }

    #[test]
    fn random_delays_cover_the_interval() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let _warm_up: Vec<_> = (0..10).map(|_| backoff.next_delay()).collect();
        let draws: Vec<_> = (0..1000).map(|_| backoff.next_delay()).collect();
        assert!(draws.iter().any(|d| d.as_secs() < 5) && draws.iter().any(|d| d.as_secs() > 25));
    }
}

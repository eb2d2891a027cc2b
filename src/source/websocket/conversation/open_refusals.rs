//! The wait after a refusal by which a server requests a delay (`stream.open_refused`).

use std::time::Duration;

/// A row of refusals doubles the wait this often.
const DOUBLINGS_MAX: u32 = 2;

/// The refusals in a row.
#[derive(Debug)]
pub(crate) struct OpenRefusals {
    /// The wait after the first one.
    delay: Duration,
    last: Option<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    doublings: u32,
    delay: Duration,
}

impl OpenRefusals {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay, last: None }
    }

    /// The wait after a refusal on a connection that was open for this long. One that was open for longer than the last wait has ended
    /// the row.
    pub(crate) fn refused(&mut self, open_for: Duration) -> Duration {
        let doublings = match self.last {
            Some(last) if open_for <= last.delay => (last.doublings + 1).min(DOUBLINGS_MAX),
            _ => 0,
        };
        let delay = self.delay.saturating_mul(1 << doublings);
        self.last = Some(Refused { doublings, delay });
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_in_a_row_double_the_wait_up_to_four_times() {
        let seconds = Duration::from_secs;
        let mut refusals = OpenRefusals::new(seconds(30));
        let mut waits = |open_for: &[u64]| -> Vec<u64> {
            open_for.iter().map(|open_for| refusals.refused(seconds(*open_for)).as_secs()).collect()
        };
        assert_eq!(waits(&[0, 0, 0, 0]), [30, 60, 120, 120]);
        assert_eq!(waits(&[120]), [120], "open, but not for longer than the last wait");
        assert_eq!(waits(&[121, 30, 60, 121]), [30, 60, 120, 30]);
    }
}

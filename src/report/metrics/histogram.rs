//! A histogram with fixed buckets, which threads share without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts values by bucket. The last bucket has no bound.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// The upper bounds, inclusive.
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    /// Each upper bound with the number of values in its bucket; the last bound is infinite.
    pub(crate) buckets: Vec<(f64, u64)>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts a value that came this many times.
    pub(crate) fn record(&self, value: u64, times: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(times, Ordering::Relaxed);
        self.sum.fetch_add(value.saturating_mul(times), Ordering::Relaxed);
    }

    /// The content, in units of which one has this many of the recorded ones.
    #[expect(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]
    pub(crate) fn distribution(&self, unit: f64) -> Distribution {
        let bounds = self.bounds.iter().map(|bound| *bound as f64 / unit).chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        // Counted from the buckets, so that the two agree at every moment.
        let count = buckets.iter().map(|(_, count)| count).sum();
        Distribution { buckets, count, sum: self.sum.load(Ordering::Relaxed) as f64 / unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(&[10, 20]);
        for (value, times) in [(0, 1), (10, 2), (11, 3), (20, 4), (21, 5)] {
            histogram.record(value, times);
        }
        let distribution = histogram.distribution(10.0);
        assert_eq!(distribution.buckets, [(1.0, 3), (2.0, 7), (f64::INFINITY, 5)]);
        assert_eq!(distribution.count, 15);
        assert!((distribution.sum - 23.8).abs() < 1e-9, "{}", distribution.sum);
    }
}

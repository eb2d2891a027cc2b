//! For tests and benchmarks: from how many rows on a batch is written with fresh keys apart, and how often that was done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by all connections of the sinks that are opened with it.
#[derive(Debug, Clone)]
pub struct SplitProbe {
    /// In place of the measured limit; `usize::MAX` for never.
    pub rows_min: Option<usize>,
    counts: Arc<[AtomicU64; 2]>,
}

/// A program that a test starts takes the limit from a variable.
impl Default for SplitProbe {
    fn default() -> Self {
        let limit = std::env::var("SPLIT_ROWS_MIN").ok().and_then(|limit| limit.parse().ok());
        Self { rows_min: limit, counts: Arc::default() }
    }
}

impl SplitProbe {
    /// Batches that were committed so.
    pub fn committed(&self) -> u64 {
        self.counts[0].load(Ordering::Relaxed)
    }

    /// Tries that failed.
    pub fn failed(&self) -> u64 {
        self.counts[1].load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, is_committed: bool) {
        self.counts[usize::from(!is_committed)].fetch_add(1, Ordering::Relaxed);
    }
}

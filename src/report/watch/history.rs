//! The last 15 minutes of a sink, in the process: rates, lag and latency, a point every five seconds.
//!
//! About 60 KB: 180 points, and the histogram of latencies as it was at the last point.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::report::stats::Stats;
use crate::threads::sync;

/// The time between two points, and the window of the rates of this moment.
const INTERVAL: Duration = Duration::from_secs(5);
const POINTS_MAX: usize = 15 * 60 / 5;
const TICK: Duration = Duration::from_secs(1);

/// What is read from the sink once a second.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) stats: Stats,
    pub(crate) oldest_pending_s: f64,
    /// Since the sink was opened, in microseconds.
    pub(crate) latency: Histogram<u64>,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct History(Mutex<Ring>);

#[derive(Debug)]
struct Ring {
    started: Instant,
    /// The next reading is due.
    due: Instant,
    /// The counts of the last seconds.
    window: VecDeque<Counts>,
    /// The intervals that have points.
    filled: u64,
    points: VecDeque<Option<Point>>,
    /// At the last point.
    before: Option<(Counts, Histogram<u64>)>,
}

#[derive(Debug, Clone, Copy)]
struct Counts {
    at: Instant,
    received: u64,
    finished: u64,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    received_per_s: f32,
    finished_per_s: f32,
    pending: u64,
    oldest_s: f32,
    /// Of the events that were committed in this interval; `None` if there were none.
    p50_ms: Option<f32>,
    p99_ms: Option<f32>,
}

/// The points by quantity, the oldest first; null where the process did not run or nothing was committed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Series {
    pub(crate) interval_s: u64,
    pub(crate) points_max: usize,
    /// Of the last five seconds.
    pub(crate) received_per_s_now: f32,
    pub(crate) finished_per_s_now: f32,
    pub(crate) received_per_s: Vec<Option<f32>>,
    pub(crate) finished_per_s: Vec<Option<f32>>,
    pub(crate) pending: Vec<Option<u64>>,
    pub(crate) oldest_s: Vec<Option<f32>>,
    pub(crate) p50_ms: Vec<Option<f32>>,
    pub(crate) p99_ms: Vec<Option<f32>>,
}

impl History {
    pub(crate) fn new(now: Instant) -> Self {
        let (window, points) = (VecDeque::new(), VecDeque::new());
        Self(Mutex::new(Ring { started: now, due: now, window, filled: 0, points, before: None }))
    }

    /// To be called several times a second: reads the sink when a second has passed.
    pub(crate) fn tick(&self, now: Instant, read: impl FnOnce() -> Reading) {
        let mut ring = sync::lock(&self.0);
        if now >= ring.due {
            ring.due = now + TICK;
            ring.note(now, &read());
        }
    }

    pub(crate) fn series(&self) -> Series {
        sync::lock(&self.0).series()
    }
}

impl Ring {
    fn note(&mut self, now: Instant, reading: &Reading) {
        let counts = Counts { at: now, received: reading.stats.received, finished: reading.stats.finished() };
        self.window.push_back(counts);
        while self.window.len() > 2 && now - self.window[1].at >= INTERVAL {
            self.window.pop_front();
        }
        let Some((before, latency_before)) = &self.before else {
            self.before = Some((counts, reading.latency.clone()));
            return;
        };
        let intervals = (now - self.started).as_secs() / INTERVAL.as_secs();
        if intervals <= self.filled {
            return;
        }
        let (received_per_s, finished_per_s) = rates(before, &counts);
        let (p50_ms, p99_ms) = latency_between(latency_before, &reading.latency);
        let point = Point {
            received_per_s,
            finished_per_s,
            pending: reading.stats.pending,
            oldest_s: rounded(reading.oldest_pending_s),
            p50_ms,
            p99_ms,
        };
        // Where the process did not run, a suspended machine for example, there are no points.
        let missed = usize::try_from(intervals - self.filled - 1).unwrap_or(usize::MAX).min(POINTS_MAX);
        self.points.extend(std::iter::repeat_n(None, missed));
        self.points.push_back(Some(point));
        self.points.drain(..self.points.len().saturating_sub(POINTS_MAX));
        self.filled = intervals;
        self.before = Some((counts, reading.latency.clone()));
    }

    fn series(&self) -> Series {
        let ends = self.window.front().zip(self.window.back());
        let (received_per_s_now, finished_per_s_now) = ends.map_or((0.0, 0.0), |(first, last)| rates(first, last));
        let of = |value: fn(&Point) -> Option<f32>| self.points.iter().map(|p| value(p.as_ref()?)).collect();
        Series {
            interval_s: INTERVAL.as_secs(),
            points_max: POINTS_MAX,
            received_per_s_now,
            finished_per_s_now,
            received_per_s: of(|point| Some(point.received_per_s)),
            finished_per_s: of(|point| Some(point.finished_per_s)),
            pending: self.points.iter().map(|point| Some(point.as_ref()?.pending)).collect(),
            oldest_s: of(|point| Some(point.oldest_s)),
            p50_ms: of(|point| point.p50_ms),
            p99_ms: of(|point| point.p99_ms),
        }
    }
}

/// Events per second: received, and finished.
#[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
fn rates(from: &Counts, to: &Counts) -> (f32, f32) {
    let seconds = (to.at - from.at).as_secs_f64();
    let rate = |from: u64, to: u64| if seconds > 0.0 { rounded(to.saturating_sub(from) as f64 / seconds) } else { 0.0 };
    (rate(from.received, to.received), rate(from.finished, to.finished))
}

/// p50 and p99, in milliseconds, of the events between two readings.
#[expect(clippy::cast_precision_loss, reason = "a time to be shown")]
fn latency_between(before: &Histogram<u64>, now: &Histogram<u64>) -> (Option<f32>, Option<f32>) {
    let mut between = now.clone();
    if between.subtract(before).is_err() || between.is_empty() {
        return (None, None);
    }
    let quantile = |quantile| Some(rounded(between.value_at_quantile(quantile) as f64 / 1e3));
    (quantile(0.5), quantile(0.99))
}

/// Three digits after the point are more than a plot shows.
#[expect(clippy::cast_possible_truncation, reason = "a number to be shown")]
fn rounded(number: f64) -> f32 {
    ((number * 1e3).round() / 1e3) as f32
}

#[cfg(test)]
#[path = "tests/history.rs"]
mod tests;

#![allow(clippy::float_cmp, reason = "rounded numbers")]

use super::*;
use crate::report::stats::Counters;

/// A sink whose clock the test has.
struct Sink {
    history: History,
    started: Instant,
    stats: Stats,
    counters: Counters,
    readings: u32,
}

impl Sink {
    fn new() -> Self {
        let started = Instant::now();
        let (stats, counters) = (Stats::default(), Counters::new());
        Self { history: History::new(started), started, stats, counters, readings: 0 }
    }

    /// Looks at this second, several times.
    fn look(&mut self, second: u64) -> Series {
        for tenth in 0..10 {
            let now = self.started + Duration::from_secs(second) + Duration::from_millis(100 * tenth);
            self.history.tick(now, || {
                self.readings += 1;
                Reading { stats: self.stats.clone(), oldest_pending_s: 1.5, latency: self.counters.latency() }
            });
        }
        self.history.series()
    }
}

#[test]
fn every_five_seconds_there_is_a_point_with_the_rates_of_that_time() {
    let mut sink = Sink::new();
    for second in 0..10 {
        sink.look(second);
        sink.stats.received += if second < 5 { 100 } else { 200 };
        sink.stats.pending += 20;
        sink.counters.record_latency(if second < 5 { 2_000 } else { 50_000 }, 80);
    }
    let series = sink.look(10);
    assert_eq!(sink.readings, 11, "one a second");
    assert_eq!(series.received_per_s, [Some(100.0), Some(200.0)]);
    assert_eq!(series.finished_per_s, [Some(80.0), Some(180.0)]);
    assert_eq!(series.pending, [Some(100), Some(200)]);
    assert_eq!(series.oldest_s, [Some(1.5), Some(1.5)]);
    assert_eq!((series.received_per_s_now, series.finished_per_s_now), (200.0, 180.0));
    // Exact to one part in a hundred.
    let near = |found: Option<f32>, expected: f32| (found.unwrap() / expected - 1.0).abs() < 0.02;
    assert!(near(series.p50_ms[0], 2.0) && near(series.p50_ms[1], 50.0), "{series:?}");
}

#[test]
fn a_time_without_commits_has_no_latency_and_a_time_without_the_process_no_point() {
    let mut sink = Sink::new();
    sink.look(0);
    sink.look(5);
    let series = sink.look(21);
    assert_eq!(series.received_per_s, [Some(0.0), None, None, Some(0.0)]);
    assert_eq!(series.p50_ms, [None; 4]);
}

#[test]
fn fifteen_minutes_are_kept_and_no_more() {
    let mut sink = Sink::new();
    for second in (0..3600).step_by(5) {
        sink.stats.received += 5 * second;
        sink.look(second);
    }
    let series = sink.look(3600);
    assert_eq!((series.received_per_s.len(), series.p99_ms.len()), (POINTS_MAX, POINTS_MAX));
    assert_eq!(series.received_per_s[0], Some(2705.0), "the oldest");
    assert_eq!(sink.look(1_000_000).pending.iter().flatten().count(), 1, "after a long sleep");
}

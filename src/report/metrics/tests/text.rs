use std::sync::Arc;

use super::*;
use crate::error::ErrorKind;
use crate::report::dead_letter::Stage;
use crate::report::metrics::process::Process;
use crate::report::stats::{Counter, State, Stats};
use crate::report::status::Status;
use crate::time::clock::SystemClock;

/// A snapshot in which every metric has a value.
fn snapshot() -> Snapshot {
    let status = Status::new(Arc::new(SystemClock));
    let measures = &status.measures;
    measures.note_stream(true);
    for writer in 0..3 {
        measures.note_destination(writer, false);
    }
    measures.note_destination_lost(1);
    measures.note_destination(2, true);
    measures.note_token(1_700_000_000_000_000);
    measures.note_events(1_700_000_000_500_000);
    measures.note_commit(70, 1_700_000_001_000_000);
    measures.note_latency(3000, 70);
    measures.note_error(ErrorKind::Connect);
    measures.note_dead_letter(Stage::Schema);
    measures.note_gap();
    for counter in Counter::ALL {
        status.counters.add(counter, 100 + counter as u64);
    }
    let counted = Stats { pending: 4, ..status.counters.snapshot(State::Stalled, 4, 900) };
    let process = Process {
        cpu_seconds: 1.5,
        resident_bytes: 1,
        virtual_bytes: 2,
        open_files: 3,
        open_files_max: Some(4),
        started_at: 5.0,
    };
    Snapshot {
        stats: counted,
        status: Arc::new(status),
        has_stream: true,
        oldest_seconds: Some(2.5),
        spool_bytes_max: 1000,
        free_bytes: Some(77),
        process: Some(process),
    }
}

#[test]
fn every_metric_is_in_the_text_with_its_value() {
    let text = text_of(&snapshot(), Format::Prometheus);
    for line in [
        concat!("cxsink_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "cxsink_state{state=\"stalled\"} 1",
        "cxsink_state{state=\"running\"} 0",
        "cxsink_events_received_total 100",
        "cxsink_events_total{outcome=\"dead_lettered\"} 108",
        "cxsink_messages_total 115",
        "cxsink_messages_ignored_total 116",
        "cxsink_spool_events 4",
        "cxsink_spool_bytes 900",
        "cxsink_spool_oldest_seconds 2.5",
        "cxsink_commit_latency_seconds_bucket{le=\"0.0025\"} 0",
        "cxsink_commit_latency_seconds_bucket{le=\"0.005\"} 70",
        "cxsink_commit_latency_seconds_bucket{le=\"+Inf\"} 70",
        "cxsink_commit_latency_seconds_count 70",
        "cxsink_batch_events_sum 70.0",
        "cxsink_connected{side=\"stream\"} 1",
        "cxsink_connected{side=\"destination\"} 2",
        "cxsink_reconnects_total{side=\"stream\"} 110",
        "cxsink_reconnects_total{side=\"destination\"} 1",
        "cxsink_token_expires_timestamp_seconds 1700000000.0",
        "cxsink_last_event_timestamp_seconds 1700000000.5",
        "cxsink_errors_total{kind=\"connect\"} 1",
        "cxsink_dead_letters_total{stage=\"schema\"} 1",
        "cxsink_gaps_total 1",
        "process_cpu_seconds_total 1.5",
        "# TYPE cxsink_events_total counter",
        "# TYPE cxsink_commit_latency_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    for metric in table() {
        assert_eq!(text.matches(&format!("# HELP {} ", metric.name)).count(), 1, "{}\n{text}", metric.name);
    }
}

#[test]
fn every_counter_of_the_statistics_has_a_metric() {
    let text = text_of(&snapshot(), Format::Prometheus);
    for counter in Counter::ALL.into_iter().filter(|counter| *counter != Counter::Pending) {
        let value = format!(" {}", 100 + counter as u64);
        let is_it = |line: &&str| line.starts_with("cxsink_") && line.ends_with(&value);
        assert_eq!(text.lines().filter(is_it).count(), 1, "{}\n{text}", counter.name());
    }
}

#[test]
fn a_metric_without_a_value_is_left_out() {
    let unknown = Snapshot {
        stats: Stats::default(),
        status: Arc::new(Status::new(Arc::new(SystemClock))),
        has_stream: false,
        oldest_seconds: None,
        spool_bytes_max: 1,
        free_bytes: None,
        process: None,
    };
    let text = text_of(&unknown, Format::Prometheus);
    for name in ["cxsink_last_event", "cxsink_token_expires", "process_", "side=\"stream\"", "disk_free"] {
        assert!(!text.contains(name), "{name}\n{text}");
    }
    assert!(text.contains("cxsink_spool_oldest_seconds 0.0\n"), "{text}");
}

#[test]
fn open_metrics_have_the_same_values() {
    let snapshot = snapshot();
    let values = |format| {
        let text = text_of(&snapshot, format);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        // The bounds of buckets are written differently.
        lines.filter(|line| !line.contains("_bucket{")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values(Format::OpenMetrics), values(Format::Prometheus));
    assert!(text_of(&snapshot, Format::OpenMetrics).ends_with("# EOF\n"));
}

#[test]
fn several_sinks_share_a_text_in_which_each_metric_stands_once() {
    let (sales, support) = (snapshot(), snapshot());
    support.status.counters.add(Counter::Received, 5);
    let support = Snapshot { stats: support.status.counters.snapshot(State::Running, 0, 0), ..support };
    let text = text_of_several(&[("sales".into(), sales), ("support".into(), support)], Format::Prometheus);
    for line in [
        "cxsink_events_received_total{stream=\"sales\"} 100",
        "cxsink_events_received_total{stream=\"support\"} 105",
        "cxsink_state{stream=\"sales\",state=\"stalled\"} 1",
        "cxsink_state{stream=\"support\",state=\"running\"} 1",
        "cxsink_commit_latency_seconds_bucket{stream=\"support\",le=\"0.005\"} 70",
        concat!("cxsink_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "process_cpu_seconds_total 1.5",
    ] {
        assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{line}\n{text}");
    }
    for metric in table() {
        assert_eq!(text.matches(&format!("# TYPE {} ", metric.name)).count(), 1, "{}\n{text}", metric.name);
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let of_nobody = samples.filter(|line| !line.contains("stream=\""));
    assert!(
        of_nobody.clone().all(|line| line.starts_with("process_") || line.starts_with("cxsink_build_info")),
        "{text}"
    );
}

//! The table of the metrics.

use std::sync::Arc;

use crate::report::metrics::histogram::Distribution;
use crate::report::metrics::process::Process;
use crate::report::stats::{Counter, Group, State, Stats};
use crate::report::status::Status;

/// What the metrics are read from.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) stats: Stats,
    pub(crate) status: Arc<Status>,
    /// The sink reads a stream.
    pub(crate) has_stream: bool,
    /// The time since the oldest pending event was received.
    pub(crate) oldest_seconds: Option<f64>,
    pub(crate) spool_bytes_max: u64,
    /// On the spool's file system.
    pub(crate) free_bytes: Option<u64>,
    /// For the command line only.
    pub(crate) process: Option<Process>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    /// A gauge that is always 1: what it says is in its label.
    Info,
}

/// A row of the table: a metric and how it is read.
pub(super) struct Metric {
    /// As Prometheus shows it.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) label: Option<&'static str>,
    values: Box<Read>,
}

type Read = dyn Fn(&Snapshot) -> Vec<Sample>;

/// A value, with that of the metric's label.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) label: Option<String>,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
    Distribution(Distribution),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Distribution> for Value {
    fn from(distribution: Distribution) -> Self {
        Self::Distribution(distribution)
    }
}

impl Metric {
    /// Whether all sinks of a process have one value together.
    pub(super) fn is_of_the_process(&self) -> bool {
        self.name == BUILD_INFO || self.name.starts_with("process_")
    }

    /// The values at this moment; none if they are not known.
    pub(super) fn values(&self, snapshot: &Snapshot) -> Vec<Sample> {
        (self.values)(snapshot)
    }
}

/// A metric without a label.
fn one<V: Into<Value>>(kind: Kind, name: &str, help: &str, value: impl Fn(&Snapshot) -> Option<V> + 'static) -> Metric {
    let values = move |snapshot: &Snapshot| {
        value(snapshot).into_iter().map(|value| Sample { label: None, value: value.into() }).collect()
    };
    Metric { name: name.to_owned(), kind, help: help.to_owned(), label: None, values: Box::new(values) }
}

fn gauge<V: Into<Value>>(name: &str, help: &str, value: impl Fn(&Snapshot) -> Option<V> + 'static) -> Metric {
    one(Kind::Gauge, name, help, value)
}

fn histogram(name: &str, help: &str, value: impl Fn(&Snapshot) -> Distribution + 'static) -> Metric {
    one(Kind::Histogram, name, help, move |snapshot| Some(value(snapshot)))
}

fn counter(name: &str, help: &str, value: impl Fn(&Snapshot) -> u64 + 'static) -> Metric {
    one(Kind::Counter, name, help, move |snapshot| Some(value(snapshot)))
}

/// A metric with a value for each value of its label.
fn labelled<L: Into<String>, V: Into<Value>>(
    kind: Kind,
    name: &str,
    label: &'static str,
    help: &str,
    values: impl Fn(&Snapshot) -> Vec<(L, V)> + 'static,
) -> Metric {
    let values = move |snapshot: &Snapshot| {
        let sample = |(label, value): (L, V)| Sample { label: Some(label.into()), value: value.into() };
        values(snapshot).into_iter().map(sample).collect()
    };
    Metric { name: name.to_owned(), kind, help: help.to_owned(), label: Some(label), values: Box::new(values) }
}

/// A counter of the statistics, with its name and words.
fn counted(counter_: Counter) -> Metric {
    let name = match counter_ {
        Counter::Ignored => "cxsink_messages_ignored_total".to_owned(),
        // Whoever looks for a name shall find it.
        Counter::TokenRenewals => "cxsink_token_renewals_total".to_owned(),
        Counter::NoticesDropped => "cxsink_notices_dropped_total".to_owned(),
        // It goes down when the destination knows some of them already.
        Counter::Recovered => {
            return gauge("cxsink_events_recovered", &words(counter_), move |snapshot| {
                Some(snapshot.stats.get(counter_))
            });
        }
        Counter::Received | Counter::Replayed => {
            format!("cxsink_events_{}_total", counter_.name())
        }
        other => format!("cxsink_{}_total", other.name()),
    };
    counter(&name, &words(counter_), move |snapshot| snapshot.stats.get(counter_))
}

/// The description of a counter on one line.
fn words(counter: Counter) -> String {
    counter.description().split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn of_group(group: Group) -> impl Iterator<Item = Counter> {
    Counter::ALL.into_iter().filter(move |counter| counter.group() == group)
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating-point number")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// Every metric, in the order of the text.
pub(super) fn table() -> Vec<Metric> {
    let mut table = of_the_sink();
    table.extend(of_the_events());
    table.extend(of_the_connections());
    table.extend(of_the_process());
    table
}

const BUILD_INFO: &str = "cxsink_build_info";

fn of_the_sink() -> Vec<Metric> {
    vec![
        labelled(Kind::Info, BUILD_INFO, "version", "The version of cxsink; the value is 1.", |_| {
            vec![(env!("CARGO_PKG_VERSION"), 1)]
        }),
        labelled(
            Kind::Gauge,
            "cxsink_state",
            "state",
            "1 for the state of the sink, 0 for each other one.",
            |snapshot| {
                let is_now = |state: State| u64::from(state == snapshot.stats.state);
                State::ALL.into_iter().map(|state| (state.name(), is_now(state))).collect()
            },
        ),
        labelled(
            Kind::Counter,
            "cxsink_errors_total",
            "kind",
            "Errors that the sink reported, by kind: `Error::kind` in lower case.",
            |snapshot| {
                let errors = snapshot.status.measures.errors();
                errors.map(|(kind, count)| (kind.name().to_ascii_lowercase(), count)).collect()
            },
        ),
    ]
}

fn of_the_events() -> Vec<Metric> {
    let mut metrics: Vec<Metric> = [Counter::Messages, Counter::Ignored].map(counted).into();
    metrics.extend(of_group(Group::Accepted).map(counted));
    metrics.extend([
        labelled(
            Kind::Counter,
            "cxsink_events_total",
            "outcome",
            "Events by outcome: what was received, recovered and replayed, less the pending ones.",
            |snapshot| of_group(Group::Done).map(|outcome| (outcome.name(), snapshot.stats.get(outcome))).collect(),
        ),
        labelled(
            Kind::Counter,
            "cxsink_dead_letters_total",
            "stage",
            "Events kept as dead letters, by the stage that rejected them.",
            |snapshot| snapshot.status.measures.dead_letters().map(|(stage, count)| (stage.name(), count)).collect(),
        ),
        gauge("cxsink_spool_events", &words(Counter::Pending), |snapshot| Some(snapshot.stats.pending)),
        gauge("cxsink_spool_bytes", "The space of the pending events in the spool file.", |snapshot| {
            Some(snapshot.stats.pending_bytes)
        }),
        gauge(
            "cxsink_spool_bytes_max",
            "The limit of that space, `spool.bytes_max`: from there on the sink reads no more.",
            |snapshot| Some(snapshot.spool_bytes_max),
        ),
        gauge(
            "cxsink_spool_oldest_seconds",
            "The lag in time: how long ago the oldest pending event was received. 0 if none is pending.",
            |snapshot| Some(snapshot.oldest_seconds.unwrap_or(0.0)),
        ),
        gauge("cxsink_spool_disk_free_bytes", "The free space of the spool's file system.", |snapshot| {
            snapshot.free_bytes
        }),
        histogram(
            "cxsink_commit_latency_seconds",
            "The time from receipt to commit, of the events received since the sink was opened.",
            |snapshot| snapshot.status.measures.latency_micros.distribution(1e6),
        ),
        histogram("cxsink_batch_events", "The events of one transaction.", |snapshot| {
            snapshot.status.measures.batch_events.distribution(1.0)
        }),
        gauge(
            "cxsink_last_event_timestamp_seconds",
            "When the last event was received, in seconds since 1970-01-01 UTC.",
            |snapshot| snapshot.status.measures.last_event_at().map(seconds),
        ),
        gauge(
            "cxsink_last_commit_timestamp_seconds",
            "When the last transaction was committed, in seconds since 1970-01-01 UTC.",
            |snapshot| snapshot.status.measures.last_commit_at().map(seconds),
        ),
    ]);
    metrics
}

fn of_the_connections() -> Vec<Metric> {
    let mut metrics = vec![
        labelled(
            Kind::Gauge,
            "cxsink_connected",
            "side",
            "The open connections: 1 to the stream, `destination.connections` to the destination.",
            |snapshot| {
                let measures = &snapshot.status.measures;
                let stream = snapshot.has_stream.then(|| ("stream", u64::from(measures.is_stream_connected())));
                stream.into_iter().chain([("destination", measures.destination_connected())]).collect()
            },
        ),
        labelled(
            Kind::Counter,
            "cxsink_reconnects_total",
            "side",
            "Connections opened because one before was lost or closed. One to the stream that takes over before the token expires does not count.",
            |snapshot| {
                let stream = snapshot.has_stream.then_some(("stream", snapshot.stats.reconnects));
                let destination = ("destination", snapshot.status.measures.destination_reconnects());
                stream.into_iter().chain([destination]).collect()
            },
        ),
        counter(
            "cxsink_gaps_total",
            "Times in which events may have been missed: the stream was lost or closed, or the destination lost rows (`cxsink gaps`).",
            |snapshot| snapshot.status.measures.gaps(),
        ),
        gauge(
            "cxsink_token_expires_timestamp_seconds",
            "When the latest token expires, in seconds since 1970-01-01 UTC.",
            |snapshot| snapshot.status.measures.token_expires_at().map(seconds),
        ),
    ];
    // Those that have a metric above.
    let is_there = |counter: &Counter| matches!(counter, Counter::Messages | Counter::Ignored | Counter::Reconnects);
    metrics.extend(of_group(Group::Other).filter(|counter| !is_there(counter)).map(counted));
    metrics
}

fn of_the_process() -> Vec<Metric> {
    let of = |name: &str, help: &str, value: fn(&Process) -> Option<u64>| {
        gauge(name, help, move |snapshot| value(snapshot.process.as_ref()?))
    };
    vec![
        one(
            Kind::Counter,
            "process_cpu_seconds_total",
            "The CPU time of the process, in seconds. Metrics of the process are in the answers of the command line only.",
            |snapshot| snapshot.process.map(|process| process.cpu_seconds),
        ),
        of("process_resident_memory_bytes", "The resident memory of the process.", |process| {
            Some(process.resident_bytes)
        }),
        of("process_virtual_memory_bytes", "The virtual memory of the process.", |process| Some(process.virtual_bytes)),
        of("process_open_fds", "The open file descriptors of the process.", |process| Some(process.open_files)),
        of("process_max_fds", "The limit of the open file descriptors.", |process| process.open_files_max),
        gauge(
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970-01-01 UTC.",
            |snapshot| snapshot.process.map(|process| process.started_at),
        ),
    ]
}

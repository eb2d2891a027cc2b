//! What the sink did, in numbers that add up.
//!
//! Closed accounting: at every quiet moment
//! `received + recovered + replayed = inserted + updated + unchanged + confirmed + collapsed + dead_lettered + pending`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;
use serde_json::json;

use crate::report::notice::Stored;
use crate::threads::sync;

/// A number that [`crate::Sink::counter`] reads without a lock. The numbers are those of the C header and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[non_exhaustive]
pub enum Counter {
    /// Events taken from the stream or given by the application, since the sink was opened.
    Received = 0,
    /// Events found in the spool when it was opened that were not yet applied.
    Recovered = 1,
    /// Events that made a new row.
    Inserted = 2,
    /// Events that changed a row.
    Updated = 3,
    /// Events that left their row as it was (`destination.update` = `changed` or `newer`, or nothing to update).
    Unchanged = 4,
    /// Events whose commit was not answered but was found done afterwards: inserted, updated or unchanged, it is not known which.
    Confirmed = 5,
    /// Events merged with a later one of the same key in the same batch.
    Collapsed = 6,
    /// Events kept as dead letters.
    DeadLettered = 7,
    /// Events in the spool, not yet applied.
    Pending = 8,
    /// Connections to the stream that were opened because the one before was lost or closed. One that takes over before the token
    /// expires (`stream.renew_before_expiry`) is planned and does not count; its token does, as `TokenRenewals`.
    Reconnects = 9,
    /// Tokens fetched after the first.
    TokenRenewals = 10,
    /// Transactions committed.
    Batches = 11,
    /// Notices dropped because the application did not poll in time.
    NoticesDropped = 12,
    /// Dead letters put into the spool again by a replay, since the sink was opened.
    Replayed = 13,
}

impl Counter {
    /// Every counter, in the order of its number.
    pub const ALL: [Self; 14] = [
        Self::Received,
        Self::Recovered,
        Self::Inserted,
        Self::Updated,
        Self::Unchanged,
        Self::Confirmed,
        Self::Collapsed,
        Self::DeadLettered,
        Self::Pending,
        Self::Reconnects,
        Self::TokenRenewals,
        Self::Batches,
        Self::NoticesDropped,
        Self::Replayed,
    ];

    /// The name, as in [`Stats::to_json`], in the C library and in Python.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Recovered => "recovered",
            Self::Inserted => "inserted",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Confirmed => "confirmed",
            Self::Collapsed => "collapsed",
            Self::DeadLettered => "dead_lettered",
            Self::Pending => "pending",
            Self::Reconnects => "reconnects",
            Self::TokenRenewals => "token_renewals",
            Self::Batches => "batches",
            Self::NoticesDropped => "notices_dropped",
            Self::Replayed => "replayed",
        }
    }
}

/// Where the sink stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u32)]
#[non_exhaustive]
pub enum State {
    /// Opened, not started.
    #[default]
    Open = 0,
    /// Working.
    Running = 1,
    /// Reading, but the destination does not take rows; events wait in the spool.
    Stalled = 2,
    /// No longer reading; applying what is spooled.
    Stopping = 3,
    /// Ended in order.
    Closed = 4,
    /// Ended by an error; what is spooled is safe.
    Failed = 5,
}

impl State {
    /// The name, as in notices, in the C library and in Python.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Running => "running",
            Self::Stalled => "stalled",
            Self::Stopping => "stopping",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }

    /// Whether the sink has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Closed | Self::Failed)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A look at the sink's numbers. Counters are explained at [`Counter`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each counter is documented once, at `Counter`")]
pub struct Stats {
    pub state: State,
    pub received: u64,
    pub recovered: u64,
    pub inserted: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub confirmed: u64,
    pub collapsed: u64,
    pub dead_lettered: u64,
    pub pending: u64,
    pub reconnects: u64,
    pub token_renewals: u64,
    pub batches: u64,
    pub notices_dropped: u64,
    pub replayed: u64,
    /// Size of what is in the spool, in bytes.
    pub pending_bytes: u64,
    /// From receipt to commit, of the events committed since the sink was opened.
    pub latency: Latency,
    /// The last error, if there was one.
    pub last_error: Option<String>,
}

/// A distribution of times, in microseconds, exact to one part in a hundred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// Half of the events were faster.
    pub p50_us: u64,
    /// Nine of ten events were faster.
    pub p90_us: u64,
    /// 99 of 100 events were faster.
    pub p99_us: u64,
    /// The slowest event.
    pub max_us: u64,
}

impl Stats {
    /// Whether the accounting closes; always so when nothing is under way.
    pub fn is_balanced(&self) -> bool {
        let settled =
            self.inserted + self.updated + self.unchanged + self.confirmed + self.collapsed + self.dead_lettered;
        self.received + self.recovered + self.replayed == settled + self.pending
    }

    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    pub(crate) fn to_value(&self) -> serde_json::Value {
        json!({
            "state": self.state.name(),
            "received": self.received,
            "recovered": self.recovered,
            "inserted": self.inserted,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "confirmed": self.confirmed,
            "collapsed": self.collapsed,
            "dead_lettered": self.dead_lettered,
            "pending": self.pending,
            "pending_bytes": self.pending_bytes,
            "reconnects": self.reconnects,
            "token_renewals": self.token_renewals,
            "batches": self.batches,
            "notices_dropped": self.notices_dropped,
            "replayed": self.replayed,
            "latency": {
                "p50_us": self.latency.p50_us,
                "p90_us": self.latency.p90_us,
                "p99_us": self.latency.p99_us,
                "max_us": self.latency.max_us,
            },
            "last_error": self.last_error,
        })
    }
}

/// The counters at work. Each is exact by itself; together they balance when nothing is under way.
#[derive(Debug)]
pub(crate) struct Counters {
    values: [AtomicU64; Counter::ALL.len()],
    latency: Mutex<Histogram<u64>>,
    last_error: Mutex<Option<String>>,
}

/// An hour: what takes longer counts as an hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;

impl Counters {
    pub(crate) fn new() -> Self {
        // Two significant digits: 45 KiB, and an error below one part in a hundred.
        #[expect(clippy::expect_used, reason = "fails only for bounds that make no sense, and these are constants")]
        let latency = Histogram::new_with_max(LATENCY_US_MAX, 2).expect("constant bounds");
        Self { values: Default::default(), latency: Mutex::new(latency), last_error: Mutex::default() }
    }

    pub(crate) fn add(&self, counter: Counter, count: u64) {
        self.values[counter as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_stored(&self, stored: &Stored) {
        for (counter, count) in stored.counts() {
            self.add(counter, count);
        }
    }

    pub(crate) fn subtract(&self, counter: Counter, count: u64) {
        self.values[counter as usize].fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn record_latency(&self, micros: u64, events: u64) {
        sync::lock(&self.latency).saturating_record_n(micros, events);
    }

    pub(crate) fn note_error(&self, error: &crate::Error) {
        *sync::lock(&self.last_error) = Some(error.to_string());
    }

    /// `Pending` and its size are the spool's to say.
    pub(crate) fn snapshot(&self, state: State, pending: u64, pending_bytes: u64) -> Stats {
        let latency = {
            let histogram = sync::lock(&self.latency);
            Latency {
                p50_us: histogram.value_at_quantile(0.5),
                p90_us: histogram.value_at_quantile(0.9),
                p99_us: histogram.value_at_quantile(0.99),
                max_us: histogram.max(),
            }
        };
        Stats {
            state,
            received: self.get(Counter::Received),
            recovered: self.get(Counter::Recovered),
            inserted: self.get(Counter::Inserted),
            updated: self.get(Counter::Updated),
            unchanged: self.get(Counter::Unchanged),
            confirmed: self.get(Counter::Confirmed),
            collapsed: self.get(Counter::Collapsed),
            dead_lettered: self.get(Counter::DeadLettered),
            pending,
            reconnects: self.get(Counter::Reconnects),
            token_renewals: self.get(Counter::TokenRenewals),
            batches: self.get(Counter::Batches),
            notices_dropped: self.get(Counter::NoticesDropped),
            replayed: self.get(Counter::Replayed),
            pending_bytes,
            latency,
            last_error: sync::lock(&self.last_error).clone(),
        }
    }
}

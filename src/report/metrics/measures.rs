//! The measures of a sink that its statistics do not have: connections, times, errors by kind, dead letters by stage, distributions.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::error::ErrorKind;
use crate::report::dead_letter::Stage;
use crate::report::metrics::histogram::Histogram;

/// Shared by the threads of a sink. Times are microseconds since 1970-01-01 UTC.
#[derive(Debug)]
pub(crate) struct Measures {
    is_stream_connected: AtomicBool,
    /// A bit for each writer.
    destination_connected: AtomicU64,
    destination_reconnects: AtomicU64,
    token_expires_at: Time,
    last_event_at: Time,
    last_commit_at: Time,
    errors: [AtomicU64; ErrorKind::ALL.len()],
    dead_letters: [AtomicU64; Stage::ALL.len()],
    gaps: AtomicU64,
    pub(super) latency_micros: Histogram,
    pub(super) batch_events: Histogram,
}

/// A time that may be unknown.
#[derive(Debug)]
struct Time(AtomicI64);

const UNKNOWN: i64 = i64::MIN;

impl Time {
    fn note(&self, micros: i64) {
        self.0.store(micros, Relaxed);
    }

    fn get(&self) -> Option<i64> {
        Some(self.0.load(Relaxed)).filter(|micros| *micros != UNKNOWN)
    }
}

impl Default for Time {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

const MS: u64 = 1000;
const SECOND: u64 = 1000 * MS;

/// From what a local database takes to an hour of outage.
static LATENCY_BOUNDS: [u64; 17] = [
    MS,
    5 * MS / 2,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    SECOND,
    5 * SECOND / 2,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    300 * SECOND,
    3600 * SECOND,
];
static BATCH_BOUNDS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

impl Default for Measures {
    fn default() -> Self {
        Self {
            is_stream_connected: AtomicBool::default(),
            destination_connected: AtomicU64::default(),
            destination_reconnects: AtomicU64::default(),
            token_expires_at: Time::default(),
            last_event_at: Time::default(),
            last_commit_at: Time::default(),
            errors: Default::default(),
            dead_letters: Default::default(),
            gaps: AtomicU64::default(),
            latency_micros: Histogram::new(&LATENCY_BOUNDS),
            batch_events: Histogram::new(&BATCH_BOUNDS),
        }
    }
}

impl Measures {
    // ---- noted by the loops ----

    pub(crate) fn note_stream(&self, is_connected: bool) {
        self.is_stream_connected.store(is_connected, Relaxed);
    }

    /// The writer of this number has a connection; `is_again`: it had one before.
    pub(crate) fn note_destination(&self, writer: usize, is_again: bool) {
        self.destination_connected.fetch_or(bit(writer), Relaxed);
        self.destination_reconnects.fetch_add(u64::from(is_again), Relaxed);
    }

    pub(crate) fn note_destination_lost(&self, writer: usize) {
        self.destination_connected.fetch_and(!bit(writer), Relaxed);
    }

    pub(crate) fn note_token(&self, expires_at: i64) {
        self.token_expires_at.note(expires_at);
    }

    /// The spool has events that were received at this time.
    pub(crate) fn note_events(&self, received_at: i64) {
        self.last_event_at.note(received_at);
    }

    /// A transaction with this many events is committed.
    pub(crate) fn note_commit(&self, events: u64, at: i64) {
        self.last_commit_at.note(at);
        self.batch_events.record(events, 1);
    }

    /// Events were committed this long after their receipt.
    pub(crate) fn note_latency(&self, micros: u64, events: u64) {
        self.latency_micros.record(micros, events);
    }

    pub(crate) fn note_error(&self, kind: ErrorKind) {
        increment(&self.errors, &ErrorKind::ALL, &kind);
    }

    pub(crate) fn note_dead_letter(&self, stage: Stage) {
        increment(&self.dead_letters, &Stage::ALL, &stage);
    }

    pub(crate) fn note_gap(&self) {
        self.gaps.fetch_add(1, Relaxed);
    }

    // ---- read by the metrics and the health ----

    pub(crate) fn is_stream_connected(&self) -> bool {
        self.is_stream_connected.load(Relaxed)
    }

    /// The number of writers that have a connection.
    pub(crate) fn destination_connected(&self) -> u64 {
        self.destination_connected.load(Relaxed).count_ones().into()
    }

    pub(super) fn destination_reconnects(&self) -> u64 {
        self.destination_reconnects.load(Relaxed)
    }

    pub(crate) fn token_expires_at(&self) -> Option<i64> {
        self.token_expires_at.get()
    }

    pub(crate) fn last_event_at(&self) -> Option<i64> {
        self.last_event_at.get()
    }

    pub(crate) fn last_commit_at(&self) -> Option<i64> {
        self.last_commit_at.get()
    }

    pub(crate) fn errors(&self) -> impl Iterator<Item = (ErrorKind, u64)> {
        ErrorKind::ALL.into_iter().zip(&self.errors).map(|(kind, count)| (kind, count.load(Relaxed)))
    }

    pub(crate) fn dead_letters(&self) -> impl Iterator<Item = (Stage, u64)> {
        Stage::ALL.into_iter().zip(&self.dead_letters).map(|(stage, count)| (stage, count.load(Relaxed)))
    }

    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Relaxed)
    }
}

fn bit(writer: usize) -> u64 {
    // `destination.connections` is 16 at most.
    1 << (writer % 64)
}

fn increment<T: PartialEq>(counts: &[AtomicU64], all: &[T], one: &T) {
    if let Some(at) = all.iter().position(|known| known == one) {
        counts[at].fetch_add(1, Relaxed);
    }
}

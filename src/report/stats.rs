//! The statistics of a sink. One table, at the end of this file, lists the counters; from it follow the enumeration, the structs,
//! the JSON and the accounting, and the C header and the Python package are tested against it.
//!
//! Closed accounting: whenever no batch is in progress,
//! `received + recovered + replayed = inserted + updated + unchanged + confirmed + coalesced + dead_lettered + superseded + pending`.
//!
//! Messages are accounted for as well: `messages = ignored` + those with events ([`Stats::messages_with_events`]).

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::error::Error;
use crate::report::json::{self, serialize_as_name};
use crate::threads::sync;

/// Makes [`Counter`], [`Stats`] and [`Stored`] from the table of counters: each with its documentation, its number in the C header
/// and its name. The groups are the sides of the accounting: `accepted` = `done` + `waiting`.
macro_rules! statistics {
    (
        accepted { $($(#[doc = $accepted_doc:literal])+ $Accepted:ident = $accepted_number:literal: $accepted:ident,)+ }
        done { $($(#[doc = $done_doc:literal])+ $Done:ident = $done_number:literal: $done:ident,)+ }
        waiting { $($(#[doc = $waiting_doc:literal])+ $Waiting:ident = $waiting_number:literal: $waiting:ident,)+ }
        other { $($(#[doc = $other_doc:literal])+ $Other:ident = $other_number:literal: $other:ident,)+ }
    ) => {
        /// A number that [`crate::Sink::counter`] reads without a lock. The numbers are those of the C header and are never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum Counter {
            $($(#[doc = $accepted_doc])+ $Accepted = $accepted_number,)+
            $($(#[doc = $done_doc])+ $Done = $done_number,)+
            $($(#[doc = $waiting_doc])+ $Waiting = $waiting_number,)+
            $($(#[doc = $other_doc])+ $Other = $other_number,)+
        }

        const COUNT: usize =
            [$($accepted_number,)+ $($done_number,)+ $($waiting_number,)+ $($other_number,)+].len();

        impl Counter {
            /// Every counter, in the order of the accounting.
            pub const ALL: [Self; COUNT] =
                [$(Self::$Accepted,)+ $(Self::$Done,)+ $(Self::$Waiting,)+ $(Self::$Other,)+];

            /// The name, as in [`Stats::to_json`], in the C library and in Python.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Accepted => stringify!($accepted),)+
                    $(Self::$Done => stringify!($done),)+
                    $(Self::$Waiting => stringify!($waiting),)+
                    $(Self::$Other => stringify!($other),)+
                }
            }

            /// The meaning in words, as in this documentation: for a help text.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$Accepted => concat!($($accepted_doc, "\n"),+),)+
                    $(Self::$Done => concat!($($done_doc, "\n"),+),)+
                    $(Self::$Waiting => concat!($($waiting_doc, "\n"),+),)+
                    $(Self::$Other => concat!($($other_doc, "\n"),+),)+
                }
                .trim_ascii()
            }
        }

        impl Counter {
            /// The group of the table below that has it.
            pub(crate) const fn group(self) -> Group {
                match self {
                    $(Self::$Accepted => Group::Accepted,)+
                    $(Self::$Done => Group::Done,)+
                    $(Self::$Waiting => Group::Waiting,)+
                    $(Self::$Other => Group::Other,)+
                }
            }
        }

        /// The statistics of a sink at one moment: its state, every [`Counter`], and what has no counter.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct Stats {
            /// The state of the sink.
            pub state: State,
            $($(#[doc = $accepted_doc])+ pub $accepted: u64,)+
            $($(#[doc = $done_doc])+ pub $done: u64,)+
            $($(#[doc = $waiting_doc])+ pub $waiting: u64,)+
            $($(#[doc = $other_doc])+ pub $other: u64,)+
            /// The space of the pending events in the spool file, in bytes.
            pub pending_bytes: u64,
            /// The time from receipt to commit, of the events committed since the sink was opened.
            pub latency: Latency,
            /// The last error, if there was one.
            pub last_error: Option<String>,
        }

        impl Stats {
            /// One counter.
            pub(crate) const fn get(&self, counter: Counter) -> u64 {
                match counter {
                    $(Counter::$Accepted => self.$accepted,)+
                    $(Counter::$Done => self.$done,)+
                    $(Counter::$Waiting => self.$waiting,)+
                    $(Counter::$Other => self.$other,)+
                }
            }

            /// The counters of several sinks together; `pending_bytes` too, and nothing else.
            #[cfg(feature = "cli")]
            pub(crate) fn sum(all: impl IntoIterator<Item = Self>) -> Self {
                all.into_iter().fold(Self::default(), |sum, one| Self {
                    $($accepted: sum.$accepted + one.$accepted,)+
                    $($done: sum.$done + one.$done,)+
                    $($waiting: sum.$waiting + one.$waiting,)+
                    $($other: sum.$other + one.$other,)+
                    pending_bytes: sum.pending_bytes + one.pending_bytes,
                    ..sum
                })
            }

            /// Whether every accepted event has an outcome or is pending. True whenever no batch is in progress.
            pub fn is_balanced(&self) -> bool {
                let accepted = [$(self.$accepted),+];
                let accounted_for = [$(self.$done,)+ $(self.$waiting),+];
                accepted.iter().sum::<u64>() == accounted_for.iter().sum::<u64>()
            }

            /// The accounting as a formula, for messages and documents: `received + … = inserted + … + pending`.
            pub fn accounting() -> String {
                let accepted = [$(stringify!($accepted)),+].join(" + ");
                let accounted_for = [$(stringify!($done),)+ $(stringify!($waiting)),+].join(" + ");
                format!("{accepted} = {accounted_for}")
            }
        }

        /// The outcomes of the events of one batch.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct Stored {
            $($(#[doc = $done_doc])+ pub $done: u64,)+
        }

        impl Stored {
            /// Each count with the counter that it adds to.
            pub(crate) fn counts(&self) -> [(Counter, u64); [$($done_number),+].len()] {
                [$((Counter::$Done, self.$done)),+]
            }
        }

        impl Counters {
            fn stats(&self) -> Stats {
                Stats {
                    $($accepted: self.get(Counter::$Accepted),)+
                    $($done: self.get(Counter::$Done),)+
                    $($waiting: self.get(Counter::$Waiting),)+
                    $($other: self.get(Counter::$Other),)+
                    ..Stats::default()
                }
            }
        }
    };
}

/// A group of counters: a side of the accounting, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Accepted,
    Done,
    Waiting,
    Other,
}

/// The state of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u32)]
#[non_exhaustive]
pub enum State {
    /// Opened, not started.
    #[default]
    Open = 0,
    /// Events are read and committed.
    Running = 1,
    /// Events are read, but the destination takes no rows, or the spool accepts no events. They wait in the spool or at the server.
    Stalled = 2,
    /// Nothing is read any more; spooled events are being committed.
    Stopping = 3,
    /// Ended as requested.
    Closed = 4,
    /// Ended by an error; spooled events are safe.
    Failed = 5,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 6] = [Self::Open, Self::Running, Self::Stalled, Self::Stopping, Self::Closed, Self::Failed];

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

    /// Whether the sink stops, or has ended.
    #[cfg(feature = "cli")]
    pub(crate) const fn is_ending(self) -> bool {
        matches!(self, Self::Stopping | Self::Closed | Self::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A distribution of durations, exact to one part in a hundred. Serialized as microseconds: `p50_us`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Half of the events were faster.
    #[serde(rename = "p50_us", serialize_with = "json::duration_us")]
    pub p50: Duration,
    /// Nine of ten events were faster.
    #[serde(rename = "p90_us", serialize_with = "json::duration_us")]
    pub p90: Duration,
    /// 99 of 100 events were faster.
    #[serde(rename = "p99_us", serialize_with = "json::duration_us")]
    pub p99: Duration,
    /// The slowest event.
    #[serde(rename = "max_us", serialize_with = "json::duration_us")]
    pub max: Duration,
}

serialize_as_name!(State, Counter);

impl Stats {
    /// The messages of the stream that had events.
    pub fn messages_with_events(&self) -> u64 {
        self.messages.saturating_sub(self.ignored)
    }

    /// The events that have an outcome.
    #[cfg(feature = "cli")]
    pub(crate) fn finished(&self) -> u64 {
        (self.received + self.recovered + self.replayed).saturating_sub(self.pending)
    }

    /// The events that have a row: inserted, updated, unchanged, or one of these.
    pub(crate) fn stored(&self) -> u64 {
        self.inserted + self.updated + self.unchanged + self.confirmed
    }

    /// Everything as one JSON object.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}

/// The main counters in one line for people.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events received, {} stored, {} pending, {} dead letters, {} reconnects",
            self.received,
            self.stored(),
            self.pending,
            self.dead_lettered,
            self.reconnects
        )
    }
}

/// The counts that are not 0, in one line for people.
impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts().into_iter().filter(|(_, count)| *count > 0);
        let counts: Vec<String> =
            counts.map(|(counter, count)| format!("{count} {}", counter.name().replace('_', "-"))).collect();
        if counts.is_empty() { f.write_str("no events") } else { f.write_str(&counts.join(", ")) }
    }
}

/// The live counters, shared by the threads of a sink. Each is exact; together they balance whenever no batch is in progress.
#[derive(Debug)]
pub(crate) struct Counters {
    values: [AtomicU64; Counter::ALL.len()],
    latency: Mutex<Histogram<u64>>,
    last_error: Mutex<Option<String>>,
}

/// One hour; a longer latency is recorded as one hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;

impl Counters {
    pub(crate) fn new() -> Self {
        // Two significant digits: 45 KiB, and an error below one part in a hundred.
        #[expect(clippy::expect_used, reason = "fails only for invalid bounds, and these are constant")]
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

    /// The distribution so far, in microseconds.
    #[cfg(feature = "cli")]
    pub(crate) fn latency(&self) -> Histogram<u64> {
        sync::lock(&self.latency).clone()
    }

    pub(crate) fn note_error(&self, error: &Error) {
        *sync::lock(&self.last_error) = Some(error.to_string());
    }

    #[cfg(feature = "cli")]
    pub(crate) fn last_error(&self) -> Option<String> {
        sync::lock(&self.last_error).clone()
    }

    /// The state and the pending events are known elsewhere: by the status and by the spool.
    pub(crate) fn snapshot(&self, state: State, pending: u64, pending_bytes: u64) -> Stats {
        let latency = {
            let histogram = sync::lock(&self.latency);
            let quantile = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
            Latency {
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                max: Duration::from_micros(histogram.max()),
            }
        };
        let last_error = sync::lock(&self.last_error).clone();
        Stats { state, pending, pending_bytes, latency, last_error, ..self.stats() }
    }
}

statistics! {
    accepted {
        /// Events accepted from the stream or from the application, since the sink was opened.
        Received = 0: received,
        /// Events found in the spool when it was opened that were not committed to the table yet.
        Recovered = 1: recovered,
        /// Events of dead letters appended to the spool again by a replay, since the sink was opened.
        Replayed = 2: replayed,
    }
    done {
        /// Events that made a new row.
        Inserted = 3: inserted,
        /// Events that changed a row.
        Updated = 4: updated,
        /// Events that left their row as it was (`destination.update` = `changed` or `newer`, or nothing to update).
        Unchanged = 5: unchanged,
        /// Events of an in-doubt transaction that turned out to be committed: inserted, updated or unchanged, it is not known which.
        Confirmed = 6: confirmed,
        /// Events coalesced into a later one of the same key in the same batch.
        Coalesced = 7: coalesced,
        /// Events kept as dead letters.
        DeadLettered = 8: dead_lettered,
        /// Replayed events that left their row as it was: a later event of their key had been written.
        Superseded = 14: superseded,
    }
    waiting {
        /// Events in the spool that are not committed to the table yet: the lag.
        Pending = 9: pending,
    }
    other {
        /// Connections to the stream opened because the one before was lost or closed. A planned one, which takes over before the
        /// token expires (`stream.renew_before_expiry`), does not count; its token does, in `token_renewals`.
        Reconnects = 10: reconnects,
        /// Tokens fetched after the first.
        TokenRenewals = 11: token_renewals,
        /// Transactions committed.
        Batches = 12: batches,
        /// Notices dropped because the application did not poll in time.
        NoticesDropped = 13: notices_dropped,
        /// Messages of the stream: those with events, and the ignored ones. A message has one event unless `[event]` says otherwise.
        Messages = 15: messages,
        /// Messages of the stream without an event: answers, heartbeats, those of `stream.ignore`, arrays without elements.
        Ignored = 16: ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_a_number_of_its_own_and_none_is_left_out() {
        let mut numbers = Counter::ALL.map(|counter| counter as usize);
        numbers.sort_unstable();
        assert_eq!(numbers, std::array::from_fn(|number| number));
    }

    #[test]
    fn documents_state_the_accounting_of_the_table() {
        let documents =
            [("stats.rs", include_str!("stats.rs")), ("ARCHITECTURE.md", include_str!("../../ARCHITECTURE.md"))];
        for (name, text) in documents {
            assert!(text.contains(&Stats::accounting()), "{name}: {}", Stats::accounting());
        }
    }

    #[test]
    fn stats_balance_when_every_event_has_an_outcome() {
        let counters = Counters::new();
        for counter in [Counter::Received, Counter::Recovered, Counter::Replayed] {
            counters.add(counter, 7);
        }
        assert!(!counters.snapshot(State::Running, 20, 0).is_balanced());
        assert!(counters.snapshot(State::Running, 21, 0).is_balanced());
        let stored = Stored {
            inserted: 1,
            updated: 2,
            unchanged: 3,
            confirmed: 4,
            coalesced: 5,
            dead_lettered: 6,
            superseded: 0,
        };
        counters.add_stored(&stored);
        assert!(counters.snapshot(State::Closed, 0, 0).is_balanced());
    }

    #[test]
    fn json_has_every_counter_by_its_name() {
        let counters = Counters::new();
        for counter in Counter::ALL {
            counters.add(counter, counter as u64 + 100);
        }
        let pending = Counter::Pending as u64 + 100;
        let json: serde_json::Value =
            serde_json::from_str(&counters.snapshot(State::Open, pending, 0).to_json()).unwrap();
        for counter in Counter::ALL {
            assert_eq!(json[counter.name()], counter as u64 + 100, "{}", counter.name());
        }
    }
}

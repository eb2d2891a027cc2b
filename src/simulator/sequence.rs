//! What the stream consists of: which event is new, which repeats an earlier one, which is invalid.
//!
//! The sequence knows nothing of connections. It depends on the options alone, so a test can walk it without a socket and
//! knows every byte that a lossless reader gets.

use std::time::{SystemTime, UNIX_EPOCH};

use super::body::BodyWriter;
use super::options::{InvalidKind, InvalidMix, SimulatorOptions};
use super::stamp;
use crate::simulator::rng::{Draws, Purpose};

/// One event of the sequence, as little as its bytes can be made from again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// The position for which the body's own parts are drawn.
    pub(super) body: u64,
    /// The position of the first event with this idempotency key.
    pub(super) key: u64,
    pub(super) stamp_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first valid event with its key.
    First,
    Redelivery,
    Update,
    Invalid(InvalidKind),
}

impl Entry {
    pub(super) fn invalid(&self) -> Option<InvalidKind> {
        match self.kind {
            Kind::Invalid(kind) => Some(kind),
            _ => None,
        }
    }
}

/// Shares are drawn in parts of a million.
const WHOLE: u64 = 1_000_000;

#[derive(Debug, Clone)]
pub(super) struct Sequence {
    seed: u64,
    events: Option<u64>,
    position: u64,
    invalid_share: u64,
    redelivery_share: u64,
    update_share: u64,
    invalid_kinds: Vec<InvalidKind>,
    invalid_mix: InvalidMix,
    invalid_count: usize,
    wall_clock: bool,
    /// The latest valid events that are no redeliveries, as a ring.
    recent: Vec<Entry>,
    recent_max: usize,
    recent_next: usize,
}

impl Sequence {
    pub(super) fn new(options: &SimulatorOptions) -> Self {
        Self {
            seed: options.seed,
            events: options.events,
            position: 0,
            invalid_share: if options.invalid_kinds.is_empty() { 0 } else { share(options.invalid_percent) },
            redelivery_share: share(options.redelivery_percent),
            update_share: share(options.update_percent),
            invalid_kinds: options.invalid_kinds.clone(),
            invalid_mix: options.invalid_mix,
            invalid_count: 0,
            wall_clock: options.wall_clock,
            recent: Vec::new(),
            recent_max: options.repeat_window.max(1) as usize,
            recent_next: 0,
        }
    }

    fn plan(&mut self) -> Entry {
        let position = self.position;
        let mut draws = Draws::at(self.seed, Purpose::Plan, position);
        let place = draws.below(WHOLE);
        let entry = |kind, key| Entry { kind, body: position, key, stamp_ms: self.stamp_ms() };

        if place < self.invalid_share {
            return entry(Kind::Invalid(self.next_invalid(&mut draws)), position);
        }
        // The other two need an earlier event; before there is one, every valid event is a first one.
        let earlier = self.recent.get(draws.index(self.recent.len())).copied();
        let place = place - self.invalid_share;
        match earlier {
            Some(earlier) if place < self.redelivery_share => Entry { kind: Kind::Redelivery, ..earlier },
            Some(earlier) if place < self.redelivery_share + self.update_share => {
                let mut update = entry(Kind::Update, earlier.key);
                if draws.one_in(8) {
                    update.stamp_ms = earlier.stamp_ms.saturating_sub(1 + draws.below(60_000));
                }
                update
            }
            _ => entry(Kind::First, position),
        }
    }

    fn next_invalid(&self, draws: &mut Draws) -> InvalidKind {
        let count = self.invalid_kinds.len();
        let index = match self.invalid_mix {
            InvalidMix::RoundRobin => self.invalid_count % count,
            InvalidMix::Random => draws.index(count),
        };
        self.invalid_kinds[index]
    }

    /// A millisecond passes from event to event, unless the wall clock says otherwise.
    fn stamp_ms(&self) -> u64 {
        if !self.wall_clock {
            return stamp::EPOCH_MS + self.position;
        }
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
    }

    fn remember(&mut self, entry: Entry) {
        if self.recent.len() < self.recent_max {
            self.recent.push(entry);
        } else {
            self.recent[self.recent_next] = entry;
            self.recent_next = (self.recent_next + 1) % self.recent_max;
        }
    }
}

impl Iterator for Sequence {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.events == Some(self.position) {
            return None;
        }
        let entry = self.plan();
        self.position += 1;
        match entry.kind {
            Kind::First | Kind::Update => self.remember(entry),
            Kind::Invalid(_) => self.invalid_count += 1,
            Kind::Redelivery => {}
        }
        Some(entry)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and a million")]
fn share(percent: f64) -> u64 {
    (percent.clamp(0.0, 100.0) * 10_000.0).round() as u64
}

/// The events that a simulator with these options sends, in order and without any socket; see [`generate`].
#[derive(Debug, Clone)]
pub struct Events {
    sequence: Sequence,
    body: BodyWriter,
}

impl Iterator for Events {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let entry = self.sequence.next()?;
        let mut bytes = Vec::with_capacity(320);
        self.body.write(&entry, &mut bytes);
        Some(bytes)
    }
}

/// The events that a simulator with these options sends, in order and without any socket.
///
/// It is what a reader gets that loses nothing, apart from the events that
/// [`replay_events`](SimulatorOptions::replay_events) sends again after a reconnect. With
/// [`wall_clock`](SimulatorOptions::wall_clock) the timestamps are those of the call.
///
/// ```
/// use cxsink::simulator::{SimulatorOptions, generate};
///
/// let mut options = SimulatorOptions::default();
/// options.events = Some(3);
/// let events: Vec<Vec<u8>> = generate(&options).collect();
/// assert_eq!(events.len(), 3);
/// assert!(events[0].starts_with(b"{\"interactionId\":"));
/// assert!(generate(&options).eq(events), "the same options give the same bytes");
/// ```
pub fn generate(options: &SimulatorOptions) -> Events {
    Events { sequence: Sequence::new(options), body: body_writer(options) }
}

pub(super) fn body_writer(options: &SimulatorOptions) -> BodyWriter {
    BodyWriter { seed: options.seed, oversize_bytes: options.oversize_bytes as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(change: impl FnOnce(&mut SimulatorOptions)) -> Vec<Entry> {
        let mut options = SimulatorOptions { events: Some(20_000), ..SimulatorOptions::default() };
        change(&mut options);
        Sequence::new(&options).collect()
    }

    fn count(entries: &[Entry], wanted: impl Fn(&Kind) -> bool) -> usize {
        entries.iter().filter(|entry| wanted(&entry.kind)).count()
    }

    #[test]
    fn shares_are_about_as_asked() {
        let all = entries(|o| (o.invalid_percent, o.redelivery_percent, o.update_percent) = (5.0, 20.0, 10.0));
        assert!((900..1100).contains(&count(&all, |kind| matches!(kind, Kind::Invalid(_)))));
        assert!((3800..4200).contains(&count(&all, |kind| *kind == Kind::Redelivery)));
        assert!((1850..2150).contains(&count(&all, |kind| *kind == Kind::Update)));
    }

    #[test]
    fn a_repeat_reaches_back_no_further_than_its_window() {
        let all = entries(|o| (o.redelivery_percent, o.repeat_window) = (50.0, 10));
        let mut firsts = Vec::new();
        for entry in all {
            match entry.kind {
                Kind::First => firsts.push(entry.body),
                _ => assert!(firsts.iter().rev().take(10).any(|body| *body == entry.body)),
            }
        }
    }

    #[test]
    fn only_redeliveries_still_begin_with_a_first_event() {
        let all = entries(|o| o.redelivery_percent = 100.0);
        assert_eq!(count(&all, |kind| *kind == Kind::First), 1);
    }

    #[test]
    fn some_updates_are_older_than_what_they_update() {
        let all = entries(|o| o.update_percent = 50.0);
        let first_stamp = |key: u64| stamp::EPOCH_MS + key;
        let updates = || all.iter().filter(|entry| entry.kind == Kind::Update);
        assert!(updates().any(|update| update.stamp_ms < first_stamp(update.key)));
        assert!(updates().any(|update| update.stamp_ms > first_stamp(update.key)));
    }

    #[test]
    fn kinds_of_invalid_events_take_turns_or_are_drawn() {
        let kinds = vec![InvalidKind::BadDate, InvalidKind::NotJson];
        let turns = entries(|o| (o.invalid_percent, o.invalid_kinds) = (100.0, kinds.clone()));
        let expected: Vec<_> = kinds.iter().copied().cycle().take(turns.len()).map(Some).collect();
        assert_eq!(turns.iter().map(Entry::invalid).collect::<Vec<_>>(), expected);

        let drawn = entries(|o| {
            (o.invalid_percent, o.invalid_kinds, o.invalid_mix) = (100.0, kinds.clone(), InvalidMix::Random);
        });
        assert_ne!(drawn.iter().map(Entry::invalid).collect::<Vec<_>>(), expected);
        assert!((9500..10_500).contains(&count(&drawn, |kind| *kind == Kind::Invalid(InvalidKind::NotJson))));
    }
}

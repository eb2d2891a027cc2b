//! The sequence of events: which one is new, which one repeats an earlier one, which one is invalid.
//!
//! The sequence does not depend on connections, only on the options. So a test can iterate over it without a socket and knows
//! every byte that a lossless reader gets.

use std::time::{SystemTime, UNIX_EPOCH};

use super::entry::{Entry, EntryKind};
use super::options::{InvalidKind, InvalidMix, SimulatorOptions};
use super::profile::EventWriter;
use super::rng::{Purpose, Rng};

/// 2026-01-01T00:00:00Z, the origin of timestamps that the seed decides.
const EPOCH_MS: u64 = 1_767_225_600_000;

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
    /// The latest first events and updates, as a ring.
    recent: Vec<Entry>,
    recent_max: usize,
    recent_next: usize,
}

impl Sequence {
    pub(super) fn new(options: &SimulatorOptions) -> Self {
        let invalid_kinds = options.kinds();
        Self {
            seed: options.seed,
            events: options.events,
            position: 0,
            invalid_share: if invalid_kinds.is_empty() { 0 } else { share(options.invalid_percent) },
            redelivery_share: share(options.redelivery_percent),
            update_share: share(options.update_percent),
            invalid_kinds,
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
        let mut rng = Rng::at(self.seed, Purpose::Plan, position);
        let place = rng.below(WHOLE);
        let entry = |kind, key| Entry { kind, body: position, key, stamp_ms: self.stamp_ms() };

        if place < self.invalid_share {
            return entry(EntryKind::Invalid(self.next_invalid(&mut rng)), position);
        }
        // A redelivery and an update need an earlier event; before that, every valid event is a first one.
        let earlier = self.recent.get(rng.index(self.recent.len())).copied();
        let place = place - self.invalid_share;
        match earlier {
            Some(earlier) if place < self.redelivery_share => Entry { kind: EntryKind::Redelivery, ..earlier },
            Some(earlier) if place < self.redelivery_share + self.update_share => {
                let mut update = entry(EntryKind::Update, earlier.key);
                if rng.one_in(8) {
                    update.stamp_ms = earlier.stamp_ms.saturating_sub(1 + rng.below(60_000));
                }
                update
            }
            _ => entry(EntryKind::First, position),
        }
    }

    fn next_invalid(&self, rng: &mut Rng) -> InvalidKind {
        let count = self.invalid_kinds.len();
        let index = match self.invalid_mix {
            InvalidMix::RoundRobin => self.invalid_count % count,
            InvalidMix::Random => rng.index(count),
        };
        self.invalid_kinds[index]
    }

    /// A millisecond passes from event to event, unless the wall clock says otherwise.
    fn stamp_ms(&self) -> u64 {
        if !self.wall_clock {
            return EPOCH_MS + self.position;
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
            EntryKind::First | EntryKind::Update => self.remember(entry),
            EntryKind::Invalid(_) => self.invalid_count += 1,
            EntryKind::Redelivery => {}
        }
        Some(entry)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held between 0 and a million")]
fn share(percent: f64) -> u64 {
    (percent.clamp(0.0, 100.0) * 10_000.0).round() as u64
}

/// The events of a simulator, in order and without a socket; see [`generate`].
#[derive(Debug, Clone)]
pub struct Events {
    sequence: Sequence,
    writer: EventWriter,
}

impl Iterator for Events {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let entry = self.sequence.next()?;
        let mut bytes = Vec::with_capacity(320);
        self.writer.write(&entry, &mut bytes);
        Some(bytes)
    }
}

/// Returns the events that a simulator with these options sends, in order and without a socket.
///
/// A lossless reader gets exactly these, apart from the events that [`replay_events`](SimulatorOptions::replay_events) sends
/// again after a reconnect. With [`wall_clock`](SimulatorOptions::wall_clock), the timestamps are those of the call.
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
    Events { sequence: Sequence::new(options), writer: EventWriter::new(options) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(change: impl FnOnce(&mut SimulatorOptions)) -> Vec<Entry> {
        let mut options = SimulatorOptions { events: Some(20_000), ..SimulatorOptions::default() };
        change(&mut options);
        Sequence::new(&options).collect()
    }

    fn count(entries: &[Entry], wanted: impl Fn(&EntryKind) -> bool) -> usize {
        entries.iter().filter(|entry| wanted(&entry.kind)).count()
    }

    #[test]
    fn shares_are_close_to_the_options() {
        let all = entries(|o| (o.invalid_percent, o.redelivery_percent, o.update_percent) = (5.0, 20.0, 10.0));
        assert!((900..1100).contains(&count(&all, |kind| matches!(kind, EntryKind::Invalid(_)))));
        assert!((3800..4200).contains(&count(&all, |kind| *kind == EntryKind::Redelivery)));
        assert!((1850..2150).contains(&count(&all, |kind| *kind == EntryKind::Update)));
    }

    #[test]
    fn a_repeat_reaches_back_no_further_than_its_window() {
        let all = entries(|o| (o.redelivery_percent, o.repeat_window) = (50.0, 10));
        let mut firsts = Vec::new();
        for entry in all {
            match entry.kind {
                EntryKind::First => firsts.push(entry.body),
                _ => assert!(firsts.iter().rev().take(10).any(|body| *body == entry.body)),
            }
        }
    }

    #[test]
    fn redeliveries_alone_still_begin_with_a_first_event() {
        let all = entries(|o| o.redelivery_percent = 100.0);
        assert_eq!(count(&all, |kind| *kind == EntryKind::First), 1);
    }

    #[test]
    fn some_updates_are_older_than_the_event_they_update() {
        let all = entries(|o| o.update_percent = 50.0);
        let first_stamp = |key: u64| EPOCH_MS + key;
        let updates = || all.iter().filter(|entry| entry.kind == EntryKind::Update);
        assert!(updates().any(|update| update.stamp_ms < first_stamp(update.key)));
        assert!(updates().any(|update| update.stamp_ms > first_stamp(update.key)));
    }

    #[test]
    fn kinds_of_invalid_events_take_turns_or_are_random() {
        let kinds = vec![InvalidKind::BadDate, InvalidKind::NotJson];
        let turns = entries(|o| (o.invalid_percent, o.invalid_kinds) = (100.0, kinds.clone()));
        let expected: Vec<_> = kinds.iter().copied().cycle().take(turns.len()).map(Some).collect();
        assert_eq!(turns.iter().map(Entry::invalid).collect::<Vec<_>>(), expected);

        let drawn = entries(|o| {
            (o.invalid_percent, o.invalid_kinds, o.invalid_mix) = (100.0, kinds.clone(), InvalidMix::Random);
        });
        assert_ne!(drawn.iter().map(Entry::invalid).collect::<Vec<_>>(), expected);
        assert!((9500..10_500).contains(&count(&drawn, |kind| *kind == EntryKind::Invalid(InvalidKind::NotJson))));
    }
}

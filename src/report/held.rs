//! The lines of a log that would only repeat others: held back, and counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Lines of one kind in one interval; further ones are held back.
const LINES_MAX: u64 = 5;
const INTERVAL: Duration = Duration::from_secs(60);
/// Kinds that are told apart; a kind beyond them counts as one more.
const KINDS_MAX: usize = 50;
const OTHER: &str = "";

/// Lines by kind: the text without its digits, which are addresses, offsets and counts.
#[derive(Debug, Default)]
pub(crate) struct HeldLines(BTreeMap<String, Kind>);

#[derive(Debug)]
struct Kind {
    since: Instant,
    lines: u64,
    held: u64,
}

impl HeldLines {
    /// The number of lines like this that were held back before it; `None` to hold back this one too.
    pub(crate) fn admit(&mut self, line: &str, now: Instant) -> Option<u64> {
        let mut name: String = line.chars().filter(|c| !c.is_ascii_digit()).collect();
        if self.0.len() >= KINDS_MAX && !self.0.contains_key(&name) {
            self.0.retain(|_, kind| now.saturating_duration_since(kind.since) < INTERVAL || kind.held > 0);
            if self.0.len() >= KINDS_MAX {
                OTHER.clone_into(&mut name);
            }
        }
        let kind = self.0.entry(name).or_insert(Kind { since: now, lines: 0, held: 0 });
        if now.saturating_duration_since(kind.since) >= INTERVAL {
            (kind.since, kind.lines) = (now, 0);
        }
        if kind.lines >= LINES_MAX {
            kind.held += 1;
            return None;
        }
        kind.lines += 1;
        Some(std::mem::take(&mut kind.held))
    }

    /// The number of all lines that are held back and not told yet.
    pub(crate) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.0).values().map(|kind| kind.held).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_line_of_a_minute_is_held_back_and_told_with_the_next() {
        let mut lines = HeldLines::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for port in 1..=5 {
            assert_eq!(lines.admit(&format!("connecting to 127.0.0.1:{port}: refused"), at(port)), Some(0));
        }
        for port in 6..=9 {
            assert_eq!(lines.admit(&format!("connecting to 127.0.0.1:{port}: refused"), at(port)), None);
        }
        assert_eq!(lines.admit("another error", at(9)), Some(0));
        assert_eq!(lines.admit("connecting to 127.0.0.1:7: refused", at(61)), Some(4));
        assert_eq!(lines.admit("connecting to 127.0.0.1:7: refused", at(62)), Some(0));
        assert_eq!(lines.take(), 0);
    }

    #[test]
    fn what_is_held_back_at_the_end_is_counted_and_memory_is_bounded() {
        let mut lines = HeldLines::default();
        let now = Instant::now();
        let admitted = (0..10_000_u32).filter(|n| {
            let letters: String = n.to_string().bytes().map(|digit| char::from(digit + 49)).collect();
            lines.admit(&letters, now).is_some()
        });
        let admitted = admitted.count() as u64;
        assert!(lines.0.len() <= KINDS_MAX + 1, "{}", lines.0.len());
        assert_eq!(admitted + lines.take(), 10_000);
    }
}

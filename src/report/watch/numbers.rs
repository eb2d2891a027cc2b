//! Numbers for people.

use indicatif::HumanCount;

use crate::report::stats::Stats;

/// A number with its digits grouped: `1,234,567`.
pub(crate) fn count(number: u64) -> HumanCount {
    HumanCount(number)
}

/// `1 dead letter`, `2 dead letters`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// The numbers that matter most: `1,000 stored`, `2 pending`, `1 dead letter`.
pub(crate) fn totals(stats: &Stats) -> [String; 3] {
    [
        format!("{} stored", count(stats.stored())),
        format!("{} pending", count(stats.pending)),
        counted(stats.dead_lettered, "dead letter"),
    ]
}

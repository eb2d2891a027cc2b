//! Numbers for people.

use indicatif::HumanCount;

/// A number with its digits grouped: `1,234,567`.
pub(crate) fn count(number: u64) -> HumanCount {
    HumanCount(number)
}

/// `1 dead letter`, `2 dead letters`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

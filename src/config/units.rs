//! Durations and sizes as text: a whole number and a unit.
//!
//! A duration without a unit is refused: readers disagree on whether `30` means seconds or milliseconds. A size without a unit is
//! in bytes.

use std::time::Duration;

use crate::error::{Error, Result};

/// Largest first: a duration is shown in the largest unit that divides it.
const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Binary units first, so that 64 MiB is shown in MiB.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// `"30s"`, `"500ms"`, `"2m"`, `"1h"`, `"30d"`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration> {
    let (number, unit) = split(text);
    let bad = |reason: &str| {
        Error::config(format!("{} {reason}", shown(text)))
            .with_hint(r#"write a whole number and its unit, such as "500ms", "30s", "2m", "1h" or "30d""#)
    };
    if number.is_empty() {
        return Err(bad("is not a duration"));
    }
    if unit.is_empty() {
        return Err(unitless_duration(number));
    }
    let Some((_, unit_ms)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(bad("is not a duration"));
    };
    let ms = number.parse::<u64>().ok().and_then(|n| n.checked_mul(*unit_ms)).ok_or_else(|| bad("is too long"))?;
    Ok(Duration::from_millis(ms))
}

/// The error about a duration that is only a number.
pub(super) fn unitless_duration(number: &str) -> Error {
    let number: String = number.chars().take(20).collect();
    Error::config(format!("{number} has no unit"))
        .with_hint(format!(r#"write "{number}s" for seconds or "{number}ms""#))
}

pub(super) fn show_duration(duration: Duration) -> String {
    let Ok(ms) = u64::try_from(duration.as_millis()) else { return format!("{duration:?}") };
    if duration != Duration::from_millis(ms) {
        return format!("{duration:?}");
    }
    if ms == 0 {
        return "0s".into();
    }
    show(ms, &DURATION_UNITS)
}

/// `"64MiB"`, `"1GiB"`, `"500KB"`; without a unit: bytes.
pub(super) fn parse_size(text: &str) -> Result<u64> {
    let (number, unit) = split(text);
    let bad = |reason: &str| {
        Error::config(format!("{} {reason}", shown(text)))
            .with_hint(r#"write a whole number and its unit, such as "64MiB", "1GiB" or "500KB""#)
    };
    let unit = if unit.is_empty() { "B" } else { unit };
    let bytes = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| *bytes);
    let (false, Some(unit_bytes)) = (number.is_empty(), bytes) else { return Err(bad("is not a size")) };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_bytes)).ok_or_else(|| bad("is too large"))
}

pub(super) fn show_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0B".into();
    }
    show(bytes, &SIZE_UNITS)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let unit = units.iter().find(|(_, size)| amount.is_multiple_of(*size));
    unit.map_or_else(|| amount.to_string(), |(name, size)| format!("{}{name}", amount / size))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// A value for a message: quoted, and never long. Not for secrets.
pub(super) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().nth(CHARS_MAX).is_none() {
        return format!("{text:?}");
    }
    let start: String = text.chars().take(CHARS_MAX).collect();
    format!("{start:?}…")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read() {
        let check =
            |text: &str, ms: u64| assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        check("500ms", 500);
        check("30s", 30_000);
        check("2m", 120_000);
        check("1h", 3_600_000);
        check("30d", 2_592_000_000);
        check(" 5 s ", 5_000);
        check("0s", 0);
    }

    #[test]
    fn other_text_than_a_duration_is_refused() {
        let check = |text: &str, reason: &str| {
            let error = parse_duration(text).unwrap_err();
            assert!(error.message().contains(reason), "{text}: {error:?}");
            assert!(error.hint().is_some(), "{text}");
        };
        check("30", "30 has no unit");
        check("", "is not a duration");
        check("s", "is not a duration");
        check("-1s", "is not a duration");
        check("1.5s", "is not a duration");
        check("3 weeks", "is not a duration");
        check("1H", "is not a duration");
        check("99999999999999999999s", "is too long");
        check("18446744073709551615h", "is too long");
    }

    #[test]
    fn sizes_are_read() {
        let check = |text: &str, bytes: u64| assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        check("64MiB", 64 << 20);
        check("1GiB", 1 << 30);
        check("500KB", 500_000);
        check("500kb", 500_000);
        check("4 TiB", 4 << 40);
        check("1048576", 1 << 20);
        check("0", 0);
    }

    #[test]
    fn other_text_than_a_size_is_refused() {
        for text in ["", "MiB", "-1", "1.5GiB", "64M", "64Mbit", "1 MiB 2", "99999999999999999999", "16777216TiB"] {
            let error = parse_size(text).unwrap_err();
            assert!(error.hint().is_some(), "{text}: {error:?}");
        }
    }

    #[test]
    fn the_largest_unit_that_fits_is_shown() {
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_secs(7200)), "2h");
        assert_eq!(show_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(show_duration(Duration::ZERO), "0s");
        assert_eq!(show_duration(Duration::from_micros(1500)), "1.5ms");
        assert_eq!(show_size(64 << 20), "64MiB");
        assert_eq!(show_size(500_000), "500KB");
        assert_eq!(show_size(1_048_577), "1048577B");
    }

    proptest! {
        #[test]
        fn a_shown_duration_reads_back(ms in any::<u64>()) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)).unwrap(), duration);
        }

        #[test]
        fn a_shown_size_reads_back(bytes in any::<u64>()) {
            prop_assert_eq!(parse_size(&show_size(bytes)).unwrap(), bytes);
        }

        #[test]
        fn a_shown_size_in_round_numbers_reads_back(n in 0_u64..2000, shift in 0_u32..41) {
            let bytes = n << shift;
            prop_assert_eq!(parse_size(&show_size(bytes)).unwrap(), bytes);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}

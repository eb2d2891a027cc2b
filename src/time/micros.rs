//! Times as microseconds since 1970-01-01 UTC: the form in which the spool, the JSON and the C library keep them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time at these microseconds since 1970-01-01 UTC.
pub(crate) fn to_time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

/// Microseconds since 1970-01-01 UTC, rounded toward it; negative before.
pub(crate) fn from_time(time: SystemTime) -> i64 {
    let micros = |distance: Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    }
}

/// As seconds, with a fraction.
#[cfg(feature = "cli")]
#[expect(clippy::cast_precision_loss, reason = "to be shown")]
pub(crate) fn to_seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_survive_the_way_through_a_time() {
        for micros in [0, 1, -1, 1_700_000_000_123_456, -62_135_596_800_000_000] {
            assert_eq!(from_time(to_time(micros)), micros);
        }
    }
}

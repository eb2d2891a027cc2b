//! The wait that a server requests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For a 429 without `Retry-After`.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);
/// The limit of the wait that a server requests.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long to wait by `Retry-After` (RFC 9110 section 10.2.3: seconds or an HTTP date), at most a minute; five seconds
/// when it is absent or makes no sense.
pub(crate) fn retry_after(header: Option<&str>, unix_micros: i64) -> Duration {
    let Some(value) = header.map(str::trim) else {
        return RETRY_AFTER_DEFAULT;
    };
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        // More digits than fit: longer than the cap in any case.
        Some(value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs))
    } else {
        httpdate::parse_http_date(value).ok().map(|date| date.duration_since(time_at(unix_micros)).unwrap_or_default())
    };
    wait.unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_MAX)
}

fn time_at(unix_micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(unix_micros.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 2026-11-22 00:00:00 UTC
        let now = 1_795_305_600_000_000;
        let check = |header: Option<&str>, seconds: u64| {
            assert_eq!(retry_after(header, now), Duration::from_secs(seconds), "{header:?}");
        };
        check(None, 5);
        check(Some(""), 5);
        check(Some("soon"), 5);
        check(Some("-1"), 5);
        check(Some("1.5"), 5);
        check(Some("0"), 0);
        check(Some(" 7 "), 7);
        check(Some("3600"), 60);
        check(Some("99999999999999999999999"), 60);
        check(Some("Sun, 22 Nov 2026 00:00:09 GMT"), 9);
        check(Some("Sun, 22 Nov 2026 01:00:00 GMT"), 60);
        check(Some("Sat, 21 Nov 2026 00:00:00 GMT"), 0);
        check(Some("Sun, 99 Nov 2026 00:00:00 GMT"), 5);
    }
}

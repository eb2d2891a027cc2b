//! The wait that a server requests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tungstenite::http::{HeaderMap, HeaderName, header};

/// For a 429 without `Retry-After`, and for a time that has passed.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);
/// The limit of the wait that a server requests.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// The wait that a response requests, whatever its status; `None` if it requests none. A 429 without `Retry-After` means five seconds.
/// No wait is shorter than `wait_min`: several requests at once are what the server has just refused.
pub(crate) fn requested_wait(
    status: u16,
    headers: &HeaderMap,
    unix_micros: i64,
    wait_min: Duration,
) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after = text(header::RETRY_AFTER).map(str::trim);
    if retry_after.is_none() && status != 429 {
        return None;
    }
    // The difference between two times of the server is right even if its clock is not.
    let now = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let wait = retry_after.and_then(|value| parse(value, now.unwrap_or_else(|| time_at(unix_micros))));
    Some(wait.unwrap_or(RETRY_AFTER_DEFAULT).clamp(wait_min.min(RETRY_AFTER_MAX), RETRY_AFTER_MAX))
}

/// RFC 9110 section 10.2.3: seconds or an HTTP date; `None` when it makes no sense or has passed, as by a clock that is wrong.
fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit: longer than the limit in any case.
        return Some(value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    date.duration_since(now).ok().filter(|wait| !wait.is_zero())
}

fn time_at(unix_micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(unix_micros.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 00:00:00 UTC
    const NOW: i64 = 1_795_305_600_000_000;

    fn wait(status: u16, headers: &[(HeaderName, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        requested_wait(status, &headers, NOW, Duration::from_secs(1)).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let check = |value: &str, seconds: u64| {
            assert_eq!(wait(429, &[(header::RETRY_AFTER, value)]), Some(seconds), "{value:?}");
        };
        check("", 5);
        check("soon", 5);
        check("-1", 5);
        check("1.5", 5);
        check("0", 1);
        check(" 7 ", 7);
        check("3600", 60);
        check("99999999999999999999999", 60);
        check("Sun, 22 Nov 2026 00:00:09 GMT", 9);
        check("Sun, 22 Nov 2026 01:00:00 GMT", 60);
        check("Sat, 21 Nov 2026 00:00:00 GMT", 5);
        check("Sun, 22 Nov 2026 00:00:00 GMT", 5);
        check("Sun, 99 Nov 2026 00:00:00 GMT", 5);
    }

    #[test]
    fn every_status_can_request_a_wait() {
        for status in [403, 429, 500, 502, 503] {
            assert_eq!(wait(status, &[(header::RETRY_AFTER, "7")]), Some(7), "{status}");
        }
        assert_eq!((wait(429, &[]), wait(503, &[])), (Some(5), None));
    }

    #[test]
    fn a_server_with_a_wrong_clock_gets_the_wait_that_it_means() {
        let date = "Tue, 22 Nov 2022 00:00:00 GMT";
        let headers = [(header::DATE, date), (header::RETRY_AFTER, "Tue, 22 Nov 2022 00:00:20 GMT")];
        assert_eq!(wait(503, &headers), Some(20));
    }
}

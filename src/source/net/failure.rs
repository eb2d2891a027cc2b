//! What a peer's answer may look like in an error, and how long it asks us to wait.
//!
//! A peer can send anything: long pages, terminal escapes, even our own request with its secrets. Everything that an error
//! repeats goes through [`shown`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// When a 429 does not say how long to wait.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);
/// However long the peer asks for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Makes foreign text fit for one line of an error: `secrets` become `***`, control characters are escaped, and what is
/// longer than `chars_max` is cut.
pub(crate) fn shown(text: &[u8], secrets: &[&str], chars_max: usize) -> String {
    let mut text = String::from_utf8_lossy(text).into_owned();
    // Before cutting, so that no part of a secret is left at the end.
    for secret in secrets {
        for spelling in spellings(secret) {
            text = text.replace(&spelling, "***");
        }
    }
    let mut line = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == chars_max {
            line.push('…');
            break;
        }
        if c.is_control() || is_reordering(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// What a refusal said, behind `what`: where it redirects to, and its body.
pub(crate) fn refusal(what: &str, location: Option<&[u8]>, body: &[u8], secrets: &[&str], chars_max: usize) -> String {
    let redirect = location.map_or_else(String::new, |location| {
        // A query may hold anything.
        let place = location.split(|byte| b"?#".contains(byte)).next().unwrap_or_default();
        format!(", a redirect to {}", shown(place, secrets, 200))
    });
    let body = shown(body, secrets, chars_max);
    let body = if body.is_empty() { body } else { format!(": {body}") };
    format!("{what}{redirect}{body}")
}

/// As it is, as in a URL or a form, and as in JSON: the ways in which a server may send a value back. Longest first.
pub(crate) fn spellings(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();
    let mut spellings = vec![percent_encoded(secret), form_encoded(secret), json, secret.to_owned()];
    spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    spellings.dedup();
    spellings
}

/// A value in a form (`application/x-www-form-urlencoded`).
pub(crate) fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// All but the unreserved characters (RFC 3986 section 2.3) are encoded.
fn percent_encoded(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Characters that make a terminal show a line in another order than it has.
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

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
    fn foreign_text_becomes_one_harmless_line() {
        let check = |text: &[u8], expected: &str| assert_eq!(shown(text, &["s3cr&t \"x", ""], 20), expected);
        check(b"plain", "plain");
        check(b" a\r\nb\x1b[31m\xff ", "a\\r\\nb\\u{1b}[31m\u{fffd}");
        check("a\u{202e}b".as_bytes(), "a\\u{202e}b");
        check(b"aaaaaaaaaaaaaaaaaaaaXX", "aaaaaaaaaaaaaaaaaaaa…");
        check(b"[s3cr&t \"x] [s3cr&t \\\"x]", "[***] [***]");
        check(b"[s3cr%26t%20%22x] [s3cr%26t+%22x]", "[***] [***]");
        check(b"aaaaaaaaaaaaaaas3cr&t \"x", "aaaaaaaaaaaaaaa***");
    }

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

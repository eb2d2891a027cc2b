//! Text of a server in an error of ours.
//!
//! A server can send anything, even our own request with its secrets. Everything that an error repeats goes through [`shown`].

use crate::config::percent::{RESERVED, encode, encode_in_form};
use crate::error::foreign_text::one_line;

/// Makes a server's text fit for one line of an error: `secrets` become `***`, and [`one_line`] does the rest.
pub(crate) fn shown(text: &[u8], secrets: &[&str], chars_max: usize) -> String {
    let mut text = String::from_utf8_lossy(text).into_owned();
    // Before cutting, so that no part of a secret is left at the end.
    for secret in secrets {
        for spelling in spellings(secret) {
            text = text.replace(&spelling, "***");
        }
    }
    one_line(text.trim(), chars_max).into_owned()
}

/// As it is, as in a URL or a form, as in JSON, and as in JSON that is a text in JSON: the ways in which a server may send a value back.
/// Longest first.
pub(crate) fn spellings(secret: &str) -> Vec<String> {
    if secret.is_empty() {
        return Vec::new();
    }
    let mut spellings = vec![encode(secret, RESERVED), encode_in_form(secret), secret.to_owned()];
    let once = in_json(secret);
    spellings.extend(once.iter().flat_map(|json| in_json(json)));
    spellings.extend(once);
    spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
    spellings.dedup();
    spellings
}

/// Within a JSON string. Python's JSON is ASCII, PHP's too, and PHP escapes slashes.
fn in_json(text: &str) -> Vec<String> {
    let json = serde_json::Value::from(text).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let spellings = [ascii(&json, false), ascii(&json, true), json];
    spellings.into_iter().flat_map(|json| [json.replace('/', "\\/"), json]).collect()
}

/// A JSON text in ASCII.
fn ascii(json: &str, is_upper: bool) -> String {
    let escape = |unit: &u16| if is_upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    let plain =
        |c: char| if c.is_ascii() { c.to_string() } else { c.encode_utf16(&mut [0; 2]).iter().map(escape).collect() };
    json.chars().map(plain).collect()
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
        let spelt = |text: &str| shown(text.as_bytes(), &["a/\u{fc}\u{1f600}\""], 99);
        for text in ["a/\u{fc}\u{1f600}\\\"", r#"a\/\u00fc\ud83d\ude00\""#, r#"a/\u00FC\uD83D\uDE00\""#] {
            assert_eq!(spelt(&format!("<{text}>")), "<***>");
            let twice = serde_json::Value::from(text).to_string();
            assert_eq!(spelt(&format!("<{}>", &twice[1..twice.len() - 1])), "<***>");
        }
        check(b"aaaaaaaaaaaaaaas3cr&t \"x", "aaaaaaaaaaaaaaa***");
    }
}

//! Text from outside - of a database, a server, a file, an event, the name of a file - fit to be shown.
//!
//! Such a text can hold anything: escape sequences that rewrite a terminal, line breaks that forge lines of a log, characters that show a line
//! in another order than it has, a megabyte. [`one_line`] is the one function that makes it harmless. [`Error`](crate::error::Error) and
//! [`Finding`](crate::report::finding::Finding) apply it to all that they are given, the command line to each cell and each line of the log.
//! Where a text may hold a secret or a payload, harmless is not enough: it is not shown at all, or
//! [`server_text`](crate::net::server_text) hides the secret in it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest message of an error: several servers' reasons, each cut, fit into it.
pub(crate) const MESSAGE_CHARS_MAX: usize = 4000;
/// The longest name: of a column or a constraint, or the path to a member.
pub(crate) const NAME_CHARS_MAX: usize = 300;

/// The text on one line that shows what it holds: control characters, line breaks and invisible characters are escaped as in Rust. A text of
/// more than `chars_max` characters is cut, and ends with `…` then.
pub(crate) fn one_line(text: &str, chars_max: usize) -> Cow<'_, str> {
    let cut = if text.len() <= chars_max { None } else { text.char_indices().nth(chars_max) };
    let (shown, is_cut) = cut.map_or((text, false), |(end, _)| (&text[..end], true));
    if !is_cut && !shown.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(shown.len() + 3);
    for c in shown.chars() {
        match c {
            '\n' | '\r' | '\t' => line.extend(c.escape_default()),
            c if is_harmful(c) => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    if is_cut {
        line.push('…');
    }
    Cow::Owned(line)
}

/// As [`one_line`], for a text of the caller's own.
pub(crate) fn into_one_line(text: String, chars_max: usize) -> String {
    let line = match one_line(&text, chars_max) {
        Cow::Borrowed(_) => None,
        Cow::Owned(line) => Some(line),
    };
    line.unwrap_or(text)
}

/// The reason with N for each number, such as the column of a syntax error: it differs among dead letters of one cause.
pub(crate) fn without_numbers(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    let mut is_in_word = false;
    for c in reason.chars() {
        if c.is_ascii_digit() && !is_in_word && !text.ends_with("SQLSTATE ") {
            if !text.ends_with('N') {
                text.push('N');
            }
            continue;
        }
        // A digit of a name, such as column c1 or SHA-256, stays.
        is_in_word = c.is_alphanumeric() || c == '_' || (c == '-' && is_in_word);
        text.push(c);
    }
    text
}

/// Control characters, and those of Unicode that break a line, change its order or are invisible.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_text_becomes_one_harmless_line() {
        let check = |text: &str, expected: &str| assert_eq!(one_line(text, 20), expected);
        check("", "");
        check("plain é 漢 👩\u{200d}👩", "plain é 漢 👩\u{200d}👩");
        check("a\r\nb\tc", r"a\r\nb\tc");
        check("\u{1b}[31m\0\u{9b}", r"\u{1b}[31m\u{0}\u{9b}");
        check("a\u{202e}b\u{2028}c", r"a\u{202e}b\u{2028}c");
        check("\u{feff}\u{e0041}", r"\u{feff}\u{e0041}");
        check(r"C:\n", r"C:\n");
        check("aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaa");
        check("aaaaaaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaa…");
        check("éééééééééééééééééééé", "éééééééééééééééééééé");
    }

    #[test]
    fn a_long_text_is_not_copied_whole() {
        assert_eq!(one_line(&"\u{1b}".repeat(1 << 20), 3), "\\u{1b}\\u{1b}\\u{1b}…");
    }

    proptest! {
        #[test]
        fn the_line_has_nothing_harmful_and_stays_as_it_is(text in any::<String>(), chars_max in 0_usize..40) {
            let line = one_line(&text, chars_max);
            prop_assert!(!line.contains(is_harmful));
            prop_assert!(line.chars().count() <= chars_max * 10 + 1);
            prop_assert_eq!(one_line(&line, usize::MAX), line.as_ref());
        }
    }
}

//! Connection strings of the form `host=db dbname=cx` (PostgreSQL manual, 34.1.1.1, "Keyword/Value Connection Strings").

use crate::error::{Error, Result};

/// Whether the text has this form: as in libpq, an equals sign comes before any scheme.
pub(super) fn is_pairs(text: &str) -> bool {
    match (text.find('='), text.find("://")) {
        (Some(equals), Some(scheme)) => equals < scheme,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// The names and values in their order. Errors never quote the text: any part of it may belong to the password.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(bad("a name has no `=` after it").with_hint("put a value that holds spaces in single quotes"));
        };
        if name.is_empty() {
            return Err(bad("an `=` has no name before it"));
        }
        let (value, after) = value(after.trim_start())?;
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// The value at the beginning, and the text after it.
fn value(text: &str) -> Result<(String, &str)> {
    let (text, is_quoted) = match text.strip_prefix('\'') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if is_quoted => return Ok((value, &text[at + 1..])),
            c if c.is_whitespace() && !is_quoted => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if is_quoted {
        return Err(bad("a quote is not closed").with_hint("write `'` and `\\` within a value as \\' and \\\\"));
    }
    Ok((value, ""))
}

/// The text in a normal form, with `***` in place of each secret.
pub(super) fn without_secrets(text: &str) -> String {
    let Ok(pairs) = pairs(text) else { return "***".into() };
    let shown = pairs.into_iter().map(|(name, value)| {
        let value = if is_secret(&name) { "***".into() } else { quoted(value) };
        format!("{name}={value}")
    });
    shown.collect::<Vec<_>>().join(" ")
}

pub(super) fn is_secret(name: &str) -> bool {
    name.ends_with("password") || name.ends_with("secret")
}

fn quoted(value: String) -> String {
    let is_plain = |c: char| !c.is_whitespace() && c != '\'' && c != '\\';
    if !value.is_empty() && value.chars().all(is_plain) {
        return value;
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn bad(reason: &str) -> Error {
    Error::config(format!("is not a connection string: {reason}"))
        .with_hint("write it as `host=db port=5432 dbname=cx user=me`, or as postgresql://me@db:5432/cx")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(String, String)> {
        pairs(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn names_and_values_in_every_form() {
        let cases: [(&str, &[(&str, &str)]); 9] = [
            ("", &[]),
            ("host=db", &[("host", "db")]),
            ("host=db  port = 5433\n\tdbname=cx ", &[("host", "db"), ("port", "5433"), ("dbname", "cx")]),
            ("password='a b'", &[("password", "a b")]),
            (r"password='it\'s \\'user=me", &[("password", r"it's \"), ("user", "me")]),
            (r"password=a\ b\\ user=me", &[("password", r"a b\"), ("user", "me")]),
            ("password='' user=me", &[("password", ""), ("user", "me")]),
            ("password= user=me", &[("password", "user=me")]),
            ("options='-c a=b'", &[("options", "-c a=b")]),
        ];
        for (text, expected) in cases {
            let found = read(text);
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_a_hint_and_not_shown() {
        for text in ["hunter2", "host=db hunter2", "=hunter2", "password='hunter2", "host=db password=hunter2 x y"] {
            let error = pairs(text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert!(error.hint().is_some(), "{text}");
        }
    }

    #[test]
    fn an_equals_sign_before_any_scheme_means_pairs() {
        for (text, expected) in [
            ("host=db", true),
            ("password=a://b", true),
            ("mysql://db/cx?x=y", false),
            ("db", false),
            ("postgresql+asyncpg://db/cx", false),
        ] {
            assert_eq!(is_pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn secrets_are_hidden_and_the_rest_is_shown() {
        let text = r"host=/run/x password='hunter 2' sslpassword=hunter user='a b' options=''";
        assert_eq!(without_secrets(text), r"host=/run/x password=*** sslpassword=*** user='a b' options=''");
        assert_eq!(without_secrets("password=hunter 2"), "***");
    }

    proptest! {
        #[test]
        fn any_value_arrives(values in prop::collection::vec("[ -~é\n]{0,12}", 1..4)) {
            let text: Vec<_> = values.iter().map(|value| format!("user={}", quoted(value.clone()))).collect();
            let expected: Vec<_> = values.iter().map(|value| ("user".to_owned(), value.clone())).collect();
            prop_assert_eq!(read(&text.join(" ")), expected);
        }
    }
}

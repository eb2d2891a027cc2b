//! Patterns with the meaning of ECMA 262, which JSON Schema prescribes.
//!
//! The library translates character classes (`\d`, `\w`, `\s`, `.`). Here follow the parts that our engine reads in another way or not at
//! all: word boundaries are those of ASCII, `\<` and `\>` are the characters themselves, `[]` matches nothing and `[^]` everything.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::rows::schema::walk::visit_mut;

/// Translates each pattern of a schema; returns the translated ones with their originals.
pub(super) fn translate_all(document: &mut Json) -> BTreeMap<String, String> {
    let mut originals = BTreeMap::new();
    let mut translated = |pattern: &str| {
        let translation = translate(pattern)?;
        originals.insert(translation.clone(), pattern.to_owned());
        Some(translation)
    };
    visit_mut(document, &mut |schema| {
        if let Some(Json::String(pattern)) = schema.get_mut("pattern")
            && let Some(translation) = translated(pattern)
        {
            *pattern = translation;
        }
        if let Some(Json::Object(patterns)) = schema.get_mut("patternProperties")
            && patterns.keys().any(|pattern| translate(pattern).is_some())
        {
            let renamed: Map<String, Json> = std::mem::take(patterns)
                .into_iter()
                .map(|(pattern, schema)| (translated(&pattern).unwrap_or(pattern), schema))
                .collect();
            *patterns = renamed;
        }
    });
    originals
}

/// The pattern in the syntax of our engine; `None` if it is the same.
fn translate(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let (token, replacement) = match c {
            '\\' => {
                let token = escape(rest);
                (token, translate_escape(token, in_class))
            }
            '[' if !in_class => match ["[^]", "[]"].into_iter().find(|empty| rest.starts_with(empty)) {
                Some("[^]") => ("[^]", Some(r"[\s\S]".to_owned())),
                Some(empty) => (empty, Some(r"[^\s\S]".to_owned())),
                None => {
                    in_class = true;
                    ("[", None)
                }
            },
            ']' => {
                in_class = false;
                ("]", None)
            }
            c => (&rest[..c.len_utf8()], None),
        };
        out.push_str(replacement.as_deref().unwrap_or(token));
        rest = &rest[token.len()..];
    }
    (out != pattern).then_some(out)
}

/// The escape sequence at the beginning of a text: two characters, or the two halves of a surrogate pair.
fn escape(text: &str) -> &str {
    if surrogates(text).is_some() {
        return &text[..12];
    }
    let end = text.char_indices().nth(2).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

fn translate_escape(token: &str, in_class: bool) -> Option<String> {
    Some(match (token, in_class) {
        // In a class, \b is the backspace.
        (r"\b", true) => r"\x08".into(),
        (r"\b", false) => r"(?-u:\b)".into(),
        (r"\B", false) => r"(?-u:\B)".into(),
        (r"\<" | r"\>", _) => token[1..].to_owned(),
        (r"\0", _) => r"\x00".into(),
        _ => format!(r"\u{{{:x}}}", surrogates(token)? as u32),
    })
}

/// The character of a surrogate pair, such as `\uD83D\uDE00`.
fn surrogates(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix(r"\u")?.get(..4)?, 16).ok();
    let units = [unit(text)?, unit(text.get(6..)?)?];
    (0xD800..0xDC00).contains(&units[0]).then_some(())?;
    char::decode_utf16(units).next()?.ok()
}

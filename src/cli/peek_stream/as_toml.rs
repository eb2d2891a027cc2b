//! Texts and patterns as TOML, fit to be read and to be put into a configuration file.

use serde_json::Value;

use crate::config::MessagePattern;

/// A text as TOML, without escapes where that is possible.
pub(super) fn text(text: &str) -> String {
    if text.contains(|c: char| c == '\'' || c.is_control()) {
        // JSON's escapes are TOML's, but for a slash, which is not escaped here.
        return Value::from(text).to_string().replace('\u{7f}', "\\u007f");
    }
    let quote = if text.contains(['"', '\\']) { '\'' } else { '"' };
    format!("{quote}{text}{quote}")
}

/// A pattern as TOML.
pub(super) fn shown(pattern: &MessagePattern) -> String {
    match pattern {
        MessagePattern::Text(whole) => text(whole),
        MessagePattern::CloseCode(code) => format!("{{ close_code = {code} }}"),
        MessagePattern::Member { pointer, equals } => {
            let values: Vec<_> =
                equals.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), text)).collect();
            match values.as_slice() {
                [] => format!("{{ pointer = {} }}", text(pointer)),
                [one] => format!("{{ pointer = {}, equals = {one} }}", text(pointer)),
                values => format!("{{ pointer = {}, equals = [{}] }}", text(pointer), values.join(", ")),
            }
        }
    }
}

/// Patterns of one pointer become one.
pub(super) fn list<'a>(patterns: impl Iterator<Item = &'a MessagePattern>) -> String {
    let mut merged: Vec<MessagePattern> = Vec::new();
    for pattern in patterns {
        if !merged.iter_mut().any(|known| merge(known, pattern)) {
            merged.push(pattern.clone());
        }
    }
    format!("[{}]", merged.iter().map(shown).collect::<Vec<_>>().join(", "))
}

/// Makes `known` match what `other` matches, if one pattern can; true if it does.
fn merge(known: &mut MessagePattern, other: &MessagePattern) -> bool {
    match (&mut *known, other) {
        (MessagePattern::Member { pointer, equals }, MessagePattern::Member { pointer: same, equals: values })
            if pointer == same && !equals.is_empty() && !values.is_empty() =>
        {
            for value in values {
                if !equals.contains(value) {
                    equals.push(value.clone());
                }
            }
            true
        }
        _ => known == other,
    }
}

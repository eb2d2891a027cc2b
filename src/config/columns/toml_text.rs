//! Pieces of TOML on one line, and of the shorter text form.

use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};

/// The entries of a table with their positions, in the order of the file: the parser sorts them by name.
pub(in crate::config) fn in_order<'t>(table: &'t DeTable<'_>) -> Vec<(usize, &'t str, &'t DeValue<'t>)> {
    let mut entries: Vec<(usize, &str, &DeValue<'_>)> =
        table.iter().map(|(name, value)| (name.span().start, name.get_ref().as_ref(), value.get_ref())).collect();
    entries.sort_by_key(|(place, ..)| *place);
    entries
}

pub(in crate::config) fn inline(text: &str) -> Result<toml::Spanned<DeValue<'_>>> {
    DeValue::parse(text).map_err(|e| Error::config(format!("not an inline TOML value: {}", e.message())))
}

/// The pairs of `a=x, b=y`; the error is the part that is none.
pub(in crate::config) fn pairs(text: &str) -> std::result::Result<Vec<(String, String)>, &str> {
    let pair = |(name, value): (&str, &str)| (name.trim().into(), value.trim().into());
    text.split(',').map(|part| part.split_once('=').map(pair).ok_or(part.trim())).collect()
}

/// Whether the text form can represent it.
pub(in crate::config) fn is_plain(text: &str) -> bool {
    text.trim() == text && !text.contains(',')
}

/// As an inline TOML array of values that are TOML already.
pub(in crate::config) fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// As a TOML basic string.
pub(in crate::config) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // All control characters are below U+00A0.
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

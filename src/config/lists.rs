//! Pairs of a name and a value, and lists of messages and patterns: from TOML, from one line of text, and back to text.
//!
//! The text form of pairs is `a=x, b=y`, or an inline TOML table; of a list an inline TOML array. A text that does not begin with `[` is
//! a list of one.

use std::path::PathBuf;

use toml::de::DeValue;

use crate::config::Secret;
use crate::config::columns::{array, in_order, inline, is_plain, pairs, quoted};
use crate::config::conversation::MessagePattern;
use crate::config::units::shown;
use crate::error::{Error, Result};

/// Names and their values.
pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn pairs_from_text(text: &str) -> Result<Pairs> {
    let read = if text.trim_start().starts_with('{') {
        inline(text).and_then(|toml| pairs_from_toml(toml.get_ref())).ok()
    } else {
        pairs(text).ok()
    };
    // Without the reason: a value may be a secret.
    read.ok_or_else(|| {
        Error::config("not of the form name=value").with_hint(r#"write NAME=VALUE pairs, or { "NAME" = "VALUE" }"#)
    })
}

pub(super) fn pairs_from_toml(toml: &DeValue<'_>) -> Result<Pairs> {
    let bad = |reason: String| Error::config(reason).with_hint(r#"write { "NAME" = "VALUE" }"#);
    let table = toml
        .as_table()
        .ok_or_else(|| bad(format!("expected a table of names and values, found TOML type {}", toml.type_str())))?;
    in_order(table)
        .into_iter()
        .map(|(_, name, value)| match value.as_str() {
            Some(value) => Ok((name.into(), value.into())),
            None => Err(bad(format!("the value of {} is not text", shown(name)))),
        })
        .collect()
}

pub(super) fn secrets(pairs: Pairs) -> Vec<(String, Secret)> {
    pairs.into_iter().map(|(name, value)| (name, Secret::from(value))).collect()
}

pub(super) fn files(pairs: Pairs) -> Vec<(String, PathBuf)> {
    pairs.into_iter().map(|(name, file)| (name, file.into())).collect()
}

pub(super) fn check_pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a str)>) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for (name, value) in pairs {
        if name.is_empty() || name.contains(char::is_control) {
            return Err(Error::config(format!("{} is not a name", shown(name))));
        }
        if !seen.insert(name) {
            return Err(Error::config(format!("the name {} is listed twice", shown(name))));
        }
        if value.is_empty() || value.contains(char::is_control) {
            return Err(Error::config(format!(
                "the value of {} is empty, or contains a control character",
                shown(name)
            )));
        }
    }
    Ok(())
}

pub(super) fn show_secrets(pairs: &[(String, Secret)]) -> String {
    show_pairs(pairs.iter().map(|(name, _)| (name.as_str(), "***".into())))
}

pub(super) fn show_files(pairs: &[(String, PathBuf)]) -> String {
    show_pairs(pairs.iter().map(|(name, file)| (name.as_str(), file.display().to_string())))
}

fn show_pairs<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    let pairs: Vec<_> = pairs.collect();
    let is_plain = |(name, value): &(&str, String)| is_plain(name) && !name.contains('=') && is_plain(value);
    if pairs.iter().all(is_plain) && pairs.first().is_some_and(|(name, _)| !name.starts_with('{')) {
        return pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
    }
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{} = {}", quoted(name), quoted(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

pub(super) fn messages_from_text(text: &str) -> Result<Vec<String>> {
    if text.trim_start().starts_with('[') {
        return messages_from_toml(inline(text)?.get_ref());
    }
    Ok(vec![text.into()])
}

pub(super) fn messages_from_toml(toml: &DeValue<'_>) -> Result<Vec<String>> {
    let bad =
        || Error::config("expected a list of messages").with_hint(r#"write a list of texts, such as ['{"a":1}']"#);
    let messages = toml.as_array().ok_or_else(bad)?;
    messages.iter().map(|message| message.get_ref().as_str().map(Into::into).ok_or_else(bad)).collect()
}

pub(super) fn show_messages(messages: &[String]) -> String {
    array(messages.iter().map(|message| quoted(message)))
}

pub(super) fn patterns_from_text(text: &str) -> Result<Vec<MessagePattern>> {
    if text.trim_start().starts_with('[') {
        return patterns_from_toml(inline(text)?.get_ref());
    }
    Ok(vec![MessagePattern::from_text(text)?])
}

pub(super) fn patterns_from_toml(toml: &DeValue<'_>) -> Result<Vec<MessagePattern>> {
    let bad = || Error::config("expected a list of texts and tables").with_hint(r#"write a list, such as ['"pong"']"#);
    let patterns = toml.as_array().ok_or_else(bad)?;
    patterns.iter().map(|pattern| MessagePattern::from_toml(pattern.get_ref())).collect()
}

pub(super) fn show_patterns(patterns: &[MessagePattern]) -> String {
    array(patterns.iter().map(MessagePattern::show))
}

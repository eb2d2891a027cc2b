//! The steps of a configuration of several streams: what each of them has, and what they do to each other.

use std::sync::mpsc::Sender;

use super::steps::{CheckStep, Steps};
use crate::config::{Config, MappingSource};
use crate::error::Result;
use crate::report::finding::Finding;

pub(super) fn check(config: &Config, reports: &Sender<CheckStep>) {
    let mut steps = Steps::new(&["configuration", "streams"], reports);
    let valid = steps.examine("configuration", || {
        config.validate()?;
        Ok(Some(Finding::good("every value is known and within its range")))
    });
    if valid.is_some() {
        steps.examine("streams", || together(config).map(Some));
    }
}

/// What two streams have in common, and should not.
fn together(config: &Config) -> Result<Finding> {
    let names = config.stream_names();
    let streams: Vec<(&str, Config)> =
        names.iter().map(|name| Ok((*name, config.for_stream(name)?))).collect::<Result<_>>()?;
    let mut found = Vec::new();
    for (at, (name, stream)) in streams.iter().enumerate() {
        for (other, before) in &streams[..at] {
            found.extend(in_common(stream, before).map(|what| format!("{other} and {name} {what}")));
        }
    }
    if found.is_empty() {
        return Ok(Finding::good(names.join(", ")));
    }
    let more = found.len().saturating_sub(SHOWN_MAX);
    found.truncate(SHOWN_MAX);
    let more = if more == 0 { String::new() } else { format!("; and {more} more pairs") };
    Ok(Finding::warning(
        found.join("; ") + &more,
        "give each stream an id, a table and, with SQLite, a file of its own; in one table, add a column whose source is `stream` to mapping.key",
    ))
}

/// Pairs that are shown: there may be thousands.
const SHOWN_MAX: usize = 3;

fn in_common(one: &Config, other: &Config) -> Option<&'static str> {
    let has_same_stream =
        one.has_stream() && one.stream_url().is_ok_and(|url| other.stream_url().is_ok_and(|u| u == url));
    if has_same_stream && one.stream.open == other.stream.open && one.stream.id == other.stream.id {
        return Some("read the same stream: many servers send an event to one connection only");
    }
    let url = |config: &Config| config.destination.url().map(str::to_owned).ok();
    let has_same_database = url(one) == url(other);
    if has_same_database && url(one).is_some_and(|url| url.starts_with("sqlite:") && url != "sqlite::memory:") {
        return Some("write the same SQLite file, which takes one writer at a time: they keep each other waiting");
    }
    let has_same_table = has_same_database && one.destination.table == other.destination.table;
    (has_same_table && !are_apart(one, other))
        .then_some("write the same table by the same key: an event of one may overwrite a row of the other")
}

/// Whether a column of the key has another value for each of the two.
fn are_apart(one: &Config, other: &Config) -> bool {
    let source = |config: &Config, column: &str| {
        let found = config.mapping.columns.iter().find(|(name, _)| name == column);
        found.map(|(_, source)| source.clone())
    };
    one.mapping.key.iter().filter(|column| other.mapping.key.contains(column)).any(|column| {
        match (source(one, column), source(other, column)) {
            (Some(MappingSource::Stream), Some(MappingSource::Stream)) => true,
            (Some(MappingSource::Constant(one)), Some(MappingSource::Constant(other))) => one != other,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found where the two streams have these settings of their own.
    fn found(settings: &[(&str, &str)]) -> Finding {
        let mut config = Config::default();
        let base = [
            ("oauth.client_id", "id"),
            ("oauth.client_secret", "secret"),
            ("destination.url", "postgresql://db/cx"),
            ("streams.a.id", "1"),
            ("streams.b.id", "2"),
            ("streams.a.destination.table", "t"),
            ("streams.b.destination.table", "u"),
        ];
        for (key, value) in base.iter().chain(settings) {
            config.set(key, value).unwrap();
        }
        config.validate().unwrap();
        together(&config).unwrap()
    }

    #[test]
    fn streams_that_would_disturb_each_other_are_named() {
        let good = found(&[]);
        assert_eq!((&*good.message, good.hint), ("a, b", None));
        let columns = "s=stream, k=/idempotencyKey";
        let apart = [("streams.b.destination.table", "t"), ("mapping.columns", columns), ("mapping.key", "s,k")];
        assert_eq!(found(&apart).hint, None, "the stream is a part of the key");
        let constants = |of_b| {
            found(&[
                ("streams.b.destination.table", "t"),
                ("mapping.key", "s,k"),
                ("streams.a.mapping.columns", r#"{ s = { constant = "a" }, k = "/idempotencyKey" }"#),
                ("streams.b.mapping.columns", of_b),
            ])
        };
        assert_eq!(constants(r#"{ s = { constant = "b" }, k = "/idempotencyKey" }"#).hint, None);
        let same = constants(r#"{ s = { constant = "a" }, k = "/idempotencyKey" }"#);
        assert!(same.message.starts_with("a and b write the same table"), "{}", same.message);
        for (settings, expected) in [
            (("streams.b.destination.table", "t"), "write the same table"),
            (("streams.b.id", "1"), "read the same stream"),
            (("destination.url", "sqlite:events.db"), "write the same SQLite file"),
        ] {
            let found = found(&[settings]);
            assert!(found.message.contains(expected) && found.hint.is_some(), "{}", found.message);
        }
    }
}

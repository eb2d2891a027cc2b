//! The checks before a sink opens: each value by itself, because a program can set the plain data, and all values together.

use std::path::{Path, PathBuf};

use crate::config::Secret;
use crate::config::columns::{FromEvent, MappingSource};
use crate::config::database::url::sqlite_path;
use crate::config::keys::KEYS;
use crate::config::sections::{Config, DestinationConfig, MappingConfig, SchemaConfig, TlsConfig};
use crate::error::{Error, Result};

impl Config {
    /// Checks that the configuration is complete and consistent. Opening a sink does this first. Of several streams it checks each, and
    /// that no two have the same spool.
    ///
    /// # Errors
    /// `Config`, naming the key: a value is missing or out of range, two values contradict each other, or credentials would be
    /// sent unencrypted to another machine.
    pub fn validate(&self) -> Result<()> {
        if self.streams.is_empty() { self.validate_one() } else { self.validate_streams() }
    }

    fn validate_streams(&self) -> Result<()> {
        for name in self.stream_names() {
            let stream = self.for_stream(name)?;
            stream.validate_one().map_err(|error| error.while_doing(format_args!("streams.{name}")))?;
        }
        self.validate_spools()
    }

    /// Checks that no two streams have the same spool.
    ///
    /// # Errors
    /// `Config`, naming both.
    pub(crate) fn validate_spools(&self) -> Result<()> {
        let mut files: Vec<(PathBuf, &str)> = Vec::new();
        for name in self.stream_names() {
            let path = self.for_stream(name)?.spool.path;
            if path == Path::new(":memory:") {
                continue;
            }
            let path = std::path::absolute(&path).unwrap_or(path);
            if let Some((_, other)) = files.iter().find(|(used, _)| *used == path) {
                let path = path.display();
                return Err(Error::config(format!(
                    "streams.{other} and streams.{name} have the same spool.path: {path}"
                ))
                .with_hint("leave spool.path out, and each stream gets a file with its name; or set one for each"));
            }
            files.push((path, name));
        }
        Ok(())
    }

    fn validate_one(&self) -> Result<()> {
        self.validate_source_settings()?;
        self.validate_destination()?;
        self.redact.iter().try_for_each(|rule| rule.key().map(drop))?;
        self.schema.validate()?;
        self.mapping.validate()?;
        self.http.address()?;
        if self.retry.delay_min > self.retry.delay_max {
            return Err(Error::config("retry.delay_min: must not be longer than retry.delay_max"));
        }
        Ok(())
    }

    /// Checks what a command needs that only reads the stream.
    ///
    /// # Errors
    /// As [`Config::validate`], and `Config` without a stream.
    #[cfg(feature = "cli")]
    pub(crate) fn validate_source(&self) -> Result<()> {
        if !self.of_one_stream()?.has_stream() {
            return Err(Error::config("no stream is configured").with_hint(
                "set stream.url, or stream.id (CXONE_STREAM_ID), CXONE_CLIENT_ID and CXONE_CLIENT_SECRET; docs/streams.md has examples",
            ));
        }
        self.validate_source_settings()
    }

    /// Each value by itself, and all that a connection to the stream needs together.
    fn validate_source_settings(&self) -> Result<()> {
        for key in KEYS {
            if let Some(value) = (key.value)(self) {
                key.value_type.check(&value).map_err(|e| e.while_doing(key.name))?;
            }
        }
        self.validate_stream()?;
        self.tls.validate()?;
        self.proxy.validate()
    }

    fn validate_destination(&self) -> Result<()> {
        if sqlite_path(self.destination.url()?).is_some_and(|path| self.spool.path == *path && path != ":memory:") {
            return Err(Error::config("destination.url and spool.path are the same file"));
        }
        self.destination.validate_history()?;
        self.destination.password().map(drop)
    }
}

impl DestinationConfig {
    /// `url`, which must be set.
    pub(crate) fn url(&self) -> Result<&str> {
        self.url.as_ref().map(Secret::expose).ok_or_else(|| {
            Error::config("destination.url is missing").with_hint(
                "set destination.url, CXSINK_DESTINATION__URL, DATABASE_URL, or DB_HOST, DB_NAME, DB_USER and DB_PASSWORD",
            )
        })
    }

    fn validate_history(&self) -> Result<()> {
        if self.history_partitioned && sqlite_path(self.url()?).is_some() {
            return Err(
                Error::config("destination.history_partitioned: SQLite has no partitions").with_hint("unset it")
            );
        }
        match self.history_table.as_deref() {
            None if self.history_partitioned => {
                Err(Error::config("destination.history_partitioned is set and destination.history_table is not")
                    .with_hint("set destination.history_table to the name of the history"))
            }
            Some(history) if history == self.table => {
                Err(Error::config("destination.history_table and destination.table are the same table")
                    .with_hint("give the history another name, such as cxone_events_history"))
            }
            _ => Ok(()),
        }
    }
}

impl SchemaConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.file.is_some() && self.inline.is_some() {
            return Err(Error::config("schema.file and schema.inline are both set").with_hint("set one of them"));
        }
        Ok(())
    }
}

impl TlsConfig {
    fn validate(&self) -> Result<()> {
        let (set, missing) = match (&self.cert_file, &self.key_file) {
            (Some(_), None) => ("tls.cert_file", "tls.key_file"),
            (None, Some(_)) => ("tls.key_file", "tls.cert_file"),
            _ => return Ok(()),
        };
        Err(Error::config(format!("{set} is set and {missing} is not"))
            .with_hint("set both, even if one file holds certificate and key"))
    }
}

impl MappingConfig {
    /// The columns that an update changes; `None`: every column outside the key, except `created_at`.
    ///
    /// The default's list is for the default's columns: it does not count where the application has assigned columns that lack some of them.
    pub(crate) fn updated(&self) -> Option<&[String]> {
        let update = self.update.as_deref()?;
        let is_default = !self.update_chosen && self.update == Self::default().update;
        let is_for_others = is_default && update.iter().any(|column| self.source(column).is_none());
        (!is_for_others).then_some(update)
    }

    fn validate(&self) -> Result<()> {
        let mut is_of_event = false;
        for column in &self.key {
            let source = self.source(column).ok_or_else(|| self.no_such_column("mapping.key", column))?;
            match source {
                MappingSource::Now | MappingSource::ReceivedAt | MappingSource::Offset => {
                    let word = source.as_text().unwrap_or_default();
                    return Err(Error::config(format!("mapping.key: the source of column {column:?} is `{word}`"))
                        .with_hint("choose a column whose value is the same in each delivery of an event"));
                }
                MappingSource::Event(FromEvent { truncate: true, .. }) => {
                    return Err(Error::config(format!("mapping.key: the source of column {column:?} truncates"))
                        .with_hint("remove its max_length: two keys with the same beginning would be one"));
                }
                MappingSource::Event(FromEvent { default: None, .. }) => is_of_event = true,
                _ => {}
            }
        }
        if !is_of_event {
            return Err(Error::config("mapping.key: no column has its value from each event").with_hint(
                "add a column with a pointer and without a default: otherwise all events would share one row",
            ));
        }
        for column in self.updated().unwrap_or_default() {
            if self.source(column).is_none() {
                return Err(self.no_such_column("mapping.update", column));
            }
            if self.key.contains(column) {
                return Err(Error::config(format!("mapping.update: column {column:?} is part of mapping.key"))
                    .with_hint("remove the column from mapping.update: a key does not change"));
            }
        }
        Ok(())
    }

    fn source(&self, column: &str) -> Option<&MappingSource> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, source)| source)
    }

    fn no_such_column(&self, key: &str, column: &str) -> Error {
        let columns: Vec<_> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        Error::config(format!("{key}: column {column:?} is not in mapping.columns"))
            .with_hint(format!("set {key} to columns of mapping.columns: {}", columns.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_differs_between_deliveries_or_is_one_for_many_events_is_refused() {
        let mut config = Config::default();
        config.destination.url = Some("sqlite:events.db".into());
        let mut check = |key: MappingSource, other: MappingSource, expected: &str| {
            config.mapping.columns = vec![("k".into(), key), ("o".into(), other), ("v".into(), "/v".into())];
            config.mapping.key = vec!["k".into(), "o".into()];
            let found = config.validate().map_err(|error| error.to_string());
            assert!(found.as_ref().err().map_or("", String::as_str).contains(expected), "{expected:?}: {found:?}");
            assert_eq!(found.is_ok(), expected.is_empty());
        };
        let constant = || MappingSource::Constant("acme".into());
        check("/k".into(), "offset".into(), "column \"o\" is `offset`");
        check("/k".into(), "received_at".into(), "column \"o\" is `received_at`");
        check("/k".into(), "now".into(), "column \"o\" is `now`");
        check("/k".into(), FromEvent::at("/o").truncated().into(), "column \"o\" truncates");
        check(constant(), "stream".into(), "no column has its value from each event");
        check(constant(), FromEvent::at("/o").or_default("x").into(), "no column has its value from each event");
        check("/k".into(), "stream".into(), "");
        check(FromEvent::at("/k").or("/l").trimmed().into(), FromEvent::at("/o").or_default("x").into(), "");
    }

    #[test]
    fn columns_that_the_application_assigns_work_as_those_that_it_sets() {
        let mut assigned = Config::default();
        assigned.destination.url = Some("sqlite:events.db".into());
        let mut set = assigned.clone();
        assigned.mapping.columns = vec![("k".into(), "/k".into()), ("v".into(), "/v".into())];
        assigned.mapping.key = vec!["k".into()];
        set.set("mapping.columns", r#"{k = "/k", v = "/v"}"#).unwrap();
        set.set("mapping.key", "k").unwrap();
        for config in [&mut assigned, &mut set] {
            config.validate().unwrap();
            assert_eq!(config.mapping.updated(), None);
            config.mapping.update = Some(vec!["v".into()]);
            config.validate().unwrap();
            assert_eq!(config.mapping.updated(), Some(&["v".to_owned()][..]));
            config.mapping.update = Some(vec!["w".into()]);
            assert!(config.validate().unwrap_err().message().contains("mapping.update"));
        }
        assert_eq!(Config::default().mapping.updated(), Config::default().mapping.update.as_deref());
    }
}

//! SIGHUP: the configuration is read again. The log and the schema take effect at once. Certificates, and secrets in files, are read
//! for each connection anyway. For the rest, the log says that a restart is needed.

use crate::cli::arguments::Settings;
use crate::cli::logging;
use crate::cli::streams::Stream;
use crate::config::changed_keys;
use crate::{Config, Result, Sink};

/// The sinks that run, each with its configuration as it applies.
pub(super) struct Running {
    sinks: Vec<(Stream, Sink)>,
    /// The names of all streams, also of those that do not run.
    names: Vec<String>,
}

impl Running {
    /// The sink of a configuration of one stream.
    pub(super) fn of_one(config: &Config, sink: &Sink) -> Self {
        let stream = Stream { name: None, config: config.clone() };
        Self { sinks: vec![(stream, sink.clone())], names: Vec::new() }
    }

    /// The sinks of streams of this configuration.
    pub(super) fn of_several(config: &Config, sinks: Vec<(Stream, Sink)>) -> Self {
        Self { sinks, names: config.stream_names().into_iter().map(str::to_owned).collect() }
    }

    /// Reads the configuration again. On an error nothing changes, and the sinks go on.
    pub(super) fn reload(&mut self, settings: &Settings) {
        log::info!("SIGHUP: reading the configuration again");
        if let Err(error) = self.try_reload(settings) {
            match error.hint() {
                Some(hint) => log::error!("reading the configuration again: {error} ({hint}); nothing has changed"),
                None => log::error!("reading the configuration again: {error}; nothing has changed"),
            }
        }
    }

    fn try_reload(&mut self, settings: &Settings) -> Result<()> {
        let (whole, _) = settings.read()?;
        whole.validate()?;
        // Before anything changes: it may fail.
        let mut read = Vec::new();
        for (stream, sink) in self.sinks.iter().filter(|(stream, _)| is_in(stream, &whole)) {
            let new = settings.again(&whole, stream)?;
            let schema = Sink::load_schema(&new).map_err(|error| stream.locate(error))?;
            read.push((stream.clone(), sink.clone(), new, schema));
        }
        for (stream, sink, new, schema) in read {
            let _scope = stream.enter();
            say_changes(&stream.config, &new);
            sink.replace_schema(schema);
            self.note(&stream, new);
        }
        logging::start(&whole.log);
        log::info!(
            "the schema applies to events that are prepared from now on; certificates, and secrets in files, are read for each connection"
        );
        self.say_streams(&whole);
        Ok(())
    }

    fn note(&mut self, stream: &Stream, new: Config) {
        let is_it = |(running, _): &&mut (Stream, Sink)| running.name() == stream.name();
        if let Some((running, _)) = self.sinks.iter_mut().find(is_it) {
            running.config.log = new.log;
            running.config.schema = new.schema;
        }
    }

    /// Streams that have come or gone.
    fn say_streams(&self, whole: &Config) {
        let names = whole.stream_names();
        let come: Vec<&str> = names.iter().copied().filter(|name| !self.names.iter().any(|old| old == name)).collect();
        let gone: Vec<&str> = self.names.iter().map(String::as_str).filter(|name| !names.contains(name)).collect();
        if !come.is_empty() {
            log::warn!("restart the process to begin with streams.{}", come.join(", streams."));
        }
        if !gone.is_empty() {
            log::warn!(
                "restart the process to end streams.{}, which the configuration no longer has",
                gone.join(", streams.")
            );
        }
    }
}

fn is_in(stream: &Stream, whole: &Config) -> bool {
    stream.name.is_none() || whole.stream_names().contains(&stream.name())
}

fn say_changes(old: &Config, new: &Config) {
    let changed = changed_keys(old, new);
    let (at_once, later): (Vec<&str>, Vec<&str>) =
        changed.into_iter().partition(|key| key.starts_with("log.") || key.starts_with("schema."));
    if !at_once.is_empty() {
        log::info!("changed now: {}", at_once.join(", "));
    }
    if !later.is_empty() {
        log::warn!("restart the sink to change {}", later.join(", "));
    }
}

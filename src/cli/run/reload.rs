//! SIGHUP: the configuration is read again. The log and the schema take effect at once. Certificates, and secrets in files, are read
//! for each connection anyway. For the rest, the log says that a restart is needed.

use crate::cli::arguments::Settings;
use crate::cli::logging;
use crate::config::changed_keys;
use crate::{Config, Result, Sink};

/// Reads it again. On an error nothing changes, and the sink goes on.
pub(super) fn reload(settings: &Settings, running: &mut Config, sink: &Sink) {
    log::info!("SIGHUP: reading the configuration again");
    if let Err(error) = try_reload(settings, running, sink) {
        match error.hint() {
            Some(hint) => log::error!("reading the configuration again: {error} ({hint}); nothing has changed"),
            None => log::error!("reading the configuration again: {error}; nothing has changed"),
        }
    }
}

fn try_reload(settings: &Settings, running: &mut Config, sink: &Sink) -> Result<()> {
    let (new, _) = settings.read()?;
    new.validate()?;
    // Before anything else changes: it may fail.
    sink.reload_schema(&new)?;
    let changed = changed_keys(running, &new);
    let (at_once, later): (Vec<&str>, Vec<&str>) =
        changed.into_iter().partition(|key| key.starts_with("log.") || key.starts_with("schema."));
    if !at_once.is_empty() {
        log::info!("changed now: {}", at_once.join(", "));
    }
    logging::start(&new.log);
    log::info!(
        "the schema applies to events that are prepared from now on; certificates, and secrets in files, are read for each connection"
    );
    if !later.is_empty() {
        log::warn!("restart the sink to change {}", later.join(", "));
    }
    running.log = new.log;
    running.schema = new.schema;
    Ok(())
}

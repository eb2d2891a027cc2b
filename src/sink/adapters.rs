//! The adapters: which source and which destination a configuration names. No other file names the concrete ones.

use std::sync::Arc;

use crate::config::Secret;

use crate::config::Config;
use crate::destination::{Destination, Link};
use crate::error::{Error, ErrorKind, Result};
use crate::report::stats::Counter;
use crate::report::status::Status;
use crate::source::websocket::{WebsocketProbe, WebsocketSource};
use crate::source::{Observer, Probe, Source, SourceEvent};
use crate::threads::spawn;
use crate::threads::stop_signal::StopSignal;

/// The adapters of a sink.
pub(crate) struct Parts {
    /// `None` for a sink that accepts events from the application only.
    pub(crate) source: Option<Box<dyn Source>>,
    /// One for each of the destination's connections.
    pub(crate) links: Vec<Link>,
}

impl Parts {
    pub(super) fn from_config(config: &Config, status: &Arc<Status>) -> Result<Self> {
        let source = if config.has_stream() {
            let counted = Arc::clone(status);
            let observer: Observer = Arc::new(move |event| match event {
                SourceEvent::TokenFetched { renewal, expires_at } => {
                    counted.counters.add(Counter::TokenRenewals, u64::from(renewal));
                    counted.measures.note_token(expires_at);
                }
                SourceEvent::TokenShared { expires_at } => counted.measures.note_token(expires_at),
            });
            let source =
                WebsocketSource::new(config, status.end_of_reading.clone(), Arc::clone(&status.clock), observer)?;
            Some(Box::new(source) as Box<dyn Source>)
        } else {
            None
        };
        let link = |_| {
            let abort = StopSignal::new();
            Ok(Link { destination: open_destination(config, abort.clone())?, abort })
        };
        Ok(Self { source, links: (0..connections(config)).map(link).collect::<Result<_>>()? })
    }
}

/// An SQLite file takes one writer at a time.
fn connections(config: &Config) -> u32 {
    let url = config.destination.url.as_ref().map(Secret::expose).unwrap_or_default();
    if url.starts_with("sqlite:") { 1 } else { config.destination.connections }
}

/// Runs `work` on a thread of its own and waits for it: the `postgres` crate cannot be called, or even dropped, on a thread that
/// is inside an asynchronous runtime, and the application's thread may be.
pub(super) fn away_from_the_caller<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let spawned = spawn::spawn("cxsink-start", work);
    let thread = spawned
        .map_err(|error| Error::new(ErrorKind::Internal, format!("starting a thread: {error}")).caused_by_io(&error))?;
    thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Panic, "the thread cxsink-start panicked")))
}

/// The servers of the stream, for `check`; `None` if no stream is configured.
pub(crate) fn open_probe(config: &Config) -> Result<Option<Box<dyn Probe>>> {
    if !config.has_stream() {
        return Ok(None);
    }
    Ok(Some(Box::new(WebsocketProbe::new(config)?)))
}

/// The stream, for `peek-stream`.
#[cfg(feature = "cli")]
pub(crate) fn open_peek(config: &Config, stop: StopSignal) -> Result<Box<dyn crate::source::StreamPeek>> {
    config.validate_source()?;
    Ok(Box::new(crate::source::websocket::WebsocketPeek::new(config, stop)?))
}

/// The destination that `destination.url` names.
pub(crate) fn open_destination(config: &Config, abort: StopSignal) -> Result<Box<dyn Destination>> {
    let url = config.of_one_stream()?.destination.url()?;
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            Ok(Box::new(crate::destination::sqlite::SqliteDestination::new(path, &config.destination, abort)?))
        }
        _ if crate::config::database::url::is_connection_string(url) => Ok(Box::new(
            crate::destination::postgres::PostgresDestination::new(&config.destination, &config.tls, abort)?,
        )),
        _ => Err(Error::config("destination.url: is neither a PostgreSQL connection string nor an SQLite file")
            .with_hint("use postgresql://USER@HOST/DATABASE or sqlite:PATH")),
    }
}

/// Decodes WebSocket frames; returns the number of events.
#[cfg(feature = "_bench")]
pub(crate) fn decode(frames: &[u8]) -> usize {
    crate::source::websocket::decode(frames)
}

/// Encodes the parameters of PostgreSQL's statement; returns their size in bytes.
#[cfg(feature = "_bench")]
pub(crate) fn encode(rows: &crate::rows::batch::Rows, coalesced: &[crate::rows::coalesce::Coalesced]) -> Result<usize> {
    crate::destination::postgres::encode(rows, coalesced)
}

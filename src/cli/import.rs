//! `import`: events from a file, through the same path as the stream's.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::follow::{follow, sum_up};
use super::input;
use super::signals::stop_on_signal;
use crate::stats::Counter;
use crate::{Config, Error, ErrorKind, Result, Sink};

/// Time after a signal for the spooled events.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn import(config: &Config, file: &Path) -> Result<ExitCode> {
    let mut config = config.clone();
    // Only the file is read: the stream belongs to another process.
    let event_bytes_max = config.stream.event_bytes_max;
    (config.oauth, config.stream) = Default::default();
    config.stream.event_bytes_max = event_bytes_max;
    let started = Instant::now();
    let input = input::open(file)?;
    let sink = Sink::open(&config)?;
    let signals = stop_on_signal(&sink)?;
    sink.start()?;
    let reading = {
        let sink = sink.clone();
        std::thread::Builder::new().name("cxsink-import".into()).spawn(move || sink.import(input))
    };
    let reading = reading.map_err(|error| Error::new(ErrorKind::Internal, format!("starting a thread: {error}")))?;
    let is_done = || reading.is_finished() && sink.counter(Counter::Pending) == 0;
    let stats = follow(&sink, &signals, DRAIN_TIMEOUT, None, is_done)?;
    sum_up(&config, &stats, started.elapsed());
    if !reading.is_finished() {
        // After a signal: the thread may wait for input forever, and the events that it has read are spooled.
        return Ok(ExitCode::SUCCESS);
    }
    match reading.join() {
        Ok(imported) => imported.map(|_| ExitCode::SUCCESS),
        Err(_) => Err(Error::new(ErrorKind::Panic, "importing the file: the thread panicked")),
    }
}

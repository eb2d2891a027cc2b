//! `import`: events from a file, through the same path as the stream's.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::arguments::Settings;
use super::follow::{failed, follow, sum_up};
use super::format::counted;
use super::input;
use super::print::report_with_code;
use super::signals::watch;
use crate::stats::Counter;
use crate::{Error, ErrorKind, Result, Sink, Stats};

/// Time after a signal for the spooled events.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Time after a signal for the lines that were read: the reading ends by itself, unless the spool is full.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// `is_export`: the file is an export of dead letters.
pub(super) fn import(settings: &Settings, file: &Path, is_export: bool) -> Result<ExitCode> {
    let mut config = settings.load_one()?;
    // Only the file is read: the stream belongs to another process.
    let event_bytes_max = config.stream.event_bytes_max;
    (config.oauth, config.stream) = Default::default();
    config.stream.event_bytes_max = event_bytes_max;
    let started = Instant::now();
    let end = Arc::new(AtomicBool::new(false));
    let input = input::open(file, Arc::clone(&end))?;
    let sink = Sink::open(&config)?;
    let signals = end_on_signal(&sink, &end)?;
    settings.announce(&config, &file.display().to_string());
    sink.start()?;
    let reading = {
        let sink = sink.clone();
        let import = move || if is_export { sink.import_exported(input) } else { sink.import(input) };
        std::thread::Builder::new().name("cxsink-import".into()).spawn(import)
    };
    let reading = reading.map_err(|error| Error::new(ErrorKind::Internal, format!("starting a thread: {error}")))?;
    let followed = follow(&sink, &signals, DRAIN_TIMEOUT, None, is_done(&sink, &signals, &reading));
    end.store(true, Ordering::SeqCst);
    let imported = join(reading, signals.load(Ordering::SeqCst) > 0);
    let stats = match followed {
        Ok(stats) => stats,
        Err(failure) => {
            if let Err(error) = imported {
                log::warn!("{error}");
            }
            return Ok(failed(&sink, &failure));
        }
    };
    let outcome = imported.and_then(|imported| none_stored(file, imported, &stats).map_or(Ok(()), Err));
    let code = outcome.map_or_else(|error| report_with_code(&error), |()| ExitCode::SUCCESS);
    sum_up(&config, &stats, started.elapsed());
    Ok(code)
}

/// Counts signals from now on. The first one ends the input; what was read until then is spooled before the sink stops. A sink that is
/// still starting stops at once.
fn end_on_signal(sink: &Sink, end: &Arc<AtomicBool>) -> Result<Arc<AtomicUsize>> {
    let (sink, end) = (sink.clone(), Arc::clone(end));
    watch(move || {
        end.store(true, Ordering::SeqCst);
        if sink.state() == crate::stats::State::Open {
            sink.stop();
        }
    })
}

/// Whether the sink may stop: every event is in the table, or, after a signal, in the spool.
fn is_done<'a>(
    sink: &'a Sink,
    signals: &'a AtomicUsize,
    reading: &'a JoinHandle<Result<u64>>,
) -> impl Fn() -> bool + 'a {
    let signalled = std::cell::OnceCell::new();
    move || {
        let is_signalled = signals.load(Ordering::SeqCst) > 0;
        let is_late = is_signalled && signalled.get_or_init(Instant::now).elapsed() >= READ_TIMEOUT;
        is_late || reading.is_finished() && (is_signalled || sink.counter(Counter::Pending) == 0)
    }
}

/// The number of events accepted. The input and the sink have ended, so the thread ends too.
fn join(reading: JoinHandle<Result<u64>>, is_signalled: bool) -> Result<u64> {
    let Ok(imported) = reading.join() else {
        return Err(Error::new(ErrorKind::Panic, "importing the file: the thread panicked"));
    };
    imported.map_err(|error| match error.hint() {
        // Not a wrong argument: it could have been read to its end.
        None if is_signalled => Error::new(ErrorKind::State, error.message())
            .with_hint("import the rest, or all of it once more: an event that is written twice changes nothing"),
        _ => error,
    })
}

/// The error of an import of which nothing reached the table: the file has another format, probably.
fn none_stored(file: &Path, imported: u64, stats: &Stats) -> Option<Error> {
    let are_all_dead = imported > 0 && stats.pending == 0 && stats.dead_lettered == stats.received + stats.recovered;
    are_all_dead.then(|| {
        let lines = counted(imported, "event");
        let message = format!("importing {}: none of its {lines} could be stored", file.display());
        Error::new(ErrorKind::Schema, message).with_hint(
            "look at the reasons with `cxsink dead-letters list`: the file must have one JSON object a line, and an export of dead letters \
             needs --replay",
        )
    })
}

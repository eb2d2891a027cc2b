//! `run` and `import`: a sink from start to end, with signals, a live line and a summary.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::arguments::Run;
use super::live::Live;
use crate::cli::format::summary;
use crate::config::LogFormat;
use crate::{Config, Counter, Error, ErrorKind, Notice, Poll, Result, Sink, Stats};

/// How often the loop looks at signals and draws.
const TICK: Duration = Duration::from_millis(100);
/// How long notices gather: one comes with each batch, and to wake up for each would take CPU from the threads that work.
const PAUSE: Duration = Duration::from_millis(20);
/// After so many, however many more there are, the loop looks at signals.
const NOTICES_AT_A_TIME: usize = 1024;

pub(super) fn run(config: &Config, options: &Run) -> Result<ExitCode> {
    if !config.has_stream() {
        return Err(Error::new(ErrorKind::Config, "there is no stream to read").with_hint(
            "set CXONE_STREAM_ID, CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, or stream.id, oauth.client_id and \
             oauth.client_secret; `cxsink import` takes events from a file",
        ));
    }
    let started = Instant::now();
    let sink = Sink::open(config)?;
    let signals = stop_on_signal(&sink)?;
    sink.start()?;
    Ok(match to_the_end(&sink, &signals, options.drain_timeout, None, || false) {
        Ok(stats) => {
            sum_up(config, &stats, started.elapsed());
            ExitCode::SUCCESS
        }
        Err(error) => {
            sum_up(config, &sink.stats(), started.elapsed());
            super::report(&error);
            // It ran: whatever ended it, the usage was right.
            ExitCode::from(1)
        }
    })
}

pub(super) fn import(config: &Config, file: &Path) -> Result<ExitCode> {
    let mut config = config.clone();
    // Only the file is read: the stream is another process's business.
    let event_bytes_max = config.stream.event_bytes_max;
    (config.oauth, config.stream) = Default::default();
    config.stream.event_bytes_max = event_bytes_max;
    let started = Instant::now();
    let input = open_input(file)?;
    let sink = Sink::open(&config)?;
    let signals = stop_on_signal(&sink)?;
    sink.start()?;
    let feeder = {
        let sink = sink.clone();
        std::thread::Builder::new().name("cxsink-import".into()).spawn(move || sink.import(input))
    };
    let feeder = feeder.map_err(|error| Error::new(ErrorKind::Internal, format!("starting a thread: {error}")))?;
    let is_done = || feeder.is_finished() && sink.counter(Counter::Pending) == 0;
    let stats = to_the_end(&sink, &signals, Duration::from_secs(30), None, is_done)?;
    sum_up(&config, &stats, started.elapsed());
    if !feeder.is_finished() {
        // After a signal: it waits for input that may never come, and what it has taken is spooled.
        return Ok(ExitCode::SUCCESS);
    }
    match feeder.join() {
        Ok(taken) => taken.map(|_| ExitCode::SUCCESS),
        Err(_) => Err(Error::new(ErrorKind::Panic, "reading the file panicked")),
    }
}

/// What the run did: lines for people, or one JSON object where the log is JSON too.
fn sum_up(config: &Config, stats: &Stats, elapsed: Duration) {
    match config.log.format {
        LogFormat::Text => eprint!("{}", summary(stats, elapsed)),
        LogFormat::Json => eprintln!("{}", json!({ "elapsed_s": elapsed.as_secs_f64(), "stats": stats.to_value() })),
    }
}

/// The file, or the standard input for `-`.
pub(super) fn open_input(file: &Path) -> Result<BufReader<Box<dyn Read + Send>>> {
    let input: Box<dyn Read + Send> =
        if file.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(file).map_err(|error| {
                Error::new(ErrorKind::InvalidArgument, format!("opening {}: {error}", file.display()))
            })?)
        };
    Ok(BufReader::with_capacity(256 * 1024, input))
}

/// Counts signals from now on: the first one stops the sink, also while it is still starting.
pub(super) fn stop_on_signal(sink: &Sink) -> Result<Arc<AtomicUsize>> {
    let sink = sink.clone();
    watch_signals(move || sink.stop())
}

/// Counts signals from now on; the second one ends the process at once.
pub(super) fn watch_signals(at_first: impl Fn() + Send + 'static) -> Result<Arc<AtomicUsize>> {
    let fail = |error: std::io::Error| Error::new(ErrorKind::Internal, format!("watching for signals: {error}"));
    let count = Arc::new(AtomicUsize::new(0));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(fail)?;
    let counted = Arc::clone(&count);
    let watch = move || {
        for signal in signals.forever() {
            if counted.fetch_add(1, Ordering::SeqCst) > 0 {
                // Nothing to clean up: the spool is sound after every statement.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            at_first();
        }
    };
    std::thread::Builder::new().name("cxsink-signals".into()).spawn(watch).map_err(fail)?;
    Ok(count)
}

/// Follows the sink to its end, or ends it after a signal or when it is done.
///
/// # Errors
/// The error that ended the sink, or that not everything could be applied in time.
pub(super) fn to_the_end(
    sink: &Sink,
    signals: &AtomicUsize,
    drain_timeout: Duration,
    total: Option<u64>,
    is_done: impl Fn() -> bool,
) -> Result<Stats> {
    let mut live = Live::start(total);
    let mut stopped: Option<Instant> = None;
    'follow: loop {
        let mut patience = TICK;
        for _ in 0..NOTICES_AT_A_TIME {
            match sink.poll(Some(patience))? {
                Poll::Closed => break 'follow,
                // Everything else is in the log already.
                Poll::Notice(Notice::Stats(stats)) => log::info!(
                    "{} events received, {} waiting, {} dead letters, {} reconnects",
                    stats.received,
                    stats.pending,
                    stats.dead_lettered,
                    stats.reconnects
                ),
                Poll::Notice(_) => {}
                Poll::TimedOut => break,
            }
            patience = Duration::ZERO;
        }
        if live.is_due() {
            live.show(&sink.stats());
        }
        if is_done() {
            sink.stop();
        }
        if stopped.is_none() && signals.load(Ordering::SeqCst) > 0 {
            log::info!("stopping: applying what is spooled; a second signal ends at once");
            stopped = Some(Instant::now());
        }
        if stopped.is_some_and(|stopped| stopped.elapsed() >= drain_timeout) {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    drop(live);
    sink.close(Some(Duration::ZERO))?;
    let stats = sink.stats();
    if stats.pending > 0 {
        log::warn!("{} events are still in the spool; the next start applies them", stats.pending);
    }
    Ok(stats)
}

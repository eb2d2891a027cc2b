//! Follows a sink from its start to its end: signals, the live line, the summary.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::format::summary;
use super::live::Live;
use super::print::{print_err, report};
use crate::config::LogFormat;
use crate::{Config, Error, Notice, Poll, Result, Sink, Stats};

/// Interval at which the loop checks for signals and draws.
const TICK: Duration = Duration::from_millis(100);
/// Pause in which notices accumulate: each batch causes one, and a wake-up for each would take CPU from the sink's threads.
const PAUSE: Duration = Duration::from_millis(20);
/// Notices between two checks for signals, at most.
const NOTICES_MAX: usize = 1024;

/// Follows the sink to its end, and stops it after a signal or when `is_done`, which is asked several times a second.
///
/// # Errors
/// The error that ended the sink.
pub(super) fn follow(
    sink: &Sink,
    signals: &AtomicUsize,
    drain_timeout: Duration,
    total: Option<u64>,
    mut is_done: impl FnMut() -> bool,
) -> Result<Stats> {
    let mut live = Live::start(total);
    let mut drain = Drain::new(drain_timeout);
    while !is_closed(sink, &mut live)? {
        if live.is_due() {
            live.show(&sink.stats(), &sink.words(false));
        }
        if is_done() {
            sink.stop();
        }
        if drain.is_over(signals, "table") {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    drop(live);
    sink.close_within(Duration::ZERO)?;
    Ok(last_stats(sink))
}

/// The time after the first signal in which spooled events are written.
#[derive(Debug)]
pub(super) struct Drain {
    timeout: Duration,
    /// When the first signal was seen.
    began: Option<Instant>,
}

impl Drain {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, began: None }
    }

    /// Whether it has passed. `tables`: the noun for where the events go.
    pub(super) fn is_over(&mut self, signals: &AtomicUsize, tables: &str) -> bool {
        if self.began.is_none() && signals.load(Ordering::SeqCst) > 0 {
            log::info!("stopping: writing the spooled events to the {tables}; a second signal ends at once");
            self.began = Some(Instant::now());
        }
        self.began.is_some_and(|began| began.elapsed() >= self.timeout)
    }
}

/// The counters of a sink that has ended; says what remains in its spool.
pub(super) fn last_stats(sink: &Sink) -> Stats {
    let stats = sink.stats();
    if stats.pending > 0 {
        log::warn!("{} events remain in the spool; the next start writes them to the table", stats.pending);
    }
    stats
}

/// Reports the error with which a sink ended, unless the log has it already, and returns the exit code.
pub(super) fn failed(sink: &Sink, error: &Error) -> ExitCode {
    if sink.failure().is_none() {
        report(error);
    }
    // The sink has run, so the usage was right: not 2.
    ExitCode::from(1)
}

/// Takes the notices that have accumulated; true when the sink has ended.
fn is_closed(sink: &Sink, live: &mut Live) -> Result<bool> {
    let mut timeout = TICK;
    for _ in 0..NOTICES_MAX {
        match sink.poll(Some(timeout))? {
            Poll::Closed => return Ok(true),
            // The log has all the others already.
            Poll::Notice(Notice::Stats(stats)) => log::info!("{stats}"),
            Poll::Notice(Notice::Error(error)) => live.note_error(&error, &sink.stats()),
            Poll::Notice(_) => {}
            Poll::TimedOut => break,
        }
        timeout = Duration::ZERO;
    }
    Ok(false)
}

/// Prints the counters of the run: lines for people, or one JSON object where the log is JSON too.
pub(super) fn sum_up(config: &Config, stats: &Stats, elapsed: Duration) {
    match config.log.format {
        LogFormat::Text => print_err!("{}", summary(stats, elapsed).trim_end()),
        LogFormat::Json => print_err!("{}", json!({ "elapsed_s": elapsed.as_secs_f64(), "stats": stats })),
    }
}

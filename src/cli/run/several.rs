//! `run` of several streams: a sink for each, until a signal. One that fails does not end the others.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::cli::arguments::{Run, Settings};
use crate::cli::follow::{Drain, last_stats};
use crate::cli::print::report;
use crate::cli::run::ending::{Ended, end};
use crate::cli::run::http::Server;
use crate::cli::run::lines::Lines;
use crate::cli::run::notify::Notifier;
use crate::cli::run::reload::Running;
use crate::cli::run::sinks::{Member, Sinks};
use crate::cli::signals::{note_hangup, raise_open_files_limit, reap_orphans, watch};
use crate::cli::streams::{Stream, check_has_stream};
use crate::config::ConfigOrigin;
use crate::threads::spawn;
use crate::{Config, Error, ErrorKind, Notice, Poll, Result, Sink};

/// A stream of this process, from its opening to its end.
struct Followed {
    stream: Stream,
    sink: Sink,
    /// `None` once it has started, or failed to.
    starting: Option<JoinHandle<Result<()>>>,
    /// How it ended; `None` as long as it has not.
    ended: Option<Result<()>>,
}

/// The pause between two looks at the sinks.
const TURN: Duration = Duration::from_millis(50);
/// Notices of one sink in one turn, at most.
const NOTICES_MAX: usize = 1024;
/// The interval of a line in the log with the numbers of all streams.
const NUMBERS_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn run(
    settings: &Settings,
    options: &Run,
    (config, origin): (&Config, ConfigOrigin),
    streams: Vec<Stream>,
) -> Result<ExitCode> {
    // Two sinks with one spool are no failure of one of them.
    config.validate_spools()?;
    raise_open_files_limit();
    let started = Instant::now();
    let mut ended: Vec<Ended> = Vec::new();
    let mut followed: Vec<Followed> = Vec::new();
    let mut members = Vec::new();
    for stream in streams {
        let name = stream.name().to_owned();
        match open(&stream) {
            Ok(sink) => {
                members.push((name, Member::Sink(sink.clone())));
                followed.push(Followed { stream, sink, starting: None, ended: None });
            }
            Err(error) => {
                members.push((name.clone(), Member::NotOpened(error.message().to_owned())));
                ended.push(Ended::not_opened(name, error));
            }
        }
    }
    let sinks = Sinks::several(members);
    let signals = stop_all_on_signal(&followed)?;
    let hangup = note_hangup()?;
    reap_orphans()?;
    let server = Server::start(sinks.clone(), config, origin)?;
    for one in &mut followed {
        one.start(settings)?;
    }
    let of_sinks = followed.iter().map(|one| (one.stream.clone(), one.sink.clone())).collect();
    let mut running = Running::of_several(config, of_sinks);
    let mut notifier = Notifier::new(config.http.hanging_after);
    let mut turns = Turns::new(&followed);
    let mut drain = Drain::new(options.drain_timeout);
    let mut is_ready = false;
    while followed.iter().any(|one| one.ended.is_none()) {
        turns.turn(&mut followed);
        if !is_ready && followed.iter().all(|one| one.starting.is_none()) {
            is_ready = true;
            notifier.ready();
        }
        if hangup.swap(false, Ordering::SeqCst) {
            running.reload(settings);
        }
        if followed.iter().all(Followed::is_stopping) {
            notifier.stopping();
        }
        // Before, there is no state that a manager waits for.
        if is_ready {
            notifier.tick(&sinks);
        }
        server.iter().for_each(Server::tick);
        if drain.is_over(&signals, "tables") {
            break;
        }
        std::thread::sleep(TURN);
    }
    notifier.stopping();
    drop(turns);
    ended.extend(end_all(followed));
    Ok(end(config, &ended, started.elapsed()))
}

/// Side by side: one that has to be given up takes its time.
fn end_all(followed: Vec<Followed>) -> Vec<Ended> {
    std::thread::scope(|scope| {
        let ending: Vec<_> = followed.into_iter().map(|one| scope.spawn(|| one.end())).collect();
        ending.into_iter().filter_map(|ended| ended.join().ok()).collect()
    })
}

fn open(stream: &Stream) -> Result<Sink> {
    let _scope = stream.enter();
    check_has_stream(&stream.config).and_then(|()| Sink::open(&stream.config)).inspect_err(report)
}

/// Counts signals from now on. The first one stops all sinks, also those that are still starting.
fn stop_all_on_signal(followed: &[Followed]) -> Result<Arc<AtomicUsize>> {
    let sinks: Vec<(Stream, Sink)> = followed.iter().map(|one| (one.stream.clone(), one.sink.clone())).collect();
    watch(move || {
        for (stream, sink) in &sinks {
            let _scope = stream.enter();
            sink.stop();
        }
    })
}

impl Followed {
    /// Starts the sink on a thread of its own: one may wait for its database while the others run.
    fn start(&mut self, settings: &Settings) -> Result<()> {
        let _scope = self.stream.enter();
        let config = &self.stream.config;
        settings.announce(config, &format!("the stream {}", config.stream.id.as_deref().unwrap_or_default()));
        let sink = self.sink.clone();
        let starting = spawn::spawn("cxsink-start", move || sink.start());
        let fail = |error| Error::new(ErrorKind::Internal, format!("starting a thread: {error}"));
        self.starting = Some(starting.map_err(fail)?);
        Ok(())
    }

    /// Takes what has happened since the last turn.
    fn turn(&mut self, lines: &mut Lines) {
        if self.ended.is_some() {
            return;
        }
        let _scope = self.stream.enter();
        if let Some(started) = self.starting.take_if(|starting| starting.is_finished()) {
            let outcome = started.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Panic, "starting: it panicked")));
            // The log has every other error already.
            if let Err(error) = outcome {
                report(&error);
            }
        }
        for _ in 0..NOTICES_MAX {
            match self.sink.poll(Some(Duration::ZERO)) {
                // Not while its start has an error to tell.
                Ok(Poll::Closed) if self.starting.is_some() => return,
                Ok(Poll::Closed) => {
                    self.ended = Some(self.sink.close_within(Duration::ZERO));
                    return;
                }
                Ok(Poll::Notice(Notice::Error(error))) => lines.note_error(self.stream.name(), &error),
                // The log has all the others already.
                Ok(Poll::Notice(_)) => {}
                Ok(Poll::TimedOut) => return,
                Err(error) => {
                    self.ended = Some(Err(error));
                    return;
                }
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.sink.state().is_ending()
    }

    /// Ends it, if it has not ended yet.
    fn end(self) -> Ended {
        let _scope = self.stream.enter();
        let ended = self.ended.unwrap_or_else(|| self.sink.close_within(Duration::ZERO).inspect_err(report));
        Ended { name: self.stream.name().to_owned(), stats: last_stats(&self.sink), error: ended.err() }
    }
}

/// What goes on from turn to turn.
struct Turns {
    lines: Lines,
    /// When the numbers were in the log for the last time.
    numbers: Instant,
}

impl Turns {
    fn new(followed: &[Followed]) -> Self {
        let names = followed.iter().map(|one| one.stream.name());
        Self { lines: Lines::start(names), numbers: Instant::now() }
    }

    fn turn(&mut self, followed: &mut [Followed]) {
        for one in followed.iter_mut() {
            one.turn(&mut self.lines);
        }
        if self.lines.is_due() {
            self.lines.show(followed.iter().map(|one| (one.stream.name(), &one.sink)));
        }
        if self.numbers.elapsed() >= NUMBERS_INTERVAL {
            self.numbers = Instant::now();
            let all = crate::Stats::sum(followed.iter().map(|one| one.sink.stats()));
            log::info!("all {} streams: {all}", followed.len());
        }
    }
}

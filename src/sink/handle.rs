//! The handle of the application. Tests start it with their own adapters (`start_with`).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::event_rules::EventRules;
use crate::report::dead_letter::DeadLetter;
use crate::report::notice::{Notice, Poll};
use crate::report::stats::{Counter, State, Stats};
#[cfg(feature = "cli")]
use crate::report::status::Tried;
use crate::report::stream_connection::{Gap, StreamConnection, gaps};
use crate::sink::adapters::Parts;
use crate::sink::engine::Engine;
use crate::spool::Spool;
use crate::threads::sync;

/// A sink: reads the stream into the table, through the spool.
///
/// Cheap to clone: all clones are the same sink. Every method may be called from any thread. Dropping the last clone closes the sink
/// within a second; events not committed by then stay in the spool for the next start.
///
/// ```no_run
/// use cxsink::{Config, Sink};
///
/// # fn main() -> cxsink::Result<()> {
/// let sink = Sink::open(&Config::load("cxsink.toml")?)?;
/// sink.start()?;
/// for notice in sink.notices() {
///     println!("{notice}");
/// }
/// sink.close()
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sink(pub(super) Arc<Handle>);

/// The state shared by the clones of a sink. The threads do not hold it, so dropping the last clone ends them.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) config: Config,
    pub(super) engine: Arc<Engine>,
    /// The process that opened the sink. A forked child has its memory, but not its threads.
    process: u32,
    stats_shown: Mutex<Instant>,
}

/// The interval of `Stats` notices.
const STATS_INTERVAL: Duration = Duration::from_secs(10);
/// The limit of `close`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The limit for dropping the last clone.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest wait for room in the spool between two checks of the state.
pub(super) const ROOM_CHECK: Duration = Duration::from_millis(100);

impl Sink {
    /// Checks the configuration, compiles the schema and opens the spool. Starts nothing and connects to nothing.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a bad configuration or schema, [`Spool`](crate::ErrorKind::Spool) for a spool that cannot
    /// be used.
    pub fn open(config: &Config) -> Result<Self> {
        config.of_one_stream()?.validate()?;
        let rules = EventRules::from_config(config)?;
        let spool = Spool::open(config)?;
        Ok(Self(Arc::new(Handle {
            config: config.clone(),
            engine: Arc::new(Engine::new(spool, rules)),
            process: std::process::id(),
            stats_shown: Mutex::new(Instant::now()),
        })))
    }

    /// Connects to the destination and starts reading the stream, on threads of its own. A sink starts once.
    ///
    /// An unreachable destination is not an error: events wait in the spool, and the state is `stalled`. Without a stream in the
    /// configuration, the sink accepts events only from [`ingest`](Self::ingest) and [`import`](Self::import).
    ///
    /// Blocks while it connects and reads the table definition, for `destination.connect_timeout` and a few
    /// `destination.statement_timeout` at most, or until `stop()`.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for a configured file or address that cannot be used; [`Database`](crate::ErrorKind::Database)
    /// for a table that does not exist or does not match the configuration, or refused credentials. Both end the sink as `failed`.
    /// [`State`](crate::ErrorKind::State) after the first call; [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn start(&self) -> Result<()> {
        self.check_process()?;
        self.start_with(|| Parts::from_config(&self.0.config, &self.0.engine.status))
    }

    /// `start()` with other adapters, for tests.
    pub(crate) fn start_with(&self, parts: impl FnOnce() -> Result<Parts>) -> Result<()> {
        self.0.engine.start(&self.0.config, parts)
    }

    /// Waits for the next notice. Without a `timeout`, it waits until there is one or the sink has ended.
    ///
    /// After the start, a [`Notice::Stats`] comes every ten seconds at least; before the start, there are no notices. The sink works
    /// without polling.
    ///
    /// # Errors
    /// [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn poll(&self, timeout: Option<Duration>) -> Result<Poll> {
        self.check_process()?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let until_stats = self.until_stats();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.0.engine.status.notices.poll(left.into_iter().chain(until_stats).min()) {
                Poll::TimedOut if self.until_stats().is_some_and(|left| left.is_zero()) => {
                    *sync::lock(&self.0.stats_shown) = Instant::now();
                    return Ok(Poll::Notice(Notice::Stats(Box::new(self.stats()))));
                }
                Poll::TimedOut if left.is_none_or(|left| until_stats.is_some_and(|stats| stats < left)) => {}
                found => return Ok(found),
            }
        }
    }

    /// An iterator over the notices: each step waits for the next one, and the end of the sink ends it.
    ///
    /// ```no_run
    /// # fn main() -> cxsink::Result<()> {
    /// # let sink = cxsink::Sink::open(&cxsink::Config::default())?;
    /// sink.start()?;
    /// for notice in sink.notices() {
    ///     println!("{notice}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn notices(&self) -> Notices<'_> {
        Notices(self)
    }

    /// The time until the next `Stats` notice is due; `None` before the start.
    fn until_stats(&self) -> Option<Duration> {
        let shown = *sync::lock(&self.0.stats_shown);
        (self.state() != State::Open).then(|| STATS_INTERVAL.saturating_sub(shown.elapsed()))
    }

    /// The statistics, at this moment.
    pub fn stats(&self) -> Stats {
        let engine = &self.0.engine;
        let lag = engine.spool.pending();
        engine.status.counters.snapshot(engine.status.state(), lag.events, lag.bytes)
    }

    /// One counter, without a lock.
    pub fn counter(&self, counter: Counter) -> u64 {
        match counter {
            Counter::Pending => self.0.engine.spool.pending().events,
            other => self.0.engine.status.counters.get(other),
        }
    }

    /// The state of the sink.
    pub fn state(&self) -> State {
        self.0.engine.status.state()
    }

    /// The time until the stream, or the destination, is tried again; `None` while it is not waited for.
    #[cfg(feature = "cli")]
    pub(crate) fn next_try(&self, side: Tried) -> Option<Duration> {
        self.0.engine.status.next_try(side)
    }

    /// The error that ended the sink, if its state is `failed`.
    pub fn failure(&self) -> Option<Error> {
        self.0.engine.status.failure()
    }

    /// At most `count` dead letters from the offset `from` on, the oldest first.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be read; [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn dead_letters(&self, from: u64, count: usize) -> Result<Vec<DeadLetter>> {
        self.check_process()?;
        self.0.engine.spool.dead_letters(from, count)
    }

    /// The last 10,000 connections to the stream, the oldest first, including those of earlier processes with this spool.
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be read; [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn connections(&self) -> Result<Vec<StreamConnection>> {
        self.check_process()?;
        self.0.engine.spool.connections()
    }

    /// The times in which events may have been missed, the oldest first; see [`Connections::gaps`](crate::connections::Connections::gaps).
    ///
    /// # Errors
    /// [`Spool`](crate::ErrorKind::Spool) if the file cannot be read; [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn gaps(&self) -> Result<Vec<Gap>> {
        let regressions = self.0.engine.spool.regressions()?;
        self.connections().map(|connections| gaps(&connections, regressions))
    }

    /// Begins a graceful stop: the sink stops reading, commits the spooled events, and ends. Never blocks. May be repeated.
    ///
    /// If the destination is unreachable, the events stay in the spool for the next start.
    pub fn stop(&self) {
        if self.check_process().is_err() {
            return;
        }
        self.0.engine.stop();
    }

    /// Ends the sink: [`close_within`](Self::close_within) 30 seconds.
    ///
    /// # Errors
    /// As for [`close_within`](Self::close_within).
    pub fn close(&self) -> Result<()> {
        self.close_within(CLOSE_TIMEOUT)
    }

    /// Stops reading, waits until the spooled events are committed, and ends. May be repeated. `Duration::MAX` waits without limit.
    ///
    /// It does not wait for a destination that is unreachable: it returns `Ok`, and the next start commits the
    /// [`Pending`](Counter::Pending) events.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) if not every event could be committed in time: the sink has ended all the same, and the rest
    /// is in the spool. The error that ended the sink, if its state is `failed`. [`Forked`](crate::ErrorKind::Forked) in a forked child.
    pub fn close_within(&self, timeout: Duration) -> Result<()> {
        self.check_process()?;
        self.stop();
        let has_ended = self.0.engine.end_within(timeout);
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        if has_ended {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Timeout,
            format!("closing the sink: {} events could not be committed in time", self.counter(Counter::Pending)),
        )
        .with_hint("start the sink again to commit them: they are in the spool"))
    }

    pub(super) fn check_process(&self) -> Result<()> {
        if std::process::id() == self.0.process {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Forked, "using the sink: it belongs to the parent process")
            .with_hint("open a sink after the fork, with a spool of its own"))
    }
}

/// The notices of a sink, from [`Sink::notices`]. In a forked child there are none.
#[derive(Debug)]
pub struct Notices<'a>(&'a Sink);

impl Iterator for Notices<'_> {
    type Item = Notice;

    fn next(&mut self) -> Option<Notice> {
        match self.0.poll(None) {
            Ok(Poll::Notice(notice)) => Some(notice),
            _ => None,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if std::process::id() != self.process {
            return;
        }
        self.engine.status.begin_stop();
        self.engine.end_within(DROP_TIMEOUT);
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;

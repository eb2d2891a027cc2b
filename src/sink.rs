//! The handle: opens the spool, wires source, loops and destination together, and answers the application.
//!
//! The only place that names concrete adapters and spawns threads. Tests bring their own parts through `Parts`.

use std::io::BufRead;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::connection::{Gap, StreamConnection, gaps};
use crate::dead_letter::DeadLetter;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::ledger::Ledger;
use crate::lock;
use crate::notice::{Notice, Poll};
use crate::pipeline::Pipeline;
use crate::preparer::Preparer;
use crate::reader::Reader;
use crate::schema::Schema;
use crate::source::websocket::WebsocketSource;
use crate::source::{BURST_BYTES_MAX, BURST_EVENTS_MAX, Observer, Source, SourceEvent};
use crate::spool::{Appended, Spool};
use crate::stats::{Counter, State, Stats};
use crate::status::Status;
use crate::stop_signal::{InterruptGuard, StopSignal};
use crate::writer::Writer;

mod replay;

pub use replay::{replay, replay_dry_run};

/// A running sink, or one about to run: from the stream through the spool into the table.
///
/// Cheap to clone; all clones are the same sink, and every method may be called from any thread. When the last clone is dropped
/// the sink stops: what can be applied within a second is, the rest stays in the spool for the next start.
///
/// ```no_run
/// use std::time::Duration;
/// use cxsink::{Config, Poll, Sink};
///
/// # fn main() -> cxsink::Result<()> {
/// let sink = Sink::open(&Config::load("cxsink.toml")?)?;
/// sink.start()?;
/// while let Poll::Notice(notice) = sink.poll(None)? {
///     println!("{}", notice.to_json());
/// }
/// sink.close(Some(Duration::from_secs(30)))
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sink(Arc<Handle>);

/// What the clones of a sink share. The threads do not hold it, so that dropping the last clone ends them.
#[derive(Debug)]
struct Handle {
    config: Config,
    engine: Arc<Engine>,
    /// The process that opened the sink: a forked child has the memory, but not the threads.
    process: u32,
    stats_shown: Mutex<Instant>,
}

/// What handle and threads share.
#[derive(Debug)]
struct Engine {
    spool: Arc<Spool>,
    status: Arc<Status>,
    schema: Arc<Schema>,
    pipeline: Arc<Pipeline>,
    threads: Mutex<Threads>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Threads {
    is_started: bool,
    running: usize,
    handles: Vec<JoinHandle<()>>,
    interrupts: Vec<InterruptGuard>,
}

/// The concrete parts of a sink.
pub(crate) struct Parts {
    /// `None` for a sink that only takes what the application gives it.
    pub(crate) source: Option<Box<dyn Source>>,
    pub(crate) destination: Box<dyn Destination>,
}

/// How often a `Stats` notice comes.
const STATS_INTERVAL: Duration = Duration::from_secs(10);
/// How long dropping the last clone may take.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long threads get to leave after an abort: every wait of theirs sees it at once.
const ABORT_GRACE: Duration = Duration::from_millis(100);
/// How long a wait for room in the spool lasts before the state is looked at again.
const ROOM_CHECK: Duration = Duration::from_millis(100);

impl Sink {
    /// Checks the configuration, compiles the schema and opens the spool. Starts nothing and connects to nothing.
    ///
    /// # Errors
    /// `CONFIG` for a bad configuration or schema, `SPOOL` for a spool that cannot be used.
    pub fn open(config: &Config) -> Result<Self> {
        config.validate()?;
        let schema = Schema::load(&config.schema, config.stream.event_bytes_max)?;
        let spool = Spool::open(config)?;
        let status = Status::new(Arc::new(SystemClock));
        let recovered = spool.backlog().events;
        status.counters.add(Counter::Recovered, recovered);
        if recovered > 0 {
            log::info!("the spool {} holds {recovered} events of an earlier run", spool.path().display());
        }
        let engine = Engine {
            spool: Arc::new(spool),
            status: Arc::new(status),
            schema: Arc::new(schema),
            pipeline: Arc::default(),
            threads: Mutex::default(),
            ended: Condvar::new(),
        };
        Ok(Self(Arc::new(Handle {
            config: config.clone(),
            engine: Arc::new(engine),
            process: std::process::id(),
            stats_shown: Mutex::new(Instant::now()),
        })))
    }

    /// Connects to the destination and starts reading the stream, on threads of its own. Once.
    ///
    /// A destination that cannot be reached is no error: events wait in the spool, and the state is `stalled`. Without any
    /// stream in the configuration the sink takes only what [`ingest`](Self::ingest) and [`import`](Self::import) give it.
    ///
    /// Blocks while it connects and looks at the table, for `destination.connect_timeout` and a few `destination.statement_timeout`
    /// at most, or until `stop()`.
    ///
    /// # Errors
    /// `DATABASE` for a table that does not exist or does not fit, or refused credentials; `STATE` after the first call.
    pub fn start(&self) -> Result<()> {
        self.check_process()?;
        let parts = Parts::from_config(&self.0.config, &self.0.engine.status)?;
        self.start_with(parts)
    }

    /// `start()` with parts of the caller's choice.
    pub(crate) fn start_with(&self, parts: Parts) -> Result<()> {
        let engine = &self.0.engine;
        {
            let mut threads = lock::lock(&engine.threads);
            if threads.is_started || engine.status.state() != State::Open {
                return Err(Error::state("the sink was started before").with_hint("open another sink"));
            }
            threads.is_started = true;
        }
        let config = &self.0.config;
        let (spool, status, pipeline) = (&engine.spool, &engine.status, &engine.pipeline);
        let mut writer =
            Writer::new(Arc::clone(spool), Arc::clone(pipeline), Arc::clone(status), config.clone(), parts.destination);
        let writer = match away_from_the_caller(move || writer.try_connect().map(|()| writer)) {
            Ok(writer) => writer,
            Err(error) => {
                engine.status.fail_to_start(&error);
                engine.end();
                return Err(error);
            }
        };
        let preparer = Preparer {
            spool: Arc::clone(spool),
            pipeline: Arc::clone(pipeline),
            status: Arc::clone(status),
            schema: Arc::clone(&engine.schema),
            batch: config.batch.clone(),
        };
        let reader = parts.source.map(|source| Reader {
            spool: Arc::clone(spool),
            status: Arc::clone(status),
            source,
            retry: config.retry.clone(),
            on_normal_close: config.stream.on_normal_close,
            ledger: Ledger::new(Arc::clone(spool), Arc::clone(&status.clock)),
            is_full: false,
        });
        let closed = Arc::clone(pipeline);
        let mut interrupts = vec![status.abort.on_set(move || closed.close())];
        if reader.is_none() {
            // With a reader, it is the reader's end that ends the intake: its last burst still goes in.
            let intake = Arc::clone(spool);
            interrupts.push(status.stop.on_set(move || intake.end_intake()));
        }
        {
            let mut threads = lock::lock(&engine.threads);
            threads.running = 2 + usize::from(reader.is_some());
            threads.interrupts = interrupts;
        }
        let mut writer = writer;
        engine.spawn("cxsink-writer", move || writer.run(), |engine| engine.pipeline.close());
        engine.spawn("cxsink-preparer", move || preparer.run(), |engine| engine.pipeline.finish());
        if let Some(mut reader) = reader {
            let at_end = |engine: &Engine| {
                engine.spool.end_intake();
                engine.status.begin_drain();
            };
            engine.spawn("cxsink-reader", move || reader.run(), at_end);
        }
        Ok(())
    }

    /// Waits for the next notice. `timeout`: `None` waits until there is one or the sink has ended.
    ///
    /// Polling is not needed for the sink to work.
    ///
    /// # Errors
    /// `FORKED` in a forked child.
    pub fn poll(&self, timeout: Option<Duration>) -> Result<Poll> {
        self.check_process()?;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let until_stats = self.until_stats();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.0.engine.status.notices.poll(Some(left.map_or(until_stats, |left| left.min(until_stats)))) {
                Poll::TimedOut if self.until_stats().is_zero() => {
                    *lock::lock(&self.0.stats_shown) = Instant::now();
                    return Ok(Poll::Notice(Notice::Stats(Box::new(self.stats()))));
                }
                Poll::TimedOut if left.is_none_or(|left| left > until_stats) => {}
                found => return Ok(found),
            }
        }
    }

    fn until_stats(&self) -> Duration {
        let shown = *lock::lock(&self.0.stats_shown);
        STATS_INTERVAL.saturating_sub(shown.elapsed())
    }

    /// Takes an event from the application: the same path as the stream's, with the check up front.
    ///
    /// Returns when the event is in the spool, and so survives what `spool.sync` says. Blocks while the spool is full.
    ///
    /// # Errors
    /// `JSON` or `SCHEMA` for an event that is not valid: it is refused, not kept. `STATE` when the sink is stopping.
    pub fn ingest(&self, event: &[u8]) -> Result<()> {
        self.check_process()?;
        self.0.engine.schema.parse(event)?;
        let mut burst = Burst::default();
        burst.push(event);
        self.append(&burst)
    }

    /// Takes events from JSON Lines: one event a line, empty lines skipped. Returns how many were taken.
    ///
    /// Unlike [`ingest`](Self::ingest), invalid events become dead letters, as those of the stream do. Blocks while the spool is
    /// full.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a line cannot be read; `STATE` when the sink is stopping. The message says how many events before
    /// it were taken. Lines are taken many at a time: those of a slow pipe wait until there are enough, or until it ends.
    pub fn import(&self, mut lines: impl BufRead) -> Result<u64> {
        self.check_process()?;
        let mut burst = Burst::default();
        let mut line = Vec::new();
        let mut taken = 0;
        loop {
            line.clear();
            let read = read_line(&mut lines, &mut line);
            let event = if read.is_ok() { line.trim_ascii() } else { b"" };
            if !event.is_empty() {
                burst.push(event);
            }
            let is_full = burst.events() >= BURST_EVENTS_MAX || burst.bytes() >= BURST_BYTES_MAX;
            let is_end = !matches!(read, Ok(1..));
            if !burst.is_empty() && (is_full || is_end) {
                self.append(&burst).map_err(|error| error.while_doing(format_args!("after {taken} events")))?;
                taken += burst.events() as u64;
                burst.clear();
            }
            match read {
                Ok(0) => return Ok(taken),
                Ok(_) => {}
                Err(error) => {
                    let message = format!("reading the line after {taken} events that were taken: {error}");
                    return Err(Error::new(ErrorKind::InvalidArgument, message));
                }
            }
        }
    }

    fn append(&self, burst: &Burst) -> Result<()> {
        let Engine { spool, status, .. } = &*self.0.engine;
        loop {
            if status.stop.is_set() || status.state().is_final() {
                return Err(Error::state("the sink is stopping and takes no more events"));
            }
            match spool.append(burst, status.clock.unix_micros())? {
                Appended::At(_) => {
                    status.counters.add(Counter::Received, burst.events() as u64);
                    return Ok(());
                }
                Appended::Full => {
                    spool.wait_for_room(burst, ROOM_CHECK);
                }
            }
        }
    }

    /// The sink's numbers, at this moment.
    pub fn stats(&self) -> Stats {
        let engine = &self.0.engine;
        let backlog = engine.spool.backlog();
        engine.status.counters.snapshot(engine.status.state(), backlog.events, backlog.bytes)
    }

    /// One of the sink's numbers.
    pub fn counter(&self, counter: Counter) -> u64 {
        match counter {
            Counter::Pending => self.0.engine.spool.backlog().events,
            other => self.0.engine.status.counters.get(other),
        }
    }

    /// Where the sink stands.
    pub fn state(&self) -> State {
        self.0.engine.status.state()
    }

    /// The error that ended the sink, if its state is `failed`.
    pub fn failure(&self) -> Option<Error> {
        self.0.engine.status.failure()
    }

    /// At most `count` dead letters from offset `from` on, the oldest first.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn dead_letters(&self, from: u64, count: usize) -> Result<Vec<DeadLetter>> {
        self.check_process()?;
        self.0.engine.spool.dead_letters(from, count)
    }

    /// The last 10,000 connections to the stream, the oldest first, also those of earlier processes over this spool.
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn connections(&self) -> Result<Vec<StreamConnection>> {
        self.check_process()?;
        self.0.engine.spool.connections()
    }

    /// The times in which events may have been missed, the oldest first; see [`Connections::gaps`](crate::Connections::gaps).
    ///
    /// # Errors
    /// `SPOOL` if the file cannot be read.
    pub fn gaps(&self) -> Result<Vec<Gap>> {
        self.connections().map(|connections| gaps(&connections))
    }

    /// Tells the sink to stop reading, to apply what is spooled and to end; does not wait for it. May be repeated.
    ///
    /// If the destination is away, what is spooled stays there for the next start.
    pub fn stop(&self) {
        if self.check_process().is_err() {
            return;
        }
        let engine = &self.0.engine;
        engine.status.begin_stop();
        if !lock::lock(&engine.threads).is_started {
            engine.end();
        }
    }

    /// Stops, waits until what is spooled is applied, and ends. May be repeated. `timeout`: `None` waits as long as it takes.
    ///
    /// # Errors
    /// `TIMEOUT` when not everything could be applied in time: the sink has ended all the same, and the rest is in the spool. A
    /// destination that is away is not waited for: `Ok`, with events [`Pending`](Counter::Pending) that the next start applies.
    /// The error that ended the sink, if its state is `failed`.
    pub fn close(&self, timeout: Option<Duration>) -> Result<()> {
        self.check_process()?;
        self.stop();
        let engine = &self.0.engine;
        let has_ended = engine.wait_ended(timeout);
        if !has_ended {
            engine.status.begin_abort();
            engine.wait_ended(Some(ABORT_GRACE));
        }
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        if has_ended {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Timeout,
            format!("closing the sink: {} events could not be applied in time", self.counter(Counter::Pending)),
        )
        .with_hint("they are safe in the spool, and the next start applies them"))
    }

    fn check_process(&self) -> Result<()> {
        if std::process::id() == self.0.process {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Forked, "the sink belongs to the parent process")
            .with_hint("open a sink after the fork, with a spool of its own"))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if std::process::id() != self.process {
            return;
        }
        self.engine.status.begin_stop();
        if !self.engine.wait_ended(Some(DROP_TIMEOUT)) {
            self.engine.status.begin_abort();
            self.engine.wait_ended(Some(ABORT_GRACE));
        }
    }
}

impl Engine {
    /// Runs `body` on a thread; its error, or its panic, ends the sink as failed. `at_end` runs in any case.
    fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        body: impl FnOnce() -> Result<()> + Send + 'static,
        at_end: impl FnOnce(&Engine) + Send + 'static,
    ) {
        let engine = Arc::clone(self);
        let run = move || {
            // Nothing of what the body leaves behind is used again, and the spool is sound after every statement.
            let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
                engine.status.abort.set();
                Err(Error::new(ErrorKind::Panic, format!("the thread {name} panicked"))
                    .with_hint("this is a bug in cxsink; the spool is intact, and the next start goes on from there"))
            });
            if let Err(error) = outcome {
                engine.status.fail(error);
            }
            at_end(&engine);
            engine.thread_ended();
        };
        match thread::Builder::new().name(name.into()).spawn(run) {
            Ok(handle) => lock::lock(&self.threads).handles.push(handle),
            Err(error) => self.not_spawned(name, &error),
        }
    }

    fn not_spawned(&self, name: &str, error: &std::io::Error) {
        self.status.fail(Error::new(ErrorKind::Internal, format!("starting the thread {name}: {error}")));
        self.status.begin_abort();
        self.spool.end_intake();
        self.pipeline.finish();
        self.thread_ended();
    }

    fn thread_ended(&self) {
        let mut threads = lock::lock(&self.threads);
        threads.running -= 1;
        let is_last = threads.running == 0;
        drop(threads);
        if is_last {
            self.end();
        }
    }

    /// Nothing runs any more.
    fn end(&self) {
        self.spool.end_intake();
        // What is applied is noted with the next append or on an idle tick, and here there is neither. For others that look
        // into the file; the next start would learn it from the destination.
        if let Err(error) = self.spool.delete_applied() {
            self.status.report(&error);
        }
        self.spool.unlock();
        self.status.end();
        // Notified under the lock, so that a waiter cannot miss it between its look and its wait.
        let _threads = lock::lock(&self.threads);
        self.ended.notify_all();
    }

    /// Waits until the sink has ended; false when `timeout` passes first.
    fn wait_ended(&self, timeout: Option<Duration>) -> bool {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut threads = lock::lock(&self.threads);
        while (threads.is_started || threads.running > 0) && !self.status.state().is_final() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            threads = lock::wait(&self.ended, threads, left);
        }
        // They have nothing left to do, and with them goes what they hold: afterwards the files are closed.
        let handles = std::mem::take(&mut threads.handles);
        drop(threads);
        for handle in handles.into_iter().filter(|handle| handle.thread().id() != thread::current().id()) {
            // A panic has been turned into the sink's failure already.
            let _ = handle.join();
        }
        true
    }
}

impl Parts {
    fn from_config(config: &Config, status: &Arc<Status>) -> Result<Self> {
        let source = if config.has_stream() {
            let counted = Arc::clone(status);
            let observer: Observer = Arc::new(move |event| {
                if let SourceEvent::TokenFetched { renewal: true } = event {
                    counted.counters.add(Counter::TokenRenewals, 1);
                }
            });
            let source = WebsocketSource::new(config, status.stop.clone(), Arc::clone(&status.clock), observer)?;
            Some(Box::new(source) as Box<dyn Source>)
        } else {
            None
        };
        let destination = open_destination(config, status.destination_abort.clone())?;
        Ok(Self { source, destination })
    }
}

/// Runs `work` on a thread of its own and waits for it: the `postgres` crate cannot be called, or even dropped, on a thread that
/// is inside an asynchronous runtime, and nobody can say what the application's thread is inside of.
fn away_from_the_caller<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let spawned = thread::Builder::new().name("cxsink-start".into()).spawn(work);
    let thread = spawned.map_err(|error| Error::new(ErrorKind::Internal, format!("starting a thread: {error}")))?;
    thread.join().unwrap_or_else(|_| Err(Error::new(ErrorKind::Panic, "the thread cxsink-start panicked")))
}

/// The destination that `destination.url` names.
fn open_destination(config: &Config, abort: StopSignal) -> Result<Box<dyn Destination>> {
    let url = config.destination.url.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
    match url.split_once(':') {
        #[cfg(feature = "sqlite")]
        Some(("sqlite", path)) => {
            Ok(Box::new(crate::destination::sqlite::SqliteDestination::new(path, &config.destination, abort)?))
        }
        #[cfg(feature = "postgres")]
        Some(("postgresql" | "postgres", _)) => {
            Ok(Box::new(crate::destination::postgres::PostgresDestination::new(&config.destination, abort)?))
        }
        _ => Err(Error::config("destination.url names no destination that this build of cxsink has")
            .with_hint("use postgresql://USER@HOST/DATABASE or sqlite:PATH; the features `postgres` and `sqlite` choose what is built in")),
    }
}

/// A line may be this long; the schema's limit for an event is far below.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Reads one line, without growing beyond bounds; 0 at the end.
fn read_line(lines: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let read = std::io::Read::take(&mut *lines, LINE_BYTES_MAX).read_until(b'\n', line)?;
    if read as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
        return Err(std::io::Error::other("a line is longer than 64 MiB: is this JSON Lines?"));
    }
    Ok(read)
}

/// Makes the table that `destination.url` and `destination.table` name, and the table `cxsink_checkpoint` beside it, where they
/// do not exist.
///
/// # Errors
/// `DATABASE` if the destination cannot be reached or refuses; `CONFIG` if `destination.url` is missing or bad.
pub fn init_db(config: &Config) -> Result<()> {
    let mut destination = open_destination(config, StopSignal::new())?;
    away_from_the_caller(move || destination.init_db())
}

/// The SQL that [`init_db`] would run.
///
/// # Errors
/// `CONFIG` if `destination.url` is missing or bad.
pub fn init_db_sql(config: &Config) -> Result<String> {
    Ok(open_destination(config, StopSignal::new())?.init_db_sql())
}

/// A look at the destination table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FirstRows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, in the order of the first column; each value as text, `None` for NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// The first `count` rows of the destination table as text.
///
/// # Errors
/// `DATABASE` if the destination cannot be reached or has no such table; `CONFIG` if `destination.url` is missing or bad.
pub fn peek(config: &Config, count: usize) -> Result<FirstRows> {
    let mut destination = open_destination(config, StopSignal::new())?;
    away_from_the_caller(move || {
        let columns = destination.connect()?.columns.into_iter().map(|column| column.name).collect();
        Ok(FirstRows { columns, rows: destination.peek(count)? })
    })
}

/// Checks events against the configured schema, without a sink, a spool or a network.
///
/// ```
/// let validator = cxsink::Validator::new(&cxsink::Config::default())?;
/// let event = br#"{"interactionId":"i-1","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k-1"}"#;
/// assert!(validator.validate(event).is_ok());
/// let error = validator.validate(br#"{"type":"fax"}"#).unwrap_err();
/// assert_eq!(error.violations().len(), 4);
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug)]
pub struct Validator(Schema);

impl Validator {
    /// Compiles the schema.
    ///
    /// # Errors
    /// `CONFIG` for a schema that cannot be used.
    pub fn new(config: &Config) -> Result<Self> {
        Schema::load(&config.schema, config.stream.event_bytes_max).map(Self)
    }

    /// Checks one event.
    ///
    /// # Errors
    /// `JSON` or `SCHEMA`, with every violation.
    pub fn validate(&self, event: &[u8]) -> Result<()> {
        self.0.parse(event).map(drop)
    }
}

/// Checks one event. For more than one, [`Validator`] compiles the schema only once.
///
/// # Errors
/// `JSON` or `SCHEMA`, with every violation; `CONFIG` for a schema that cannot be used.
pub fn validate(config: &Config, event: &[u8]) -> Result<()> {
    Validator::new(config)?.validate(event)
}

#[cfg(test)]
mod tests;

//! The engine: the state shared by the handle and the threads, and the life of the threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::pipeline::connection_log::ConnectionLog;
use crate::pipeline::event_rules::EventRules;
use crate::pipeline::handoff::Handoff;
use crate::pipeline::preparer::Preparer;
use crate::pipeline::reader::Reader;
use crate::pipeline::writer::Writer;
use crate::report::stats::{Counter, State};
use crate::report::status::Status;
use crate::sink::adapters::{Parts, away_from_the_caller};
use crate::spool::Spool;
use crate::threads::pulse::Pulse;
use crate::threads::spawn;
use crate::threads::stop_signal::{InterruptGuard, StopSignal};
use crate::threads::sync;
use crate::threads::sync::Condition;
use crate::time::clock::SystemClock;

/// The state shared by the handle and the threads.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) spool: Arc<Spool>,
    pub(super) status: Arc<Status>,
    pub(super) rules: EventRules,
    pub(super) handoff: Arc<Handoff>,
    /// Of the loops.
    pub(super) pulses: Mutex<Vec<Arc<Pulse>>>,
    threads: Mutex<Threads>,
    ended: Condition,
}

#[derive(Debug, Default)]
struct Threads {
    is_started: bool,
    running: usize,
    handles: Vec<JoinHandle<()>>,
    interrupts: Vec<InterruptGuard>,
}

/// How long one turn of a loop may block: the deadlines of the calls in it.
struct Turns {
    reader: Duration,
    writer: Duration,
}

impl Turns {
    fn new(config: &Config) -> Self {
        let (oauth, stream, destination) = (&config.oauth, &config.stream, &config.destination);
        let connecting = oauth.request_timeout + stream.connect_timeout + stream.open_timeout;
        Self {
            reader: connecting.max(stream.idle_timeout),
            writer: destination.connect_timeout + destination.statement_timeout,
        }
    }
}

/// The time for the threads to end after an immediate stop, which interrupts every wait of theirs.
const ABORT_GRACE: Duration = Duration::from_millis(100);

impl Engine {
    /// An engine with an open spool; no thread runs yet.
    pub(super) fn new(spool: Spool, rules: EventRules) -> Self {
        let status = Status::new(Arc::new(SystemClock));
        let recovered = spool.pending().events;
        status.counters.add(Counter::Recovered, recovered);
        if recovered > 0 {
            log::info!("the spool {} holds {recovered} events of an earlier process", spool.path().display());
        }
        Self {
            spool: Arc::new(spool),
            status: Arc::new(status),
            rules,
            handoff: Arc::default(),
            pulses: Mutex::default(),
            threads: Mutex::default(),
            ended: Condition::default(),
        }
    }

    /// Connects to the destination and starts the threads with these adapters. An error ends the sink.
    pub(super) fn start(self: &Arc<Self>, config: &Config, parts: impl FnOnce() -> Result<Parts>) -> Result<()> {
        {
            let mut threads = sync::lock(&self.threads);
            if threads.is_started || self.status.state() != State::Open {
                return Err(Error::state("starting the sink: it was started before").with_hint("open another sink"));
            }
            threads.is_started = true;
        }
        let begun = parts().and_then(|parts| self.begin(config, parts));
        if let Err(error) = &begun {
            self.status.fail_to_start(error);
            self.end();
        }
        begun
    }

    /// If this fails, no thread runs.
    fn begin(self: &Arc<Self>, config: &Config, parts: Parts) -> Result<()> {
        if let Some(conflict) = self.spool.conflict()? {
            return Err(conflict);
        }
        let (spool, status, handoff) = (&self.spool, &self.status, &self.handoff);
        let aborts: Vec<StopSignal> = parts.links.iter().map(|link| link.abort.clone()).collect();
        let end_calls = status.abort.on_set(move || aborts.iter().for_each(StopSignal::set));
        let mut preparer = Preparer::new(spool, handoff, status, &self.rules, config);
        let mut writers = Writer::all(spool, handoff, status, &self.rules, config, parts.links);
        let connect = move || writers.iter_mut().try_for_each(Writer::try_connect).map(|()| writers);
        let writers = away_from_the_caller(connect)?;
        let reader = parts.source.map(|source| Reader {
            spool: Arc::clone(spool),
            status: Arc::clone(status),
            source,
            redactor: self.rules.redactor.clone(),
            redacted: Burst::default(),
            retry: config.retry.clone(),
            on_normal_close: config.stream.on_normal_close,
            connection_log: ConnectionLog::new(Arc::clone(spool), Arc::clone(&status.clock)),
            is_full: false,
        });
        let closed = Arc::clone(handoff);
        let mut interrupts = vec![end_calls, status.abort.on_set(move || closed.close())];
        if reader.is_none() {
            // With a reader, the intake ends with the reader, after its last burst.
            let intake = Arc::clone(spool);
            interrupts.push(status.stop.on_set(move || intake.end_intake()));
        }
        {
            let mut threads = sync::lock(&self.threads);
            threads.running = 2 + writers.len() + usize::from(reader.is_some());
            threads.interrupts = interrupts;
        }
        let (file, reported, has_reader) = (Arc::clone(spool), Arc::clone(status), reader.is_some());
        let keep_short = move || {
            let lose = |error: &Error| {
                reported.fail_after_drain(error);
                if !has_reader {
                    file.end_intake();
                }
            };
            file.keep_short(|error| reported.report(error), lose);
            Ok(())
        };
        self.spawn("cxsink-wal", keep_short, |_| ());
        let turns = Turns::new(config);
        for (number, mut writer) in (1..).zip(writers) {
            let name = if number == 1 { "cxsink-writer".into() } else { format!("cxsink-writer-{number}") };
            self.spawn_loop(&name, turns.writer, move || writer.run(), |engine| engine.handoff.close());
        }
        self.spawn_loop("cxsink-preparer", Duration::ZERO, move || preparer.run(), |engine| engine.handoff.end());
        if let Some(mut reader) = reader {
            let at_end = |engine: &Engine| {
                engine.spool.end_intake();
                engine.status.begin_drain();
            };
            self.spawn_loop("cxsink-reader", turns.reader, move || reader.run(), at_end);
        }
        Ok(())
    }

    /// The same for a loop, in which nothing blocks for longer than `turn`.
    fn spawn_loop(
        self: &Arc<Self>,
        name: &str,
        turn: Duration,
        body: impl FnOnce() -> Result<()> + Send + 'static,
        at_end: impl FnOnce(&Engine) + Send + 'static,
    ) {
        let pulse = Pulse::new(name, turn);
        sync::lock(&self.pulses).push(Arc::clone(&pulse));
        self.spawn(name, move || pulse.run(body), at_end);
    }

    /// Runs `body` on a thread; an error or a panic of it ends the sink as failed. `at_end` runs in any case.
    fn spawn(
        self: &Arc<Self>,
        name: &str,
        body: impl FnOnce() -> Result<()> + Send + 'static,
        at_end: impl FnOnce(&Engine) + Send + 'static,
    ) {
        let (engine, own_name) = (Arc::clone(self), name.to_owned());
        let run = move || {
            // After a panic, nothing of the body is used again, and the spool is consistent after every statement.
            let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
                engine.status.abort.set();
                Err(Error::new(ErrorKind::Panic, format!("the thread {own_name} panicked"))
                    .with_hint("report this bug in cxsink; the spool is intact, and the next start continues from it"))
            });
            if let Err(error) = outcome {
                engine.status.fail(error);
            }
            at_end(&engine);
            engine.thread_ended();
        };
        match spawn::spawn(name, run) {
            Ok(handle) => sync::lock(&self.threads).handles.push(handle),
            Err(error) => self.not_spawned(name, &error),
        }
    }

    fn not_spawned(&self, name: &str, error: &std::io::Error) {
        self.status
            .fail(Error::new(ErrorKind::Internal, format!("starting the thread {name}: {error}")).caused_by_io(error));
        self.status.begin_abort();
        self.spool.end_intake();
        self.handoff.end();
        self.thread_ended();
    }

    fn thread_ended(&self) {
        let mut threads = sync::lock(&self.threads);
        threads.running -= 1;
        let running = threads.running;
        drop(threads);
        match running {
            0 => self.end(),
            // The upkeep of the spool lasts as long as the others write.
            1 => self.spool.end_upkeep(),
            _ => {}
        }
    }

    /// No thread runs any more.
    fn end(&self) {
        self.spool.end_intake();
        // The committed offset is recorded with a later append or on an idle tick, and here there is neither. This is for readers of
        // the file; the next start would get it from the destination.
        if let Err(error) = self.spool.release() {
            self.status.report(&error);
        }
        self.status.end();
        // Notified under the lock, so that a waiter cannot miss it between its check and its wait.
        let _threads = sync::lock(&self.threads);
        self.ended.notify_all();
    }

    /// Begins a graceful stop: the threads end after the drain. An engine that never started ends here.
    pub(super) fn stop(&self) {
        self.status.begin_stop();
        if !sync::lock(&self.threads).is_started {
            self.end();
        }
    }

    /// Waits until the sink has ended by itself. After `timeout`, stops it immediately and returns false.
    pub(super) fn end_within(&self, timeout: Duration) -> bool {
        let has_ended = self.wait_ended(timeout);
        if !has_ended {
            self.status.begin_abort();
            self.wait_ended(ABORT_GRACE);
        }
        has_ended
    }

    /// Waits until the sink has ended; false if `timeout` passes first.
    fn wait_ended(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut threads = sync::lock(&self.threads);
        while (threads.is_started || threads.running > 0) && !self.status.state().is_final() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            threads = self.ended.wait(threads, left);
        }
        // They are done. Joining them drops what they hold, so the files are closed afterwards.
        let handles = std::mem::take(&mut threads.handles);
        drop(threads);
        for handle in handles.into_iter().filter(|handle| handle.thread().id() != thread::current().id()) {
            // A panic has already become the failure of the sink.
            let _ = handle.join();
        }
        true
    }
}

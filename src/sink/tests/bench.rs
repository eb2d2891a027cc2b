//! A destination with faults, and a bench with a spool and a table for both.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Instant;

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::*;
use super::scripted::Scripted;
use crate::destination::sqlite::{SqliteDestination, init_db_sql};
use crate::destination::{Applied, Checkpoint, Destination, Examination, Link, Trial, Write};
use crate::error::Class;
use crate::report::finding::Finding;
use crate::rows::batch::Rows;
use crate::rows::{Plan, Table};
use crate::source::Source;
use crate::threads::stop_signal::StopSignal;

/// The faults, in the order of the calls to the destination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// `connect` fails.
    Unreachable,
    /// `connect` works, `prepare` fails.
    Unprepared,
    /// `apply` fails and changes nothing.
    Before(Class),
    /// `apply` commits, but its answer is lost.
    After,
    /// `apply` does not finish in time with more rows than this.
    TooLong(usize),
    /// `apply` fails, and the table has lost a column.
    DropColumn,
    /// `apply` panics.
    Panic,
    /// `apply` does not come back before the abort.
    Hang,
    /// `apply` works.
    None,
}

pub(super) struct Faulty {
    pub(super) inner: SqliteDestination,
    pub(super) table: std::path::PathBuf,
    pub(super) faults: Arc<Mutex<VecDeque<Fault>>>,
    pub(super) abort: StopSignal,
    pub(super) batches: mpsc::Sender<usize>,
}

pub(super) fn failure(class: Class) -> Error {
    Error::new(ErrorKind::Database, "injected").with_class(class).with_sqlstate("XX000")
}

impl Faulty {
    pub(super) fn next(&self, is_for: impl Fn(Fault) -> bool) -> Fault {
        let mut faults = sync::lock(&self.faults);
        if faults.front().is_some_and(|&fault| is_for(fault)) { faults.pop_front().unwrap() } else { Fault::None }
    }
}

impl Destination for Faulty {
    fn connect(&mut self) -> Result<Table> {
        match self.next(|fault| fault == Fault::Unreachable) {
            Fault::Unreachable => Err(failure(Class::Transient)),
            _ => self.inner.connect(),
        }
    }

    fn table(&mut self) -> Result<Table> {
        self.inner.table()
    }

    fn prepare(&mut self, plan: &Arc<Plan>) -> Result<()> {
        match self.next(|fault| fault == Fault::Unprepared) {
            Fault::Unprepared => Err(failure(Class::Transient)),
            _ => self.inner.prepare(plan),
        }
    }

    fn checkpoints(&mut self, spool_id: &str) -> Result<Option<Vec<Checkpoint>>> {
        self.inner.checkpoints(spool_id)
    }

    fn claim_checkpoints(&mut self, found: &[Checkpoint], owner: &str) -> Result<bool> {
        self.inner.claim_checkpoints(found, owner)
    }

    fn replace_checkpoints(&mut self, old: &[Checkpoint], new: &[Checkpoint]) -> Result<()> {
        self.inner.replace_checkpoints(old, new)
    }

    fn init_db(&mut self, own: Option<&crate::rows::NewTable>) -> Result<()> {
        self.inner.init_db(own)
    }

    fn init_db_sql(&self, own: Option<&crate::rows::NewTable>) -> String {
        self.inner.init_db_sql(own)
    }

    fn init_history(&mut self, history: &crate::rows::NewHistory) -> Result<()> {
        self.inner.init_history(history)
    }

    fn init_history_sql(
        &self,
        own: Option<&crate::rows::NewTable>,
        history: &crate::rows::NewHistory,
    ) -> Result<String> {
        self.inner.init_history_sql(own, history)
    }

    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        self.inner.peek(count)
    }

    fn superseded(&mut self, rows: &Rows, which: &[u32]) -> Result<Vec<u32>> {
        self.inner.superseded(rows, which)
    }

    fn examine(&mut self, what: Examination<'_>) -> Result<Option<Finding>> {
        self.inner.examine(what)
    }

    fn apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        let _ = self.batches.send(write.coalesced.len());
        match self.next(|fault| !matches!(fault, Fault::Unreachable | Fault::Unprepared)) {
            Fault::Before(class) => return Err(failure(class)),
            Fault::After => {
                self.inner.apply(write)?;
                return Err(failure(Class::Transient));
            }
            Fault::TooLong(rows) if write.coalesced.len() > rows => {
                return Err(failure(Class::Transient).with_timeout());
            }
            Fault::DropColumn => {
                let table = Connection::open(&self.table).unwrap();
                table.busy_timeout(Duration::from_secs(10)).unwrap();
                table.execute_batch("ALTER TABLE cxone_events DROP COLUMN attributes").unwrap();
                return Err(failure(Class::Mismatch));
            }
            Fault::Panic => panic!("injected"),
            Fault::Hang => {
                self.abort.wait(Duration::from_secs(60));
                return Err(failure(Class::Transient));
            }
            Fault::Unreachable | Fault::Unprepared | Fault::TooLong(_) | Fault::None => {}
        }
        if is_poisoned(write) {
            return Err(poisoned());
        }
        self.inner.apply(write)
    }

    fn trial(&mut self, suspect: &Write<'_>, witnesses: &[Write<'_>]) -> Result<Trial> {
        let trial = self.inner.trial(suspect, witnesses)?;
        if !is_poisoned(suspect) {
            return Ok(trial);
        }
        Ok(Trial { refusal: Some(poisoned()), witness: witnesses.iter().position(|witness| !is_poisoned(witness)) })
    }
}

pub(super) fn is_poisoned(write: &Write<'_>) -> bool {
    let rows = write.rows;
    let is_poison = |row: u32, column| rows.text_of(rows.value(row as usize, column)) == "poison";
    write.coalesced.iter().any(|coalesced| (0..rows.plan.width).any(|column| is_poison(coalesced.last, column)))
}

pub(super) fn poisoned() -> Error {
    failure(Class::BadRow).with_constraint(Some("no_poison"))
}

/// A directory with a spool and a table, and sinks that use them.
pub(super) struct Bench {
    pub(super) directory: TempDir,
    pub(super) config: Config,
    pub(super) faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.spool.path = directory.path().join("spool.db");
        config.destination.url = Some(format!("sqlite:{}", directory.path().join("table.db").display()).into());
        config.retry.delay_min = Duration::from_millis(1);
        config.retry.delay_max = Duration::from_millis(2);
        config.stream.on_normal_close = crate::config::OnNormalClose::Stop;
        let bench = Self { directory, config, faults: Arc::default() };
        bench.sql(&init_db_sql("cxone_events", None));
        bench
    }

    pub(super) fn table_path(&self) -> std::path::PathBuf {
        self.directory.path().join("table.db")
    }

    pub(super) fn connection(&self) -> Connection {
        let connection = Connection::open(self.table_path()).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    pub(super) fn sql(&self, sql: &str) {
        self.connection().execute_batch(sql).unwrap();
    }

    pub(super) fn faults(&self, faults: &[Fault]) {
        sync::lock(&self.faults).extend(faults);
    }

    pub(super) fn open(&self) -> Sink {
        Sink::open(&self.config).unwrap()
    }

    /// Starts the sink with this stream; the receiver gets the size of every batch that reached the destination.
    pub(super) fn start(&self, sink: &Sink, bursts: &[&[String]], end: Option<Error>) -> mpsc::Receiver<usize> {
        let (batches, receiver) = mpsc::channel();
        let path = self.table_path();
        let source: Option<Box<dyn Source>> = if bursts.is_empty() && end.is_none() {
            None
        } else {
            let bursts = bursts.iter().map(|burst| burst.to_vec()).collect();
            Some(Box::new(Scripted { bursts, end, stop: sink.0.engine.status.stop.clone() }))
        };
        let link = |_| {
            let abort = StopSignal::new();
            let inner =
                SqliteDestination::new(path.to_str().unwrap(), &self.config.destination, abort.clone()).unwrap();
            let (table, faults, batches) = (path.clone(), Arc::clone(&self.faults), batches.clone());
            let destination = Box::new(Faulty { inner, table, faults, abort: abort.clone(), batches });
            Link { destination, abort }
        };
        let links = (0..self.config.destination.connections).map(link).collect();
        drop(batches);
        sink.start_with(|| Ok(Parts { source, links })).unwrap();
        receiver
    }

    /// Runs a sink with this stream to its end.
    pub(super) fn run(&self, bursts: &[&[String]]) -> Stats {
        let sink = self.open();
        self.start(&sink, bursts, None);
        while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
        sink.close_within(Duration::from_secs(30)).unwrap();
        let stats = sink.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        stats
    }

    /// Key and duration of every row, by key.
    pub(super) fn rows(&self) -> Vec<(String, Option<i64>)> {
        let connection = self.connection();
        let mut select = connection.prepare("SELECT idempotency_key, duration FROM cxone_events ORDER BY 1").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(std::result::Result::unwrap).collect()
    }
}

pub(super) fn event(key: &str, duration: i64) -> String {
    event_of_agent(key, duration, "a")
}

pub(super) fn event_of_agent(key: &str, duration: i64, agent: &str) -> String {
    format!(
        "{{\"interactionId\":\"i\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"{key}\",\
         \"attributes\":{{\"duration\":{duration},\"agentId\":\"{agent}\"}}}}"
    )
}

pub(super) fn rows(expected: &[(&str, i64)]) -> Vec<(String, Option<i64>)> {
    expected.iter().map(|&(key, duration)| (key.to_owned(), Some(duration))).collect()
}

/// Other notices do not extend the deadline.
pub(super) fn wait_for_state(sink: &Sink, state: State) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match sink.poll(Some(left)).unwrap() {
            Poll::Notice(Notice::State(found)) if found == state => return,
            Poll::Notice(_) if !left.is_zero() => {}
            other => panic!("{other:?} instead of {state}: {:?}", sink.stats()),
        }
    }
}

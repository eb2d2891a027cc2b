//! The whole engine with a scripted stream and a faulty destination: every class of failure, and the accounting afterwards.
//!
//! The destination is the real SQLite one behind injected faults; `tests/` has the real stream and PostgreSQL.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::destination::sqlite::{SqliteDestination, init_db_sql};
use crate::destination::{Applied, Checkpoint, Destination, Examination, Link, Trial, Write};
use crate::error::Class;
use crate::event::Burst;
use crate::report::dead_letter::Stage;
use crate::report::finding::Finding;
use crate::rows::batch::Rows;
use crate::rows::{Plan, Table};
use crate::source::{ReadOutcome, Source};
use crate::threads::stop_signal::StopSignal;

/// The faults, in the order of the calls to the destination.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
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

struct Faulty {
    inner: SqliteDestination,
    table: std::path::PathBuf,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    abort: StopSignal,
    batches: mpsc::Sender<usize>,
}

fn failure(class: Class) -> Error {
    Error::new(ErrorKind::Database, "injected").with_class(class).with_sqlstate("XX000")
}

impl Faulty {
    fn next(&self, is_for: impl Fn(Fault) -> bool) -> Fault {
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

    fn peek(&mut self, count: usize) -> Result<Vec<Vec<Option<String>>>> {
        self.inner.peek(count)
    }

    fn superseded(&mut self, rows: &Rows) -> Result<Vec<usize>> {
        self.inner.superseded(rows)
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

fn is_poisoned(write: &Write<'_>) -> bool {
    let rows = write.rows;
    let is_poison = |row: u32, column| rows.text_of(rows.value(row as usize, column)) == "poison";
    write.coalesced.iter().any(|coalesced| (0..rows.plan.width).any(|column| is_poison(coalesced.last, column)))
}

fn poisoned() -> Error {
    failure(Class::BadRow).with_constraint(Some("no_poison"))
}

/// Yields these bursts, then this end.
struct Scripted {
    bursts: VecDeque<Vec<String>>,
    end: Option<Error>,
    stop: StopSignal,
}

impl Source for Scripted {
    fn connect(&mut self, _early: &mut Burst) -> Result<()> {
        Ok(())
    }

    fn kept(&mut self) {}

    fn read(&mut self, burst: &mut Burst) -> Result<ReadOutcome> {
        match self.bursts.pop_front() {
            Some(events) => {
                for event in events {
                    burst.push(event.as_bytes());
                }
                // The last burst comes with the error; it has been read all the same.
                match self.end.take_if(|_| self.bursts.is_empty()) {
                    Some(error) => Err(error),
                    None => Ok(ReadOutcome::Events),
                }
            }
            None if self.stop.wait(Duration::from_millis(1)) => Err(Error::stopped()),
            None => Ok(ReadOutcome::Closed),
        }
    }
}

/// A directory with a spool and a table, and sinks that use them.
struct Bench {
    directory: TempDir,
    config: Config,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl Bench {
    fn new() -> Self {
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

    fn table_path(&self) -> std::path::PathBuf {
        self.directory.path().join("table.db")
    }

    fn connection(&self) -> Connection {
        let connection = Connection::open(self.table_path()).unwrap();
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }

    fn sql(&self, sql: &str) {
        self.connection().execute_batch(sql).unwrap();
    }

    fn faults(&self, faults: &[Fault]) {
        sync::lock(&self.faults).extend(faults);
    }

    fn open(&self) -> Sink {
        Sink::open(&self.config).unwrap()
    }

    /// Starts the sink with this stream; the receiver gets the size of every batch that reached the destination.
    fn start(&self, sink: &Sink, bursts: &[&[String]], end: Option<Error>) -> mpsc::Receiver<usize> {
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
    fn run(&self, bursts: &[&[String]]) -> Stats {
        let sink = self.open();
        self.start(&sink, bursts, None);
        while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
        sink.close_within(Duration::from_secs(30)).unwrap();
        let stats = sink.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        stats
    }

    /// Key and duration of every row, by key.
    fn rows(&self) -> Vec<(String, Option<i64>)> {
        let connection = self.connection();
        let mut select = connection.prepare("SELECT idempotency_key, duration FROM cxone_events ORDER BY 1").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(std::result::Result::unwrap).collect()
    }
}

fn event(key: &str, duration: i64) -> String {
    event_of_agent(key, duration, "a")
}

fn event_of_agent(key: &str, duration: i64, agent: &str) -> String {
    format!(
        "{{\"interactionId\":\"i\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"{key}\",\
         \"attributes\":{{\"duration\":{duration},\"agentId\":\"{agent}\"}}}}"
    )
}

fn rows(expected: &[(&str, i64)]) -> Vec<(String, Option<i64>)> {
    expected.iter().map(|&(key, duration)| (key.to_owned(), Some(duration))).collect()
}

/// Other notices do not extend the deadline.
fn wait_for_state(sink: &Sink, state: State) {
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

#[test]
fn public_types_may_be_shared_among_threads() {
    fn check<T: Send + Sync>() {}
    check::<Sink>();
    check::<crate::Validator>();
    check::<Config>();
    check::<Error>();
    check::<Notice>();
    check::<Stats>();
    check::<DeadLetter>();
    check::<crate::dead_letters::ReplayReport>();
    check::<crate::check::CheckReport>();
    check::<Gap>();
}

#[test]
fn every_event_reaches_the_table_and_is_accounted_for() {
    let bench = Bench::new();
    let stats = bench
        .run(&[&[event("a", 1), event("b", 2), event("a", 3)], &[event("b", 4), "not json".into(), event("c", 5)]]);
    assert_eq!(bench.rows(), rows(&[("a", 3), ("b", 4), ("c", 5)]));
    assert_eq!((stats.received, stats.inserted, stats.dead_lettered, stats.pending), (6, 3, 1, 0));
    assert_eq!(stats.updated + stats.coalesced, 2);
    assert_eq!(stats.state, State::Closed);
    assert!(stats.latency.max > Duration::ZERO && stats.latency.p50 <= stats.latency.max);
}

#[test]
fn after_an_outage_every_event_is_committed() {
    let bench = Bench::new();
    bench.faults(&[
        Fault::Unreachable,
        Fault::Unreachable,
        Fault::Before(Class::Transient),
        Fault::Unreachable,
        Fault::Before(Class::Mismatch),
    ]);
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Stalled);
    wait_for_state(&sink, State::Running);
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    sink.close_within(Duration::MAX).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 1)]));
    assert!(sink.stats().is_balanced() && sink.stats().last_error.unwrap().contains("injected"));
}

#[test]
fn after_a_conflict_the_batch_is_committed() {
    let bench = Bench::new();
    bench.faults(&[Fault::Before(Class::Conflict), Fault::Before(Class::Conflict)]);
    let stats = bench.run(&[&[event("a", 1)]]);
    assert_eq!((stats.inserted, stats.last_error), (1, None));
}

#[test]
fn after_a_lost_answer_the_table_is_the_same() {
    let bench = Bench::new();
    bench.faults(&[Fault::After]);
    let stats = bench.run(&[&[event("a", 1), event("b", 2), "bad".into()]]);
    assert_eq!((stats.confirmed, stats.inserted, stats.updated, stats.dead_lettered), (2, 0, 0, 1), "{stats:?}");
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
}

/// No event is left to write, so no later commit shows that the destination works again.
#[test]
fn after_a_lost_answer_the_sink_is_running_again() {
    let bench = Bench::new();
    bench.faults(&[Fault::After]);
    let sink = bench.open();
    let _batches = bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Running);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    wait_for_state(&sink, State::Stalled);
    wait_for_state(&sink, State::Running);
    // The batch is counted after the state has changed.
    sink.close_within(Duration::MAX).unwrap();
    let stats = sink.stats();
    assert_eq!((stats.confirmed, stats.pending), (1, 0), "{stats:?}");
}

/// Only the first comparison may find the checkpoint of other offsets, however often a connection breaks early.
#[test]
fn a_connection_that_breaks_early_changes_nothing() {
    let bench = Bench::new();
    bench.faults(&[Fault::Unprepared]);
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.faults(&[Fault::Before(Class::Transient), Fault::Unprepared]);
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    sink.close_within(Duration::MAX).unwrap();
    let stats = sink.stats();
    assert!(stats.is_balanced() && (stats.inserted, stats.updated, stats.recovered) == (2, 0, 0), "{stats:?}");
    drop(sink);
    assert_eq!(batches.iter().count(), 3, "one for each event, and the one that failed");
    let checkpoint: u64 =
        bench.connection().query_row("SELECT position FROM cxsink_checkpoint", [], |row| row.get(0)).unwrap();
    assert_eq!(checkpoint, 2);
}

#[test]
fn without_a_checkpoint_table_a_lost_answer_is_applied_again() {
    let bench = Bench::new();
    bench.sql("DROP TABLE cxsink_checkpoint");
    bench.faults(&[Fault::After]);
    let stats = bench.run(&[&[event("a", 1), event("b", 2)]]);
    assert_eq!((stats.confirmed, stats.updated), (0, 2));
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
}

#[test]
fn bad_rows_alone_become_dead_letters_in_order() {
    let bench = Bench::new();
    let sink = bench.open();
    let mut events: Vec<String> = (0..500).map(|n| event(&format!("k{:03}", n % 400), n)).collect();
    for bad in [7, 200, 201, 499] {
        events[bad] = event_of_agent(&format!("bad{bad}"), 0, "poison");
    }
    let batches = bench.start(&sink, &[&events], None);
    while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
    let dead_letters = sink.dead_letters(0, 100).unwrap();
    assert_eq!(dead_letters.iter().map(|letter| letter.offset).collect::<Vec<_>>(), [7, 200, 201, 499]);
    assert!(dead_letters.iter().all(|letter| letter.stage == Stage::Database
        && letter.sqlstate.as_deref() == Some("XX000")
        && letter.constraint.as_deref() == Some("no_poison")));
    assert_eq!(dead_letters[0].event.0, events[7].as_bytes());
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.dead_lettered == 4, "{stats:?}");
    let statements = batches.iter().count();
    assert!(statements <= 4 * 2 * 10, "{statements} statements for 4 bad rows in 500");
    let found = bench.rows();
    for n in 0..400 {
        let last = if n < 99 { n + 400 } else { n };
        let expected = ![7, 200, 201].contains(&n) || last != n;
        let row = found.iter().find(|(key, _)| *key == format!("k{n:03}"));
        assert_eq!(row.map(|(_, duration)| duration.unwrap()), expected.then_some(i64::from(last)), "k{n:03}");
    }
}

#[test]
fn after_a_change_of_the_table_events_go_into_the_new_columns() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    sink.0.engine.spool.wait_drained(Duration::from_secs(30));
    bench.sql("ALTER TABLE cxone_events DROP COLUMN attributes");
    bench.faults(&[Fault::Before(Class::Mismatch)]);
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    sink.ingest(event("c", 3).as_bytes()).unwrap();
    sink.0.engine.spool.wait_drained(Duration::from_secs(30));
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2), ("c", 3)]));
    assert!(sink.stats().is_balanced());
}

#[test]
fn spooled_events_are_recovered_and_committed_once() {
    let bench = Bench::new();
    {
        let sink = bench.open();
        for n in 0..3 {
            sink.ingest(event(&format!("k{n}"), n).as_bytes()).unwrap();
        }
        sink.close_within(Duration::MAX).unwrap();
        assert_eq!(sink.stats().pending, 3, "never started, nothing lost");
    }
    // Committed, but the process ends before it receives the answer.
    {
        let sink = bench.open();
        bench.faults(&[Fault::After, Fault::Unreachable, Fault::Unreachable, Fault::Unreachable]);
        bench.start(&sink, &[], None);
        wait_for_state(&sink, State::Stalled);
        sink.close_within(Duration::from_secs(30)).unwrap();
        assert!(sink.stats().is_balanced());
    }
    sync::lock(&bench.faults).clear();
    bench.sql("UPDATE cxone_events SET duration = 99");
    let sink = bench.open();
    assert!(sink.stats().recovered <= 3);
    bench.start(&sink, &[], None);
    sink.ingest(event("new", 7).as_bytes()).unwrap();
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("k0", 99), ("k1", 99), ("k2", 99), ("new", 7)]), "applied once, not again");
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.inserted == 1 && stats.updated == 0, "{stats:?}");
}

#[test]
fn a_checkpoint_regression_is_reported_and_followed() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.sql("UPDATE cxsink_checkpoint SET position = 0");
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.inserted == 2, "{stats:?}");
    assert!(stats.last_error.unwrap().contains("lost 1 events"));
}

/// It is not known which of the lost events belonged to which partition.
#[test]
fn each_regressed_checkpoint_reports_its_own_partition() {
    let mut bench = Bench::new();
    bench.config.destination.connections = 2;
    let sink = bench.open();
    bench.start(&sink, &[], None);
    let ingest = |keys: std::ops::Range<i64>| {
        keys.for_each(|n| sink.ingest(event(&format!("k{n}"), n).as_bytes()).unwrap());
        assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    };
    ingest(0..20);
    bench.sql("UPDATE cxsink_checkpoint SET position = 0");
    ingest(20..40);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows().len(), 40);
    let mut reported = Vec::new();
    while let Poll::Notice(notice) = sink.poll(None).unwrap() {
        if let Notice::Error(error) = notice {
            reported.push(error.to_string());
        }
    }
    reported.sort();
    let [first, second] = &reported[..] else { panic!("{reported:?}") };
    assert!(first.contains("lost the share of connection 1 of 2 in "), "{reported:?}");
    assert!(second.contains("lost the share of connection 2 of 2 in "), "{reported:?}");
    assert_eq!(sink.gaps().unwrap().len(), 2);
}

/// A copied spool file, and so two sinks with one id: the second one must not take the first one's progress for its own.
/// An in-doubt transaction of an earlier process can move the checkpoint until this process has committed something, not later.
#[test]
fn after_a_commit_a_moved_checkpoint_ends_the_sink() {
    let mut bench = Bench::new();
    bench.config.batch.events_max = 1;
    let sink = bench.open();
    for n in 0..3 {
        sink.ingest(event(&format!("k{n}"), n).as_bytes()).unwrap();
    }
    sink.close_within(Duration::MAX).unwrap();
    drop(sink);
    bench.sql(
        "CREATE TRIGGER other_sink AFTER INSERT ON cxone_events WHEN NEW.idempotency_key = 'k1' BEGIN
             UPDATE cxsink_checkpoint SET position = 3; END",
    );
    let sink = bench.open();
    bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Failed);
    assert!(sink.failure().unwrap().hint().unwrap().contains("copy of this spool"));
    let stats = sink.stats();
    assert!(stats.is_balanced() && (stats.recovered, stats.inserted, stats.pending) == (3, 2, 1), "{stats:?}");
}

#[test]
fn a_checkpoint_moved_by_another_process_ends_the_sink_and_drops_nothing() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.sql("UPDATE cxsink_checkpoint SET position = 7");
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    wait_for_state(&sink, State::Failed);
    let failure = sink.failure().unwrap();
    assert!(failure.hint().unwrap().contains("copy of this spool"), "{failure:?}");
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.pending == 1, "{stats:?}");
}

/// The table of checkpoints is created while the sink runs: no event is written again, now or at the next start.
#[test]
fn a_checkpoint_table_created_later_is_used() {
    let bench = Bench::new();
    bench.sql("DROP TABLE cxsink_checkpoint");
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(30)));
    bench.sql(&init_db_sql("cxone_events", None));
    bench.faults(&[Fault::Before(Class::Transient)]);
    sink.ingest(event("b", 2).as_bytes()).unwrap();
    sink.0.engine.spool.wait_drained(Duration::from_secs(30));
    sink.close_within(Duration::from_secs(30)).unwrap();
    drop(sink);
    assert_eq!(batches.iter().count(), 3);
    bench.sql("UPDATE cxone_events SET duration = 99");
    bench.run(&[&[event("c", 3)]]);
    assert_eq!(bench.rows(), rows(&[("a", 99), ("b", 99), ("c", 3)]));
}

/// Ten events a statement finish in time, more do not.
#[test]
fn after_a_statement_timeout_a_smaller_batch_is_committed() {
    let bench = Bench::new();
    bench.faults(&[Fault::TooLong(10); 20]);
    let sink = bench.open();
    let events: Vec<String> = (0..100).map(|n| event(&format!("k{n:03}"), n)).collect();
    let batches = bench.start(&sink, &[&events], None);
    while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
    assert_eq!(bench.rows().len(), 100);
    assert!(sink.stats().is_balanced());
    drop(sink);
    assert!(batches.iter().count() < 40);
}

/// A long lock stalls the sink, and a stop does not wait for it.
#[test]
fn an_endless_conflict_stalls_the_sink() {
    let bench = Bench::new();
    bench.faults(&vec![Fault::Before(Class::Conflict); 10_000]);
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    bench.start(&sink, &[], None);
    wait_for_state(&sink, State::Stalled);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(sink.stats().pending, 1);
}

/// The stream has ended, and then the table changes: events prepared for the old definition are still committed.
#[test]
fn after_a_change_of_the_table_the_drain_continues() {
    let bench = Bench::new();
    bench.faults(&[Fault::Unreachable]);
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    bench.faults(&[Fault::DropColumn]);
    bench.start(&sink, &[&[event("b", 2)]], None);
    while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(30))).unwrap() {}
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2)]));
    assert!(sink.stats().is_balanced());
}

#[cfg(unix)]
#[test]
fn only_its_user_can_read_the_spool() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let sink = bench.open();
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    for end in ["", "-wal", ".lock"] {
        let path = bench.directory.path().join(format!("spool.db{end}"));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{end}");
    }
}

#[test]
fn lines_before_an_unreadable_one_are_taken_and_counted() {
    struct Broken(usize);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 2 {
                return Err(std::io::Error::other("the cable"));
            }
            let line = event(&format!("k{}", self.0), 1) + "\n";
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }
    let bench = Bench::new();
    let sink = bench.open();
    let error = sink.import(std::io::BufReader::new(Broken(0))).unwrap_err();
    assert!(error.message().contains("after 2 accepted events: the cable"), "{error}");
    assert_eq!(error.index(), Some(2));
    assert_eq!(sink.stats().pending, 2);
}

/// A dead letter kept before the batch was committed decides the event, even if it is valid now.
#[test]
fn an_event_with_a_dead_letter_stays_out_of_the_table() {
    let mut bench = Bench::new();
    let unknown_member = event("a", 1).replacen('{', "{\"extra\":1,", 1);
    {
        bench.faults(&[Fault::Before(Class::Transient)]);
        bench.faults(&vec![Fault::Unreachable; 10_000]);
        let sink = bench.open();
        sink.import(format!("{unknown_member}\n{}", event("b", 2)).as_bytes()).unwrap();
        bench.start(&sink, &[], None);
        wait_for_state(&sink, State::Stalled);
        sink.close_within(Duration::from_secs(30)).unwrap();
        assert_eq!((sink.dead_letters(0, 9).unwrap().len(), sink.stats().pending), (1, 2));
    }
    sync::lock(&bench.faults).clear();
    bench.config.schema.additional_properties = crate::config::AdditionalProperties::Keep;
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("b", 2)]));
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.dead_lettered == 1 && stats.inserted == 1, "{stats:?}");
}

/// The machine goes down: the table has events that the file lost, and new events must not be taken for them.
#[test]
fn a_spool_that_lost_its_tail_loses_nothing_more() {
    let bench = Bench::new();
    let copy = bench.directory.path().join("copy.db");
    let copy_spool = |from: &Path, to: &Path| {
        assert!(!from.with_extension("db-wal").exists(), "a closed spool is one file");
        std::fs::copy(from, to).unwrap();
    };
    bench.run(&[&[event("a", 1)]]);
    // The next process reaches the destination: its owner is flushed, unlike its events.
    let sink = bench.open();
    bench.start(&sink, &[], None);
    Connection::open(&bench.config.spool.path).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    for lost in [event("b", 2), event("c", 3), event("d", 4)] {
        sink.ingest(lost.as_bytes()).unwrap();
    }
    sink.close_within(Duration::from_secs(30)).unwrap();
    drop(sink);
    assert_eq!(bench.rows().len(), 4);
    copy_spool(&copy, &bench.config.spool.path);
    // First a process that never reaches the destination, then one that does.
    let sink = bench.open();
    sink.ingest(event("e", 5).as_bytes()).unwrap();
    sink.close_within(Duration::MAX).unwrap();
    drop(sink);
    bench.run(&[&[event("f", 6)]]);
    assert_eq!(bench.rows(), rows(&[("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("f", 6)]));
}

#[test]
fn after_a_permanent_error_of_the_stream_the_sink_drains_and_fails() {
    let bench = Bench::new();
    let sink = bench.open();
    let fatal = Error::new(ErrorKind::Auth, "the client secret is wrong").with_hint("check it");
    bench.start(&sink, &[&[event("a", 1)]], Some(fatal));
    wait_for_state(&sink, State::Failed);
    assert!(matches!(sink.poll(None).unwrap(), Poll::Closed));
    assert_eq!(sink.failure().unwrap().kind(), ErrorKind::Auth);
    assert_eq!(sink.close_within(Duration::MAX).unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(bench.rows(), rows(&[("a", 1)]));
    assert!(sink.stats().is_balanced());
}

#[test]
fn after_a_panic_the_sink_has_failed_and_the_spool_is_intact() {
    let bench = Bench::new();
    bench.faults(&[Fault::Panic]);
    let sink = bench.open();
    bench.start(&sink, &[&[event("a", 1)]], None);
    wait_for_state(&sink, State::Failed);
    assert_eq!(sink.failure().unwrap().kind(), ErrorKind::Panic);
    assert_eq!(sink.stats().pending, 1);
    drop(sink);
    let stats = bench.run(&[&[event("b", 2)]]);
    assert_eq!((stats.recovered, stats.inserted), (1, 2));
}

#[test]
fn a_stop_does_not_wait_for_an_unreachable_destination() {
    let bench = Bench::new();
    bench.faults(&vec![Fault::Unreachable; 10_000]);
    let sink = bench.open();
    bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    sink.close_within(Duration::from_secs(30)).unwrap();
    let stats = sink.stats();
    assert_eq!((stats.state, stats.pending), (State::Closed, 1));
    assert!(stats.is_balanced());
}

#[test]
fn close_ends_a_hanging_statement_at_its_timeout() {
    let bench = Bench::new();
    bench.faults(&[Fault::Hang]);
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    sink.ingest(event("a", 1).as_bytes()).unwrap();
    batches.recv().unwrap();
    let error = sink.close_within(Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains("1 events"), "{error}");
    assert_eq!(sink.state(), State::Closed);
    assert!(sink.close_within(Duration::MAX).is_ok(), "closing again is no error");
    assert_eq!(sink.stats().pending, 1);
}

#[test]
fn events_of_the_application_reach_the_table() {
    let bench = Bench::new();
    let sink = bench.open();
    let error = sink.ingest(b"{}").unwrap_err();
    assert_eq!((error.kind(), error.violations().len()), (ErrorKind::Schema, 4));
    assert_eq!(sink.ingest(b"x").unwrap_err().kind(), ErrorKind::Json);
    let batches = bench.start(&sink, &[], None);
    let lines = format!("{}\n\n  {}  \nbad\n{}", event("a", 1), event("b", 2), event("a", 3));
    assert_eq!(sink.import(lines.as_bytes()).unwrap(), 4);
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows(), rows(&[("a", 3), ("b", 2)]));
    assert_eq!(sink.ingest(event("c", 1).as_bytes()).unwrap_err().kind(), ErrorKind::State);
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.received == 4 && stats.dead_lettered == 1, "{stats:?}");
    assert_eq!(batches.iter().count() as u64, stats.batches, "no statement is in vain");
}

#[test]
fn threads_of_the_application_may_call_at_the_same_time() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sink = sink.clone();
            scope.spawn(move || {
                for n in 0..50 {
                    sink.ingest(event(&format!("t{thread}-{n}"), n).as_bytes()).unwrap();
                    let _ = (sink.stats(), sink.state(), sink.poll(Some(Duration::ZERO)).unwrap());
                }
            });
        }
    });
    sink.close_within(Duration::from_secs(30)).unwrap();
    assert_eq!(bench.rows().len(), 200);
    assert!(sink.stats().is_balanced());
}

#[test]
fn a_sink_starts_once_and_ends_once() {
    let bench = Bench::new();
    let sink = bench.open();
    bench.start(&sink, &[], None);
    let error = sink.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    sink.stop();
    sink.stop();
    sink.close_within(Duration::MAX).unwrap();
    assert!(matches!(sink.poll(None), Ok(Poll::Notice(_))));
    let unstarted = Bench::new().open();
    unstarted.stop();
    assert_eq!(unstarted.state(), State::Closed);
    assert_eq!(unstarted.start().unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn a_sink_that_is_not_started_has_no_notices() {
    let bench = Bench::new();
    let sink = bench.open();
    let long_ago = || *sync::lock(&sink.0.stats_shown) = Instant::now().checked_sub(STATS_INTERVAL).unwrap();
    long_ago();
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        assert!(matches!(sink.poll(Some(timeout)).unwrap(), Poll::TimedOut));
    }
    bench.start(&sink, &[], None);
    assert!(matches!(sink.poll(None).unwrap(), Poll::Notice(Notice::State(State::Running))));
    long_ago();
    assert!(matches!(sink.poll(None).unwrap(), Poll::Notice(Notice::Stats(_))));
    assert!(matches!(sink.poll(Some(Duration::ZERO)).unwrap(), Poll::TimedOut));
    sink.close_within(Duration::MAX).unwrap();
}

/// The wait for the start, on another thread, does not end with empty statistics.
#[test]
fn polling_may_begin_before_the_start() {
    let bench = Bench::new();
    let sink = bench.open();
    let polled = sink.clone();
    let first = std::thread::spawn(move || polled.poll(None).unwrap());
    bench.start(&sink, &[], None);
    assert!(matches!(first.join().unwrap(), Poll::Notice(Notice::State(State::Running))));
    sink.close_within(Duration::MAX).unwrap();
}

#[test]
fn a_start_that_fails_ends_the_sink_and_the_notices() {
    let mut bench = Bench::new();
    bench.config.tls.ca_file = Some("/nowhere/ca.pem".into());
    bench.config.oauth.client_id = Some("id".into());
    bench.config.oauth.client_secret = Some("secret".to_owned().into());
    bench.config.stream.id = Some("stream".into());
    let sink = bench.open();
    assert_eq!(sink.start().unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(sink.start().unwrap_err().kind(), ErrorKind::State);
    let mut notices = Vec::new();
    while let Poll::Notice(notice) = sink.poll(None).unwrap() {
        notices.push(notice.to_json());
    }
    assert!(notices[0].contains("tls.ca_file"), "{notices:?}");
    assert!(notices.last().unwrap().contains("failed"), "{notices:?}");
    assert_eq!(sink.close_within(Duration::MAX).unwrap_err().kind(), ErrorKind::Config);
}

#[test]
fn dropping_the_last_clone_ends_the_threads() {
    let bench = Bench::new();
    let sink = bench.open();
    let batches = bench.start(&sink, &[], None);
    let clone = sink.clone();
    drop(sink);
    clone.ingest(event("a", 1).as_bytes()).unwrap();
    drop(clone);
    // The writer drops the destination, and with it the sender.
    assert_eq!(batches.iter().count(), 1);
    assert_eq!(bench.rows(), rows(&[("a", 1)]));
    drop(bench.open());
}

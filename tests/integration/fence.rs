//! A batch that was given up on and arrives late changes nothing: the old backend is frozen with SIGSTOP while it executes, the sink
//! goes on without it, and then the old one wakes up.
#![cfg(target_os = "linux")]

use std::time::Duration;

use cxsink::{Sink, Stats};

use crate::support;
use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, cxsink};
use crate::support::proxy::Proxy;
use crate::support::server::{PrivateServer, signal};
use crate::support::{history, journal};

/// Each event of `keys` keys carries `version` as its duration.
fn events(keys: u32, version: u32) -> String {
    let event = |n| {
        format!(
            "{{\"interactionId\":\"i{n}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\
             \"idempotencyKey\":\"k{n}\",\"attributes\":{{\"duration\":{version}}}}}\n"
        )
    };
    (0..keys).map(event).collect()
}

/// A value that goes back is an error that no later write can hide.
const FORWARD_ONLY: &str = "
    CREATE TABLE went_back (key text, old int, new int);
    CREATE FUNCTION forward_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.duration < OLD.duration THEN
            INSERT INTO went_back VALUES (NEW.idempotency_key, OLD.duration, NEW.duration);
        END IF; RETURN NULL; END $$;
    CREATE TRIGGER forward_only AFTER UPDATE ON cxone_events FOR EACH ROW EXECUTE FUNCTION forward_only()";

/// Waits at a gate, an advisory lock, before this table changes. `each`: `STATEMENT` comes before anything is locked, `ROW` after
/// the checkpoint was moved.
///
/// Only moves of a checkpoint come to it, and no takeover.
fn gate(table: &str, each: &str) -> String {
    // A trigger BEFORE a row could give it another key, so one connection would write such a table.
    let (when, of) = if table == "cxsink_checkpoint" { ("BEFORE", "OF position") } else { ("AFTER", "") };
    format!(
        "CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
         CREATE TRIGGER gate {when} INSERT OR UPDATE {of} ON {table} FOR EACH {each} EXECUTE FUNCTION gate()"
    )
}

/// The backend that waits at the gate.
const AT_THE_GATE: &str =
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'cxsink' AND wait_event = 'advisory'";

/// The backend that waits for another one's move of the checkpoint.
const AT_THE_CHECKPOINT: &str = "SELECT pid FROM pg_stat_activity WHERE application_name = 'cxsink' AND wait_event_type = 'Lock' AND wait_event <> 'advisory'";

struct Bench {
    server: PrivateServer,
    proxy: Proxy,
    directory: tempfile::TempDir,
    config: cxsink::Config,
}

impl Bench {
    fn new() -> Self {
        let server = PrivateServer::start_new();
        let directory = tempfile::tempdir().unwrap();
        let proxy = Proxy::new(server.address());
        let mut config =
            support::config(directory.path(), &format!("{}?sslmode=disable", server.url_through(proxy.address)));
        config.destination.history_table = Some(history::TABLE.into());
        cxsink::init_db(&config).unwrap();
        // From here on a statement that is late is repeated.
        config.destination.statement_timeout = Duration::from_millis(300);
        for sql in [journal::KEEP_WRITES, journal::KEEP_MOVES, FORWARD_ONLY] {
            server.execute(sql);
        }
        journal::keep_arrivals(&config);
        Self { server, proxy, directory, config }
    }

    fn start(&self) -> Sink {
        let sink = Sink::open(&self.config).unwrap();
        sink.start().unwrap();
        sink.import(events(20, 1).as_bytes()).unwrap();
        support::wait_quiet(&sink);
        sink
    }

    /// A sink whose second batch has a backend that is frozen at the [`gate`]; who keeps the gate shut; and that backend.
    fn freeze(&self, table: &str, each: &str, cancels_arrive: bool) -> (Sink, postgres::Client, u32) {
        self.server.execute(&gate(table, each));
        let sink = self.start();
        self.proxy.swallow_cancels(!cancels_arrive);
        let mut gatekeeper = self.server.client();
        gatekeeper.execute("SELECT pg_advisory_lock(1)", &[]).unwrap();
        sink.import(events(20, 2).as_bytes()).unwrap();
        let old: u32 = self.server.wait_for_row(AT_THE_GATE).parse().unwrap();
        signal(old, "STOP");
        (sink, gatekeeper, old)
    }

    /// Closes the sink; the table must be right, each batch applied once, and no row ever older than it was.
    fn end(&self, sink: &Sink) -> Stats {
        sink.close_within(PATIENCE).unwrap();
        let stats = support::balanced(sink);
        assert_eq!((stats.pending, stats.dead_lettered), (0, 0), "{stats:?}");
        assert_eq!(self.server.query("SELECT * FROM went_back"), [""; 0]);
        journal::check(&self.config, &mut self.server.client(), true);
        assert!(self.directory.path().exists());
        stats
    }
}

/// Frozen before it has touched a row: the successor writes this batch and newer ones, then the old one runs on.
fn frozen_before_the_checkpoint(cancels_arrive: bool) {
    let bench = Bench::new();
    let (sink, mut gatekeeper, old) = bench.freeze("cxsink_checkpoint", "STATEMENT", cancels_arrive);
    support::wait_until("the sink gives up on the frozen backend", || sink.stats().last_error.is_some());
    gatekeeper.execute("SELECT pg_advisory_unlock(1)", &[]).unwrap();
    support::wait_quiet(&sink);
    sink.import(events(20, 3).as_bytes()).unwrap();
    support::wait_quiet(&sink);

    signal(old, "CONT");
    let gone = format!("SELECT 'gone' WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = {old})");
    bench.server.wait_for_row(&gone);
    let (passed, swallowed) = (bench.proxy.cancels_passed(), bench.proxy.cancels_swallowed());
    assert_eq!(
        (passed > 0, swallowed > 0),
        (cancels_arrive, !cancels_arrive),
        "{passed} passed, {swallowed} swallowed"
    );
    bench.end(&sink);
}

#[test]
fn a_batch_that_was_frozen_early_and_never_cancelled() {
    frozen_before_the_checkpoint(false);
}

#[test]
fn a_batch_that_was_frozen_early_and_is_cancelled() {
    frozen_before_the_checkpoint(true);
}

/// Frozen with the checkpoint moved and not committed: no other transaction passes it. Whether it then commits or not, the sink goes
/// on from the checkpoint in the database.
fn frozen_after_the_checkpoint(cancels_arrive: bool) {
    let bench = Bench::new();
    let (sink, mut gatekeeper, old) = bench.freeze("cxone_events", "ROW", cancels_arrive);
    gatekeeper.execute("SELECT pg_advisory_unlock(1)", &[]).unwrap();
    sink.import(events(20, 3).as_bytes()).unwrap();
    bench.server.wait_for_row(AT_THE_CHECKPOINT);
    assert_eq!(support::balanced(&sink).pending, 40, "nothing passes the frozen batch");
    signal(old, "CONT");
    let stats = support::wait_quiet(&sink);
    if cancels_arrive {
        assert_eq!(
            (stats.updated, stats.confirmed, stats.inserted),
            (40, 0, 20),
            "it was rolled back, and written again: {stats:?}"
        );
    }
    bench.end(&sink);
}

#[test]
fn a_batch_that_was_frozen_late_and_never_cancelled() {
    frozen_after_the_checkpoint(false);
}

#[test]
fn a_batch_that_was_frozen_late_and_is_cancelled() {
    frozen_after_the_checkpoint(true);
}

/// A process that was killed while its statements were frozen, one on each connection.
struct Killed {
    bench: Bench,
    gatekeeper: postgres::Client,
    old: Vec<u32>,
}

impl Killed {
    fn new(table: &str, each: &str, connections: u32) -> Self {
        let mut bench = Bench::new();
        bench.config.destination.connections = connections;
        bench.config.destination.statement_timeout = PATIENCE;
        bench.start().close_within(PATIENCE).unwrap();
        bench.server.execute(&gate(table, each));
        let mut gatekeeper = bench.server.client();
        gatekeeper.execute("SELECT pg_advisory_lock(1)", &[]).unwrap();
        std::fs::write(bench.directory.path().join("events"), events(20, 2)).unwrap();
        let url = bench.config.destination.url.as_ref().unwrap();
        let mut killed = Running::start(
            cxsink(bench.directory.path())
                .env("CXSINK_DESTINATION__URL", url.expose())
                .env("CXSINK_DESTINATION__CONNECTIONS", connections.to_string())
                .env("CXSINK_DESTINATION__HISTORY_TABLE", history::TABLE)
                .env("CXSINK_SPOOL__PATH", &bench.config.spool.path)
                .args(["import", "events"]),
        );
        let mut old = Vec::new();
        support::wait_until("a statement on each connection", || {
            old = bench.server.query(AT_THE_GATE).iter().map(|process| process.parse().unwrap()).collect();
            old.len() == connections as usize
        });
        for &process in &old {
            signal(process, "STOP");
        }
        killed.signal("KILL");
        killed.child.wait().unwrap();
        Self { bench, gatekeeper, old }
    }

    fn open_the_gate(&mut self) {
        self.gatekeeper.execute("SELECT pg_advisory_unlock(1)", &[]).unwrap();
    }

    /// Its statements run to their ends.
    fn wake_up(&self) {
        for &process in &self.old {
            signal(process, "CONT");
        }
        for process in &self.old {
            let gone = format!("SELECT 'gone' WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = {process})");
            self.bench.server.wait_for_row(&gone);
        }
    }

    fn end(&self, next: &Sink) {
        next.import(events(20, 3).as_bytes()).unwrap();
        support::wait_quiet(next);
        assert_eq!(self.bench.end(next).last_error, None);
    }
}

/// Its statements have not reached the checkpoint when the next process takes it over. The positions are still those that they expect,
/// and they are refused all the same.
fn frozen_early_and_its_process_killed(connections: u32) {
    let mut killed = Killed::new("cxsink_checkpoint", "STATEMENT", connections);
    let next = Sink::open(&killed.bench.config).unwrap();
    next.start().unwrap();
    let mut new: Vec<u32> = Vec::new();
    support::wait_until("a statement of the next process on each connection", || {
        new = killed.bench.server.query(AT_THE_GATE).iter().map(|process| process.parse().unwrap()).collect();
        new.retain(|process| !killed.old.contains(process));
        new.len() == connections as usize
    });
    for &process in &new {
        signal(process, "STOP");
    }
    killed.open_the_gate();
    killed.wake_up();
    for process in new {
        signal(process, "CONT");
    }
    let stats = support::wait_quiet(&next);
    assert_eq!((stats.recovered, stats.confirmed, stats.updated), (20, 0, 20), "{stats:?}");
    killed.end(&next);
}

#[test]
fn a_batch_of_a_killed_process_that_was_frozen_early() {
    for connections in [1, 3] {
        frozen_early_and_its_process_killed(connections);
    }
}

/// Its statements hold the checkpoints, and commit while the next process waits to take these over: it takes over what is there then,
/// and not what it has read.
fn frozen_late_and_its_process_killed(connections: u32) {
    let mut killed = Killed::new("cxone_events", "ROW", connections);
    let next = Sink::open(&killed.bench.config).unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| next.start());
        let takeover: u32 = killed.bench.server.wait_for_row(AT_THE_CHECKPOINT).parse().unwrap();
        signal(takeover, "STOP");
        killed.open_the_gate();
        killed.wake_up();
        signal(takeover, "CONT");
        starting.join().unwrap().unwrap();
    });
    let stats = support::wait_quiet(&next);
    assert_eq!((stats.recovered, stats.confirmed, stats.updated), (0, 0, 0), "they were committed before: {stats:?}");
    killed.end(&next);
}

#[test]
fn a_batch_of_a_killed_process_that_was_frozen_late() {
    for connections in [1, 3] {
        frozen_late_and_its_process_killed(connections);
    }
}

/// Frozen wherever it happens to be, again and again, while newer and newer versions of the same keys arrive.
#[test]
fn backends_frozen_at_any_moment() {
    frozen_at_any_moment(1);
}

#[test]
fn backends_of_three_connections_frozen_at_any_moment() {
    frozen_at_any_moment(3);
}

fn frozen_at_any_moment(connections: u32) {
    let mut bench = Bench::new();
    bench.config.batch.events_max = 7;
    bench.config.destination.connections = connections;
    bench.config.destination.statement_timeout = Duration::from_millis(150);
    let sink = bench.start();
    let mut draws = fastrand::Rng::with_seed(3);
    let mut looker = bench.server.client();
    let mut version = 1;
    for round in 0..10 {
        bench.proxy.swallow_cancels(round % 2 == 0);
        for _ in 0..5 {
            version += 1;
            sink.import(events(40, version).as_bytes()).unwrap();
        }
        std::thread::sleep(Duration::from_millis(draws.u64(0..15)));
        let found =
            support::postgres::rows(&mut looker, "SELECT pid FROM pg_stat_activity WHERE application_name = 'cxsink'");
        let processes: Vec<u32> = found.iter().map(|process| process.parse().unwrap()).collect();
        for &process in &processes {
            signal(process, "STOP");
        }
        // Long enough for some of them to be given up on, and for a successor.
        std::thread::sleep(Duration::from_millis(draws.u64(50..400)));
        for process in processes {
            signal(process, "CONT");
        }
    }
    support::wait_quiet(&sink);
    bench.end(&sink);
}

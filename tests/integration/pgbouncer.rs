//! Through a PgBouncer with two connections to the server: each batch is written exactly once, although other clients share the
//! connections and leave settings behind there. The sink itself leaves nothing behind.
#![cfg(unix)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ::postgres::Client;
use cxsink::config::OnNormalClose;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Notice, Sink, State};

use crate::support;
use crate::support::journal;
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::rows;
use crate::support::proxy::Proxy;
use crate::support::server::PrivateServer;

struct Bench {
    server: PrivateServer,
    pooler: PgBouncer,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new(pool_mode: &str, settings: &str) -> Self {
        let program = support::needed("pgbouncer");
        let server = PrivateServer::start_new();
        let pooler = PgBouncer::start_new(program, &server, pool_mode, settings);
        Self { server, pooler, directory: tempfile::tempdir().unwrap() }
    }

    /// Everything goes through the pooler, also the making of the tables.
    fn config(&self, url: &str) -> Config {
        let mut config = support::config(self.directory.path(), url);
        config.batch.events_max = 40;
        cxsink::init_db(&config).unwrap();
        for sql in [journal::KEEP_WRITES, journal::KEEP_MOVES] {
            self.server.execute(sql);
        }
        journal::keep_arrivals(&config);
        config
    }
}

fn stream(seed: u64, events: u64) -> SimulatorOptions {
    let mut options = support::stream_with_repeats(seed, events, 4000);
    options.close_at_end = true;
    options
}

/// Settings that a client leaves behind on the shared connections of a pooler.
const LEFT_BEHIND: [&str; 5] = [
    "SET search_path = nowhere",
    "SET DateStyle = 'German'",
    "SET TimeZone = 'Asia/Kolkata'",
    "SET IntervalStyle = 'sql_standard'",
    "SET application_name = 'another'",
];

/// One round of the others: named statements under the names that this crate's clients use, and settings for good.
fn mix_in(client: &mut Client, number: u64) -> Result<(), ::postgres::Error> {
    let mut transaction = client.transaction()?;
    let sum = transaction.prepare("SELECT $1::int + 1")?;
    assert_eq!(transaction.query_one(&sum, &[&41])?.get::<_, i32>(0), 42);
    transaction.commit()?;
    client.batch_execute(LEFT_BEHIND[usize::try_from(number).unwrap() % LEFT_BEHIND.len()])?;
    // In a transaction, so that the name is free where it is made.
    let name = format!("s{}", number % 7);
    client.batch_execute(&format!(
        "BEGIN; DO $$ BEGIN IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = '{name}') THEN DEALLOCATE {name}; END IF; END $$;
         PREPARE {name} AS SELECT 'theirs'; COMMIT"
    ))
}

/// Lets the others end, also when the test fails.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Other clients work through the pooler until `done`, and connect again after a broken connection. Returns the number of their rounds.
fn others(pooler_url: &str, done: &AtomicBool, clients: u64) -> u64 {
    let rounds = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for client in 0..clients {
            let rounds = &rounds;
            scope.spawn(move || {
                let mut number = client;
                while !done.load(Ordering::SeqCst) {
                    let Ok(mut connection) = Client::connect(pooler_url, ::postgres::NoTls) else {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    for _ in 0..20 {
                        number += 3;
                        if mix_in(&mut connection, number).is_err() || done.load(Ordering::SeqCst) {
                            break;
                        }
                        rounds.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    rounds.into_inner()
}

/// How many connections there are from the pooler to the server.
const FROM_POOLER: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

fn under_load(pool_mode: &str, other_clients: u64, seed: u64) {
    let mut bench = Bench::new(pool_mode, "");
    let proxy = Proxy::new(bench.pooler.address());
    let mut config = bench.config(&bench.pooler.url_through(proxy.address));
    let simulator = Simulator::start(stream(seed, 12_000)).unwrap();
    simulator.apply_to(&mut config);
    config.stream.on_normal_close = OnNormalClose::Stop;
    let sink = Sink::open(&config).unwrap();
    let done = AtomicBool::new(false);
    let url = bench.pooler.url();
    let mut looker = bench.server.client();
    let rounds = std::thread::scope(|scope| {
        let others = scope.spawn(|| others(&url, &done, other_clients));
        let ended = SetAtEnd(&done);
        sink.start().unwrap();
        let mut draws = fastrand::Rng::with_seed(seed);
        let mut most = 0;
        for round in 0..12 {
            std::thread::sleep(Duration::from_millis(draws.u64(50..250)));
            most = most.max(rows(&mut looker, FROM_POOLER)[0].parse::<u32>().unwrap());
            // Now and then the connection breaks, and once the pooler dies.
            if round == 6 {
                bench.pooler.kill();
                // A sink that drains, because the stream has ended already, reports it and does not stall.
                support::wait_for_notice(&sink, "the outage", |notice| match notice {
                    Notice::State(State::Stalled) => Some(()),
                    Notice::Error(_) => (sink.stats().state == State::Stopping).then_some(()),
                    _ => None,
                });
                bench.pooler.start();
            } else if round % 2 == 1 {
                proxy.cut_all();
            }
        }
        support::wait_until("everything is applied", || {
            let stats = sink.stats();
            stats.received == simulator.report().events && stats.pending == 0
        });
        let stats = support::run_to_the_end(&sink);
        drop(ended);
        assert_eq!((stats.pending, stats.received), (0, simulator.report().events), "{stats:?}");
        // The killed pooler's two may live on for a moment.
        assert!((1..=4).contains(&most), "{most} connections to the server");
        others.join().unwrap()
    });
    assert!(rounds > 50, "the others did {rounds} rounds only");
    journal::check(&config, &mut bench.server.client(), true);
}

#[test]
fn transaction_pooling_under_load() {
    under_load("transaction", 3, 21);
}

/// Each client has a connection to the server for itself, with what the last one left there: one for the sink, one for another.
#[test]
fn session_pooling_under_load() {
    under_load("session", 1, 22);
}

/// What the sink's batches leave on the server connections: no statement, no setting, no lock, no temporary table. And no statement
/// had a name in between: it would be gone at the end, yet not where the sink is killed or the pooler changes connections.
#[test]
fn nothing_is_left_behind() {
    for pool_mode in ["transaction", "session"] {
        for lock_timeout in [None, Some(Duration::from_secs(5))] {
            let bench = Bench::new(pool_mode, "");
            bench.server.set("log_statement = 'all'");
            let mut config = bench.config(&bench.pooler.url());
            config.destination.lock_timeout = lock_timeout;
            let simulator = Simulator::start(stream(23, 500)).unwrap();
            simulator.apply_to(&mut config);
            config.stream.on_normal_close = OnNormalClose::Stop;
            let sink = Sink::open(&config).unwrap();
            sink.start().unwrap();
            assert_eq!(support::run_to_the_end(&sink).pending, 0);
            let log = bench.server.log();
            let mut names = log.lines().filter_map(|line| line.split_once(" LOG:  execute ")?.1.split_once(':'));
            let is_batch = |(name, sql): (&str, &str)| name == "<unnamed>" && sql.contains("WITH");
            assert!(names.clone().any(is_batch), "{pool_mode}: {log}");
            assert_eq!(names.find(|(name, _)| *name != "<unnamed>"), None, "{pool_mode}");
            // Both server connections, held by a transaction each.
            let mut clients = [bench.pooler.client(), bench.pooler.client()];
            let mut processes = Vec::new();
            for client in &mut clients {
                client.batch_execute("BEGIN").unwrap();
                processes.append(&mut rows(client, "SELECT pg_backend_pid()"));
                assert_eq!(rows(client, "SELECT name FROM pg_prepared_statements"), [""; 0], "{pool_mode}");
                // These are what the pooler itself keeps the same for each client.
                let settings = "SELECT name FROM pg_settings WHERE source = 'session' AND name NOT IN
                    ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')";
                assert_eq!(rows(client, settings), [""; 0], "{pool_mode}");
                let locks = "SELECT locktype FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'";
                assert_eq!(rows(client, locks), [""; 0], "{pool_mode}");
                assert_eq!(
                    rows(client, "SELECT count(*) FROM pg_class WHERE relpersistence = 't'"),
                    ["0"],
                    "{pool_mode}"
                );
            }
            assert_ne!(processes[0], processes[1]);
            journal::check(&config, &mut bench.server.client(), true);
        }
    }
}

#[test]
fn a_lock_timeout_holds_through_the_pooler_and_ends_with_its_transaction() {
    let bench = Bench::new("transaction", "");
    let mut config = bench.config(&bench.pooler.url());
    config.destination.lock_timeout = Some(Duration::from_millis(100));
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let mut blocker = bench.server.client();
    let mut lock = blocker.transaction().unwrap();
    lock.batch_execute("LOCK TABLE cxone_events").unwrap();
    let event = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k"}"#;
    sink.import(event.as_bytes()).unwrap();
    // Conflicts are tried again in silence; one that lasts is reported.
    support::wait_until("the wait for the lock is given up, again and again", || {
        sink.stats().last_error.is_some_and(|error| error.contains("55P03"))
    });
    assert_eq!(support::balanced(&sink).pending, 1);
    lock.commit().unwrap();
    assert_eq!(support::wait_quiet(&sink).inserted, 1);
    sink.close_within(Duration::MAX).unwrap();
    journal::check(&config, &mut bench.server.client(), true);
}

#[test]
fn a_parameter_that_the_pooler_refuses_is_an_error_with_a_hint() {
    let bench = Bench::new("transaction", "");
    let url = format!("{}?options=-c%20statement_timeout%3D5000", bench.pooler.url());
    let error = cxsink::init_db(&support::config(bench.directory.path(), &url)).unwrap_err();
    assert!(error.message().contains("unsupported startup parameter: options"), "{error:?}");
    assert!(error.hint().unwrap().contains("ALTER ROLE"), "{error:?}");
}

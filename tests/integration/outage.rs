//! The database goes away in every manner, and comes back: nothing is lost, nothing is written twice, and the sink says where it
//! stands.
#![cfg(unix)]

use std::time::Duration;

use cxsink::config::OnNormalClose;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Sink, State};

use crate::support;
use crate::support::postgres::PATIENCE;
use crate::support::proxy::Proxy;
use crate::support::server::PrivateServer;
use crate::support::{history, journal};

fn stream(seed: u64, events: u64) -> SimulatorOptions {
    let mut options = support::stream_with_repeats(seed, events, 5000);
    options.close_at_end = true;
    options
}

/// A sink on this stream, over a fresh table whose writes are noted. Several connections have a history too.
fn prepare(server: &PrivateServer, config: &mut Config, simulator: Option<&Simulator>) {
    config.destination.history_table = (config.destination.connections > 1).then(|| history::TABLE.into());
    cxsink::init_db(config).unwrap();
    server.execute(journal::KEEP_WRITES);
    server.execute(journal::KEEP_MOVES);
    journal::keep_arrivals(config);
    if let Some(simulator) = simulator {
        simulator.apply_to(config);
        config.stream.on_normal_close = OnNormalClose::Stop;
    }
}

fn events(range: std::ops::Range<u32>, disposition: &str) -> String {
    let event = |n| {
        format!(
            "{{\"interactionId\":\"i{n}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\
             \"idempotencyKey\":\"k{n}\",\"attributes\":{{\"disposition\":\"{disposition}\"}}}}\n"
        )
    };
    range.map(event).collect()
}

/// SIGKILL for the server's processes, and immediate stops, while batches are under way.
#[test]
fn a_database_that_is_killed_and_started_again() {
    killed_and_started_again(1);
}

#[test]
fn a_database_that_is_killed_and_started_again_under_three_connections() {
    killed_and_started_again(3);
}

fn killed_and_started_again(connections: u32) {
    let mut server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &server.url());
    config.batch.events_max = 40 * connections;
    config.destination.connections = connections;
    let mut stream = stream(7, 20_000);
    stream.rate = 1500;
    let simulator = Simulator::start(stream).unwrap();
    prepare(&server, &mut config, Some(&simulator));
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let mut draws = fastrand::Rng::with_seed(7);
    // Until the stream is over, which on a slow machine may be before the last round.
    let mut rounds = 0;
    while rounds < 8 && sink.state() != State::Stopping && !sink.state().is_final() {
        support::wait_until("it runs", || sink.state() != State::Open && sink.state() != State::Stalled);
        std::thread::sleep(Duration::from_millis(draws.u64(1..200)));
        if rounds % 2 == 0 {
            server.kill();
        } else {
            server.stop_immediately();
        }
        support::wait_until("it is noticed, or the stream is over", || {
            sink.state() == State::Stalled || sink.state() == State::Stopping || sink.state().is_final()
        });
        server.start();
        rounds += 1;
    }
    assert!(rounds >= 2 && sink.stats().last_error.is_some(), "{rounds} rounds: {:?}", sink.stats());
    let stats = support::run_to_the_end(&sink);
    assert_eq!((stats.pending, stats.received), (0, simulator.report().events), "{stats:?}");
    assert_eq!(stats.reconnects, 0, "the stream is none of the database's business");
    let arrivals = journal::check(&config, &mut server.client(), true);
    assert_eq!(arrivals, simulator.events().collect::<Vec<_>>());
}

/// The connection breaks in the middle of the answer to a commit: whether it was done is found out, not guessed.
#[test]
fn commits_whose_answers_are_lost() {
    answers_are_lost(1);
}

#[test]
fn commits_whose_answers_are_lost_on_three_connections() {
    answers_are_lost(3);
}

fn answers_are_lost(connections: u32) {
    let server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::new(server.address());
    let mut config = support::config(directory.path(), &server.url_through(proxy.address));
    config.batch.events_max = 40;
    config.destination.connections = connections;
    let simulator = Simulator::start(stream(8, 8000)).unwrap();
    prepare(&server, &mut config, Some(&simulator));
    proxy.cut_answers(30, 8);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let mut draws = fastrand::Rng::with_seed(8);
    // Beside them, cuts at any moment: before a batch arrives, in the middle of one, while connecting.
    while !simulator.wait_finished(Duration::from_millis(draws.u64(1..60))) {
        proxy.cut_all();
    }
    support::wait_until("the stream is read to its end", || sink.state() == State::Stopping);
    let stats = support::run_to_the_end(&sink);
    assert_eq!(stats.pending, 0, "{stats:?}");
    assert!(proxy.cuts() >= 20 && stats.confirmed > 0, "{} cuts: {stats:?}", proxy.cuts());
    journal::check(&config, &mut server.client(), true);
}

/// The same without a checkpoint: batches are repeated, and the table is the same all the same.
#[test]
fn lost_answers_without_a_checkpoint() {
    let server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::new(server.address());
    let mut config = support::config(directory.path(), &server.url_through(proxy.address));
    config.batch.events_max = 40;
    let simulator = Simulator::start(stream(9, 4000)).unwrap();
    prepare(&server, &mut config, Some(&simulator));
    server.execute("DROP TABLE cxsink_checkpoint");
    proxy.cut_answers(30, 9);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let stats = support::run_to_the_end(&sink);
    assert!(proxy.cuts() >= 10 && stats.pending == 0 && stats.confirmed == 0, "{} cuts: {stats:?}", proxy.cuts());
    journal::check(&config, &mut server.client(), false);
}

/// The application sees the outage: `stalled`, the error, the lag; then `running`. Every event is accounted for throughout.
#[test]
fn an_outage_is_reported_as_stalled_and_its_events_are_committed_after_it() {
    let mut server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &server.url());
    prepare(&server, &mut config, None);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    support::wait_for_state(&sink, State::Running);
    sink.import(events(0..100, "first").as_bytes()).unwrap();
    assert_eq!(support::wait_quiet(&sink).inserted, 100);

    server.kill();
    sink.import(events(50..150, "second").as_bytes()).unwrap();
    support::wait_for_state(&sink, State::Stalled);
    let stats = support::balanced(&sink);
    assert_eq!((stats.state, stats.pending, stats.dead_lettered), (State::Stalled, 100, 0), "{stats:?}");
    assert!(stats.last_error.as_ref().unwrap().contains("PostgreSQL at 127.0.0.1"), "{stats:?}");
    // An outage ends a sink in order, and the next one goes on.
    sink.close_within(PATIENCE).unwrap();
    assert_eq!(support::balanced(&sink).pending, 100);

    let sink = Sink::open(&config).unwrap();
    assert_eq!(sink.stats().recovered, 100);
    sink.start().unwrap();
    assert_eq!(sink.state(), State::Stalled, "a start in an outage is no error");
    support::balanced(&sink);
    server.start();
    support::wait_for_state(&sink, State::Running);
    let stats = support::wait_quiet(&sink);
    assert_eq!((stats.inserted, stats.updated), (50, 50), "{stats:?}");
    sink.close_within(PATIENCE).unwrap();
    journal::check(&config, &mut server.client(), true);
}

/// A database refuses every client for a while: read-only, full, in maintenance. No event becomes a dead letter.
#[test]
fn no_outage_makes_a_dead_letter() {
    let server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &server.url());
    prepare(&server, &mut config, None);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let mut from = 0;
    // 25006, 53100 (a server whose disk is full), 57P03, 58030, 42501, and a table that is away for a while.
    let raise = |code: &str| {
        format!(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'injected' USING ERRCODE = '{code}'; END $$;
             CREATE TRIGGER fail BEFORE INSERT ON cxone_events FOR EACH STATEMENT EXECUTE FUNCTION fail()"
        )
    };
    let undo = "DROP TRIGGER fail ON cxone_events; DROP FUNCTION fail()";
    let mut cases: Vec<(String, &str, &str)> =
        ["53100", "57P03", "58030", "42501", "08006", "XX000"].iter().map(|code| (raise(code), undo, *code)).collect();
    cases.push(("ALTER TABLE cxone_events RENAME TO away".into(), "ALTER TABLE away RENAME TO cxone_events", "42P01"));
    for (fault, undo, code) in cases {
        server.execute(&fault);
        sink.import(events(from..from + 10, code).as_bytes()).unwrap();
        support::wait_until(code, || sink.state() == State::Stalled);
        let stats = support::balanced(&sink);
        assert_eq!((stats.pending, stats.dead_lettered), (10, 0), "{code}: {stats:?}");
        server.execute(undo);
        let stats = support::wait_quiet(&sink);
        assert_eq!((stats.state, stats.dead_lettered), (State::Running, 0), "{code}: {stats:?}");
        from += 10;
    }
    // Read-only for new sessions, and the old ones gone: what a failover looks like.
    let read_only = "ALTER SYSTEM SET default_transaction_read_only = on";
    let terminate = "SELECT pg_reload_conf(); SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cxsink'";
    server.execute(read_only);
    server.execute(terminate);
    sink.import(events(from..from + 10, "25006").as_bytes()).unwrap();
    support::wait_until("25006", || {
        sink.stats().last_error.is_some_and(|error| error.contains("25006")) && sink.state() == State::Stalled
    });
    assert_eq!(support::balanced(&sink).dead_lettered, 0);
    let mut client = server.client();
    for sql in [
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(sql).unwrap();
    }
    support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
    assert_eq!(sink.stats().dead_lettered, 0);
    journal::check(&config, &mut server.client(), true);
}

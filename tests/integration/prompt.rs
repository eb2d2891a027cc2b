//! Wherever the sink waits, `stop()` is seen at once and `close(timeout)` keeps its time. Each wait here would last a minute by
//! itself.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use cxsink::{Config, ErrorKind, Notice, Sink, State};

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::proxy::Proxy;

const A_MINUTE: Duration = Duration::from_secs(60);
/// The promise is 100 ms; this is so that a machine that is busy with other tests decides nothing.
const AT_ONCE: Duration = Duration::from_secs(3);

fn event(key: &str) -> String {
    format!(
        "{{\"interactionId\":\"i\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"{key}\"}}"
    )
}

/// A listener whose connections are made by the kernel and never answered.
fn silent_server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Waits of a minute everywhere.
fn patient(directory: &std::path::Path, url: &str) -> Config {
    let mut config = support::config(directory, url);
    config.destination.connect_timeout = A_MINUTE;
    config.destination.statement_timeout = A_MINUTE;
    config.stream.connect_timeout = A_MINUTE;
    config.oauth.request_timeout = A_MINUTE;
    config.retry.delay_min = A_MINUTE;
    config.retry.delay_max = A_MINUTE;
    config
}

/// Closes the sink, which must be quick, and must leave the books in order.
fn ends_at_once(sink: &Sink, pending: u64) {
    let begun = Instant::now();
    sink.close_within(PATIENCE).unwrap();
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    let stats = support::balanced(sink);
    assert_eq!((stats.state, stats.pending), (State::Closed, pending), "{stats:?}");
}

#[test]
fn a_start_that_connects_to_a_silent_database() {
    let (listener, address) = silent_server();
    let directory = tempfile::tempdir().unwrap();
    let sink = Sink::open(&patient(directory.path(), &format!("postgresql://u@{address}/d"))).unwrap();
    sink.ingest(event("a").as_bytes()).unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| sink.start());
        let _connection = listener.accept().unwrap();
        let begun = Instant::now();
        sink.stop();
        starting.join().unwrap().unwrap();
        assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        ends_at_once(&sink, 1);
    });
}

#[test]
fn a_reconnect_to_a_silent_database() {
    let database = TestDatabase::new();
    let (listener, address) = silent_server();
    let directory = tempfile::tempdir().unwrap();
    let mut config = patient(directory.path(), &database.url_through(address));
    config.retry.delay_min = Duration::from_millis(1);
    config.retry.delay_max = Duration::from_millis(2);
    config.destination.connect_timeout = Duration::from_millis(100);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    assert_eq!(sink.state(), State::Stalled);
    sink.ingest(event("a").as_bytes()).unwrap();
    for _ in 0..2 {
        drop(listener.accept().unwrap());
    }
    let _connection = listener.accept().unwrap();
    ends_at_once(&sink, 1);
}

#[test]
fn the_pause_before_a_retry() {
    let (listener, address) = silent_server();
    drop(listener);
    let directory = tempfile::tempdir().unwrap();
    let mut config = patient(directory.path(), &format!("postgresql://u@{address}/d"));
    // Full jitter could draw a short pause: many draws of a minute at most do not all come out short.
    config.retry.delay_max = 10 * A_MINUTE;
    let sink = Sink::open(&config).unwrap();
    sink.ingest(event("a").as_bytes()).unwrap();
    sink.start().unwrap();
    assert_eq!(sink.state(), State::Stalled);
    ends_at_once(&sink, 1);
}

const BLOCKED: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cxsink' AND wait_event_type = 'Lock' AND datname = current_database()";

/// A sink whose statement waits for the table that `blocker` has locked.
fn blocked(database: &TestDatabase, config: &Config, blocker: &mut postgres::Transaction<'_>) -> Sink {
    let sink = Sink::open(config).unwrap();
    sink.start().unwrap();
    blocker.batch_execute("LOCK TABLE cxone_events").unwrap();
    sink.ingest(event("a").as_bytes()).unwrap();
    database.wait_for(BLOCKED, "1");
    sink
}

#[test]
fn a_close_during_a_blocked_statement_keeps_its_time() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let config = patient(directory.path(), &database.url());
    cxsink::init_db(&config).unwrap();
    let mut client = database.client();
    let mut blocker = client.transaction().unwrap();
    let sink = blocked(&database, &config, &mut blocker);
    let (begun, timeout) = (Instant::now(), Duration::from_millis(300));
    let error = sink.close_within(timeout).unwrap_err();
    assert!((timeout..timeout + AT_ONCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(error.kind(), ErrorKind::Timeout);
    database.wait_for(BLOCKED, "0");
    blocker.commit().unwrap();
    assert_eq!(database.query("SELECT count(*) FROM cxone_events"), ["0"], "it was cancelled on the server as well");
    assert_eq!(support::balanced(&sink).pending, 1);
    drop(sink);

    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    assert_eq!(support::wait_quiet(&sink).inserted, 1);
}

/// Without a close, dropping the last handle does the same.
#[test]
fn a_drop_during_a_blocked_statement_takes_a_second() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let config = patient(directory.path(), &database.url());
    cxsink::init_db(&config).unwrap();
    let mut client = database.client();
    let mut blocker = client.transaction().unwrap();
    let sink = blocked(&database, &config, &mut blocker);
    let begun = Instant::now();
    drop(sink);
    assert!(begun.elapsed() < Duration::from_secs(1) + AT_ONCE, "{:?}", begun.elapsed());
    database.wait_for(BLOCKED, "0");
}

/// A server that takes the batch and never answers: given up on at the deadline, reported as `stalled`, and done with as soon as it
/// answers again.
#[test]
fn a_database_that_falls_silent() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::new(database.address());
    let mut config = support::config(directory.path(), &database.url_through(proxy.address));
    config.destination.statement_timeout = Duration::from_millis(200);
    config.destination.connect_timeout = Duration::from_millis(500);
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.ingest(event("a").as_bytes()).unwrap();
    support::wait_quiet(&sink);
    proxy.stall(true);
    sink.ingest(event("b").as_bytes()).unwrap();
    let next_state = || {
        support::wait_for_notice(&sink, "a state", |notice| match notice {
            Notice::State(state) => Some(state),
            _ => None,
        })
    };
    let before = [next_state(), next_state()];
    assert_eq!(support::balanced(&sink).pending, 1);
    proxy.stall(false);
    assert_eq!((before, next_state()), ([State::Running, State::Stalled], State::Running));
    let stats = support::wait_quiet(&sink);
    assert_eq!(stats.inserted + stats.confirmed, 2, "{stats:?}");
    ends_at_once(&sink, 0);
    assert_eq!(database.query("SELECT count(*) FROM cxone_events"), ["2"]);
}

/// A connection over which something was asked: who asked now waits for the answer.
fn asked(listener: &TcpListener) -> TcpStream {
    let (mut connection, _) = listener.accept().unwrap();
    connection.read_exact(&mut [0]).unwrap();
    connection
}

#[test]
fn a_token_endpoint_or_a_stream_that_is_silent() {
    let (listener, address) = silent_server();
    let directory = tempfile::tempdir().unwrap();
    let table = format!("sqlite:{}", directory.path().join("table.db").display());
    let mut config = patient(directory.path(), &table);
    config.oauth.client_id = Some("id".into());
    config.set("oauth.client_secret", "secret").unwrap();
    config.oauth.url = format!("http://{address}/oauth/token");
    config.stream.id = Some("id".into());
    config.stream.url = format!("ws://{address}/stream");
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let _connection = asked(&listener);
    ends_at_once(&sink, 0);
    drop(sink);

    {
        let simulator = cxsink::simulator::Simulator::start(cxsink::simulator::SimulatorOptions::default()).unwrap();
        simulator.apply_to(&mut config);
        config.stream.url = format!("ws://{address}/stream");
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        let _connection = asked(&listener);
        ends_at_once(&sink, 0);
    }
}

//! The metrics say what the table says, also after faults, to the Prometheus that people have.
#![cfg(unix)]
#![allow(clippy::float_cmp, reason = "counts are whole numbers, which a float holds exactly")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cxsink::Config;
use cxsink::connections::Connections;
use cxsink::simulator::{Simulator, SimulatorOptions};
use rusqlite::Connection;

use crate::support;
use crate::support::process::{Running, cxsink_of};
use crate::support::prometheus::{Prometheus, lint};
use crate::support::server::PrivateServer;
use crate::support::watched::{Watched, get, sum};

/// Every key comes once, so that each event that is stored is a row.
fn stream(events: u64) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.seed = 5;
    options.events = Some(events);
    // Slow enough that the faults come before its end.
    options.rate = 1000;
    options.invalid_percent = 3.0;
    options
}

fn program(directory: &Path, simulator: &Simulator, server: &PrivateServer) -> Command {
    let mut command = cxsink_of(directory, simulator);
    command
        .env("CXSINK_DESTINATION__URL", server.url())
        .env("CXSINK_SPOOL__PATH", directory.join("spool.db"))
        .env("CXSINK_BATCH__EVENTS_MAX", "100")
        .env("CXSINK_RETRY__DELAY_MIN", "5ms")
        .env("CXSINK_RETRY__DELAY_MAX", "50ms")
        .arg("run");
    command
}

fn number(server: &PrivateServer, sql: &str) -> u64 {
    server.query(sql)[0].parse().unwrap()
}

/// Numbers of the spool's file.
fn in_spool(directory: &Path, sql: &str) -> u64 {
    Connection::open(directory.join("spool.db")).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

const ROWS: &str = "SELECT count(*)::text FROM cxone_events";
const DEAD: &str = "SELECT count(*) FROM dead_letters";

#[test]
fn after_a_kill_and_outages_the_counters_equal_the_counts_of_the_table() {
    let mut server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let config: Config = support::config(folder, &server.url());
    cxsink::init_db(&config).unwrap();
    let events = 20_000;
    let simulator = Simulator::start(stream(events)).unwrap();

    // The first process is killed in an outage, with events in the spool and a transaction in doubt, perhaps.
    let mut first = Running::start(&mut program(folder, &simulator, &server));
    support::wait_until("rows arrive", || number(&server, ROWS) > 0);
    server.kill();
    let before = simulator.report().events;
    support::wait_until("the spool fills", || simulator.report().events > before + 500);
    first.signal("KILL");
    first.child.wait().unwrap();
    server.start();
    let position = number(&server, "SELECT max(position)::text FROM cxsink_checkpoint");
    let (rows, dead) = (number(&server, ROWS), in_spool(folder, DEAD));
    let deleted = in_spool(folder, "SELECT deleted_offset FROM spool");
    let end = in_spool(folder, "SELECT max(position) FROM bursts");
    // Committed by the first process, and still in its spool: the second one does not count them.
    let committed = position.max(deleted);

    let token = folder.join("token");
    std::fs::write(&token, "s3same\n").unwrap();
    let mut command = program(folder, &simulator, &server);
    let mut second = Watched::start(command.env("CXSINK_HTTP__TOKEN_FILE", &token), Some("s3same"));
    assert_eq!(get(second.address, "/metrics", "").0, 401, "without the token");
    let prometheus = Prometheus::start_new(second.address, Some(&token), "");
    support::wait_until("it goes on", || number(&server, ROWS) > rows + 1000);
    server.stop_immediately();
    support::wait_until("it notices", || second.metric("cxsink_connected{side=\"destination\"}") == Some(0.0));
    server.start();
    assert!(simulator.wait_finished(Duration::from_secs(60) + support::postgres::PATIENCE), "{}", simulator.report());
    // What the killed one had not read is gone, so the last event says that all have come.
    let last: serde_json::Value = serde_json::from_slice(&simulator.events().last().unwrap()).unwrap();
    let key = last["idempotencyKey"].as_str().unwrap();
    let last = format!("{ROWS} WHERE idempotency_key = '{key}'");
    support::wait_until("the last event is stored", || number(&server, &last) == 1);
    let mut text = String::new();
    support::wait_until("everything is counted", || {
        text = second.get("/metrics").1;
        sum(&text, "cxsink_spool_events") == Some(0.0)
    });

    // What SQL says, of the table and of the spool.
    let value = |name: &str| sum(&text, name).unwrap_or_else(|| panic!("{name} has no value\n{text}"));
    let outcome = |name: &str| value(&format!("cxsink_events_total{{outcome=\"{name}\"}}"));
    let (rows_now, dead_now) = (number(&server, ROWS), in_spool(folder, DEAD));
    let stored = outcome("inserted") + outcome("confirmed");
    assert_eq!(stored, float(rows_now - rows), "inserted and confirmed\n{text}");
    assert_eq!(value("cxsink_dead_letters_total"), float(dead_now - dead), "dead letters\n{text}");
    // The first process may have kept dead letters of events that it had not committed.
    let kept_before = in_spool(folder, &format!("{DEAD} WHERE offset >= {committed} AND offset < {end}"));
    assert!(outcome("dead_lettered") >= value("cxsink_dead_letters_total"), "{text}");
    assert!(outcome("dead_lettered") <= value("cxsink_dead_letters_total") + float(kept_before), "{text}");
    let position = number(&server, "SELECT max(position)::text FROM cxsink_checkpoint");
    assert_eq!(value("cxsink_events_received_total"), float(position - end), "received\n{text}");
    assert_eq!(value("cxsink_events_recovered"), float(end - committed), "recovered\n{text}");
    let accepted =
        ["received_total", "recovered", "replayed_total"].map(|name| value(&format!("cxsink_events_{name}")));
    assert_eq!(accepted.iter().sum::<f64>(), value("cxsink_events_total"), "the accounting is closed\n{text}");
    assert!(
        value("cxsink_errors_total") > 0.0 && value("cxsink_reconnects_total{side=\"destination\"}") > 0.0,
        "{text}"
    );
    assert_eq!(
        value("cxsink_commit_latency_seconds_count"),
        value("cxsink_commit_latency_seconds_bucket{le=\"+Inf\"}")
    );
    assert!(value("cxsink_batch_events_count") <= value("cxsink_batches_total"), "{text}");
    let gaps = Connections::open(&config).unwrap().gaps().unwrap();
    assert!(!gaps.is_empty());
    assert_eq!(value("cxsink_gaps_total"), float(gaps.len() as u64), "the first process saw the end of none: {gaps:?}");

    // What Prometheus makes of it.
    assert_eq!(lint(&text), "");
    prometheus.wait_for("up", 1.0);
    prometheus.wait_for("sum(cxsink_events_total)", value("cxsink_events_total"));
    prometheus.wait_for("cxsink_spool_events", 0.0);
    prometheus.wait_for("cxsink_events_total{outcome=\"inserted\"}", outcome("inserted"));
    prometheus.wait_for("cxsink_commit_latency_seconds_count", value("cxsink_commit_latency_seconds_count"));
    assert!(prometheus.query("process_resident_memory_bytes").unwrap() > 1e6);
    second.process.signal("TERM");
    assert_eq!(second.process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn another_address_requires_a_token_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(stream(1)).unwrap();
    let mut command = cxsink_of(directory.path(), &simulator);
    command.env("CXSINK_DESTINATION__URL", "sqlite:events.db").env("CXSINK_HTTP__LISTEN", "0.0.0.0:0").arg("run");
    let (code, _, err) = support::process::output(&mut command);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("http.listen") && err.contains("http.token_file"), "{err}");
    assert_eq!(simulator.report().connections, 0, "nothing was started");
}

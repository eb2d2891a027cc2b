//! Health and readiness tell the truth: a database that is away, a spool that is full, a thread that does not move.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support;
use crate::support::frozen::Frozen;
use crate::support::process::cxsink_of;
use crate::support::server::PrivateServer;
use crate::support::watched::Watched;

fn program(directory: &Path, simulator: &Simulator, destination: &str) -> Command {
    let config = support::config(directory, destination);
    cxsink::init_db(&config).unwrap();
    let mut command = cxsink_of(directory, simulator);
    command
        .env("CXSINK_DESTINATION__URL", destination)
        .env("CXSINK_SPOOL__PATH", directory.join("spool.db"))
        .env("CXSINK_RETRY__DELAY_MIN", "5ms")
        .env("CXSINK_RETRY__DELAY_MAX", "50ms")
        .arg("run");
    command
}

/// Waits until `/readyz` has this status and its reason contains this.
fn wait_for_readiness(sink: &Watched, status: u16, why: &str) {
    let mut last = None;
    support::wait_until(why, || {
        let (found, body) = sink.json("/readyz");
        let is_it = found == status && body["why"].as_str().unwrap_or("nothing").contains(why);
        last = Some(body);
        is_it
    });
    assert_eq!(last.unwrap()["ready"], status == 200);
}

#[test]
fn without_the_database_it_is_ready_until_the_spool_is_full() {
    let mut server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    let mut options = SimulatorOptions::default();
    options.events = None;
    options.rate = 300;
    let simulator = Simulator::start(options).unwrap();
    let mut command = program(directory.path(), &simulator, &server.url());
    let sink = Watched::start(command.env("CXSINK_SPOOL__BYTES_MAX", "512KiB"), None);
    wait_for_readiness(&sink, 200, "nothing");

    server.kill();
    wait_for_readiness(&sink, 200, "events wait in the spool");
    assert_eq!(sink.json("/stats.json").1["streams"][0]["stats"]["state"], "stalled");
    wait_for_readiness(&sink, 503, "the spool is full");
    let oldest = sink.metric("cxsink_spool_oldest_seconds").unwrap();
    assert!(oldest > 0.1, "{oldest}");
    assert_eq!(sink.json("/healthz").0, 200, "the process itself works");

    server.start();
    wait_for_readiness(&sink, 200, "nothing");
    assert_eq!(sink.json("/healthz").0, 200);
}

#[test]
fn without_the_stream_it_is_healthy_and_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(SimulatorOptions::default()).unwrap();
    let destination = format!("sqlite:{}", directory.path().join("events.db").display());
    let sink = Watched::start(&mut program(directory.path(), &simulator, &destination), None);
    wait_for_readiness(&sink, 200, "nothing");
    drop(simulator);
    wait_for_readiness(&sink, 503, "the stream is not connected");
    assert_eq!(sink.json("/healthz").0, 200);
    assert!(sink.metric("cxsink_gaps_total").unwrap() >= 1.0);
}

#[test]
fn a_thread_that_does_not_move_is_named_until_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = SimulatorOptions::default();
    options.events = None;
    options.rate = 50;
    let simulator = Simulator::start(options).unwrap();
    let destination = format!("sqlite:{}", directory.path().join("events.db").display());
    let mut command = program(directory.path(), &simulator, &destination);
    // The deadlines within which a call may block.
    for key in ["OAUTH__REQUEST_TIMEOUT", "STREAM__CONNECT_TIMEOUT", "STREAM__OPEN_TIMEOUT"] {
        command.env(format!("CXSINK_{key}"), "1s");
    }
    for key in ["DESTINATION__CONNECT_TIMEOUT", "DESTINATION__STATEMENT_TIMEOUT"] {
        command.env(format!("CXSINK_{key}"), "1s");
    }
    command.env("CXSINK_STREAM__IDLE_TIMEOUT", "3s").env("CXSINK_STREAM__PING_INTERVAL", "1s");
    let sink = Watched::start(command.env("CXSINK_HTTP__HANGING_AFTER", "5s"), None);
    wait_for_readiness(&sink, 200, "nothing");
    for name in ["cxsink-preparer", "cxsink-writer", "cxsink-reader"] {
        let frozen = Frozen::new(sink.process.child.id(), name);
        let mut body = serde_json::Value::Null;
        support::wait_until(name, || {
            let (status, found) = sink.json("/healthz");
            body = found;
            // Beside those that wait for a lock which it holds, perhaps.
            let is_named =
                body["why"].as_str().is_some_and(|why| why.contains(&format!("the loop {name} has not moved for ")));
            assert_eq!(status == 503, body["status"] == "hanging");
            is_named
        });
        assert!(body["loops"][name].as_f64().unwrap() >= 5.0, "{body}");
        // Events are still accepted, as far as can be seen; the thread may have stopped with a lock, and then nobody can tell.
        let (status, body) = sink.json("/readyz");
        assert_eq!(body["ready"], status == 200, "{body}");
        assert!(status == 200 || body["why"].as_str().unwrap().contains("/healthz"), "{body}");
        drop(frozen);
        support::wait_until("it moves again", || sink.json("/healthz").0 == 200);
    }
}

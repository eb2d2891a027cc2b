//! The connection log: when events may have been missed, whatever ended the connection.
#![allow(clippy::cast_sign_loss, reason = "the numbers of a test are small")]

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cxsink::Sink;
use cxsink::config::OnNormalClose;
use cxsink::connections::Connections;
use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support;
use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, cxsink_of, output};

#[test]
fn each_connection_is_in_the_log_and_each_gap_between_two() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = SimulatorOptions::default();
    options.events = Some(900);
    options.set("handshake_failures", "503").unwrap();
    options.cut_after = Some(200);
    options.close_after = Some(300);
    options.close_connections = 2;
    options.close_code = 1012;
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    let mut config =
        support::config(directory.path(), &format!("sqlite:{}", directory.path().join("table.db").display()));
    simulator.apply_to(&mut config);
    config.stream.on_normal_close = OnNormalClose::Stop;
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let stats = support::run_to_the_end(&sink);
    let connections = sink.connections().unwrap();
    assert_eq!(connections.len() as u64, stats.reconnects + 1, "{connections:#?}");
    assert_eq!(connections.len() as u64, simulator.report().connections);
    assert_eq!(connections.iter().map(|connection| connection.events).sum::<u64>(), stats.received);
    assert_eq!((connections[0].tries_failed, connections[1].tries_failed), (1, 0));
    assert!(connections[0].try_error.as_deref().unwrap().contains("503"), "{connections:#?}");
    assert!(connections.iter().any(|connection| connection.close_code == Some(1012)), "{connections:#?}");
    let mut before = UNIX_EPOCH;
    for connection in &connections {
        let times = [Some(before), Some(connection.opened_at), connection.first_event_at, connection.last_event_at];
        let times: Vec<SystemTime> = times.into_iter().chain([connection.ended_at]).map(Option::unwrap).collect();
        assert!(times.is_sorted(), "{connection:?}");
        before = times[4];
        let cause = connection.cause.as_deref().unwrap();
        assert!(!cause.contains(simulator.client_secret()) && !cause.contains("Bearer"), "{cause}");
    }

    let gaps = Connections::open(&config).unwrap().gaps().unwrap();
    assert_eq!(gaps, sink.gaps().unwrap());
    assert_eq!(gaps.len(), connections.len(), "one after each");
    for (number, gap) in gaps.iter().enumerate() {
        let (this, next) = (&connections[number], connections.get(number + 1));
        let from = if this.close_code.is_some() { this.ended_at } else { this.last_event_at };
        assert_eq!((Some(gap.from), gap.to), (from, next.map(|next| next.opened_at)), "{gap:?}");
    }
    let last = gaps.last().unwrap();
    assert!(last.close_code == Some(1000) && last.cause.contains("in order"), "{last:?}");
}

fn service(directory: &Path, simulator: &Simulator) -> Command {
    let mut command = cxsink_of(directory, simulator);
    command.env("CXSINK_DESTINATION__URL", "sqlite:table.db").env("CXSINK_SPOOL__PATH", "spool.db");
    command
}

/// Waits until the spool's connection log has this many connections, the last one with an event.
fn wait_for(config: &cxsink::Config, connections: usize) -> Vec<cxsink::connections::StreamConnection> {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until);
        let Ok(found) = Connections::open(config).and_then(|log| log.list()) else { continue };
        if found.len() == connections && found[connections - 1].events > 0 {
            return found;
        }
        std::thread::yield_now();
    }
}

fn micros(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Killed, started again, stopped in order: the times without a process are gaps, and the time while one runs is none.
#[test]
fn the_times_without_a_process_are_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut options = SimulatorOptions::default();
    options.events = Some(1_000_000);
    options.rate = 500;
    let simulator = Simulator::start(options).unwrap();
    let config = support::config(path, "sqlite:unused");
    assert_eq!(output(service(path, &simulator).arg("init-db")).0, 0);
    let gaps = |arguments: &[&str]| {
        let (code, out, err) = output(service(path, &simulator).arg("gaps").args(arguments));
        assert_eq!(code, 0, "{err}");
        out
    };

    let mut first = Running::start(service(path, &simulator).arg("run"));
    let found = wait_for(&config, 1);
    assert!(found[0].ended_at.is_none() && found[0].cause.is_none(), "{found:?}");
    assert_eq!(gaps(&[]), "no gaps\n");
    first.signal("KILL");
    first.wait();
    let out = gaps(&[]);
    assert!(out.contains("still open") && out.contains("killed"), "{out}");

    let mut second = Running::start(service(path, &simulator).arg("run"));
    let found = wait_for(&config, 2);
    let killed = &found[0];
    assert!(killed.ended_at.is_none() && killed.cause.is_some() && killed.last_event_at.is_some(), "{killed:?}");
    assert!(found[1].cause.is_none(), "{found:?}");
    let out = gaps(&[]);
    assert!(!out.contains("still open") && out.lines().count() == 2, "{out}");
    second.signal("TERM");
    assert_eq!(second.wait().0, 0);

    let out = gaps(&["--json"]);
    let parsed: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(parsed.len(), 2, "{out}");
    assert_eq!(parsed[0]["from"], serde_json::json!(killed.last_event_at.map(micros)));
    assert_eq!(parsed[0]["to"], serde_json::json!(micros(found[1].opened_at)));
    assert!(parsed[1]["cause"].as_str().unwrap().contains("stopped") && parsed[1]["to"].is_null(), "{out}");
}

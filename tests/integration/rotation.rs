//! Make before break: a token that expires leaves no gap in the stream. Every event is sent once, on the newest connection, and
//! none again; so what is missed anywhere shows.

use std::time::Duration;

use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Notice, Poll, Sink, State, Stats};

use crate::support;

/// A lively stream whose tokens live for so long, after which the server closes.
fn expiring(seconds: u64) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.events = None;
    options.rate = 2000;
    options.token_lifetime = Duration::from_secs(seconds);
    options.close_when_expired = true;
    options
}

fn started(simulator: &Simulator, directory: &std::path::Path, change: impl FnOnce(&mut Config)) -> Sink {
    let destination = format!("sqlite:{}", directory.join("table.db").display());
    let mut config = support::config(directory, &destination);
    simulator.apply_to(&mut config);
    change(&mut config);
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink
}

/// Reads to the end of a stream that the simulator closes; returns the errors in between.
fn to_the_end(sink: &Sink) -> (Stats, Vec<String>) {
    let mut errors = Vec::new();
    loop {
        match sink.poll(Some(support::postgres::PATIENCE)).unwrap() {
            Poll::Notice(Notice::Error(error)) => errors.push(error.to_string()),
            Poll::Notice(_) => {}
            Poll::Closed => break,
            other @ Poll::TimedOut => panic!("{other:?}: {:?}", sink.stats()),
        }
    }
    sink.close_within(Duration::MAX).unwrap();
    (support::balanced(sink), errors)
}

#[test]
fn tokens_expire_without_a_gap() {
    // Renewed after one and a half; the other half is for a busy machine.
    let mut options = expiring(3);
    options.events = Some(10_000);
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let sink = started(&simulator, directory.path(), |config| {
        config.stream.on_normal_close = cxsink::config::OnNormalClose::Stop;
    });
    let (stats, errors) = to_the_end(&sink);
    let report = simulator.report();
    assert_eq!((stats.state, errors), (State::Closed, vec![]), "{stats:?} {report}");
    assert_eq!((stats.received, stats.inserted), (10_000, 10_000), "{report}");
    assert!(report.closes <= 2, "of its own accord only at the end, perhaps on two connections: {report}");
    assert!(stats.token_renewals >= 2 && stats.reconnects == 0, "{stats:?}");
    // The connection log has each connection and no gap between them. A gap follows the last one only, until the next start.
    let connections = sink.connections().unwrap();
    assert!(connections.len() >= 3, "{connections:?}");
    assert!(
        connections.iter().rev().skip(1).all(|c| c.cause.as_deref().unwrap().contains("took over")),
        "{connections:?}"
    );
    assert_eq!(connections.iter().map(|connection| connection.events).sum::<u64>(), stats.received);
    assert!(sink.gaps().unwrap().len() <= 1, "{:?}", sink.gaps());
    assert_eq!((report.connections, report.tokens_issued), (stats.token_renewals + 1, stats.token_renewals + 1));
}

#[test]
fn without_rotation_the_server_closes_and_the_sink_connects_again() {
    let simulator = Simulator::start(expiring(1)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let sink = started(&simulator, directory.path(), |config| config.stream.renew_before_expiry = Duration::ZERO);
    support::wait_until("two streams have expired", || simulator.report().closes >= 2);
    support::wait_until("the third is open", || simulator.report().connections >= 3);
    let sent = simulator.report().events;
    support::wait_until("events go on", || sink.stats().received > sent);
    sink.close_within(Duration::MAX).unwrap();
    let stats = support::balanced(&sink);
    assert_eq!(stats.state, State::Closed, "{stats:?}");
    assert!(stats.reconnects >= 2 && stats.token_renewals >= 2, "{stats:?}");
    assert!(stats.last_error.as_ref().is_some_and(|error| error.contains("4001")), "{stats:?}");
}

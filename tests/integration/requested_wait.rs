//! A server that requests a wait (`Retry-After`) gets no request before that, whatever it refuses.

use std::time::{Duration, Instant};

use cxsink::Sink;
use cxsink::simulator::{RetryAfter, Simulator, SimulatorOptions};

use crate::support;

/// What the servers of these tests request.
const WAIT: Duration = Duration::from_secs(2);

/// The time until events arrive. Without a request, the pauses between tries are some milliseconds.
fn arrives_after(change: impl FnOnce(&mut SimulatorOptions)) -> Duration {
    let mut options = SimulatorOptions::default();
    options.events = Some(5);
    options.retry_after = RetryAfter::Seconds(2);
    change(&mut options);
    let simulator = Simulator::start(options).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &format!("sqlite:{}/events.db", directory.path().display()));
    simulator.apply_to(&mut config);
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    let begin = Instant::now();
    sink.start().unwrap();
    support::wait_until("events arrive", || sink.stats().received == 5);
    let took = begin.elapsed();
    sink.close().unwrap();
    took
}

#[test]
fn a_token_endpoint_that_requests_a_wait_gets_it() {
    for status in [429, 503] {
        let took = arrives_after(|options| options.token_failures = vec![status]);
        assert!(took >= WAIT, "{status}: {took:?}");
    }
}

#[test]
fn a_stream_that_requests_a_wait_gets_it() {
    for status in [429, 503] {
        let took = arrives_after(|options| options.handshake_failures = vec![status]);
        assert!(took >= WAIT, "{status}: {took:?}");
    }
}

//! Common parts of the integration tests: databases, a simulator's settings, and the oracle that executes events one by one.
#![allow(dead_code, reason = "each test program uses a part of it")]

#[path = "../../src/net/tls/authority.rs"]
pub mod authority;
pub mod canary;
pub mod connect_proxy;
pub mod disk;
pub mod echo;
pub mod foreign;
#[cfg(target_os = "linux")]
pub mod frozen;
pub mod gateway;
pub mod history;
pub mod issuer;
pub mod journal;
pub mod oracle;
#[cfg(unix)]
pub mod pgbouncer;
pub mod postgres;
pub mod process;
#[cfg(unix)]
pub mod prometheus;
pub mod proxy;
pub mod secrets;
pub mod server;
pub mod spool;
pub mod streams;
pub mod tables;
pub mod talking_server;
pub mod tls_bench;
pub mod tls_front;
#[cfg(unix)]
pub mod watched;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cxsink::{Config, Notice, Poll, Sink, State, Stats};

/// A configuration over files in this directory, with short waits.
pub fn config(directory: &Path, destination: &str) -> Config {
    let mut config = Config::default();
    config.spool.path = directory.join("spool.db");
    config.set("destination.url", destination).unwrap();
    config.retry.delay_min = Duration::from_millis(5);
    config.retry.delay_max = Duration::from_millis(20);
    // Their batches are small.
    config.destination.split_probe.rows_min = Some(1);
    config
}

/// A stream in which keys come again, as redeliveries and as updates, and in which a few events are not valid.
pub fn stream_with_repeats(seed: u64, events: u64, rate: u64) -> cxsink::simulator::SimulatorOptions {
    let mut options = cxsink::simulator::SimulatorOptions::default();
    options.seed = seed;
    options.events = Some(events);
    options.rate = rate;
    options.redelivery_percent = 5.0;
    options.update_percent = 30.0;
    options.repeat_window = 300;
    options.invalid_percent = 2.0;
    options
}

/// Polls until the sink has ended, then closes it; the accounting must balance.
pub fn run_to_the_end(sink: &Sink) -> Stats {
    let mut until = Instant::now() + postgres::PATIENCE;
    loop {
        match sink.poll(Some(until.saturating_duration_since(Instant::now()))).unwrap() {
            Poll::Closed => break,
            // Numbers and errors come also when nothing happens.
            Poll::Notice(Notice::Stats(_) | Notice::Error(_)) if Instant::now() < until => {}
            Poll::Notice(Notice::State(_) | Notice::Rejected(_) | Notice::Stored(_)) => {
                until = Instant::now() + postgres::PATIENCE;
            }
            other => panic!("nothing happens; the last is {other:?}: {:?}", sink.stats()),
        }
    }
    sink.close_within(Duration::MAX).unwrap();
    let stats = sink.stats();
    assert!(stats.is_balanced(), "{stats:?}");
    stats
}

/// Waits until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + postgres::PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {:?}", postgres::PATIENCE);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Polls until there is a notice for which `wanted` has an answer. Others do not put off the deadline.
pub fn wait_for_notice<T>(sink: &Sink, what: &str, mut wanted: impl FnMut(Notice) -> Option<T>) -> T {
    let until = Instant::now() + postgres::PATIENCE;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match sink.poll(Some(left)).unwrap() {
            Poll::Notice(notice) if !left.is_zero() => {
                if let Some(found) = wanted(notice) {
                    return found;
                }
            }
            other => panic!("{what}: not there; the last is {other:?}: {:?}", sink.stats()),
        }
    }
}

/// Polls until the sink says that it is in this state.
pub fn wait_for_state(sink: &Sink, state: State) {
    let is_it = |notice| matches!(notice, Notice::State(found) if found == state).then_some(());
    wait_for_notice(sink, state.name(), is_it);
}

/// Waits until everything is applied, and returns the books, which must balance then.
pub fn wait_quiet(sink: &Sink) -> Stats {
    let until = Instant::now() + postgres::PATIENCE;
    while sink.stats().pending > 0 {
        assert!(Instant::now() < until, "not everything is applied: {:?}", sink.stats());
        std::thread::sleep(Duration::from_millis(2));
    }
    balanced(sink)
}

/// The books of a sink that has nothing under way.
pub fn balanced(sink: &Sink) -> Stats {
    let stats = sink.stats();
    assert!(stats.is_balanced(), "{stats:?}");
    stats
}

/// The program, which `scripts/need` gets if it is not there. Fails where it cannot be had.
pub fn needed(program: &str) -> PathBuf {
    let need = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/need");
    paths_of(Command::new(need).arg(program)).remove(0)
}

/// The paths that a script prints, one a line. Fails with what it says if it fails.
pub fn paths_of(script: &mut Command) -> Vec<PathBuf> {
    let got = script.stdin(Stdio::null()).output().unwrap();
    assert!(got.status.success(), "{script:?}: {}", String::from_utf8_lossy(&got.stderr));
    String::from_utf8(got.stdout).unwrap().lines().map(PathBuf::from).collect()
}

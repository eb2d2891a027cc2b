//! What the integration tests share: databases, a simulator's settings, and the oracle that executes events one by one.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod oracle;
pub mod postgres;
pub mod process;

use std::path::Path;
use std::time::Duration;

use cxsink::{Config, Poll, Sink, Stats};

/// A configuration over files in this directory, with short waits.
pub fn config(directory: &Path, destination: &str) -> Config {
    let mut config = Config::default();
    config.spool.path = directory.join("spool.db");
    config.set("destination.url", destination).unwrap();
    config.retry.delay_min = Duration::from_millis(5);
    config.retry.delay_max = Duration::from_millis(20);
    config
}

/// Polls until the sink has ended, then closes it; the accounting must balance.
pub fn run_to_the_end(sink: &Sink) -> Stats {
    loop {
        match sink.poll(Some(postgres::PATIENCE)).unwrap() {
            Poll::Notice(_) => {}
            Poll::Closed => break,
            other @ Poll::TimedOut => panic!("{other:?}: {:?}", sink.stats()),
        }
    }
    sink.close(None).unwrap();
    let stats = sink.stats();
    assert!(stats.is_balanced(), "{stats:?}");
    stats
}

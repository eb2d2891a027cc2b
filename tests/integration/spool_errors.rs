//! Whatever the spool answers to an append, the events that were read are kept or counted, and nothing is called damaged that is not.

use cxsink::config::OnNormalClose;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{ErrorKind, Notice, Sink, State};
use rusqlite::Connection;

use crate::support;

/// A refusal of which no list of outages knows.
#[test]
fn events_that_the_spool_refuses_are_held_until_it_takes_them() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &format!("sqlite:{}/events.db", directory.path().display()));
    cxsink::init_db(&config).unwrap();
    drop(Sink::open(&config).unwrap());
    let spool = Connection::open(&config.spool.path).unwrap();
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON bursts WHEN new.events > 0 BEGIN SELECT RAISE(ABORT, 'not now'); END";
    spool.execute_batch(refuse).unwrap();
    let mut options = SimulatorOptions::default();
    options.events = Some(300);
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    simulator.apply_to(&mut config);
    config.stream.on_normal_close = OnNormalClose::Stop;
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let error = support::wait_for_notice(&sink, "a refusal", |notice| match notice {
        Notice::Error(error) if error.kind() == ErrorKind::Spool => Some(error),
        _ => None,
    });
    assert!(error.is_retryable() && error.message().contains("not now"), "{error:?}");
    assert!(!format!("{error:?}").contains("damaged"), "{error:?}");
    support::wait_for_state(&sink, State::Stalled);
    spool.execute_batch("DROP TRIGGER refuse").unwrap();
    let stats = support::run_to_the_end(&sink);
    assert_eq!((stats.received, stats.pending), (300, 0), "{stats:?}");
}

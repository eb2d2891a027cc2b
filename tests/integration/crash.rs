//! Killed at any moment, the sink loses nothing and writes nothing twice: the program under SIGKILL, again and again, between a
//! stream that repeats its tail and a real PostgreSQL. `CXSINK_CRASH_KILLS` sets how often (30).
#![cfg(unix)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cxsink::config::OnNormalClose;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Sink};

use crate::support;
use crate::support::postgres::TestDatabase;
use crate::support::process::{Running, cxsink_of};
use crate::support::{history, journal, postgres::PATIENCE};

fn kills() -> u64 {
    std::env::var("CXSINK_CRASH_KILLS").map_or(30, |kills| kills.parse().unwrap())
}

/// A stream that lasts longer than the kills.
fn stream(seed: u64, is_replayed: bool) -> SimulatorOptions {
    let events = kills() * if is_replayed { 400 } else { 1000 };
    let mut options = support::stream_with_repeats(seed, events, 3000);
    // The events of a second: more than wait in the sockets' buffers when a reader that keeps up is killed.
    options.replay_events = if is_replayed { 3000 } else { 0 };
    options
}

fn program(directory: &Path, config: &Config, simulator: &Simulator, url: &str) -> Command {
    let mut command = cxsink_of(directory, simulator);
    command
        .env("CXSINK_DESTINATION__URL", url)
        .env("CXSINK_SPOOL__PATH", &config.spool.path)
        .env("CXSINK_BATCH__EVENTS_MAX", config.batch.events_max.to_string())
        .env("CXSINK_DESTINATION__CONNECTIONS", config.destination.connections.to_string())
        .env("SPLIT_ROWS_MIN", "1")
        .env("CXSINK_DESTINATION__HISTORY_TABLE", config.destination.history_table.as_deref().unwrap_or_default())
        .env("CXSINK_RETRY__DELAY_MIN", "5ms")
        .env("CXSINK_RETRY__DELAY_MAX", "20ms")
        .arg("run");
    command
}

const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";

fn killed_again_and_again(
    seed: u64,
    has_checkpoint: bool,
    is_replayed: bool,
    connections: &[u32],
    history: Option<&str>,
) {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &database.url());
    config.destination.history_table = history.map(Into::into);
    // Small batches: a kill meets a batch half done more often than not.
    config.batch.events_max = 40;
    cxsink::init_db(&config).unwrap();
    if has_checkpoint {
        database.execute(journal::KEEP_WRITES);
        database.execute(journal::KEEP_MOVES);
    } else {
        database.execute("DROP TABLE cxsink_checkpoint");
    }
    journal::keep_arrivals(&config);
    let simulator = Simulator::start(stream(seed, is_replayed)).unwrap();
    let mut draws = fastrand::Rng::with_seed(seed);
    for _ in 0..kills() {
        config.destination.connections = connections[draws.usize(0..connections.len())];
        let mut sink = Running::start(&mut program(directory.path(), &config, &simulator, &database.url()));
        // One in four dies while it starts, the others at work: from the first event of a connection on.
        if draws.u8(0..4) > 0 {
            let before = simulator.report().events;
            support::wait_until("it reads", || simulator.report().events > before);
        }
        std::thread::sleep(Duration::from_micros(draws.u64(0..500_000)));
        assert_eq!(sink.child.try_wait().unwrap(), None, "it ended by itself: {}", sink.wait().1);
        sink.signal("KILL");
        sink.child.wait().unwrap();
        if !has_checkpoint {
            // Nothing refuses a statement that a killed sink left on the server: it would put an older row over a newer one.
            support::wait_until("the server has read what was left", || database.query(OTHERS) == ["0"]);
        }
    }

    // The last start lives to the end of the stream, and its books must balance.
    simulator.apply_to(&mut config);
    config.stream.on_normal_close = OnNormalClose::Stop;
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    assert!(simulator.wait_finished(Duration::from_secs(60) + PATIENCE), "{}", simulator.report());
    let sent: Vec<Vec<u8>> = simulator.events().collect();
    support::wait_until("the last event is in the spool", || {
        journal::arrivals(&config).iter().rev().take(3000).any(|event| Some(event) == sent.last())
    });
    support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
    let stats = sink.stats();
    assert!(stats.is_balanced() && stats.pending == 0, "{stats:?}");

    let arrivals = journal::check(&config, &mut database.client(), has_checkpoint);
    let report = simulator.report();
    assert!(report.connections > kills() / 2, "most of them died at work: {report}");
    if is_replayed {
        // The redelivered tail made up for what was in the sockets of the killed.
        let arrived: std::collections::HashSet<&Vec<u8>> = arrivals.iter().collect();
        let missing = sent.iter().filter(|event| !arrived.contains(event)).count();
        assert_eq!(missing, 0, "events that were sent and never appended; {report}");
    }
}

#[test]
fn with_a_checkpoint_every_batch_is_written_exactly_once() {
    killed_again_and_again(20_261_122, true, true, &[1], None);
}

/// Another number of connections each time, so a killed sink's partitions are rarely those of the next one.
#[test]
fn with_other_connections_each_time_every_batch_is_written_exactly_once() {
    killed_again_and_again(7, true, true, &[1, 2, 3, 4], None);
}

/// Nothing is sent again here: an event that the sink lost after it was spooled would be missing for good.
#[test]
fn without_a_checkpoint_table_and_history_are_the_same() {
    killed_again_and_again(42, false, false, &[1, 2, 3], Some(history::TABLE));
}

#[test]
fn with_a_history_every_event_is_in_it_exactly_once() {
    killed_again_and_again(16, true, true, &[1, 2, 4], Some(history::TABLE));
}

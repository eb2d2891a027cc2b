//! A spool's file that goes away while `start()` waits for the database: it is noticed, and its events are saved.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use cxsink::{Config, Notice, Sink, State};
use postgres::Client;

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::proxy::Proxy;
use crate::support::spool::{Harm, events, open, prepare, started, stored};

const EVENTS: u32 = 50;

/// The reason why `start()` waits.
#[derive(Debug, Clone, Copy)]
enum Obstacle {
    /// The server takes the connection, and says nothing.
    Silence,
    /// Another transaction has locked the checkpoint's table.
    Lock,
}

/// A sink with events in its spool, and a database that can hold up its start.
struct Bench {
    database: TestDatabase,
    proxy: Proxy,
    holder: Client,
    config: Config,
    sink: Sink,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::new();
        let proxy = Proxy::new(database.address());
        let (directory, mut config) = prepare(&database.url_through(proxy.address));
        config.destination.connect_timeout = PATIENCE;
        config.destination.statement_timeout = PATIENCE;
        change(&mut config);
        config.spool.path = directory.path().join("folder/spool.db");
        let sink = open(&config, &config.spool.path);
        sink.ingest_many(events(0..EVENTS), None).unwrap();
        Self { holder: database.client(), database, proxy, config, sink, _directory: directory }
    }

    /// Starts the sink, and does `harm` to its spool while the obstacle is in the way.
    fn start(&mut self, obstacle: Obstacle, harm: impl FnOnce(&Path)) -> cxsink::Result<()> {
        self.proxy.cut_all();
        match obstacle {
            Obstacle::Silence => self.proxy.stall(true),
            Obstacle::Lock => self.holder.batch_execute("BEGIN; LOCK TABLE cxsink_checkpoint").unwrap(),
        }
        std::thread::scope(|scope| {
            let starting = scope.spawn(|| self.sink.start());
            support::wait_until("start() waits", || match obstacle {
                Obstacle::Silence => self.proxy.connections() > 0,
                Obstacle::Lock => {
                    let waiting =
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'cxsink_checkpoint'::regclass";
                    self.database.query(waiting) == ["1"]
                }
            });
            assert!(!starting.is_finished());
            harm(&self.config.spool.path);
            assert!(!starting.is_finished());
            match obstacle {
                Obstacle::Silence => self.proxy.stall(false),
                Obstacle::Lock => self.holder.batch_execute("COMMIT").unwrap(),
            }
            starting.join().unwrap()
        })
    }
}

#[test]
fn a_file_that_goes_away_while_start_waits_is_noticed_and_its_events_are_saved() {
    for obstacle in [Obstacle::Silence, Obstacle::Lock] {
        for harm in Harm::ALL {
            let mut bench = Bench::new(|_| ());
            bench.start(obstacle, |spool| harm.apply(spool)).unwrap();
            assert_saved(&bench, &format!("{obstacle:?} {harm:?}"));
        }
    }
}

/// The file itself is whole, but what was written last is in its log.
#[test]
fn a_log_that_goes_away_while_start_waits_is_noticed_and_its_events_are_saved() {
    for end in ["-wal", "-shm"] {
        let mut bench = Bench::new(|_| ());
        bench.start(Obstacle::Lock, |spool| fs::remove_file(format!("{}{end}", spool.display())).unwrap()).unwrap();
        assert_saved(&bench, end);
    }
}

fn assert_saved(bench: &Bench, what: &str) {
    support::wait_for_state(&bench.sink, State::Failed);
    let failure = bench.sink.failure().unwrap();
    assert!(failure.message().contains("watching the spool"), "{what}: {failure:?}");
    let stats = support::balanced(&bench.sink);
    assert_eq!((stats.pending, stats.dead_lettered, stored(&bench.database)), (0, 0, EVENTS), "{what}: {stats:?}");
}

/// Not all of it can be saved, but it is said.
#[test]
fn a_file_that_is_truncated_while_start_waits_is_noticed() {
    for obstacle in [Obstacle::Silence, Obstacle::Lock] {
        for length in [0, 4096] {
            let mut bench = Bench::new(|_| ());
            let truncate = |spool: &Path| fs::File::options().write(true).open(spool).unwrap().set_len(length).unwrap();
            let begun = bench.start(obstacle, truncate);
            support::wait_for_state(&bench.sink, State::Failed);
            let failure = bench.sink.failure().unwrap();
            assert!(failure.message().contains("the spool "), "{obstacle:?} {length}: {failure:?}");
            assert!(begun.is_ok() || failure.message() == begun.unwrap_err().message());
        }
    }
}

/// The database does not answer in time, and not before the end either: the events are in a new file, and the next start goes on with it.
#[test]
fn a_file_that_is_removed_while_start_waits_in_vain_is_there_again_after_the_end() {
    let bench = Bench::new(|config| config.destination.connect_timeout = Duration::from_millis(300));
    bench.proxy.stall(true);
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| bench.sink.start());
        support::wait_until("start() waits", || bench.proxy.connections() > 0);
        Harm::FolderRemoved.apply(&bench.config.spool.path);
        starting.join().unwrap().unwrap();
    });
    let noticed = |notice| match notice {
        Notice::Error(error) => error.message().contains("watching the spool").then_some(()),
        _ => None,
    };
    support::wait_for_notice(&bench.sink, "it is noticed", noticed);
    bench.sink.close_within(PATIENCE).unwrap_err();
    assert_eq!(support::balanced(&bench.sink).pending, u64::from(EVENTS));
    bench.proxy.stall(false);
    drop(bench.sink);
    let (database, config) = (&bench.database, &bench.config);
    let sink = started(config, &config.spool.path);
    support::wait_quiet(&sink);
    assert_eq!(stored(database), EVENTS);
    sink.close_within(Duration::MAX).unwrap();
}

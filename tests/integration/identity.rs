//! A spool is its file and its owner: under whatever name, in however many copies, nothing is dropped that was not written, and what
//! happens to the file is noticed.
#![cfg(unix)]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Error, Notice, Sink, State};

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::process::{cxsink, in_own_process, output};
use crate::support::proxy::Proxy;

fn event(n: u32) -> String {
    format!(
        "{{\"interactionId\":\"i{n}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"k{n}\"}}"
    )
}

fn events(range: Range<u32>) -> Vec<String> {
    range.map(event).collect()
}

/// A sink on this spool file.
fn open(config: &Config, spool: &Path) -> Sink {
    let mut config = config.clone();
    spool.clone_into(&mut config.spool.path);
    Sink::open(&config).unwrap()
}

fn started(config: &Config, spool: &Path) -> Sink {
    let sink = open(config, spool);
    sink.start().unwrap();
    sink
}

fn prepare(url: &str) -> (tempfile::TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let config = support::config(directory.path(), url);
    cxsink::init_db(&config).unwrap();
    (directory, config)
}

fn stored(database: &TestDatabase) -> u32 {
    database.query("SELECT count(*) FROM cxone_events")[0].parse().unwrap()
}

/// The events that each of two sinks takes in a round.
const ROUND: u32 = 475;

fn is_conflict(error: &Error) {
    assert!(error.message().contains("another sink owns it"), "{error:?}");
    assert!(error.hint().unwrap().contains("cxsink renew-spool"), "{error:?}");
}

/// Appends `events` to a spool whose sink is refused, as a unit does that starts it again and again.
fn refused(config: &Config, spool: &Path, events: &[String]) {
    let sink = open(config, spool);
    sink.ingest_many(events, None).unwrap();
    is_conflict(&sink.start().unwrap_err());
    assert_eq!(sink.state(), State::Failed);
    sink.close().unwrap_err();
}

/// Two sinks on copies of one file: the one that comes second is refused at each start, whatever is in its file, and nothing of it
/// counts as written. 10,000 events.
#[test]
fn of_copies_in_a_restart_loop_nothing_is_lost() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let [first, second] = ["a.db", "b.db"].map(|name| directory.path().join(name));
    let sink = started(&config, &first);
    sink.ingest_many(events(0..500), None).unwrap();
    support::wait_quiet(&sink);
    sink.close().unwrap();
    drop(sink);
    fs::copy(&first, &second).unwrap();

    for round in 0..10 {
        let begin = 500 + round * 2 * ROUND;
        let sink = started(&config, &first);
        sink.ingest_many(events(begin..begin + ROUND), None).unwrap();
        refused(&config, &second, &events(begin + ROUND..begin + 2 * ROUND));
        support::wait_quiet(&sink);
        assert_eq!(sink.stats().last_error, None);
        sink.close().unwrap();
    }
    assert_eq!(stored(&database), 500 + 10 * ROUND);

    let mut config = config;
    config.spool.path = second.clone();
    cxsink::renew_spool(&config).unwrap();
    let sink = started(&config, &second);
    support::wait_quiet(&sink);
    assert_eq!((sink.stats().recovered, stored(&database)), (u64::from(10 * ROUND), 10_000));
    sink.close().unwrap();
    drop(sink);
    let sink = started(&config, &first);
    assert_eq!(sink.stats().recovered, 0);
    sink.close().unwrap();
}

/// The copy connects first, so it is the first sink that is refused: while it runs, and then at each start. What it had spooled while
/// the database was away is not taken for what the copy wrote in the meantime.
#[test]
fn a_copy_that_takes_the_checkpoint_over_takes_no_event() {
    let database = TestDatabase::new();
    let proxy = Proxy::new(database.address());
    let (directory, config) = prepare(&database.url_through(proxy.address));
    let [first, second] = ["a.db", "b.db"].map(|name| directory.path().join(name));
    let sink = started(&config, &first);
    sink.ingest_many(events(0..100), None).unwrap();
    support::wait_quiet(&sink);
    let spool = rusqlite::Connection::open(&first).unwrap();
    spool.execute("VACUUM INTO ?1", [second.to_str().unwrap()]).unwrap();

    proxy.refuse(true);
    proxy.cut_all();
    sink.ingest_many(events(100..250), None).unwrap();
    support::wait_for_state(&sink, State::Stalled);
    let mut direct = config.clone();
    direct.set("destination.url", &database.url()).unwrap();
    let copy = started(&direct, &second);
    copy.ingest_many(events(250..500), None).unwrap();
    support::wait_quiet(&copy);

    proxy.refuse(false);
    support::wait_for_state(&sink, State::Failed);
    is_conflict(&sink.failure().unwrap());
    let stats = support::balanced(&sink);
    assert_eq!((stats.pending, stats.confirmed), (150, 0), "{stats:?}");
    drop((sink, spool));
    for round in 0..3 {
        refused(&config, &first, &events(500 + round..501 + round));
    }
    support::wait_quiet(&copy);
    assert_eq!(copy.stats().last_error, None);
    copy.close().unwrap();
    assert_eq!(stored(&database), 350);

    let mut config = config;
    config.spool.path = first.clone();
    cxsink::renew_spool(&config).unwrap();
    let sink = started(&config, &first);
    support::wait_quiet(&sink);
    assert_eq!(stored(&database), 503);
    sink.close().unwrap();
}

/// The destination is restored from a backup, with an older owner of this spool: a loss, which is reported, and no conflict.
#[test]
fn a_restored_destination_is_a_regression_and_no_conflict() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let spool = directory.path().join("a.db");
    let run = |range: Range<u32>| {
        let sink = started(&config, &spool);
        sink.ingest_many(events(range), None).unwrap();
        support::wait_quiet(&sink);
        sink
    };
    run(0..10).close().unwrap();
    database.execute("CREATE TABLE kept AS SELECT * FROM cxsink_checkpoint");
    run(10..20).close().unwrap();
    let sink = run(20..30);
    // While it runs, and before a start.
    let restore = "TRUNCATE cxsink_checkpoint; INSERT INTO cxsink_checkpoint SELECT * FROM kept";
    database.execute(restore);
    sink.ingest_many(events(30..40), None).unwrap();
    let lost = |notice| match notice {
        Notice::Error(error) if error.message().contains("lost 20 events") => Some(()),
        _ => None,
    };
    support::wait_for_notice(&sink, "the loss of a running sink", lost);
    support::wait_quiet(&sink);
    sink.close().unwrap();
    database.execute(restore);
    let sink = run(40..50);
    assert!(sink.stats().last_error.unwrap().contains("lost 30 events"));
    assert_eq!((stored(&database), sink.gaps().unwrap().len()), (50, 2));
    sink.close().unwrap();
}

/// A row that somebody deletes while the sink runs is created again, and that is reported.
#[test]
fn a_deleted_checkpoint_is_reported() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let sink = started(&config, &directory.path().join("a.db"));
    sink.ingest_many(events(0..10), None).unwrap();
    support::wait_quiet(&sink);
    database.execute("DELETE FROM cxsink_checkpoint");
    sink.ingest_many(events(10..20), None).unwrap();
    support::wait_quiet(&sink);
    assert!(sink.stats().last_error.unwrap().contains("no checkpoint of this spool"));
    assert_eq!((stored(&database), sink.gaps().unwrap().len()), (20, 1));
    assert_eq!(database.query("SELECT position FROM cxsink_checkpoint"), ["20"]);
    sink.close().unwrap();
}

/// The file is restored from a backup: what the destination has under a later owner is not known to be the file's.
#[test]
fn a_restored_spool_is_a_conflict() {
    let database = TestDatabase::new();
    let (directory, config) = prepare(&database.url());
    let [spool, backup] = ["a.db", "backup.db"].map(|name| directory.path().join(name));
    let run = |range: Range<u32>| {
        let sink = started(&config, &spool);
        sink.ingest_many(events(range), None).unwrap();
        support::wait_quiet(&sink);
        sink.close().unwrap();
    };
    run(0..10);
    fs::copy(&spool, &backup).unwrap();
    run(10..20);
    fs::copy(&backup, &spool).unwrap();
    refused(&config, &spool, &events(20..30));
    refused(&config, &spool, &[]);
    assert_eq!(stored(&database), 20);
}

#[test]
fn every_name_of_the_file_is_in_use_for_other_processes() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    fs::create_dir(place("folder")).unwrap();
    let mut config = support::config(directory.path(), "sqlite:table.db");
    config.spool.path = place("folder/spool.db");
    let sink = Sink::open(&config).unwrap();
    sink.ingest(event(1).as_bytes()).unwrap();
    std::os::unix::fs::symlink(place("folder/spool.db"), place("link.db")).unwrap();
    std::os::unix::fs::symlink(place("folder"), place("other")).unwrap();
    fs::write(place("events"), event(2)).unwrap();
    let is_refused = |name: &str| {
        let mut command = cxsink(directory.path());
        command.env("CXSINK_SPOOL__PATH", name).env("CXSINK_DESTINATION__URL", "sqlite:table.db");
        let (code, _, err) = output(command.args(["import", "events"]));
        assert!(code == 1 && err.contains("in use by"), "{name}: {code} {err}");
    };
    let names = ["folder/spool.db", "link.db", "other/spool.db", "./folder/../other/spool.db"];
    for name in names {
        is_refused(name);
    }
    fs::remove_file(place("folder/spool.db.lock")).unwrap();
    for name in names {
        is_refused(name);
    }
    fs::hard_link(place("folder/spool.db"), place("hard.db")).unwrap();
    is_refused("hard.db");
    fs::remove_file(place("hard.db")).unwrap();
    sink.ingest(event(3).as_bytes()).unwrap();
    assert_eq!(sink.stats().pending, 2);
}

/// The process changes its directory while the sink runs.
#[test]
fn a_relative_path_is_resolved_once() {
    if !in_own_process(|_| {}) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("elsewhere")).unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    let mut config = support::config(directory.path(), "sqlite:table.db");
    config.spool.path = "folder/spool.db".into();
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    std::env::set_current_dir("elsewhere").unwrap();
    fs::remove_file(directory.path().join("folder/spool.db.lock")).unwrap();
    // The reserve is taken with the first one.
    sink.ingest_many(events(0..100), None).unwrap();
    support::wait_quiet(&sink);
    sink.close().unwrap();
    assert_eq!(fs::read_dir(".").unwrap().count(), 0);
    let table = rusqlite::Connection::open(directory.path().join("table.db")).unwrap();
    assert_eq!(table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get::<_, u32>(0)).unwrap(), 100);
}

/// What is done to the file while a sink has it open.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Removed,
    FolderRemoved,
    Replaced,
    Moved,
    FolderMoved,
}

impl Harm {
    const ALL: [Self; 5] = [Self::Removed, Self::FolderRemoved, Self::Replaced, Self::Moved, Self::FolderMoved];

    fn apply(self, spool: &Path) {
        let folder = spool.parent().unwrap();
        match self {
            Self::Removed => fs::remove_file(spool).unwrap(),
            Self::FolderRemoved => fs::remove_dir_all(folder).unwrap(),
            Self::Replaced => {
                fs::write(folder.join("new"), "another").unwrap();
                fs::rename(folder.join("new"), spool).unwrap();
            }
            Self::Moved => fs::rename(spool, folder.join("old.db")).unwrap(),
            Self::FolderMoved => fs::rename(folder, folder.with_file_name("moved")).unwrap(),
        }
    }
}

/// A sink on an endless stream, behind a proxy.
struct Bench {
    database: TestDatabase,
    proxy: Proxy,
    simulator: Simulator,
    directory: tempfile::TempDir,
    sink: Sink,
}

impl Bench {
    fn new() -> Self {
        let database = TestDatabase::new();
        let proxy = Proxy::new(database.address());
        let (directory, mut config) = prepare(&database.url_through(proxy.address));
        let mut stream = SimulatorOptions::default();
        stream.rate = 200;
        let simulator = Simulator::start(stream).unwrap();
        simulator.apply_to(&mut config);
        let sink = started(&config, &directory.path().join("folder/spool.db"));
        support::wait_until("events are stored", || sink.stats().inserted > 20);
        Self { database, proxy, simulator, directory, sink }
    }

    fn spool(&self) -> PathBuf {
        self.directory.path().join("folder/spool.db")
    }

    fn cut_off(&self, is_cut_off: bool) {
        self.proxy.refuse(is_cut_off);
        if is_cut_off {
            self.proxy.cut_all();
            support::wait_until("the outage is noticed", || self.sink.state() == State::Stalled);
            let received = self.sink.stats().received;
            support::wait_until("events are spooled", || self.sink.stats().received > received + 20);
        }
    }

    fn wait_noticed(&self) {
        let lost = |notice| match notice {
            Notice::Error(error) if error.message().contains("watching the spool") => Some(error),
            _ => None,
        };
        let error = support::wait_for_notice(&self.sink, "it is noticed", lost);
        assert!(error.hint().is_some());
    }

    /// Everything that was read is in the table, and the sink has failed.
    fn end(&self, harm: Harm) {
        support::wait_for_state(&self.sink, State::Failed);
        let failure = self.sink.failure().unwrap();
        assert!(failure.message().contains("watching the spool"), "{harm:?}: {failure:?}");
        let stats = support::balanced(&self.sink);
        assert_eq!((stats.pending, stats.dead_lettered), (0, 0), "{harm:?}: {stats:?}");
        assert_eq!(u64::from(stored(&self.database)), stats.inserted + stats.confirmed, "{harm:?}: {stats:?}");
        assert!(self.simulator.report().events >= stats.received);
    }
}

#[test]
fn a_file_that_goes_away_while_events_flow_is_noticed_and_its_events_are_saved() {
    for harm in Harm::ALL {
        let bench = Bench::new();
        harm.apply(&bench.spool());
        bench.wait_noticed();
        bench.end(harm);
    }
}

#[test]
fn a_file_that_goes_away_during_an_outage_is_noticed_and_its_events_are_saved() {
    for harm in Harm::ALL {
        let bench = Bench::new();
        bench.cut_off(true);
        harm.apply(&bench.spool());
        bench.wait_noticed();
        let received = bench.sink.stats().received;
        let error = bench.sink.ingest(event(1).as_bytes()).unwrap_err();
        assert!(error.message().contains("watching the spool"), "{error:?}");
        bench.cut_off(false);
        bench.end(harm);
        // The burst that was being read.
        assert!(bench.sink.stats().received <= received + 2000);
    }
}

/// The stream has ended for good, and the rest is being drained.
#[test]
fn a_file_that_goes_away_while_it_is_drained_is_noticed_and_its_events_are_saved() {
    for harm in Harm::ALL {
        let database = TestDatabase::new();
        let proxy = Proxy::new(database.address());
        let (directory, mut config) = prepare(&database.url_through(proxy.address));
        let mut stream = SimulatorOptions::default();
        (stream.events, stream.close_at_end) = (Some(300), true);
        let simulator = Simulator::start(stream).unwrap();
        simulator.apply_to(&mut config);
        config.stream.on_normal_close = cxsink::config::OnNormalClose::Stop;
        proxy.refuse(true);
        let sink = started(&config, &directory.path().join("folder/spool.db"));
        support::wait_for_state(&sink, State::Stopping);
        let bench = Bench { database, proxy, simulator, directory, sink };
        assert!(bench.sink.stats().pending > 0);
        harm.apply(&bench.spool());
        bench.wait_noticed();
        bench.cut_off(false);
        bench.end(harm);
        assert_eq!(stored(&bench.database), 300);
    }
}

/// Not all of it can be saved, but it is said, and nothing more is read.
#[test]
fn a_truncated_file_is_noticed_in_each_state() {
    for is_outage in [false, true] {
        let bench = Bench::new();
        if is_outage {
            bench.cut_off(true);
        }
        fs::File::options().write(true).open(bench.spool()).unwrap().set_len(0).unwrap();
        // By the watch, or by whoever reads it first.
        let told = |notice| match notice {
            Notice::Error(error) if error.message().contains("the spool ") => Some(error),
            _ => None,
        };
        let error = support::wait_for_notice(&bench.sink, "it is noticed", told);
        assert!(["truncated", "malformed", "missing"].iter().any(|what| error.message().contains(what)), "{error:?}");
        bench.cut_off(false);
        support::wait_for_state(&bench.sink, State::Failed);
        support::balanced(&bench.sink);
    }
}

/// The database does not come back before the end: what the removed file has is in a new one, and the next start goes on with it.
#[test]
fn a_removed_file_is_there_again_after_an_end_in_an_outage() {
    let bench = Bench::new();
    bench.cut_off(true);
    Harm::FolderRemoved.apply(&bench.spool());
    bench.wait_noticed();
    bench.sink.close_within(PATIENCE).unwrap_err();
    let stats = support::balanced(&bench.sink);
    assert!(stats.pending > 0, "{stats:?}");
    let Bench { database, directory, sink, .. } = bench;
    drop(sink);
    let config = support::config(directory.path(), &database.url());
    let sink = started(&config, &directory.path().join("folder/spool.db"));
    support::wait_quiet(&sink);
    assert_eq!(u64::from(stored(&database)), stats.received);
    sink.close_within(Duration::MAX).unwrap();
}

//! A spool's file that is removed, replaced, moved or truncated while a sink has it open: noticed in each state, and what can be saved is.
#![cfg(unix)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cxsink::config::OnNormalClose;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Notice, Sink, State};

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::proxy::Proxy;
use crate::support::spool::{Harm, event, events, open, prepare, started, stored};

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

    /// The stream has ended, and the database is away.
    fn draining() -> Self {
        let database = TestDatabase::new();
        let proxy = Proxy::new(database.address());
        let (directory, mut config) = prepare(&database.url_through(proxy.address));
        let mut stream = SimulatorOptions::default();
        (stream.events, stream.close_at_end) = (Some(300), true);
        let simulator = Simulator::start(stream).unwrap();
        simulator.apply_to(&mut config);
        config.stream.on_normal_close = OnNormalClose::Stop;
        proxy.refuse(true);
        let sink = started(&config, &directory.path().join("folder/spool.db"));
        support::wait_for_state(&sink, State::Stopping);
        assert!(sink.stats().pending > 0);
        Self { database, proxy, simulator, directory, sink }
    }

    /// The stream is open and has no more events, and all of them are stored.
    fn idle() -> Self {
        let database = TestDatabase::new();
        let proxy = Proxy::new(database.address());
        let (directory, mut config) = prepare(&database.url_through(proxy.address));
        let mut stream = SimulatorOptions::default();
        stream.events = Some(50);
        let simulator = Simulator::start(stream).unwrap();
        simulator.apply_to(&mut config);
        let sink = started(&config, &directory.path().join("folder/spool.db"));
        support::wait_until("events are stored", || sink.stats().inserted == 50);
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
        let bench = Bench::draining();
        harm.apply(&bench.spool());
        bench.wait_noticed();
        bench.cut_off(false);
        bench.end(harm);
        assert_eq!(stored(&bench.database), 300);
    }
}

/// No event comes, and none is pending.
#[test]
fn a_file_that_goes_away_from_an_idle_sink_is_noticed() {
    for harm in Harm::ALL {
        let bench = Bench::idle();
        harm.apply(&bench.spool());
        bench.wait_noticed();
        bench.end(harm);
        assert_eq!(stored(&bench.database), 50);
    }
}

/// The sink is open, has events, and is started afterwards.
#[test]
fn a_file_that_goes_away_before_the_start_is_noticed_and_its_events_are_saved() {
    for harm in Harm::ALL {
        let database = TestDatabase::new();
        let (directory, config) = prepare(&database.url());
        let spool = directory.path().join("folder/spool.db");
        let sink = open(&config, &spool);
        sink.ingest_many(events(0..50), None).unwrap();
        harm.apply(&spool);
        sink.start().unwrap();
        support::wait_for_state(&sink, State::Failed);
        let failure = sink.failure().unwrap();
        assert!(failure.message().contains("watching the spool"), "{harm:?}: {failure:?}");
        assert_eq!((support::balanced(&sink).pending, stored(&database)), (0, 50), "{harm:?}");
    }
}

/// Not all of it can be saved, but it is said, and nothing more is read.
#[test]
fn a_truncated_file_is_noticed_in_each_state() {
    for (state, make) in
        [("running", Bench::new as fn() -> Bench), ("draining", Bench::draining), ("idle", Bench::idle)]
    {
        truncate(state, &make());
    }
    let bench = Bench::new();
    bench.cut_off(true);
    truncate("stalled", &bench);
}

fn truncate(state: &str, bench: &Bench) {
    fs::File::options().write(true).open(bench.spool()).unwrap().set_len(0).unwrap();
    // By the watch, or by whoever reads it first.
    let told = |notice| match notice {
        Notice::Error(error) if error.message().contains("the spool ") => Some(error),
        _ => None,
    };
    let error = support::wait_for_notice(&bench.sink, state, told);
    let words = ["truncated", "malformed", "missing"];
    assert!(words.iter().any(|what| error.message().contains(what)), "{state}: {error:?}");
    bench.cut_off(false);
    support::wait_for_state(&bench.sink, State::Failed);
    support::balanced(&bench.sink);
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

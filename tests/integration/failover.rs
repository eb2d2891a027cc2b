//! Two PostgreSQL servers with streaming replication, of which the first one dies: the sink finds the second one by itself, and
//! says what is lost where replication lagged behind.
#![cfg(unix)]

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cxsink::simulator::Simulator;
use cxsink::{Config, Notice, Sink, State};

use crate::support;
use crate::support::journal;
use crate::support::postgres::PATIENCE;
use crate::support::server::PrivateServer;

/// A connection string with both servers, in this order.
fn hosts(servers: [&PrivateServer; 2], more: &str) -> String {
    let ports = servers.map(|server| server.address().port().to_string()).join(",");
    let password = servers[0].password();
    format!("host=127.0.0.1,127.0.0.1 port={ports} user=postgres password={password} dbname=postgres {more}")
}

/// A configuration for both, over tables whose writes are noted.
fn prepare(directory: &Path, servers: [&PrivateServer; 2], primary: &PrivateServer) -> Config {
    let config = support::config(directory, &hosts(servers, ""));
    cxsink::init_db(&config).unwrap();
    for sql in [journal::KEEP_WRITES, journal::KEEP_MOVES] {
        primary.execute(sql);
    }
    journal::keep_arrivals(&config);
    config
}

fn events(range: Range<u32>) -> String {
    let event = |n| {
        format!(
            "{{\"interactionId\":\"i{n}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"k{n}\"}}\n"
        )
    };
    range.map(event).collect()
}

/// The rows of the table, by number of the event.
fn keys(server: &PrivateServer) -> Vec<String> {
    server.query("SELECT idempotency_key FROM cxone_events ORDER BY substr(idempotency_key, 2)::int")
}

fn keys_of(ranges: impl IntoIterator<Item = Range<u32>>) -> Vec<String> {
    ranges.into_iter().flatten().map(|n| format!("k{n}")).collect()
}

/// The primary dies under load, killed with SIGKILL. Replication is synchronous: what was acknowledged is on the standby, and each
/// batch was written exactly once.
fn nothing_is_lost(standby_first: bool, seed: u64) {
    let mut primary = PrivateServer::start_new();
    let standby = primary.start_standby();
    primary.set("synchronous_standby_names = 'standby'");
    let directory = tempfile::tempdir().unwrap();
    let servers = if standby_first { [&standby, &primary] } else { [&primary, &standby] };
    let mut config = prepare(directory.path(), servers, &primary);
    config.batch.events_max = 40;
    let simulator = Simulator::start(support::stream_with_repeats(seed, 4000, 4000)).unwrap();
    simulator.apply_to(&mut config);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    support::wait_until("batches are written", || sink.stats().batches > 20);
    primary.kill();
    // However fast the stream was applied, here is something that cannot be.
    sink.import(events(0..100).as_bytes()).unwrap();
    support::wait_until("the outage is noticed", || sink.state() == State::Stalled);
    let stats = sink.stats();
    assert!(stats.pending > 0 && stats.dead_lettered < stats.received / 10, "{stats:?}");
    support::wait_until("each server is asked, and neither takes writes", || {
        let error = sink.stats().last_error.unwrap_or_default();
        error.contains("refused") && error.contains("read-only") && error.contains("25006")
    });
    standby.promote();
    assert!(simulator.wait_finished(PATIENCE));
    let sent = simulator.report().events + 100;
    support::wait_until("everything is read and applied", || {
        let stats = sink.stats();
        stats.received == sent && stats.pending == 0
    });
    assert_eq!(sink.gaps().unwrap(), [], "nothing was missed, nothing was forgotten");
    sink.close_within(PATIENCE).unwrap();
    support::balanced(&sink);
    let arrivals = journal::check(&config, &mut standby.client(), true);
    assert_eq!(arrivals.len() as u64, sent);
}

#[test]
fn the_primary_dies_and_the_second_host_takes_over() {
    nothing_is_lost(false, 31);
}

#[test]
fn the_first_host_is_a_standby_and_passed_over_until_it_is_promoted() {
    nothing_is_lost(true, 32);
}

/// Waits for the error that says that the destination forgot events; returns it with its hint.
fn wait_for_loss(sink: &Sink) -> String {
    support::wait_for_notice(sink, "a loss is reported", |notice| match notice {
        Notice::Error(error) if error.message().contains("lost") => Some(format!("{error:?}")),
        _ => None,
    })
}

/// Replication is not synchronous, and the standby has not got everything when the primary dies. What was confirmed and forgotten
/// is in no spool any more: the loss is reported with the time range to fetch again.
#[test]
fn events_that_a_lagging_standby_lost_are_reported_with_a_gap() {
    let mut primary = PrivateServer::start_new();
    let standby = primary.start_standby();
    let directory = tempfile::tempdir().unwrap();
    let config = prepare(directory.path(), [&primary, &standby], &primary);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let begun = SystemTime::now();
    sink.import(events(0..100).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    standby.wait_until_like(&primary);
    standby.stop_following();
    sink.import(events(100..150).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    primary.kill();
    let killed = SystemTime::now();
    standby.promote();
    sink.import(events(150..200).as_bytes()).unwrap();
    let reported = wait_for_loss(&sink);
    assert!(reported.contains("lost 50 events") && reported.contains("cxsink gaps"), "{reported}");
    support::wait_quiet(&sink);
    assert_eq!(keys(&standby), keys_of([0..100, 150..200]));
    let gaps = sink.gaps().unwrap();
    let [gap] = &gaps[..] else { panic!("{gaps:?}") };
    assert!(gap.cause.contains("lost 50 events"), "{gap:?}");
    assert!(
        (begun..=killed).contains(&gap.from) && gap.to.is_some_and(|to| to >= killed),
        "{gap:?} not {begun:?}, {killed:?}"
    );
    sink.close_within(PATIENCE).unwrap();

    // It is reported once.
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.import(events(200..210).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    assert_eq!(sink.gaps().unwrap(), gaps);
    sink.close_within(PATIENCE).unwrap();
}

/// The same when the sink was not running during the failover: the next one detects it.
#[test]
fn events_that_were_lost_between_two_runs_are_reported_too() {
    let mut primary = PrivateServer::start_new();
    let standby = primary.start_standby();
    let directory = tempfile::tempdir().unwrap();
    let config = prepare(directory.path(), [&primary, &standby], &primary);
    let run = |range| {
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        sink.import(events(range).as_bytes()).unwrap();
        support::wait_quiet(&sink);
        sink
    };
    run(0..10).close_within(PATIENCE).unwrap();
    standby.wait_until_like(&primary);
    standby.stop_following();
    run(10..30).close_within(PATIENCE).unwrap();
    primary.kill();
    standby.promote();
    let sink = run(30..40);
    assert!(wait_for_loss(&sink).contains("lost 20 events"));
    assert_eq!(keys(&standby), keys_of([0..10, 30..40]));
    assert!(cxsink::connections::Connections::open(&config).unwrap().gaps().unwrap()[0].cause.contains("20 events"));
    sink.close_within(PATIENCE).unwrap();
}

/// The standby has no checkpoint of this spool to compare with, which is a sign by itself.
#[test]
fn a_missing_checkpoint_is_reported_with_a_gap() {
    let mut primary = PrivateServer::start_new();
    let standby = primary.start_standby();
    let directory = tempfile::tempdir().unwrap();
    let config = prepare(directory.path(), [&primary, &standby], &primary);
    standby.wait_until_like(&primary);
    standby.stop_following();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.import(events(0..30).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    primary.kill();
    standby.promote();
    sink.import(events(30..40).as_bytes()).unwrap();
    let reported = wait_for_loss(&sink);
    assert!(
        reported.contains("no checkpoint of this spool") && reported.contains("any of the 30 events"),
        "{reported}"
    );
    support::wait_quiet(&sink);
    assert_eq!(keys(&standby), keys_of(std::iter::once(30..40)));
    assert_eq!(sink.gaps().unwrap().len(), 1);
    sink.close_within(PATIENCE).unwrap();
}

/// A read-only server is an outage, also with `target_session_attrs=any`: nothing becomes a dead letter.
#[test]
fn a_standby_alone_is_an_outage_until_it_is_promoted() {
    let mut primary = PrivateServer::start_new();
    let standby = primary.start_standby();
    let directory = tempfile::tempdir().unwrap();
    let mut config = prepare(directory.path(), [&primary, &standby], &primary);
    standby.wait_until_like(&primary);
    for any in ["", "?target_session_attrs=any"] {
        config.set("destination.url", &format!("{}{any}", standby.url())).unwrap();
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        support::wait_until("stalled", || sink.state() == State::Stalled);
        sink.import(if any.is_empty() { events(0..10) } else { events(10..20) }.as_bytes()).unwrap();
        let stats = support::balanced(&sink);
        assert_eq!(stats.dead_lettered, 0, "{stats:?}");
        assert!(stats.last_error.as_ref().unwrap().contains("25006"), "{stats:?}");
        if any.is_empty() {
            sink.close_within(PATIENCE).unwrap();
            continue;
        }
        primary.kill();
        standby.promote();
        support::wait_quiet(&sink);
        sink.close_within(PATIENCE).unwrap();
    }
    journal::check(&config, &mut standby.client(), true);
}

/// The dead primary comes back, and takes no writes: the sink passes it over, though it is the first host.
#[test]
fn an_old_primary_that_comes_back_read_only_is_passed_over() {
    let mut primary = PrivateServer::start_new();
    let standby = primary.start_standby();
    primary.set("synchronous_standby_names = 'standby'");
    let directory = tempfile::tempdir().unwrap();
    let config = prepare(directory.path(), [&primary, &standby], &primary);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.import(events(0..10).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    primary.kill();
    standby.promote();
    sink.import(events(10..20).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    primary.demote();
    primary.start();
    assert_eq!(primary.query("SELECT pg_is_in_recovery()"), ["t"]);
    // Whatever ends the connection to the new primary, the sink comes back to it.
    standby.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cxsink'");
    sink.import(events(20..30).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    sink.close_within(Duration::from_secs(10)).unwrap();
    assert_eq!(sink.gaps().unwrap(), [], "nothing was forgotten");
    assert_eq!(keys(&primary), keys_of(std::iter::once(0..10)));
    journal::check(&config, &mut standby.client(), true);
}

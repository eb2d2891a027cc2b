//! Bounded in memory and on disk: a long outage grows neither the process nor, beyond its limit, the spool, and a disk without room
//! costs time and nothing else. `CXSINK_LIMITS_EVENTS` sets the size of the backlog (2000000, which is half a minute on two
//! cores and 1.5 GB of disk; `make soak` takes 5000000).
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cxsink::config::OnNormalClose;
use cxsink::simulator::{InvalidKind, Simulator, SimulatorOptions};
use cxsink::{Config, ErrorKind, Notice, Sink, State};

use crate::support;
use crate::support::disk::SmallDisk;
use crate::support::journal;
use crate::support::postgres::{PATIENCE, TestDatabase};
use crate::support::process::{Running, cxsink_of};
use crate::support::proxy::Proxy;

fn backlog() -> u64 {
    std::env::var("CXSINK_LIMITS_EVENTS").map_or(2_000_000, |events| events.parse().unwrap())
}

fn stream(events: u64) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.events = Some(events);
    options.update_percent = 20.0;
    options.invalid_percent = 0.1;
    options.invalid_kinds = InvalidKind::ALL.into_iter().filter(|kind| *kind != InvalidKind::Oversize).collect();
    options
}

fn program(directory: &Path, simulator: &Simulator, url: &str) -> Command {
    let mut command = cxsink_of(directory, simulator);
    command
        .env("CXSINK_DESTINATION__URL", url)
        .env("CXSINK_SPOOL__PATH", directory.join("spool.db"))
        .env("CXSINK_RETRY__DELAY_MIN", "50ms")
        .env("CXSINK_RETRY__DELAY_MAX", "100ms")
        .arg("run");
    command
}

/// A line of `/proc/pid/status`, in KiB: `VmRSS`, or `VmHWM` for its highest value so far.
fn memory_kib(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How many events the spool's file has taken.
fn spooled(path: &Path) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(spool) = rusqlite::Connection::open_with_flags(path, flags) else { return 0 };
    spool.query_row("SELECT coalesce(max(position + events), 0) FROM bursts", [], |row| row.get(0)).unwrap_or(0)
}

const LIMIT_KIB: u64 = 32 * 1024;

#[test]
fn a_lag_takes_disk_and_not_memory() {
    let database = TestDatabase::new();
    let proxy = Proxy::new(database.address());
    proxy.refuse(true);
    let url = database.url_through(proxy.address);

    let idle = {
        let directory = tempfile::tempdir().unwrap();
        let simulator = Simulator::start(stream(0)).unwrap();
        let sink = Running::start(&mut program(directory.path(), &simulator, &url));
        support::wait_until("the stream is open", || simulator.report().connections == 1);
        memory_kib(sink.child.id(), "VmRSS")
    };

    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &database.url());
    cxsink::init_db(&config).unwrap();
    config.spool.path = directory.path().join("spool.db");
    let simulator = Simulator::start(stream(backlog())).unwrap();
    let mut sink = Running::start(&mut program(directory.path(), &simulator, &url));
    let process = sink.child.id();
    // As long as it takes to write them all; it is not the time that is tested here.
    assert!(simulator.wait_finished(Duration::from_secs(600)), "{}", simulator.report());
    support::wait_until("everything is spooled", || spooled(&config.spool.path) == backlog());
    let outage = memory_kib(process, "VmHWM");
    assert!(outage <= idle + LIMIT_KIB, "{outage} KiB with the backlog, {idle} KiB idle");

    proxy.refuse(false);
    let position =
        || database.query("SELECT position FROM cxsink_checkpoint").first().map_or(0, |at| at.parse().unwrap());
    let mut written: u64 = 0;
    while written + 1000 < backlog() {
        // However long all of them take: it is enough that it goes on.
        support::wait_until("it writes", || position() > written);
        written = position();
    }
    let drained = memory_kib(process, "VmHWM");
    sink.signal("TERM");
    let (code, err) = sink.wait();
    assert_eq!(code, 0, "{err}");
    let table: u64 = database.query("SELECT count(*) FROM cxone_events")[0].parse().unwrap();
    assert_eq!(table, simulator.report().unique_keys);
    println!("idle {idle} KiB, outage {outage} KiB, drained {drained} KiB");
    // Draining needs its batches: the one that is written, the next one, and the statement's.
    assert!(drained <= idle + LIMIT_KIB, "{drained} KiB after draining, {idle} KiB idle");
}

fn wait_for_error(sink: &Sink, kind: ErrorKind, part: &str) -> cxsink::Error {
    support::wait_for_notice(sink, part, |notice| match notice {
        Notice::Error(error) if error.kind() == kind && error.message().contains(part) => Some(error),
        _ => None,
    })
}

#[test]
fn a_full_spool_stops_reading_and_loses_nothing() {
    let database = TestDatabase::new();
    let proxy = Proxy::new(database.address());
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &database.url_through(proxy.address));
    // Room for a few of the largest bursts: an empty spool takes one of any size.
    config.spool.bytes_max = 2 << 20;
    cxsink::init_db(&config).unwrap();
    database.execute(journal::KEEP_WRITES);
    database.execute(journal::KEEP_MOVES);
    journal::keep_arrivals(&config);
    proxy.refuse(true);
    let mut options = stream(60_000);
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    simulator.apply_to(&mut config);
    config.stream.on_normal_close = OnNormalClose::Stop;
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    wait_for_error(&sink, ErrorKind::Spool, "is full");
    let stats = support::balanced(&sink);
    let reached = config.spool.bytes_max / 2..=config.spool.bytes_max;
    assert!(reached.contains(&stats.pending_bytes), "{stats:?}");
    // TCP pushes back: the sockets' buffers fill up, and the stream stands.
    let mut sent = simulator.report().events;
    support::wait_until("the stream stands", || {
        std::thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut sent, simulator.report().events) == simulator.report().events
    });
    assert!(sent < 60_000 && sink.stats().received == stats.received, "{sent} of 60000 sent");

    // The application waits as well.
    let taken = std::thread::scope(|scope| {
        let event = r#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"from-the-application"}"#;
        let waiting = scope.spawn(|| sink.ingest(event.as_bytes()));
        proxy.refuse(false);
        waiting.join().unwrap()
    });
    taken.unwrap();
    let stats = support::run_to_the_end(&sink);
    assert_eq!((stats.pending, stats.received), (0, 60_001), "{stats:?}");
    journal::check(&config, &mut database.client(), true);
}

/// A sink whose stream has more events than this disk has room for, and ends after them.
fn flooded(disk: &SmallDisk, url: &str, options: SimulatorOptions) -> (Sink, Simulator, Config) {
    let mut config = support::config(disk.path(), url);
    config.stream.on_normal_close = OnNormalClose::Stop;
    let simulator = Simulator::start(options).unwrap();
    simulator.apply_to(&mut config);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    (sink, simulator, config)
}

fn is_full_disk(error: &cxsink::Error) -> bool {
    error.kind() == ErrorKind::Spool && error.is_retryable() && error.hint().unwrap().contains("disk is full")
}

/// The disk fills up during an outage of the database. The sink reports it, and the stream waits. When the database is back, draining
/// frees the disk, and reading goes on without an operator.
#[test]
fn a_full_disk_in_an_outage_frees_itself() {
    let database = TestDatabase::new();
    let Some(disk) = SmallDisk::mount() else { return };
    let proxy = Proxy::new(database.address());
    proxy.refuse(true);
    cxsink::init_db(&support::config(disk.path(), &database.url())).unwrap();
    let mut options = stream(60_000);
    options.invalid_percent = 1.0;
    let (sink, simulator, config) = flooded(&disk, &database.url_through(proxy.address), options);
    let error = wait_for_error(&sink, ErrorKind::Spool, "appending to the spool");
    assert!(is_full_disk(&error), "{error:?}");
    let stats = support::balanced(&sink);
    assert!(stats.state == State::Stalled && stats.received < 60_000, "{stats:?}");

    proxy.refuse(false);
    support::wait_until("everything is read", || sink.stats().received == 60_000);
    let stats = support::wait_quiet(&sink);
    let sent = simulator.report();
    assert_eq!((stats.pending, stats.received, stats.dead_lettered), (0, 60_000, sent.invalid_total()), "{stats:?}");
    assert_eq!((stats.inserted, stats.confirmed), (sent.unique_keys, 0), "{stats:?}");
    assert_eq!(database.query("SELECT count(*) FROM cxone_events"), [sent.unique_keys.to_string()]);
    assert_eq!(sink.dead_letters(0, 60_000).unwrap().len() as u64, sent.invalid_total());
    let reserve = disk.path().join("spool.db.reserve");
    support::wait_until("the reserve is there again", || reserve.metadata().is_ok_and(|file| file.len() == 16 << 20));
    sink.close_within(PATIENCE).unwrap();
    intact(&config);
}

/// The same after a kill: what is spooled is found again and drained, with the disk as full as it was.
#[test]
fn a_full_disk_and_a_kill() {
    let database = TestDatabase::new();
    let Some(disk) = SmallDisk::mount() else { return };
    let proxy = Proxy::new(database.address());
    proxy.refuse(true);
    let url = database.url_through(proxy.address);
    let config = support::config(disk.path(), &database.url());
    cxsink::init_db(&config).unwrap();
    let mut options = stream(60_000);
    options.invalid_percent = 0.0;
    let simulator = Simulator::start(options).unwrap();
    let mut killed = Running::start(&mut program(disk.path(), &simulator, &url));
    let mut log = BufReader::new(killed.child.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("disk is full")), "{:?}", killed.child.try_wait());
    killed.signal("KILL");
    killed.child.wait().unwrap();
    let filler = disk.fill(0);
    let before = spooled(&config.spool.path);
    assert!(before > 1000, "{before}");
    let sink = Sink::open(&config).unwrap();
    assert_eq!(sink.stats().recovered, before);
    sink.start().unwrap();
    support::wait_quiet(&sink);
    sink.ingest(event(1).as_bytes()).unwrap();
    let stats = support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
    assert_eq!(database.query("SELECT count(*) FROM cxone_events"), [stats.inserted.to_string()]);
    std::fs::remove_file(filler).unwrap();
    intact(&config);
}

/// Dead letters are never dropped: a disk full of them blocks the sink until they are exported and purged, which works on the full
/// disk.
#[test]
fn a_disk_full_of_dead_letters_waits_for_their_purge() {
    let database = TestDatabase::new();
    let Some(disk) = SmallDisk::mount() else { return };
    cxsink::init_db(&support::config(disk.path(), &database.url())).unwrap();
    let mut options = stream(40_000);
    (options.invalid_percent, options.update_percent, options.redelivery_percent) = (100.0, 0.0, 0.0);
    options.close_at_end = true;
    let (sink, _simulator, config) = flooded(&disk, &database.url(), options);
    let error = wait_for_error(&sink, ErrorKind::Spool, "the spool");
    assert!(is_full_disk(&error), "{error:?}");

    let letters = cxsink::dead_letters::DeadLetters::open(&config).unwrap();
    let mut purge = cxsink::dead_letters::PurgeFilter::default();
    purge.exported = true;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 40_000 {
        let before = seen.len();
        support::wait_until("more is read, and exported", || {
            let offsets: Vec<u64> = letters.list(0, 1000).unwrap().iter().map(|letter| letter.offset).collect();
            // It may say that the disk is full while the sink itself makes room; a later try gets through.
            match letters.mark_exported(&offsets).and_then(|()| letters.purge(&purge)) {
                Ok(_) => seen.extend(offsets),
                Err(error) => assert!(is_full_disk(&error), "{error:?}"),
            }
            seen.len() > before
        });
    }
    let stats = support::run_to_the_end(&sink);
    assert_eq!((stats.pending, stats.dead_lettered), (0, 40_000), "{stats:?}");
    intact(&config);
}

/// `ulimit -f` in a shell or `LimitFSIZE=` of a unit, below the size of the backlog: what SIGXFSZ would end.
#[test]
fn a_limit_on_the_size_of_files_is_like_a_full_disk() {
    const EVENTS: u64 = 30_000;
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::new(database.address());
    proxy.refuse(true);
    let url = database.url_through(proxy.address);
    cxsink::init_db(&support::config(directory.path(), &database.url())).unwrap();
    let simulator = Simulator::start(stream(EVENTS)).unwrap();
    let program = program(directory.path(), &simulator, &url);
    // In blocks of 512 bytes.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 4000; exec \"$0\" run"]).arg(program.get_program());
    limited.env_clear().current_dir(directory.path());
    limited.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut sink = Running::start(&mut limited);
    let mut log = BufReader::new(sink.child.stderr.take().unwrap()).lines();
    let is_told = |line: String| line.contains("on the size of a file") && line.contains("ulimit -f");
    assert!(log.any(|line| is_told(line.unwrap())), "{:?}", sink.child.try_wait());
    let _draining = std::thread::spawn(move || log.for_each(drop));
    proxy.refuse(false);
    support::wait_until("everything is stored", || {
        assert_eq!(sink.child.try_wait().unwrap(), None, "it ended");
        database.query("SELECT count(*) FROM cxone_events") == [simulator.report().unique_keys.to_string()]
            && simulator.report().events == EVENTS
    });
    for file in ["spool.db", "spool.db-wal"] {
        let size = directory.path().join(file).metadata().map_or(0, |file| file.len());
        assert!(size <= 4000 * 512, "{file} has {size} bytes");
    }
    sink.signal("TERM");
    assert_eq!(sink.child.wait().unwrap().code(), Some(0));
}

/// In an application this library changes no signal, so it cannot outlive a small limit.
#[test]
fn a_limit_on_the_size_of_files_that_would_end_the_application_is_an_error_at_the_start() {
    if !support::process::in_own_process(|_| {}) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let config = support::config(directory.path(), "sqlite::memory:");
    let limit = rustix::process::Rlimit { current: Some(64 << 20), maximum: None };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    let error = Sink::open(&config).unwrap_err();
    assert!(error.message().contains("67108864 bytes at most") && error.message().contains("SIGXFSZ"), "{error:?}");
    assert!(error.hint().unwrap().contains("ulimit -f"), "{error:?}");
}

/// An event of four KiB.
fn event(n: usize) -> String {
    format!(
        "{{\"interactionId\":\"i\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"{n}\",\"attributes\":{{\"x\":\"{n:04000}\"}}}}"
    )
}

/// Another program takes nearly all the room: the sink goes on in what is left.
#[test]
fn a_disk_that_others_fill() {
    let database = TestDatabase::new();
    let Some(disk) = SmallDisk::mount() else { return };
    let proxy = Proxy::new(database.address());
    let config = support::config(disk.path(), &database.url_through(proxy.address));
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.ingest(event(0).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    let filler = disk.fill(1 << 20);
    proxy.refuse(true);
    let mut taken = 1;
    // Pages that are in the write-ahead log already can be written again; at some point there are no more.
    let error = loop {
        match sink.ingest(event(taken).as_bytes()) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 10_000, "the disk is not full");
    };
    assert!(is_full_disk(&error), "{error:?}");
    proxy.refuse(false);
    support::wait_until("what was taken is applied", || sink.stats().pending == 0);
    support::balanced(&sink);
    for _ in 0..500 {
        if let Err(error) = sink.ingest(event(taken).as_bytes()) {
            assert!(is_full_disk(&error), "{error:?}");
            support::wait_quiet(&sink);
            sink.ingest(event(taken).as_bytes()).unwrap();
        }
        taken += 1;
    }
    sink.close_within(PATIENCE).unwrap();
    drop(sink);

    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.ingest(event(taken).as_bytes()).unwrap();
    support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
    assert_eq!(database.query("SELECT count(*) FROM cxone_events"), [(taken + 1).to_string()]);
    std::fs::remove_file(filler).unwrap();
    intact(&config);
}

fn intact(config: &Config) {
    let spool = rusqlite::Connection::open(&config.spool.path).unwrap();
    let verdict: String = spool.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

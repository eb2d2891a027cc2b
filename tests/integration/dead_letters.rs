//! Dead letters: replayed once each and in order, whatever happens; deleted only when asked for.
#![allow(clippy::cast_sign_loss, reason = "the numbers of a test are small")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cxsink::dead_letters::{DeadLetters, Fate, PurgeFilter, Selection, Stage};
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, ErrorKind, Sink, State, Stats};

use crate::support;
use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, cxsink, output};

/// A schema that takes nothing but chats.
const ONLY_CHATS: &str = r#"{"type":"object","required":["idempotencyKey"],"properties":{"type":{"const":"chat"}}}"#;

fn event(key: &str, kind: &str, duration: i64) -> String {
    format!(
        r#"{{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"{kind}","idempotencyKey":"{key}","attributes":{{"duration":{duration}}}}}"#
    )
}

/// A directory with a spool, a table that notes each change, and the schema that takes only chats.
fn bench() -> (tempfile::TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join("table.db");
    let config = support::config(directory.path(), &format!("sqlite:{}", table.display()));
    cxsink::init_db(&config).unwrap();
    sql(
        directory.path(),
        "CREATE TABLE changes (key TEXT);
         CREATE TRIGGER changed AFTER UPDATE ON cxone_events BEGIN INSERT INTO changes VALUES (new.idempotency_key); END",
    );
    std::fs::write(directory.path().join("chats.json"), ONLY_CHATS).unwrap();
    (directory, config)
}

fn only_chats(directory: &Path, config: &Config) -> Config {
    let mut config = config.clone();
    config.schema.file = Some(directory.join("chats.json"));
    config
}

fn table(directory: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(directory.join("table.db")).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection
}

fn sql(directory: &Path, sql: &str) {
    table(directory).execute_batch(sql).unwrap();
}

fn number(directory: &Path, sql: &str) -> i64 {
    table(directory).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Key and duration of each row, by key.
fn rows(directory: &Path) -> Vec<(String, i64)> {
    let table = table(directory);
    let mut select = table.prepare("SELECT idempotency_key, duration FROM cxone_events ORDER BY 1").unwrap();
    select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn settle(sink: &Sink) -> Stats {
    let until = Instant::now() + PATIENCE;
    while sink.stats().pending > 0 {
        assert!(Instant::now() < until, "{:?}", sink.stats());
        std::thread::yield_now();
    }
    let stats = sink.stats();
    assert!(stats.is_balanced(), "{stats:?}");
    stats
}

/// Takes these lines into the table or the dead letters, and ends.
fn import(config: &Config, lines: &[String]) -> Stats {
    let sink = Sink::open(config).unwrap();
    sink.start().unwrap();
    sink.import(lines.join("\n").as_bytes()).unwrap();
    sink.close_within(PATIENCE).unwrap();
    sink.stats()
}

fn letters(config: &Config) -> Vec<cxsink::dead_letters::DeadLetter> {
    DeadLetters::open(config).unwrap().list(0, 100_000).unwrap()
}

#[test]
fn the_good_ones_are_replayed_in_order_and_the_bad_ones_get_todays_reason() {
    let (directory, config) = bench();
    let lines = ["a call 1", "b chat 2", "a call 3", "c fax 4", "d call 5"].map(|line| {
        let mut parts = line.split(' ');
        event(parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap().parse().unwrap())
    });
    assert_eq!(import(&only_chats(directory.path(), &config), &lines).dead_lettered, 4);
    let before = letters(&config);
    assert!(before.iter().all(|letter| letter.violations[0].keyword == "const"), "{before:?}");

    let dry = cxsink::dead_letters::replay_dry_run(&config, &Selection::All).unwrap();
    assert_eq!((dry.replayed, dry.rejected, dry.skipped), (3, 1, 0));
    assert_eq!(dry.fates[0], (0, Fate::Replayed(None)));
    assert!(matches!(&dry.fates[2], (3, Fate::Rejected(rejection)) if rejection.violations[0].keyword == "enum"));
    assert_eq!(letters(&config), before, "a dry run changes nothing");

    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let some = sink.replay(&Selection::Offsets(vec![2, 0, 1, 77, 2])).unwrap();
    assert_eq!((some.replayed, some.rejected, some.skipped), (2, 0, 2));
    let expected = [(0, Some(5)), (1, None), (2, Some(6)), (77, None)];
    let fate = |again: Option<u64>| again.map_or(Fate::Skipped, |again| Fate::Replayed(Some(again)));
    assert_eq!(some.fates, expected.map(|(offset, again)| (offset, fate(again))));
    let rest = sink.replay(&Selection::All).unwrap();
    assert_eq!((rest.replayed, rest.rejected, rest.skipped), (1, 1, 0));
    let none = sink.replay(&Selection::All).unwrap();
    assert_eq!((none.replayed, none.rejected), (0, 1), "each is replayed once");
    let stats = settle(&sink);
    assert_eq!(
        (stats.received, stats.replayed, stats.inserted + stats.updated + stats.coalesced),
        (0, 3, 3),
        "{stats:?}"
    );
    sink.close_within(Duration::MAX).unwrap();
    assert_eq!(rows(directory.path()), [("a", 3), ("b", 2), ("d", 5)].map(|(key, n)| (key.to_owned(), n)));

    let after = letters(&config);
    assert_eq!(after.iter().map(|letter| letter.replayed_as).collect::<Vec<_>>(), [Some(5), Some(6), None, Some(7)]);
    assert!(after.iter().all(|letter| letter.replayed_at.is_some() == letter.replayed_as.is_some()));
    assert_eq!(after[2].violations[0].keyword, "enum", "today's reason: {:?}", after[2]);
    assert_eq!((after[2].rejected_at, &after[2].event), (before[2].rejected_at, &before[2].event));
    assert_eq!(sink.replay(&Selection::All).unwrap_err().kind(), ErrorKind::State);
}

/// Valid by schema and mapping, refused by the table: it becomes a dead letter again, and the first one says which.
#[test]
fn an_event_that_the_database_refuses_again_is_a_dead_letter_again() {
    let (directory, config) = bench();
    sql(
        directory.path(),
        "CREATE TRIGGER picky BEFORE INSERT ON cxone_events WHEN new.duration > 10 BEGIN SELECT RAISE(ABORT, 'too long'); END",
    );
    let stats = import(&config, &[event("a", "call", 1), event("b", "call", 11), event("c", "call", 12)]);
    assert_eq!((stats.inserted, stats.dead_lettered), (1, 2));
    sql(
        directory.path(),
        "DROP TRIGGER picky;
         CREATE TRIGGER picky BEFORE INSERT ON cxone_events WHEN new.duration > 11 BEGIN SELECT RAISE(ABORT, 'too long'); END",
    );
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let report = sink.replay(&Selection::All).unwrap();
    assert_eq!((report.replayed, report.rejected), (2, 0));
    let stats = settle(&sink);
    assert_eq!((stats.replayed, stats.inserted, stats.dead_lettered), (2, 1, 1), "{stats:?}");
    let after = letters(&config);
    assert_eq!(
        after.iter().map(|letter| (letter.offset, letter.replayed_as)).collect::<Vec<_>>(),
        [(1, Some(3)), (2, Some(4)), (4, None)]
    );
    assert_eq!((after[2].stage, &after[2].event), (Stage::Database, &after[1].event));
    sink.close_within(Duration::MAX).unwrap();
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = cxsink(directory);
    command.env("CXSINK_DESTINATION__URL", "sqlite:table.db").env("CXSINK_SPOOL__PATH", "spool.db").args(arguments);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    output(&mut command(directory, arguments))
}

#[test]
fn the_command_replays_with_a_sink_of_its_own() {
    let (directory, config) = bench();
    let path = directory.path();
    import(&only_chats(path, &config), &[event("a", "call", 1), "not json".into(), event("b", "fax", 2)]);
    let (code, out, err) = run(path, &["dead-letters", "replay", "--dry-run"]);
    assert!(
        code == 0 && out.contains("0  valid") && out.contains("1 would be replayed, 2 still rejected"),
        "{out}{err}"
    );
    assert!(out.contains("still rejected (schema)") && out.contains("still rejected (json)"), "{out}");
    assert_eq!(rows(path), []);
    let (code, out, err) = run(path, &["dead-letters", "replay", "--id", "0", "--id", "9"]);
    assert!(code == 0 && out.contains("0  replayed as event 3") && out.contains("1 skipped"), "{out}{err}");
    assert_eq!(rows(path), [("a".to_owned(), 1)], "applied when the command ends");
    let (_, out, _) = run(path, &["dead-letters", "list"]);
    assert!(out.lines().nth(1).unwrap().contains("replayed"), "{out}");
    let (_, out, _) = run(path, &["dead-letters", "show", "0"]);
    assert!(out.contains("as event 3"), "{out}");
    let (code, _, err) = run(path, &["dead-letters", "replay", "--set", "spool.path=none.db"]);
    assert!(code == 1 && err.contains("none.db") && !path.join("none.db").exists(), "{err}");
}

/// A service reads the stream; another process makes it replay events that the table refused at first.
#[test]
fn the_command_makes_the_running_sink_replay() {
    let (directory, config) = bench();
    let path = directory.path();
    sql(
        path,
        "CREATE TRIGGER picky BEFORE INSERT ON cxone_events WHEN new.type = 'call' BEGIN SELECT RAISE(ABORT, 'closed today'); END",
    );
    let mut options = SimulatorOptions::default();
    options.events = Some(200);
    let simulator = Simulator::start(options).unwrap();
    let mut service = command(path, &["run"]);
    service
        .env("CXONE_CLIENT_ID", simulator.client_id())
        .env("CXONE_CLIENT_SECRET", simulator.client_secret())
        .env("CXONE_STREAM_ID", simulator.stream_id())
        .env("CXSINK_OAUTH__URL", simulator.oauth_url())
        .env("CXSINK_STREAM__URL", simulator.stream_url());
    let mut service = Running::start(&mut service);
    let until = Instant::now() + PATIENCE;
    let is_seen =
        || path.join("spool.db").exists() && DeadLetters::open(&config).is_ok_and(|l| l.count().is_ok_and(|n| n > 10));
    while !is_seen() {
        assert!(Instant::now() < until, "{:?}", simulator.report());
        std::thread::yield_now();
    }
    sql(path, "DROP TRIGGER picky");
    let until = Instant::now() + PATIENCE;
    let mut replayed = 0;
    // The last ones are replayed once their batch is finished.
    let all_stored = || {
        let report = simulator.report();
        report.events == 200 && number(path, "SELECT count(*) FROM cxone_events") as u64 == report.unique_keys
    };
    while !all_stored() {
        let (code, out, err) = run(path, &["dead-letters", "replay"]);
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.contains(&format!("by process {}", service.child.id())), "{out}");
        replayed += out.split(' ').next().unwrap().replace(',', "").parse::<u32>().unwrap();
        assert!(Instant::now() < until, "{out}");
    }
    service.signal("TERM");
    let (code, err) = service.wait();
    assert_eq!(code, 0, "{err}");
    assert!(replayed > 10 && err.contains(&format!("replayed           {replayed} ")), "{replayed}: {err}");
    let (code, out, _) = run(path, &["dead-letters", "purge", "--replayed"]);
    assert!(code == 0 && out.contains(&format!("{replayed} dead letters deleted")), "{out}");
}

/// The process that holds the spool does not answer: nothing is replayed later.
#[test]
fn an_unanswered_request_is_withdrawn() {
    let (directory, config) = bench();
    import(&only_chats(directory.path(), &config), &[event("a", "call", 1)]);
    let idle = Sink::open(&config).unwrap();
    let error = cxsink::dead_letters::replay(&config, &Selection::All, Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
    idle.start().unwrap();
    idle.ingest(event("b", "call", 1).as_bytes()).unwrap();
    settle(&idle);
    idle.close_within(PATIENCE).unwrap();
    assert_eq!((idle.stats().replayed, letters(&config)[0].replayed_at), (0, None));
}

/// Killed at any moment, as often as it takes: each dead letter reaches the table exactly once, in order.
#[test]
fn a_killed_replay_loses_nothing_and_doubles_nothing() {
    let (directory, config) = bench();
    let path = directory.path();
    let events: u32 = 30_000;
    let lines: Vec<String> = (0..events).map(|n| event(&format!("k{n}"), "call", n.into())).collect();
    assert_eq!(import(&only_chats(path, &config), &lines).dead_lettered, u64::from(events));
    let mut kills = 0;
    for attempt in 0_u64.. {
        let mut child = Running::start(&mut command(path, &["dead-letters", "replay"]));
        // Any moment will do: this only spreads the kills over the work. Later ones leave more time, so that a busy machine ends too.
        let until = Instant::now() + Duration::from_millis(20 + attempt * 37 % (300 + 20 * attempt));
        while Instant::now() < until && child.child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        if child.child.try_wait().unwrap().is_some()
            && letters(&config).iter().all(|letter| letter.replayed_as.is_some())
        {
            break;
        }
        child.signal("KILL");
        child.child.wait().unwrap();
        kills += 1;
        assert!(kills < 500);
    }
    assert!(kills > 2, "{kills}");
    let (code, out, err) = run(path, &["dead-letters", "replay"]);
    assert!(code == 0 && out.contains("0 replayed"), "{out}{err}");
    assert_eq!(number(path, "SELECT count(*) FROM cxone_events"), i64::from(events));
    assert_eq!(number(path, "SELECT count(*) FROM changes"), 0, "nothing was applied twice");
    let letters = letters(&config);
    assert!(letters.is_sorted_by_key(|letter| letter.replayed_as), "in the order of their offsets");
    assert_eq!(letters.len(), events as usize, "none became a dead letter again");
}

#[test]
fn a_purge_deletes_only_the_selected_dead_letters() {
    let (directory, config) = bench();
    let path = directory.path();
    let kinds = ["call", "call", "fax", "fax", "fax"];
    let lines: Vec<String> = kinds.iter().enumerate().map(|(n, kind)| event(&format!("k{n}"), kind, 1)).collect();
    import(&only_chats(path, &config), &lines);
    let letters_left = || letters(&config).iter().map(|letter| letter.offset).collect::<Vec<_>>();
    let outside = DeadLetters::open(&config).unwrap();
    assert_eq!(outside.purge(&PurgeFilter::default()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let (code, _, err) = run(path, &["dead-letters", "purge"]);
    assert!(code == 2 && err.contains("--exported"), "{err}");
    let (code, _, err) = run(path, &["dead-letters", "purge", "--before", "yesterday"]);
    assert!(code == 2 && err.contains("2026-11-22"), "{err}");

    outside.mark_exported(&[2]).unwrap();
    cxsink::dead_letters::replay(&config, &Selection::Offsets(vec![0]), PATIENCE).unwrap();
    let purged = outside.purge(&PurgeFilter::before(std::time::UNIX_EPOCH)).unwrap();
    assert_eq!((purged.deleted, purged.unseen), (0, 0), "none is that old");
    let purged = outside.purge(&PurgeFilter::exported()).unwrap();
    assert_eq!((purged.deleted, purged.unseen, purged.unfinished), (1, 3, 0));
    assert_eq!(letters_left(), [0, 1, 3, 4]);
    let (_, out, _) = run(path, &["dead-letters", "purge", "--before", "2999-01-01"]);
    assert!(out.contains("1 dead letter deleted") && out.contains("3 not deleted") && out.contains("--all"), "{out}");
    assert_eq!(letters_left(), [1, 3, 4]);
    let (_, out, _) = run(path, &["dead-letters", "purge", "--all", "--before", "2026-01-01"]);
    assert!(out.contains("0 dead letters deleted"), "{out}");
    let (_, out, _) = run(path, &["dead-letters", "purge", "--all"]);
    assert!(out.contains("3 dead letters deleted") && !out.contains("not deleted"), "{out}");
    assert_eq!(letters_left(), [0; 0]);
}

/// The dead letters fill their room and the sink stalls; a purge by another process lets it go on.
#[test]
fn a_purge_makes_room_in_a_running_sink() {
    let (directory, config) = bench();
    let mut config = only_chats(directory.path(), &config);
    config.dead_letters.bytes_max = 4096;
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let outside = DeadLetters::open(&config).unwrap();
    let one = event("k", "call", 1);
    for taken in 0..100_u64 {
        sink.import(one.as_bytes()).unwrap();
        let until = Instant::now() + PATIENCE;
        while sink.stats().dead_lettered <= taken {
            assert!(Instant::now() < until, "{:?}", sink.stats());
            if sink.stats().state == State::Stalled {
                outside.purge(&PurgeFilter::all()).unwrap();
            }
            std::thread::yield_now();
        }
    }
    let stats = settle(&sink);
    assert_eq!(stats.dead_lettered, 100);
    sink.close_within(Duration::MAX).unwrap();
}

/// Each batch of the default size has more rejected events than the limit has room for.
#[test]
fn more_rejected_events_than_the_limit_holds_go_on_when_they_are_exported() {
    const LINES: u64 = 20_000;
    let (_directory, mut config) = bench();
    config.dead_letters.bytes_max = 1 << 20;
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let lines = "wrong\n".repeat(usize::try_from(LINES).unwrap());
    let outside = DeadLetters::open(&config).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    std::thread::scope(|scope| {
        scope.spawn(|| sink.import(lines.as_bytes()).unwrap());
        support::wait_until("all of them are kept once", || {
            let some: Vec<u64> = outside.list(0, 100_000).unwrap().iter().map(|letter| letter.offset).collect();
            outside.mark_exported(&some).unwrap();
            seen.extend(some);
            seen.len() as u64 == LINES
        });
    });
    let stats = settle(&sink);
    assert_eq!((stats.dead_lettered, stats.pending), (LINES, 0), "{stats:?}");
    sink.close_within(Duration::MAX).unwrap();
    let size = config.spool.path.metadata().unwrap().len();
    assert!(size < 3 << 20, "the file has {size} bytes");
}

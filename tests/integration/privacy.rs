//! A value that is redacted is nowhere: not in the spool and the files beside it, not in a table, a log, an error, an export or the
//! database's own log; at the most verbose settings, through a kill, and from every way in.
#![cfg(unix)]

use std::error::Error as _;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cxsink::dead_letters::{DeadLetters, Selection, replay_dry_run};
use cxsink::simulator::{InvalidKind, Simulator, SimulatorOptions};
use cxsink::{Config, Error, Poll, Sink, Validator};
use rusqlite::Connection;

use crate::support;
use crate::support::canary::{Canary, redact};
use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, cxsink, cxsink_of, in_own_process, output};
use crate::support::server::PrivateServer;
use crate::support::talking_server::TalkingServer;

/// Of a hash.
const HEX_DIGITS: usize = 64;

/// The events that a spool holds and has not deleted yet.
fn spooled(spool: &Path) -> u64 {
    let Ok(file) = Connection::open(spool) else { return 0 };
    file.query_row("SELECT coalesce(sum(events), 0) FROM bursts", [], |row| row.get(0)).unwrap_or(0)
}

/// Every row of every table of a database, as text.
fn all_rows(server: &PrivateServer) -> String {
    let tables = "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables
        WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'";
    let rows = |table: String| server.query(&format!("SELECT t::text FROM {table} AS t")).join("\n");
    server.query(tables).into_iter().map(rows).collect()
}

/// Logs every statement with its parameters, and every failure with all it has.
const LOG_EVERYTHING: &str = "log_statement = 'all'
log_min_messages = 'debug1'
log_min_error_statement = 'debug5'
log_error_verbosity = 'verbose'
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
";

const REFUSALS: &str = "ALTER TABLE cxone_events ADD CHECK (duration < 100);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'agent % of %', NEW.agent_id, NEW.attributes USING DETAIL = NEW.interaction_id; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON cxone_events FOR EACH ROW WHEN (NEW.duration = 77) EXECUTE FUNCTION refuse()";

#[test]
#[allow(clippy::too_many_lines, reason = "a list of every way in and out")]
fn no_file_no_table_and_no_log_holds_a_value_that_is_redacted() {
    let server = PrivateServer::start_new();
    server.set(LOG_EVERYTHING);
    let canary = Canary::new();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let rules = Canary::rules(&Canary::key_file(folder));
    let events = canary.events();
    let mut messages: Vec<String> = events.iter().map(|event| format!("{{\"body\":{event}}}")).collect();
    // Those that cannot be unwrapped.
    messages.extend([
        format!("{{\"bodi\":{}}}", events[0]),
        format!("{{\"body\":[{}]}}", events[0]),
        format!("{{\"body\":\"{}\"}}", canary.text),
    ]);
    let sent = messages.len() as u64;
    let stream = TalkingServer::start(move |talk| {
        for message in &messages {
            talk.say(message);
        }
        talk.wait();
    });
    let command = |destination: &str, arguments: &[&str]| -> Command {
        let mut command = cxsink(folder);
        command
            .env("RUST_BACKTRACE", "full")
            .env("CXONE_CLIENT_ID", "id")
            .env("CXONE_CLIENT_SECRET", "secret")
            .env("CXSINK_OAUTH__URL", stream.token_url())
            .env("CXSINK_STREAM__URL", stream.stream_url())
            .env("CXSINK_OAUTH__SCOPE", " ")
            .env("CXSINK_EVENT__PATH", "/body")
            .env("CXSINK_REDACT", &rules)
            .env("CXSINK_SPOOL__PATH", "spool.db")
            .env("CXSINK_RETRY__DELAY_MIN", "5ms")
            .env("CXSINK_RETRY__DELAY_MAX", "20ms")
            .env("CXSINK_DESTINATION__URL", destination)
            .args(["-vv", "--log-format", "json"])
            .args(arguments);
        command
    };
    let said = |expected: i32, arguments: &[&str]| -> String {
        let (code, out, err) = output(&mut command(&server.url(), arguments));
        let shown = format!("{out}{err}");
        canary.assert_not_in(&arguments.join(" "), &shown);
        assert_eq!(code, expected, "{arguments:?}: {shown}");
        shown
    };
    let inputs = ["events.jsonl", "clear.jsonl"];
    said(0, &["init-db"]);
    server.execute(REFUSALS);

    // Everything waits in the spool when the process is killed.
    let mut sink = Running::start(&mut command("postgresql://127.0.0.1:1/cx", &["run"]));
    let spool = folder.join("spool.db");
    support::wait_until("every event is in the spool", || spooled(&spool) >= sent);
    assert!(canary.assert_not_in_files(folder, &inputs) >= 4, "the spool, its log, its lock and its reserve");
    sink.signal("KILL");
    let (_, log) = sink.wait();
    canary.assert_not_in("the log of the killed process", log);
    canary.assert_not_in_files(folder, &inputs);

    // The next one writes it.
    let mut sink = Running::start(&mut command(&server.url(), &["run"]));
    server.wait_for_row("SELECT 1 FROM cxone_events WHERE idempotency_key = 'good-spaced'");
    let letters = || {
        let (_, out, _) = output(&mut command(&server.url(), &["dead-letters", "list", "--json"]));
        out.lines().count()
    };
    support::wait_until("every bad one is a dead letter", || letters() >= 2 * 12);
    sink.signal("TERM");
    let (code, log) = sink.wait();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("a trigger or function raised") && log.contains("not JSON"), "{log}");
    canary.assert_not_in("the log", log);

    // Other ways in and out.
    fs::write(folder.join("events.jsonl"), events.join("\n").replace("\n,\t", " , ")).unwrap();
    said(1, &["validate", "events.jsonl"]);
    said(0, &["import", "events.jsonl"]);
    said(0, &["dead-letters", "replay", "--dry-run"]);
    said(0, &["dead-letters", "replay"]);
    let listed = said(0, &["dead-letters", "list"]);
    assert!(listed.contains("SHA-256") && listed.contains("trigger"), "{listed}");
    said(0, &["dead-letters", "export", "exported.jsonl"]);
    let first = fs::read_to_string(folder.join("exported.jsonl")).unwrap();
    assert!(first.lines().all(|line| line.contains("\"redacted\":true")), "{first}");
    // Without those that the table refuses: there is none among them that it takes.
    let is_invalid = |line: &&str| !line.contains("\"stage\":\"database\"");
    fs::write(folder.join("invalid.jsonl"), first.lines().filter(is_invalid).collect::<Vec<_>>().join("\n")).unwrap();
    said(1, &["import", "--replay", "invalid.jsonl"]);
    said(0, &["dead-letters", "show", "5"]);
    said(0, &["check"]);
    said(0, &["gaps", "--json"]);
    for form in [
        &["peek-stream", "--count", "15", "--raw"][..],
        &["peek-stream", "--count", "15", "--json"],
        &["peek-stream", "--count", "15"],
    ] {
        let shown = said(0, form);
        assert!(form.contains(&"--raw") || shown.contains("good-plain"), "{shown}");
    }
    canary.assert_not_in_files(folder, &inputs);

    let rows = all_rows(&server);
    canary.assert_not_in("a table", &rows);
    canary.assert_not_in("the server's log", server.log());
    // They have been there.
    let shown = server.log();
    for key in ["good-plain", "bad-check", "bad-trigger"] {
        assert!(shown.contains(key), "the server's log does not show the parameters: {key}");
    }
    let kept = server.query(
        "SELECT count(*) || ' ' || count(DISTINCT interaction_id) || ' ' || min(length(interaction_id)) || ' ' || min(disposition)
         || ' ' || count(DISTINCT agent_id) || ' ' || (min(attributes ->> 'kept')) FROM cxone_events",
    );
    // One of them had a number last. The values of one kind are equal.
    assert_eq!(kept, [format!("5 1 {HEX_DIGITS} *** 1 1.50")]);
    let attributes = server.query("SELECT attributes::text FROM cxone_events WHERE idempotency_key = 'good-plain'");
    assert_eq!(
        attributes,
        [
            r#"{"bag": {}, "kept": 1.50, "people": [{"role": "a", "phone": "***"}, {"phone": 0}, {"phone": []}, 3], "account": 0}"#
        ]
    );
}

/// The program under SIGKILL, between the simulator and a table: each event's id is searched for.
#[test]
fn no_id_of_the_simulators_events_is_kept_by_a_killed_program() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let mut options = SimulatorOptions::default();
    options.seed = 16;
    options.events = Some(3000);
    options.rate = 2000;
    options.invalid_percent = 10.0;
    options.invalid_kinds = InvalidKind::ALL.into_iter().filter(|kind| *kind != InvalidKind::Oversize).collect();
    options.replay_events = 500;
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    let rules = Canary::rules(&Canary::key_file(folder));
    let command = |arguments: &[&str]| {
        let mut command = cxsink_of(folder, &simulator);
        command
            .env("CXSINK_REDACT", &rules)
            .env("CXSINK_DESTINATION__URL", "sqlite:table.db")
            .env("CXSINK_SPOOL__PATH", "spool.db")
            .env("CXSINK_STREAM__ON_NORMAL_CLOSE", "stop")
            .env("CXSINK_RETRY__DELAY_MIN", "5ms")
            .args(["-vv"])
            .args(arguments);
        command
    };
    let mut logs = output(&mut command(&["init-db"])).2;
    for kill in 1..=3_u64 {
        let mut sink = Running::start(&mut command(&["run"]));
        support::wait_until("it reads", || simulator.report().events > kill * 600);
        sink.signal("KILL");
        logs += &sink.wait().1;
    }
    let (code, out, err) = output(&mut command(&["run"]));
    assert_eq!(code, 0, "{out}{err}");
    logs += &(out + &err);
    let (_, list, err) = output(&mut command(&["dead-letters", "export", "-"]));
    logs += &(list + &err);
    let files: Vec<u8> =
        ["spool.db", "table.db"].iter().flat_map(|name| fs::read(folder.join(name)).unwrap()).collect();
    let ids: std::collections::HashSet<String> = simulator
        .events()
        .filter_map(|event| {
            let text = String::from_utf8(event).ok()?;
            // Of one that was cut in it, a part.
            Some(text.split_once("\"interactionId\":\"")?.1.get(..20)?.to_owned())
        })
        .collect();
    assert!(ids.len() > 1000);
    for (what, bytes) in [("the files", &files[..]), ("the logs", logs.as_bytes())] {
        let found =
            bytes.windows(20).filter_map(|piece| std::str::from_utf8(piece).ok()).find(|piece| ids.contains(*piece));
        assert_eq!(found, None, "{what} hold an id");
    }
    let table = Connection::open(folder.join("table.db")).unwrap();
    let count = |condition: &str| -> u64 {
        table.query_row(&format!("SELECT count(*) FROM cxone_events WHERE {condition}"), [], |row| row.get(0)).unwrap()
    };
    let all = count("TRUE");
    assert!(all > 1000, "{all}");
    assert_eq!(count("length(interaction_id) = 64 AND (agent_id IS NULL OR length(agent_id) = 64)"), all);
    assert_eq!(count("disposition IS NULL OR disposition = '***'"), all);
}

/// The records of the application's logger, and what its panic hook gets.
static LOG: Mutex<String> = Mutex::new(String::new());

struct Everything;

impl log::Log for Everything {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(LOG.lock().unwrap_or_else(PoisonError::into_inner), "{} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

/// In every form in which an error can be shown.
fn all_of(error: &Error) -> String {
    let mut shown = format!("{error} {error:?} {error:#?} {} {:?}\n", error.detail_json(), error.hint());
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = writeln!(shown, "{error} {error:?}");
        cause = error.source();
    }
    shown
}

/// Everything that a sink shows until it ends.
fn shown_by(sink: &Sink) -> String {
    let mut shown = String::new();
    sink.stop();
    while let Poll::Notice(notice) = sink.poll(Some(PATIENCE)).unwrap() {
        let _ = writeln!(shown, "{notice} {notice:?} {}", notice.to_json());
    }
    let closed = sink.close_within(Duration::from_secs(20));
    shown += &closed.map_or_else(|error| all_of(&error), |()| String::new());
    let stats = sink.stats();
    assert!(stats.is_balanced(), "{stats:?}");
    let letters = sink.dead_letters(0, 1000).unwrap();
    let _ = writeln!(shown, "{stats:?} {} {sink:?} {:?} {letters:?}", stats.to_json(), sink.connections());
    for letter in &letters {
        shown += &letter.to_json(true);
    }
    shown
}

#[test]
fn an_application_that_hands_in_events_finds_no_value_again() {
    if !in_own_process(|_| ()) {
        return;
    }
    log::set_boxed_logger(Box::new(Everything)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let canary = Canary::new();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let mut config = support::config(folder, &format!("sqlite:{}", folder.join("table.db").display()));
    cxsink::init_db(&config).unwrap();

    // Dead letters of a sink that redacts nothing, as they were.
    let clear = {
        let mut config = config.clone();
        config.spool.path = Path::new(":memory:").into();
        let sink = Sink::open(&config).unwrap();
        sink.import(canary.event("bad-late", "fax", "5").as_bytes()).unwrap();
        sink.import(format!("not JSON {}", canary.text).as_bytes()).unwrap();
        sink.start().unwrap();
        support::wait_quiet(&sink);
        let letters = sink.dead_letters(0, 10).unwrap();
        assert_eq!(letters.len(), 2);
        letters.iter().map(|letter| letter.to_json(true) + "\n").collect::<String>()
    };
    assert!(canary.is_in(clear.as_bytes()));
    fs::remove_file(folder.join("table.db")).unwrap();
    cxsink::init_db(&config).unwrap();

    redact(&mut config, folder);
    let sink = Sink::open(&config).unwrap();
    let mut shown = format!("{config:?} {:?}", Sink::check(&config));
    let validator = Validator::new(&config).unwrap();
    for event in canary.events() {
        for outcome in [sink.ingest(event.as_bytes()), validator.validate(event.as_bytes())] {
            shown += &outcome.map_or_else(|error| all_of(&error), |()| String::new());
        }
    }
    let outcome = sink.ingest_many(canary.events().iter(), Some(PATIENCE)).map(drop);
    shown += &outcome.map_or_else(|error| all_of(&error), |()| String::new());
    let mut lines = canary.events().join("\n").replace("\n,\t", " , ").into_bytes();
    lines.extend_from_slice(b"\n{\"interactionId\":\"");
    lines.extend_from_slice(canary.text.as_bytes());
    lines.extend_from_slice(b"\xff\"}\n");
    sink.import(&lines[..]).unwrap();
    assert_eq!(sink.import_exported(clear.as_bytes()).unwrap(), 2);
    canary.assert_not_in_files(folder, &[]);
    sink.start().unwrap();
    support::wait_quiet(&sink);
    let _ = writeln!(shown, "{:?}", sink.replay(&Selection::All).unwrap());
    support::wait_quiet(&sink);
    canary.assert_not_in_files(folder, &[]);
    shown += &shown_by(&sink);
    drop(sink);
    let letters = DeadLetters::open(&config).unwrap().list(0, 1000).unwrap();
    assert!(letters.iter().all(|letter| letter.is_redacted), "{letters:?}");
    let dry = replay_dry_run(&config, &Selection::All).unwrap();
    let _ = writeln!(shown, "{dry:?}");
    assert!(canary.assert_not_in_files(folder, &[]) >= 3);
    canary.assert_not_in("what the application is told", &shown);
    assert!(shown.contains("not JSON") && shown.contains("not UTF-8"), "{shown}");
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner).clone();
    canary.assert_not_in("its log", &log);
    assert!(!log.is_empty());

    // An export says that it is redacted, so it is not redacted once more: the same hash.
    let hash = |json: &str| -> String {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        json["interactionId"].as_str().unwrap().into()
    };
    let text = |letter: &cxsink::dead_letters::DeadLetter| String::from_utf8(letter.event.0.clone()).unwrap();
    let of_schema = letters.iter().find(|letter| text(letter).contains("bad-schema")).unwrap();
    let mut again = config.clone();
    again.spool.path = folder.join("again.db");
    let sink = Sink::open(&again).unwrap();
    let exported: String = letters.iter().map(|letter| letter.to_json(true) + "\n").collect();
    sink.import_exported(exported.as_bytes()).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    let found = sink.dead_letters(0, 1000).unwrap();
    sink.close().unwrap();
    let found_again = found.iter().find(|letter| text(letter).contains("bad-schema")).unwrap();
    assert_eq!(hash(&text(found_again)), hash(&text(of_schema)));
    assert_eq!(hash(&text(found_again)).len(), HEX_DIGITS);
    let fingerprints = |letters: &[cxsink::dead_letters::DeadLetter]| -> Vec<(String, String)> {
        let is_one = |letter: &&cxsink::dead_letters::DeadLetter| text(letter).contains("cxsink_fingerprint");
        letters.iter().filter(is_one).map(|letter| (letter.reason.clone(), text(letter))).collect()
    };
    assert_eq!(fingerprints(&found), fingerprints(&letters));
    assert!(!fingerprints(&found).is_empty());
}

/// What was spooled before the rules were set is redacted on its way to the table, and once.
#[test]
fn events_that_were_spooled_before_are_redacted_before_they_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let canary = Canary::new();
    let mut config: Config = support::config(folder, &format!("sqlite:{}", folder.join("table.db").display()));
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.ingest(canary.event("before", "call", "5").as_bytes()).unwrap();
    sink.import(canary.event("refused", "call", "1e300").as_bytes()).unwrap();
    drop(sink);
    redact(&mut config, folder);
    let sink = Sink::open(&config).unwrap();
    sink.ingest(canary.event("after", "call", "5").as_bytes()).unwrap();
    drop(sink);
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    let letters = sink.dead_letters(0, 10).unwrap();
    sink.close().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.is_redacted).collect::<Vec<_>>(), [false]);
    let table = Connection::open(folder.join("table.db")).unwrap();
    let mut select =
        table.prepare("SELECT DISTINCT interaction_id, agent_id, disposition, attributes FROM cxone_events").unwrap();
    let rows: Vec<(String, String, String, String)> = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].0.len(), &rows[0].0), (HEX_DIGITS, &rows[0].1));
    canary.assert_not_in("the table", format!("{rows:?}"));
}

//! The main job on real input: the program `cxsink` reads a simulated stream over real sockets into a real database, with
//! nothing but the variables of a plain deployment.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cxsink::simulator::{Cut, InvalidKind, RetryAfter, Simulator, SimulatorOptions};
use cxsink::{Sink, State};

use crate::support;
use crate::support::oracle;
use crate::support::postgres::TestDatabase;
use crate::support::process::{Running, cxsink, cxsink_of, output};

/// A lively stream: repeats, updates, every kind of invalid event, a lost connection with redelivery.
fn lively(events: u64) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.events = Some(events);
    options.seed = 42;
    options.redelivery_percent = 10.0;
    options.update_percent = 15.0;
    options.invalid_percent = 5.0;
    options.invalid_kinds = InvalidKind::ALL.to_vec();
    options.oversize_bytes = (1 << 20) + 1;
    options.close_after = Some(events / 3);
    options.close_code = 1012;
    options.replay_events = 50;
    options
}

/// The variables of a plain deployment; only the two addresses are the simulator's.
fn deployed(directory: &Path, simulator: &Simulator, database: &TestDatabase) -> Command {
    let url: postgres::Config = database.url().parse().unwrap();
    let address = database.address();
    let mut command = cxsink_of(directory, simulator);
    command
        .env("DB_HOST", address.ip().to_string())
        .env("DB_PORT", address.port().to_string())
        .env("DB_NAME", url.get_dbname().unwrap())
        .env("DB_USER", url.get_user().unwrap())
        .env("DB_PASSWORD", String::from_utf8(url.get_password().unwrap().to_vec()).unwrap());
    command
}

/// The sent events, the redelivered tail included and the invalid ones left out, executed one by one.
fn check_against_oracle(database: &TestDatabase, simulator: &Simulator) {
    let mut client = database.client();
    client.batch_execute(&oracle::tutorial_table("expected")).unwrap();
    let sent: Vec<Vec<u8>> = simulator.events().collect();
    let cut = usize::try_from(simulator.options().close_after.unwrap()).unwrap();
    let replayed = simulator.options().replay_events as usize;
    let order = sent[..cut].iter().chain(&sent[cut - replayed..cut]).chain(&sent[cut..]);
    oracle::execute(&mut client, "expected", "always", order.map(Vec::as_slice));
    let differences = oracle::differences(&mut client, "cxone_events", "expected");
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_plain_deployment_fills_the_table_that_init_db_makes() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(lively(6000)).unwrap();
    let (code, out, err) = output(deployed(directory.path(), &simulator, &database).arg("init-db"));
    assert_eq!(code, 0, "{out}{err}");
    let mut sink = Running::start(deployed(directory.path(), &simulator, &database).arg("run"));
    assert!(simulator.wait_finished(support::postgres::PATIENCE), "{}", simulator.report());
    let last =
        simulator.events().filter(|event| cxsink::validate(&cxsink::Config::default(), event).is_ok()).last().unwrap();
    let last: serde_json::Value = serde_json::from_slice(&last).unwrap();
    let key = last["idempotencyKey"].as_str().unwrap();
    database.wait_for(&format!("SELECT count(*) FROM cxone_events WHERE idempotency_key = '{key}'"), "1");
    sink.signal("TERM");
    let (code, err) = sink.wait();
    assert_eq!(code, 0, "{err}");
    check_against_oracle(&database, &simulator);
    let report = simulator.report();
    assert!(err.contains("reconnects         1") && err.contains("pending            0"), "{err}");
    assert!(!err.contains(simulator.client_secret()) && !err.contains("Bearer"), "{err}");

    let (code, out, _) = output(deployed(directory.path(), &simulator, &database).args(["dead-letters", "export"]));
    assert_eq!(code, 0);
    assert_eq!(
        out.lines().count() as u64,
        report.invalid_total() + replayed_invalid(&simulator),
        "every invalid event is a dead letter"
    );
}

/// Long before `destination.statement_timeout` ends the wait.
#[test]
fn a_signal_ends_a_sink_that_is_still_starting() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(SimulatorOptions::default()).unwrap();
    assert_eq!(output(deployed(directory.path(), &simulator, &database).arg("init-db")).0, 0);
    let mut client = database.client();
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE cxone_events IN ACCESS EXCLUSIVE MODE").unwrap();
    let wait = "--set=destination.statement_timeout=1h";
    let mut sink = Running::start(deployed(directory.path(), &simulator, &database).args(["run", wait]));
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    database.wait_for(waits, "1");
    sink.signal("INT");
    support::wait_until("the sink ends", || sink.child.try_wait().unwrap().is_some());
    let (code, err) = sink.wait();
    assert!(code == 0 && err.contains("the sink is closed"), "{code} {err}");
}

/// At the most talkative level, with events that are no JSON, miss the schema, do not fit the table and are refused by it.
#[test]
fn no_value_of_an_event_is_in_the_log() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let mut options = lively(3000);
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    assert_eq!(output(deployed(directory.path(), &simulator, &database).arg("init-db")).0, 0);
    database.execute("ALTER TABLE cxone_events ADD CHECK (duration < 100)");
    let mut command = deployed(directory.path(), &simulator, &database);
    command.args(["run", "--set", "stream.on_normal_close=stop", "--set", "log.level=trace"]);
    let mut sink = Running::start(&mut command);
    let (code, log) = sink.wait();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("23514") && log.contains("not JSON"), "it tells of the refused ones: {log}");
    let words: HashSet<&str> = log.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).collect();
    let mut values = 0;
    for event in simulator.events() {
        let Ok(event) = serde_json::from_slice::<serde_json::Value>(&event) else { continue };
        for pointer in ["/interactionId", "/idempotencyKey", "/attributes/agentId"] {
            let Some(value) = event.pointer(pointer).and_then(|value| value.as_str()).filter(|v| v.len() > 5) else {
                continue;
            };
            assert!(!words.contains(value), "{pointer} {value:?}");
            values += 1;
        }
    }
    assert!(values > 5000, "{values} values were looked for");
}

fn replayed_invalid(simulator: &Simulator) -> u64 {
    let cut = usize::try_from(simulator.options().close_after.unwrap()).unwrap();
    let replayed = simulator.options().replay_events as usize;
    let config = cxsink::Config::default();
    simulator
        .events()
        .skip(cut - replayed)
        .take(replayed)
        .filter(|event| cxsink::validate(&config, event).is_err())
        .count() as u64
}

#[test]
fn a_table_made_by_hand_works_as_well() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    database.execute(&oracle::tutorial_table("cxone_events"));
    let mut options = lively(3000);
    options.close_at_end = true;
    options.binary = true;
    let simulator = Simulator::start(options).unwrap();
    let mut command = deployed(directory.path(), &simulator, &database);
    let mut sink = Running::start(command.args(["run", "--set", "stream.on_normal_close=stop"]));
    let (code, err) = sink.wait();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("at-least-once"), "without a checkpoint table it says so: {err}");
    check_against_oracle(&database, &simulator);
}

/// Token and handshake refused at first, a token that expires, a server that falls silent, cuts: all in one run.
#[test]
fn the_stream_survives_every_fault_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = SimulatorOptions::default();
    options.events = Some(4000);
    options.set("token_failures", "429,503,500").unwrap();
    options.retry_after = RetryAfter::Seconds(0);
    options.set("handshake_failures", "401,503,429").unwrap();
    options.cut_after = Some(500);
    // A reset would lose what has not reached a reader that is slow.
    options.cut_how = Cut::End;
    options.silence_after = Some(700);
    options.silence_connections = 2;
    options.close_after = Some(900);
    options.close_code = 4001;
    options.close_connections = 3;
    options.replay_events = 20;
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    let mut config =
        support::config(directory.path(), &format!("sqlite:{}", directory.path().join("table.db").display()));
    simulator.apply_to(&mut config);
    config.stream.ping_interval = Duration::from_millis(250);
    // Longer than a busy machine keeps a thread waiting: events that are sent to an abandoned stream are lost.
    config.stream.idle_timeout = Duration::from_secs(1);
    config.stream.on_normal_close = cxsink::config::OnNormalClose::Stop;
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let stats = support::run_to_the_end(&sink);
    let report = simulator.report();
    assert_eq!(stats.state, State::Closed, "{stats:?}");
    assert_eq!(stats.received, report.events, "everything that was sent was read");
    assert_eq!(stats.inserted, report.unique_keys, "{stats:?} {report}");
    assert!(
        report.cuts == 1 && report.silences >= 1 && report.closes >= 1 && stats.reconnects >= 3,
        "{stats:?} {report}"
    );
    assert!(stats.token_renewals >= 1, "{stats:?}");
}

/// The first connection's token is refused for good: the sink ends as failed, and says what to do.
#[test]
fn bad_credentials_end_the_sink_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = Simulator::start(SimulatorOptions::default()).unwrap();
    let mut command = cxsink(directory.path());
    command
        .env("CXONE_CLIENT_ID", simulator.client_id())
        .env("CXONE_CLIENT_SECRET", "not-the-secret")
        .env("CXONE_STREAM_ID", simulator.stream_id())
        .env("CXSINK_OAUTH__URL", simulator.oauth_url())
        .env("CXSINK_STREAM__URL", simulator.stream_url())
        .env("CXSINK_DESTINATION__URL", "sqlite:table.db");
    assert_eq!(output(command.arg("init-db")).0, 0);
    let (code, _, err) = output(command.arg("run").env_remove("none"));
    assert_eq!(code, 2, "clap refuses two commands: {err}");
    let mut run = cxsink(directory.path());
    run.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).arg("run");
    let (code, _, err) = output(&mut run);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("401") && err.contains("CXONE_CLIENT_SECRET"), "{err}");
    assert!(!err.contains("not-the-secret"), "{err}");
}

/// The stream's rate, held for a while, does not disturb the order: each key's last event wins.
#[test]
fn many_updates_of_few_keys_leave_the_last_one() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let mut options = lively(20_000);
    options.update_percent = 80.0;
    options.repeat_window = 50;
    options.invalid_percent = 0.0;
    options.close_at_end = true;
    let simulator = Simulator::start(options).unwrap();
    let mut config = support::config(directory.path(), &database.url());
    simulator.apply_to(&mut config);
    config.stream.on_normal_close = cxsink::config::OnNormalClose::Stop;
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let stats = support::run_to_the_end(&sink);
    assert_eq!(stats.received, 20_050);
    check_against_oracle(&database, &simulator);
}

/// The application's thread may be inside an asynchronous runtime, where the database client must not be called.
#[test]
fn a_sink_works_inside_an_asynchronous_runtime() {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let config = support::config(directory.path(), &database.url());
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let bad = support::config(directory.path(), &format!("{}?user=nobody-at-all", database.url()));
        assert!(cxsink::init_db(&bad).is_err());
        let sink = Sink::open(&config).unwrap();
        assert!(sink.start().unwrap_err().hint().unwrap().contains("init-db"));
        drop(sink);
        cxsink::init_db(&config).unwrap();
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        sink.close_within(Duration::MAX).unwrap();
        assert!(!cxsink::table::peek(&config, 1).unwrap().columns.is_empty());
    });
}

//! Several streams in one process: each is a sink of its own, and what happens to one is not the others' affair.
#![cfg(unix)]

use cxsink::simulator::SimulatorOptions;
use serde_json::Value as Json;

use crate::support::postgres::TestDatabase;
use crate::support::process::{Running, output};
use crate::support::server::PrivateServer;
use crate::support::streams::Streams;
use crate::support::{oracle, stream_with_repeats, wait_until};

const NAMES: [&str; 3] = ["sales", "support", "emea-calls"];

/// A stream with repeats and invalid events, which the server closes at its end.
fn finite(seed: u64, events: u64) -> SimulatorOptions {
    let mut options = stream_with_repeats(seed, events, 0);
    options.close_at_end = true;
    options
}

fn endless() -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.events = None;
    options.rate = 200;
    options
}

/// The file's part for all streams.
fn database(url: &str) -> String {
    format!("[destination]\nurl = \"{url}\"\n[stream]\non_normal_close = \"stop\"")
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The object with the counters that the program prints at its end.
fn counters(stderr: &str) -> Json {
    let line = stderr.lines().find(|line| line.contains("\"elapsed_s\"")).unwrap_or_else(|| panic!("{stderr}"));
    json(line)["streams"].take()
}

#[test]
fn each_table_equals_what_its_stream_has_sent() {
    let database_ = TestDatabase::new();
    let streams = Streams::start(NAMES.iter().zip(1..).map(|(name, seed)| (*name, finite(seed, 2000 * seed))));
    streams.write(&database(&database_.url()), |_| String::new());
    let (code, made, err) = output(&mut streams.command(&["init-db"]));
    assert_eq!((code, made.lines().count()), (0, 3), "{made}{err}");
    let (code, checked, err) = output(&mut streams.command(&["check", "--json", "--only", "spool,oauth,destination"]));
    let checked = json(&checked);
    assert_eq!((code, checked["ok"].as_bool()), (0, Some(true)), "{checked}{err}");
    for name in NAMES {
        assert!(checked["streams"][name]["steps"].as_array().unwrap().len() > 10, "{name}: {checked}");
    }

    let (code, _, err) = output(&mut streams.command(&["run", "--log-format", "json"]));
    assert_eq!(code, 0, "{err}");
    let counters = counters(&err);
    let mut client = database_.client();
    for (name, simulator) in &streams.simulators {
        let (table, expected) = (format!("{}_events", name.replace('-', "_")), format!("o_{}", name.replace('-', "_")));
        client.batch_execute(&oracle::tutorial_table(&expected)).unwrap();
        let events: Vec<_> = simulator.events().collect();
        let executed = oracle::execute(&mut client, &expected, "always", events.iter().map(AsRef::as_ref));
        assert!(executed > 1000);
        assert_eq!(oracle::differences(&mut client, &table, &expected), [""; 0], "{name}");
        let stats = &counters[*name]["stats"];
        assert_eq!(stats["received"], simulator.report().events, "{name}: {counters}");
        assert_eq!(stats["dead_lettered"], simulator.report().invalid_total(), "{name}");
        assert!(streams.path().join(format!("cxsink-spool-{name}.db")).exists(), "{name} has a spool of its own");
    }
    // A line about one of them has its name.
    let of = |line: &Json, text: &str| line["message"].as_str().is_some_and(|message| message.contains(text));
    let lines: Vec<Json> = err.lines().map(json).collect();
    for name in NAMES {
        assert!(lines.iter().any(|line| of(line, "the sink is running") && line["stream"] == name), "{name}: {err}");
    }
    assert!(lines.iter().all(|line| !of(line, "the sink is") || line["stream"].is_string()), "{err}");
    // What a command is for is said by --stream.
    let (code, _, err) = output(&mut streams.command(&["dead-letters", "list"]));
    assert!(code == 2 && err.contains("--stream NAME with one of sales, support, emea-calls"), "{err}");
    let (code, listed, err) = output(&mut streams.command(&["dead-letters", "list", "--json", "--stream", "support"]));
    assert_eq!(listed.lines().count() as u64, streams.simulator("support").report().invalid_total(), "{code} {err}");
    let (_, gaps, _) = output(&mut streams.command(&["gaps", "--json"]));
    assert!(gaps.lines().all(|line| NAMES.contains(&json(line)["stream"].as_str().unwrap())), "{gaps}");
}

#[test]
fn one_with_a_wrong_password_fails_and_the_others_go_on() {
    let server = PrivateServer::start_new();
    let streams = Streams::start(NAMES.map(|name| (name, endless())));
    let wrong = server.url().replace(server.password(), "wrong");
    let url = |name: &str| if name == "support" { format!("destination.url = \"{wrong}\"") } else { String::new() };
    let rest = format!("[destination]\nurl = \"{}\"", server.url());
    streams.write(&rest, |_| String::new());
    assert_eq!(output(&mut streams.command(&["init-db"])).0, 0);
    streams.write(&rest, url);
    let (code, checked, _) = output(&mut streams.command(&["check", "--json", "--only", "destination"]));
    let checked = json(&checked);
    let ok = |name: &str| checked["streams"][name]["ok"].as_bool();
    assert_eq!((code, ok("sales"), ok("support"), ok("emea-calls")), (1, Some(true), Some(false), Some(true)));

    let mut process = Running::start(&mut streams.command(&["run", "--log-format", "json"]));
    let rows = |table: &str| server.query(&format!("SELECT count(*)::text FROM {table}"))[0].parse::<u64>().unwrap();
    // It is refused at once, so these come later.
    wait_until("rows of the others", || rows("sales_events") > 500 && rows("emea_calls_events") > 500);
    process.signal("TERM");
    let (code, err) = process.wait();
    assert_eq!(code, 1, "{err}");
    let counters = counters(&err);
    assert_eq!(counters["support"]["stats"]["state"], "failed", "{counters}");
    assert!(counters["support"]["error"]["message"].as_str().unwrap().contains("password"), "{counters}");
    for (name, table) in [("sales", "sales_events"), ("emea-calls", "emea_calls_events")] {
        assert_eq!(counters[name]["stats"]["state"], "closed", "{counters}");
        assert_eq!(counters[name]["stats"]["inserted"], rows(table), "{counters}");
        assert!(counters[name]["error"].is_null(), "{counters}");
    }
    assert!(err.contains("1 of 3 streams failed: support"), "{err}");
    assert_eq!(rows("support_events"), 0);

    // By itself it ends with the same code, and alone the others end well.
    let (code, _, err) = output(&mut streams.command(&["run", "--only", "support"]));
    assert_eq!(code, 1, "{err}");
    let mut process = Running::start(&mut streams.command(&["run", "--only", "sales", "--only", "emea-calls"]));
    let before = rows("emea_calls_events");
    wait_until("rows", || rows("emea_calls_events") > before);
    process.signal("INT");
    assert_eq!(process.wait().0, 0);
}

#[test]
fn streams_with_one_client_share_its_token() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = finite(3, 3000);
    options.close_at_end = false;
    let simulator = cxsink::simulator::Simulator::start(options).unwrap();
    let mut whole = crate::support::config(directory.path(), "sqlite:unused.db");
    simulator.apply_to(&mut whole);
    for name in NAMES {
        let events = directory.path().join(format!("{name}.db"));
        whole.set(&format!("streams.{name}.destination.url"), &format!("sqlite:{}", events.display())).unwrap();
    }
    let open = |name: &&str| {
        let config = whole.for_stream(name).unwrap();
        cxsink::init_db(&config).unwrap();
        let sink = cxsink::Sink::open(&config).unwrap();
        sink.start().unwrap();
        sink
    };
    let sinks: Vec<cxsink::Sink> = NAMES.iter().map(open).collect();
    // A connection gets the events until there is a newer one: what all have received together is what was sent.
    wait_until("all are connected", || simulator.report().connections == 3);
    wait_until("all is received", || {
        let received: u64 = sinks.iter().map(|sink| sink.stats().received).sum();
        simulator.report().finished && received == simulator.report().events
    });
    let report = simulator.report();
    assert_eq!((report.tokens_issued, report.tokens_refused), (1, 0), "{report}");
    let metrics = cxsink::metrics_of(&sinks);
    let expiries: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("cxsink_token_expires_timestamp_seconds{"))
        .map(|line| line.rsplit_once(' ').unwrap().1)
        .collect();
    assert!(expiries.len() == 3 && expiries.iter().all(|expiry| *expiry == expiries[0]), "{expiries:?}");
    for sink in sinks {
        sink.close().unwrap();
    }

    // Sinks that have no configuration in common share nothing.
    let alone = whole.clone().for_stream("sales").unwrap();
    let mut other = crate::support::config(directory.path(), &alone.get("destination.url").unwrap());
    simulator.apply_to(&mut other);
    let sink = cxsink::Sink::open(&other).unwrap();
    sink.start().unwrap();
    wait_until("it is connected", || simulator.report().connections == 4);
    assert_eq!(simulator.report().tokens_issued, 2);
    sink.close().unwrap();
}

#[test]
fn two_streams_with_one_spool_are_refused_before_anything_starts() {
    let streams = Streams::start([("sales", endless()), ("support", endless())]);
    let rest = "[destination]\nurl = \"sqlite:events.db\"";
    streams.write(rest, |_| "spool.path = \"both.db\"".into());
    let (code, _, err) = output(&mut streams.command(&["run"]));
    assert!(code == 2 && err.contains("streams.sales and streams.support have the same spool.path"), "{code} {err}");
    assert!(!streams.path().join("both.db").exists());
    assert_eq!(output(&mut streams.command(&["check", "--only", "spool"])).0, 1);

    // Two names of one file: the lock tells, and the first one goes on.
    streams.write(rest, |name| format!("spool.path = \"{}.db\"", if name == "sales" { "one" } else { "other" }));
    std::fs::write(streams.path().join("one.db"), "").unwrap();
    std::os::unix::fs::symlink("one.db", streams.path().join("other.db")).unwrap();
    assert_eq!(output(&mut streams.command(&["init-db"])).0, 0);
    let mut process = Running::start(&mut streams.command(&["run", "--log-format", "json"]));
    wait_until("the first one reads", || streams.simulator("sales").report().events > 20);
    process.signal("TERM");
    let (code, err) = process.wait();
    let counters = counters(&err);
    assert_eq!(code, 1, "{err}");
    assert_eq!(counters["sales"]["stats"]["state"], "closed", "{err}");
    let error = counters["support"]["error"]["message"].as_str().unwrap().to_owned();
    assert!(error.contains("the spool") && streams.simulator("support").report().connections == 0, "{error}");
}

#[test]
fn one_table_takes_streams_whose_key_has_the_stream() {
    let database_ = TestDatabase::new();
    // The same events, with the same idempotency keys.
    let streams = Streams::start([("sales", finite(9, 2000)), ("support", finite(9, 2000))]);
    let shared = "destination.table = \"all_events\"";
    let mapping = "[mapping]\nkey = [\"stream\", \"k\"]\n[mapping.columns]\nstream = \"stream\"\nk = \"/idempotencyKey\"\n\
                   kind = \"/type\"\n";
    let rest = database(&database_.url());
    streams.write(&format!("{rest}\n{mapping}"), |_| shared.into());
    let (code, made, err) = output(&mut streams.command(&["init-db"]));
    assert_eq!((code, &*made), (0, "the tables all_events and cxsink_checkpoint exist\n"), "{err}");
    let step = |checked: &str| json(checked)["steps"][1].take();
    let check = ["check", "--json", "--only", "destination"];
    let (_, checked, _) = output(&mut streams.command(&check));
    assert_eq!(step(&checked)["status"], "passed", "{checked}");
    let (code, _, err) = output(&mut streams.command(&["run"]));
    assert_eq!(code, 0, "{err}");
    let keys = streams.simulator("sales").report().unique_keys;
    for name in ["sales", "support"] {
        let sql = format!("SELECT count(*)::text FROM all_events WHERE stream = '{name}'");
        assert_eq!(database_.query(&sql), [keys.to_string()], "{name}");
    }

    // Without it, one would overwrite the other's rows: `check` warns.
    streams.write(&rest, |_| shared.into());
    let (_, checked, _) = output(&mut streams.command(&check));
    let warned = step(&checked);
    assert_eq!(warned["status"], "warning", "{checked}");
    assert!(warned["message"].as_str().unwrap().contains("sales and support write the same table"), "{warned}");
}

#[test]
fn an_option_for_all_streams_yields_to_a_stream_and_one_with_its_name_does_not() {
    let streams = Streams::start([("sales", endless()), ("support", endless())]);
    streams.write("[destination]\nurl = \"sqlite:events.db\"", |_| String::new());
    let sql = |arguments: &[&str]| {
        let (code, sql, err) = output(&mut streams.command(&[&["init-db", "--print"], arguments].concat()));
        assert_eq!(code, 0, "{err}");
        ["sales_events", "support_events", "other"].map(|table| sql.contains(table))
    };
    assert_eq!(sql(&[]), [true, true, false]);
    assert_eq!(sql(&["--set", "destination.table=other"]), [true, true, false]);
    assert_eq!(sql(&["--set", "streams.sales.destination.table=other"]), [false, true, true]);
    assert_eq!(sql(&["--stream", "sales", "--set", "destination.table=other"]), [false, false, true]);
    for (arguments, expected) in [
        (&["--stream", "sale"][..], "the nearest known one is \"sales\""),
        (&["--set", "streams.sale.destination.table=x"], "the nearest known one is \"sales\""),
        (&["--set", "streams.sales.destination.tabel=x"], "\"streams.sales.destination.table\""),
    ] {
        let (code, _, err) = output(&mut streams.command(&[&["init-db"], arguments].concat()));
        assert!(code == 2 && err.contains(expected), "{arguments:?}: {code} {err}");
    }
}

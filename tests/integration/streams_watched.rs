//! Several streams of one process, as those see them who watch it.
#![cfg(unix)]

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Instant;

use cxsink::simulator::SimulatorOptions;
use rusqlite::Connection;
use serde_json::Value as Json;

use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, output};
use crate::support::streams::Streams;
use crate::support::wait_until;
use crate::support::watched::{Watched, sum};

const EVENTS: u64 = 400;

/// Two streams that have sent all, and one that could not be opened.
fn streams() -> Streams {
    let options = || {
        let mut options = SimulatorOptions::default();
        options.events = Some(EVENTS);
        options
    };
    let streams = Streams::start([("sales", options()), ("support", options()), ("broken", options())]);
    let own = |name: &str| {
        let broken = if name == "broken" { "schema.file = \"missing.json\"\n" } else { "" };
        format!("{broken}destination.url = \"sqlite:{name}.db\"")
    };
    streams.write("", own);
    for name in ["sales", "support"] {
        assert_eq!(output(&mut streams.command(&["init-db", "--stream", name])).0, 0);
    }
    streams
}

fn rows(streams: &Streams, name: &str) -> u64 {
    let table = Connection::open(streams.path().join(format!("{name}.db"))).unwrap();
    table.query_row(&format!("SELECT count(*) FROM {name}_events"), [], |row| row.get(0)).unwrap()
}

#[test]
fn metrics_health_and_status_name_each_stream() {
    let streams = streams();
    let sink = Watched::start(&mut streams.command(&["run"]), None);
    let stored = |name: &str| {
        let metric = format!("cxsink_events_total{{stream=\"{name}\",outcome=\"inserted\"}}");
        sum(&sink.get("/metrics").1, &metric)
    };
    wait_until("all is stored", || ["sales", "support"].iter().all(|name| stored(name) == Some(400.0)));
    let metrics = sink.get("/metrics").1;
    assert_eq!(crate::support::prometheus::lint(&metrics), "");
    assert_eq!(metrics.matches("# TYPE cxsink_events_total counter").count(), 1, "{metrics}");
    for name in ["sales", "support"] {
        assert_eq!(rows(&streams, name), EVENTS);
        assert!(metrics.contains(&format!("cxsink_connected{{stream=\"{name}\",side=\"stream\"}} 1\n")), "{metrics}");
    }
    let (status, ready) = sink.json("/readyz");
    assert_eq!((status, &ready["streams"]["sales"]["ready"]), (503, &Json::Bool(true)), "{ready}");
    let why = ready["why"].as_str().unwrap();
    assert!(why.starts_with("broken: the sink could not be opened: ") && why.contains("missing.json"), "{ready}");
    let (status, health) = sink.json("/healthz");
    assert_eq!((status, &health["streams"]["support"]["status"]), (200, &Json::from("ok")), "{health}");
    let all = sink.json("/stats.json").1;
    assert_eq!(
        (&all["streams"][1]["name"], &all["streams"][1]["stats"]["inserted"]),
        (&"support".into(), &EVENTS.into())
    );

    let at = format!("http.listen={}", sink.address);
    let ask = |arguments: &[&str]| output(&mut streams.command(&[arguments, &["--set", &at]].concat()));
    let (code, found, err) = ask(&["status", "--json"]);
    let found: Json = serde_json::from_str(&found).unwrap_or_else(|error| panic!("{error}: {found}{err}"));
    assert_eq!((code, found["running"].as_bool()), (1, Some(false)), "{found}");
    assert_eq!(found["streams"]["sales"]["process"]["streams"][0]["stats"]["received"], EVENTS, "{found}");
    assert_eq!(found["streams"]["broken"]["running"], false, "{found}");
    let (code, found, _) = ask(&["status", "--json", "--stream", "sales", "--stream", "support"]);
    assert_eq!(code, 0, "{found}");
    let (_, table, _) = ask(&["status"]);
    let line = |name: &str| {
        let line = table.lines().find(|line| line.trim_start().starts_with(name));
        line.unwrap_or_else(|| panic!("{table}")).split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("sales")[1..4], ["running", "400", "0"], "{table}");
    assert_eq!(line("broken")[1], "failed", "{table}");
    assert_eq!(line("all")[1..3], ["3", "800"], "{table}");

    let mut top = Running::start(&mut streams.command(&["top", "--set", &at]));
    assert!(top.line().contains("in/s"));
    let first = top.line();
    assert!(first.contains("sales") && first.contains("400"), "{first}");
    drop(top);

    // From outside, the files tell, a moment later.
    let outside = ["status", "--json", "--stream", "sales", "--stream", "support"];
    wait_until("nothing is pending in the files", || {
        let (code, found, _) = output(&mut streams.command(&outside));
        let found: Json = serde_json::from_str(&found).unwrap();
        code == 0 && ["sales", "support"].iter().all(|name| found["streams"][name]["spool"]["pending"] == 0)
    });
    let (code, _, err) = output(&mut streams.command(&["dead-letters", "list", "--stream", "sales"]));
    assert_eq!(code, 0, "{err}");
}

fn service() -> (Streams, Command) {
    let endless = || {
        let mut options = SimulatorOptions::default();
        options.events = None;
        options.rate = 50;
        options
    };
    let streams = Streams::start([("sales", endless()), ("support", endless())]);
    write(&streams, "{\"type\": \"object\"}", "");
    assert_eq!(output(&mut streams.command(&["init-db"])).0, 0);
    let command = streams.command(&["run"]);
    (streams, command)
}

fn write(streams: &Streams, schema: &str, more: &str) {
    std::fs::write(streams.path().join("sales.json"), schema).unwrap();
    let own = |name: &str| {
        let schema = if name == "sales" { format!("schema.file = \"sales.json\"\n{more}") } else { String::new() };
        format!("destination.url = \"sqlite:{name}.db\"\n{schema}")
    };
    streams.write("", own);
}

#[test]
fn sighup_reads_the_schema_of_each_stream_again() {
    let (streams, mut command) = service();
    let mut sink = Watched::start(&mut command, None);
    let dead = |sink: &Watched, name: &str| {
        sink.metric(&format!("cxsink_dead_letters_total{{stream=\"{name}\",stage=\"schema\"}}")).unwrap()
    };
    wait_until("both run", || sink.json("/readyz").0 == 200);
    write(&streams, "{\"required\": [\"noSuchMember\"]}", "batch.events_max = 7\n");
    sink.process.signal("HUP");
    let later = sink.wait_for_line("restart the sink to change");
    assert!(later.ends_with("sales: restart the sink to change batch.events_max"), "{later}");
    wait_until("the new schema rejects", || dead(&sink, "sales") > 10.0);
    assert!(dead(&sink, "support") < 0.5);

    // One schema that cannot be used changes none.
    write(&streams, "{", "");
    sink.process.signal("HUP");
    let refused = sink.wait_for_line("nothing has changed");
    assert!(refused.contains("sales") && refused.contains("sales.json"), "{refused}");
    // Streams come and go with the process.
    let file = streams.path().join("cxsink.toml");
    write(&streams, "{\"type\": \"object\"}", "");
    let text = std::fs::read_to_string(&file).unwrap().replace("[streams.support]", "[streams.another]");
    std::fs::write(&file, text).unwrap();
    sink.process.signal("HUP");
    let come = sink.wait_for_line("to begin with");
    assert!(come.ends_with("restart the process to begin with streams.another"), "{come}");
    sink.wait_for_line("to end streams.support");
}

#[test]
fn the_service_manager_hears_how_many_streams_run() {
    let (streams, mut command) = service();
    let socket = streams.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).expect("the manager is told nothing");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let mut process = Running::start(command.env("NOTIFY_SOCKET", &socket));
    assert_eq!(next(), "READY=1");
    let wait_for = |beginning: &str| {
        let until = Instant::now() + PATIENCE;
        loop {
            let message = next();
            if message.starts_with(beginning) {
                return;
            }
            assert!(Instant::now() < until, "{beginning}: not told, the last is {message}");
        }
    };
    wait_for("STATUS=2 streams, 2 running: ");
    process.signal("TERM");
    wait_for("STOPPING=1");
    assert_eq!(process.wait().0, 0);
}

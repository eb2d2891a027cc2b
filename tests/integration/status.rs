//! `cxsink status` says how a sink is doing, with its pages and without them.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use cxsink::simulator::{Simulator, SimulatorOptions};
use serde_json::Value as Json;

use crate::support;
use crate::support::process::{Running, cxsink_of, output};
use crate::support::watched::Watched;

const EVENTS: u64 = 500;

struct Place {
    directory: tempfile::TempDir,
    simulator: Simulator,
}

impl Place {
    fn new() -> Self {
        let mut options = SimulatorOptions::default();
        options.events = Some(EVENTS);
        let place = Self { directory: tempfile::tempdir().unwrap(), simulator: Simulator::start(options).unwrap() };
        cxsink::init_db(&support::config(place.path(), &place.destination())).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn destination(&self) -> String {
        format!("sqlite:{}", self.path().join("events.db").display())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cxsink_of(self.path(), &self.simulator);
        command
            .env("CXSINK_DESTINATION__URL", self.destination())
            .env("CXSINK_SPOOL__PATH", self.path().join("spool.db"))
            .args(arguments);
        command
    }
}

#[test]
fn a_sink_with_pages_is_asked() {
    let place = Place::new();
    let token = place.path().join("token");
    std::fs::write(&token, "s3same").unwrap();
    let mut command = place.command(&["run"]);
    let sink = Watched::start(command.env("CXSINK_HTTP__TOKEN_FILE", &token), Some("s3same"));
    support::wait_until("everything is stored", || {
        let stats = &sink.json("/stats.json").1["streams"][0]["stats"];
        stats["inserted"] == EVENTS && stats["pending"] == 0
    });
    let ask = |arguments: &[&str], with_token: bool| {
        let mut command = place.command(arguments);
        command.env("CXSINK_HTTP__LISTEN", sink.address.to_string());
        if with_token {
            command.env("CXSINK_HTTP__TOKEN_FILE", &token);
        }
        output(&mut command)
    };
    let (code, out, err) = ask(&["status"], true);
    assert_eq!(code, 0, "{out}{err}");
    let line = "running · stream connected · destination connected · 500 stored · 0 pending · 0 dead letters\n";
    assert!(out.starts_with(line), "{out}");
    let (code, out, _) = ask(&["status", "--json"], true);
    let json: Json = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["running"], &json["source"]), (0, &true.into(), &"http".into()));
    assert_eq!(json["process"]["streams"][0]["stats"]["received"], EVENTS);
    let (code, _, err) = ask(&["status"], false);
    assert!(code == 1 && err.contains("it answers 401") && err.contains("http.token_file"), "{code} {err}");
}

#[test]
fn without_pages_the_spool_file_says_whether_a_sink_runs() {
    let place = Place::new();
    let status = || output(&mut place.command(&["status"]));
    let (code, _, err) = status();
    assert!(code != 0 && err.contains("there is no such file"), "{err}");
    let mut sink = Running::start(&mut place.command(&["run"]));
    support::wait_until("it runs", || status().0 == 0);
    assert!(status().1.starts_with("running (process "), "{:?}", status());
    assert!(place.simulator.wait_finished(support::postgres::PATIENCE));
    sink.signal("TERM");
    assert_eq!(sink.wait().0, 0);
    let (code, out, _) = status();
    assert_eq!((code, &*out), (1, "not running · 0 pending · 0 dead letters\n"));
    let json: Json = serde_json::from_str(&output(&mut place.command(&["status", "--json"])).1).unwrap();
    assert_eq!((&json["running"], &json["spool"]["pending"]), (&false.into(), &0.into()));
}

#[test]
fn a_watch_goes_on_until_a_signal_and_follows_the_sink() {
    let place = Place::new();
    let mut sink = Watched::start(&mut place.command(&["run"]), None);
    let mut command = place.command(&["status", "--watch", "--json"]);
    let mut watch = Running::start(command.env("CXSINK_HTTP__LISTEN", sink.address.to_string()));
    let next = |watch: &mut Running| serde_json::from_str::<Json>(&watch.line()).unwrap();
    for _ in 0..2 {
        let seen = next(&mut watch);
        assert_eq!((&seen["running"], &seen["source"]), (&true.into(), &"http".into()), "{seen}");
    }
    sink.process.signal("TERM");
    support::wait_until("the end is seen", || {
        let seen = next(&mut watch);
        seen["running"] == false && seen["source"] == "spool"
    });
    assert_eq!(sink.process.child.wait().unwrap().code(), Some(0));
    watch.signal("TERM");
    // By the signal.
    assert_eq!(watch.wait().0, -1);
}

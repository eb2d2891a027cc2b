//! Every query of deploy/grafana/cxsink.json has an answer of a real Prometheus that scraped a real sink in trouble, and alerts fire there.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cxsink::simulator::{Simulator, SimulatorOptions};
use serde_json::Value as Json;

use crate::support;
use crate::support::process::cxsink_of;
use crate::support::prometheus::Prometheus;
use crate::support::server::PrivateServer;
use crate::support::watched::Watched;

const DASHBOARD: &str = include_str!("../../deploy/grafana/cxsink.json");
const RULES: &str = include_str!("../../deploy/prometheus/alerts.yml");

fn dashboard() -> Json {
    serde_json::from_str(DASHBOARD).unwrap()
}

fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    json[name].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {json}"))
}

/// The expressions of panels and annotations, as Grafana sends them for a short time and every sink.
fn expressions(dashboard: &Json) -> Vec<String> {
    let targets = list(dashboard, "panels").iter().flat_map(|panel| list(panel, "targets"));
    let all = targets.chain(list(&dashboard["annotations"], "list"));
    let replaced = |expression: &str| {
        let pairs = [("$__rate_interval", "5s"), ("$__range", "10m"), ("$job", ".+"), ("$instance", ".+")];
        pairs.iter().fold(expression.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    all.map(|query| replaced(text(query, "expr"))).collect()
}

#[test]
fn panels_have_a_number_a_title_and_a_place_of_their_own() {
    let dashboard = dashboard();
    let (mut numbers, mut titles, mut places) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let panels = list(&dashboard, "panels");
    assert!(panels.len() > 20);
    for panel in panels {
        let title = text(panel, "title");
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{title}: its number is taken");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is too wide");
        for at in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(places.insert(at), "{title} covers another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(titles.insert(title) && !text(panel, "description").is_empty(), "{title}");
        for target in list(panel, "targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            assert!(text(target, "expr").contains("instance=~\"$instance\""), "{title} shows other sinks too");
        }
    }
}

fn stream(port: u16) -> SimulatorOptions {
    let mut options = SimulatorOptions::default();
    options.port = port;
    options.events = None;
    options.rate = 300;
    options.invalid_percent = 5.0;
    options.redelivery_percent = 5.0;
    options.token_lifetime = Duration::from_secs(10);
    options.close_after = Some(300);
    options
}

/// These stay at 0 in such a run: nothing is replayed, every message has an event, and the command line polls.
const QUIET: [&str; 3] =
    ["cxsink_events_replayed_total", "cxsink_messages_ignored_total", "cxsink_notices_dropped_total"];

#[test]
fn every_query_has_data_of_a_sink_in_trouble_and_alerts_fire() {
    let started = Instant::now();
    let mut server = PrivateServer::start_new();
    let directory = tempfile::tempdir().unwrap();
    cxsink::init_db(&support::config(directory.path(), &server.url())).unwrap();
    let simulator = Simulator::start(stream(0)).unwrap();
    let mut command = cxsink_of(directory.path(), &simulator);
    command
        .env("CXSINK_DESTINATION__URL", server.url())
        .env("CXSINK_SPOOL__PATH", directory.path().join("spool.db"))
        .env("CXSINK_RETRY__DELAY_MIN", "5ms")
        .env("CXSINK_RETRY__DELAY_MAX", "50ms")
        .arg("run");
    let sink = Watched::start(&mut command, None);
    // As they are, but at once: what they wait for is tested with a clock of its own.
    let (waiting, at_once): (Vec<&str>, Vec<&str>) = RULES.lines().partition(|line| line.starts_with("    for: "));
    assert!(waiting.len() > 5);
    let prometheus = Prometheus::start_new(sink.address, None, &at_once.join("\n"));
    let fires = |name: &str| prometheus.firing().iter().any(|alert| alert["labels"]["alertname"] == name);

    let flows = || prometheus.query("sum(rate(cxsink_events_total{outcome=\"inserted\"}[5s]))") > Some(10.0);
    support::wait_until("rows arrive", flows);
    support::wait_until("dead letters are reported", || fires("CxsinkDeadLetters"));
    support::wait_until("the stream was closed once", || fires("CxsinkGapOpened"));
    // A scrape may have met the moment between two connections.
    let is_silent = |names: &[&str]| names.iter().all(|name| !fires(name));
    support::wait_until("nothing else", || is_silent(&["CxsinkStalled", "CxsinkStreamNotConnected", "CxsinkDown"]));

    server.kill();
    support::wait_until("the outage is reported", || fires("CxsinkStalled"));
    assert!(is_silent(&["CxsinkLagGrows", "CxsinkStreamNotConnected", "CxsinkDown"]), "{:?}", prometheus.firing());
    server.start();
    support::wait_until("its end is noticed", || !fires("CxsinkStalled") && flows());

    let renewed = || prometheus.query("cxsink_token_renewals_total") > Some(0.0);
    support::wait_until("the token is renewed", renewed);
    drop(simulator);
    support::wait_until("the lost stream is reported", || fires("CxsinkStreamNotConnected"));
    // The first gap may have come before the first scrape.
    support::wait_until("its gap is counted", || prometheus.query("increase(cxsink_gaps_total[1m])") > Some(0.0));

    let dashboard = dashboard();
    let seconds = started.elapsed().as_secs_f64();
    for expression in expressions(&dashboard) {
        let values = prometheus.values(&expression, seconds);
        assert!(values.iter().any(|value| value.is_finite()), "no data: {expression}");
        let is_quiet = QUIET.iter().any(|name| expression.contains(name));
        assert!(is_quiet || values.iter().any(|value| value.is_finite() && *value != 0.0), "always 0: {expression}");
    }
    for variable in list(&dashboard["templating"], "list").iter().filter(|variable| variable["type"] == "query") {
        let query = text(&variable["query"], "query").replace("$job", ".+");
        let (series, label) = query.strip_prefix("label_values(").unwrap().rsplit_once(", ").unwrap();
        let found = prometheus.series(series);
        assert!(
            !found.is_empty() && found.iter().all(|(labels, _)| labels[label.trim_end_matches(')')].is_string()),
            "{query}"
        );
    }

    drop(sink);
    support::wait_until("its end is reported", || fires("CxsinkDown"));
    for alert in prometheus.firing() {
        let said = format!("{} {}", text(&alert["annotations"], "summary"), text(&alert["annotations"], "description"));
        assert!(!said.contains("error") && !said.contains("{{") && !said.contains("no value"), "{said}");
    }
}

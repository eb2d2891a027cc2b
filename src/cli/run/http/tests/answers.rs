use super::*;
use crate::cli::run::sinks::Member;
use crate::config::HttpConfig;
use crate::{Config, Sink};

fn sink() -> Sink {
    let mut config = Config::default();
    config.set("spool.path", ":memory:").unwrap();
    config.set("destination.url", "sqlite::memory:").unwrap();
    Sink::open(&config).unwrap()
}

fn site() -> Site {
    site_of(Sinks::from(&sink()))
}

fn site_of(sinks: Sinks) -> Site {
    Site {
        shown: Shown::all(&sinks),
        sinks,
        started_at: SystemTime::now(),
        origin: ConfigOrigin::default(),
        access: Access::new(&HttpConfig::default(), true),
        hanging_after: Duration::from_secs(60),
    }
}

fn get(site: &Site, path: &str) -> (u16, String) {
    let answer = site.answer(&Method::GET, path, &HeaderMap::new());
    (answer.status().as_u16(), answer.body().as_str().to_owned())
}

#[test]
fn what_the_page_links_to_is_there_and_nothing_else() {
    let site = site();
    let (status, page) = get(&site, "/");
    assert_eq!(status, 200);
    let links: Vec<&str> = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(links, ["icon.svg", "metrics", "healthz", "readyz", "stats.json"]);
    for link in links {
        assert_ne!(get(&site, &format!("/{link}")).0, 404, "{link}");
    }
    for path in ["/metrics/", "/Metrics", "//metrics", "/stats", "/../etc/passwd"] {
        assert_eq!(get(&site, path).0, 404, "{path}");
    }
    let posted = site.answer(&Method::POST, "/metrics", &HeaderMap::new());
    assert_eq!((posted.status().as_u16(), &posted.headers()["allow"]), (405, &HeaderValue::from_static("GET, HEAD")));
}

#[test]
fn a_sink_is_healthy_all_its_life_and_ready_while_it_runs() {
    let sink = sink();
    let site = site_of(Sinks::from(&sink));
    let ready = || {
        let (status, body) = get(&site, "/readyz");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, body["state"].as_str().unwrap().to_owned(), body["why"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ready(), (503, "open".into(), "the sink is starting".into()));
    sink.start().unwrap_err();
    assert_eq!(ready().0, 503, "the table is missing");
    let (status, body) = get(&site, "/healthz");
    assert_eq!(
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap()["status"].as_str()),
        (200, Some("ok"))
    );
}

#[test]
fn open_metrics_are_for_those_who_ask() {
    let site = site();
    let content_type = |accept: &'static str| {
        let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
        let answer = site.answer(&Method::GET, "/metrics", &headers);
        (answer.headers()["content-type"].to_str().unwrap().to_owned(), answer.body().as_str().ends_with("# EOF\n"))
    };
    let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    assert_eq!(content_type(prometheus), (OPEN_METRICS.into(), true));
    assert_eq!(content_type("*/*"), (PROMETHEUS.into(), false));
}

#[test]
fn only_the_page_may_run_its_own_script_and_no_answer_may_be_framed_or_kept() {
    let site = site();
    let header = |path: &str, name: &str| {
        let answer = site.answer(&Method::GET, path, &HeaderMap::new());
        answer.headers()[name].to_str().unwrap().to_owned()
    };
    let policy = header("/", "content-security-policy");
    assert!(policy.starts_with("default-src 'self'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    for path in ["/", "/metrics", "/healthz", "/readyz", "/stats.json", "/nothing"] {
        assert!(header(path, "content-security-policy").ends_with("frame-ancestors 'none'"), "{path}");
        assert_eq!(header(path, "cache-control"), "no-store");
        assert_eq!(header(path, "cross-origin-resource-policy"), "same-origin");
    }
    assert!(header("/metrics", "content-security-policy").starts_with("default-src 'none'"));
}

#[test]
fn a_browser_is_asked_for_the_token_by_the_page_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "opensesame").unwrap();
    let config = HttpConfig { token_file: Some(file.path().into()), ..HttpConfig::default() };
    let site = Site { access: Access::new(&config, true), ..site() };
    let challenges = |path: &str| {
        let answer = site.answer(&Method::GET, path, &HeaderMap::new());
        assert_eq!(answer.status(), 401);
        let schemes = answer.headers().get_all("www-authenticate").iter();
        schemes.map(|scheme| scheme.to_str().unwrap().split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(challenges("/"), ["Bearer", "Basic"]);
    for path in ["/stats.json", "/metrics", "/healthz", "/readyz", "/icon.svg", "/nothing"] {
        assert_eq!(challenges(path), ["Bearer"], "{path}");
    }
}

#[test]
fn everything_is_said_of_each_stream_and_of_the_process_once() {
    let site = site();
    let (status, body) = get(&site, "/stats.json");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, json["streams"].as_array().unwrap().len()), (200, 1));
    let stream = &json["streams"][0];
    assert_eq!(stream["words"]["sink"]["text"], stream["stats"]["state"]);
    assert_eq!(stream["line"], "open · destination not connected · 0 stored · 0 pending · 0 dead letters");
    for counter in stream["counters"].as_array().unwrap() {
        assert_eq!(counter["count"], stream["stats"][counter["key"].as_str().unwrap()], "{counter}");
    }
    assert!(json["now"].as_f64() >= json["started_at"].as_f64() && json["version"] == env!("CARGO_PKG_VERSION"));
}

#[test]
fn of_several_streams_each_is_in_every_answer_and_one_that_is_not_ready_is_named() {
    let members = [("sales", Member::Sink(sink())), ("support", Member::NotOpened("its spool is in use".into()))];
    let site = site_of(Sinks::several(members.map(|(name, member)| (name.to_owned(), member))));
    let json = |path: &str| {
        let (status, body) = get(&site, path);
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let (status, ready) = json("/readyz");
    assert_eq!((status, ready["ready"].as_bool()), (503, Some(false)));
    let why = "sales: the sink is starting; support: the sink could not be opened: its spool is in use";
    assert_eq!(ready["why"], why);
    assert_eq!(ready["streams"]["sales"]["state"], "open");
    let (status, health) = json("/healthz");
    assert_eq!((status, health["status"].as_str(), health["why"].is_null()), (200, Some("ok"), true));
    assert!(health["streams"]["sales"]["loops"].is_object());
    let (_, all) = json("/stats.json");
    let named = |name: &str, state: &str| serde_json::json!({ "name": name, "state": state, "ready": false });
    assert_eq!(all["names"], serde_json::json!([named("sales", "open"), named("support", "failed")]));
    assert_eq!((&all["streams"][0]["name"], &all["streams"][0]["stats"]["received"]), (&"sales".into(), &0.into()));
    assert_eq!(all["streams"][1]["readiness"]["state"], "failed");
    assert!(all["streams"][0]["history"].is_null());
    let (_, one) = json("/stats.json?stream=sales");
    assert_eq!((one["streams"].as_array().unwrap().len(), one["names"].as_array().unwrap().len()), (1, 2));
    assert!(one["streams"][0]["history"].is_object() || one["streams"][0]["history"].is_array(), "{one}");
    let metrics = get(&site, "/metrics").1;
    assert!(metrics.contains("\ncxsink_spool_events{stream=\"default\"} 0\n"), "{metrics}");
}

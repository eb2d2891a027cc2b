use super::*;
use crate::config::HttpConfig;
use crate::{Config, Sink};

fn site() -> Site {
    let mut config = Config::default();
    config.set("spool.path", ":memory:").unwrap();
    config.set("destination.url", "sqlite::memory:").unwrap();
    Site {
        watch: Watch::new(&Sink::open(&config).unwrap()),
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
    let site = site();
    let ready = || {
        let (status, body) = get(&site, "/readyz");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, body["state"].as_str().unwrap().to_owned(), body["why"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ready(), (503, "open".into(), "the sink is starting".into()));
    site.watch.sink.start().unwrap_err();
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

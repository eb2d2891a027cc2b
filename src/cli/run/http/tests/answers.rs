use super::*;
use crate::Config;
use crate::config::HttpConfig;

fn site() -> Site {
    let mut config = Config::default();
    config.set("spool.path", ":memory:").unwrap();
    config.set("destination.url", "sqlite::memory:").unwrap();
    Site {
        sink: Sink::open(&config).unwrap(),
        access: Access::new(&HttpConfig::default(), true),
        hanging_after: Duration::from_secs(60),
    }
}

fn get(site: &Site, path: &str) -> (u16, String) {
    let answer = site.answer(&Method::GET, path, &HeaderMap::new());
    (answer.status().as_u16(), answer.body().as_str().to_owned())
}

#[test]
fn each_page_of_the_list_is_there_and_no_other() {
    let site = site();
    let (status, list) = get(&site, "/");
    assert_eq!(status, 200);
    for path in list.lines().filter_map(|line| line.split_whitespace().next()).filter(|path| path.starts_with('/')) {
        assert_ne!(get(&site, path).0, 404, "{path}");
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
    site.sink.start().unwrap_err();
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

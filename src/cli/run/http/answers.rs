//! The answers.

use std::time::{Duration, SystemTime};

use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::Value as Json;

use super::access::{Access, Verdict};
use super::body::Text;
use super::page::{ICON, page, policy};
use super::shown::{Named, Shown};
use crate::cli::run::sinks::{Answered, Sinks};
use crate::config::ConfigOrigin;
use crate::report::metrics::text::Format;
use crate::time::micros;

/// Everything that the answers are made of.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) sinks: Sinks,
    pub(super) shown: Vec<Shown>,
    pub(super) started_at: SystemTime,
    pub(super) origin: ConfigOrigin,
    pub(super) access: Access,
    pub(super) hanging_after: Duration,
}

pub(super) type Answer = Response<Text>;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const HTML: &str = "text/html; charset=utf-8";
const SVG: &str = "image/svg+xml";
/// For what shows nothing.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

/// `/stats.json`: the process and its streams. Times are seconds since 1970-01-01 UTC.
#[derive(Debug, Serialize)]
struct Everything<'a> {
    version: &'static str,
    started_at: f64,
    now: f64,
    configuration: &'a ConfigOrigin,
    /// All of several streams; each has its name in `streams` too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    names: Vec<Named<'a>>,
    streams: Vec<Json>,
}

impl Site {
    /// May wait for a lock of the sink, except for `/healthz`.
    ///
    /// `target`: the path with the query, which `/stats.json` has: `?stream=NAME`.
    pub(super) fn answer(&self, method: &Method, target: &str, headers: &HeaderMap) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match self.access.judge(headers) {
            Ok(Verdict::Allowed) => {}
            Ok(Verdict::Unauthorized) => return unauthorized(path),
            Ok(Verdict::Misdirected) => {
                let why = "use an address or localhost: this server is for its own machine\n";
                return plain(StatusCode::MISDIRECTED_REQUEST, why);
            }
            Err(error) => {
                log::warn!("answering a request: {error}");
                return plain(StatusCode::SERVICE_UNAVAILABLE, "the token's file cannot be read: see the log\n");
            }
        }
        let get: fn(&Self, &str, &HeaderMap) -> Answer = match path {
            "/" => |_, _, _| with(answer(StatusCode::OK, HTML, page().to_owned()), CONTENT_SECURITY_POLICY, policy()),
            "/icon.svg" => |_, _, _| answer(StatusCode::OK, SVG, ICON.to_owned()),
            "/metrics" => |site, _, headers| site.metrics(headers),
            "/healthz" => |site, _, _| answered(&site.sinks.health(site.hanging_after)),
            "/readyz" => |site, _, _| answered(&site.sinks.readiness()),
            "/stats.json" => |site, query, _| json(true, &site.everything(wanted(query))),
            _ => {
                return plain(
                    StatusCode::NOT_FOUND,
                    "there is no such page: there are /, /metrics, /healthz, /readyz and /stats.json\n",
                );
            }
        };
        // hyper leaves out the body of an answer to HEAD.
        if matches!(*method, Method::GET | Method::HEAD) {
            return get(self, query, headers);
        }
        let refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
        with(refused, ALLOW, "GET, HEAD")
    }

    fn metrics(&self, headers: &HeaderMap) -> Answer {
        let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
        let (format, content_type) = if accepted.contains("application/openmetrics-text") {
            (Format::OpenMetrics, OPEN_METRICS)
        } else {
            (Format::Prometheus, PROMETHEUS)
        };
        answer(StatusCode::OK, content_type, self.sinks.metrics(format))
    }

    /// `wanted`: of several streams only this one, with its history.
    fn everything(&self, wanted: Option<&str>) -> Everything<'_> {
        let seconds = |time| micros::to_seconds(micros::from_time(time));
        Everything {
            version: env!("CARGO_PKG_VERSION"),
            started_at: seconds(self.started_at),
            now: seconds(SystemTime::now()),
            configuration: &self.origin,
            names: self.shown.iter().filter_map(Shown::named).collect(),
            streams: self.shown.iter().filter_map(|shown| shown.stream(wanted, self.hanging_after)).collect(),
        }
    }
}

/// The name in `stream=NAME`, which needs no escapes.
fn wanted(query: &str) -> Option<&str> {
    query.split('&').find_map(|member| member.strip_prefix("stream="))
}

fn answered(answered: &Answered) -> Answer {
    json(answered.is_good, &answered.json)
}

/// Browsers ask for the token where they are told of Basic: on the page alone, so that the requests of a page whose token was changed do
/// not ask for it again and again.
fn unauthorized(path: &str) -> Answer {
    let refused = plain(
        StatusCode::UNAUTHORIZED,
        "send the token of http.token_file; in a browser, as the password of any user\n",
    );
    let mut refused = with(refused, WWW_AUTHENTICATE, "Bearer");
    if path == "/" {
        let basic = HeaderValue::from_static("Basic realm=\"cxsink\", charset=\"UTF-8\"");
        refused.headers_mut().append(WWW_AUTHENTICATE, basic);
    }
    refused
}

/// The answer while the sink does not give its numbers.
pub(super) fn busy(path: &str) -> Answer {
    const WHY: &str = "the sink does not answer in time: see /healthz";
    if path == "/readyz" {
        return json(false, &serde_json::json!({ "ready": false, "why": WHY }));
    }
    plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{WHY}\n"))
}

fn json(is_good: bool, content: &impl Serialize) -> Answer {
    let status = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, JSON, crate::report::json::to_json(content) + "\n")
}

fn plain(status: StatusCode, text: &str) -> Answer {
    answer(status, PLAIN, text.to_owned())
}

fn answer(status: StatusCode, content_type: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Text::from(text));
    *answer.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, NOTHING),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    headers.into_iter().fold(answer, |answer, (name, value)| with(answer, name, value))
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

#[cfg(test)]
#[path = "tests/answers.rs"]
mod tests;

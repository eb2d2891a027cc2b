//! The answers.

use std::time::Duration;

use hyper::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::access::{Access, Verdict};
use super::body::Text;
use crate::Sink;
use crate::report::metrics::process::Process;
use crate::report::metrics::text::Format;

/// Everything that the answers are made of.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) sink: Sink,
    pub(super) access: Access,
    pub(super) hanging_after: Duration,
}

pub(super) type Answer = Response<Text>;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const INDEX: &str = concat!(
    "cxsink ",
    env!("CARGO_PKG_VERSION"),
    "

/metrics     for Prometheus
/healthz     200 while the loops of the sink move
/readyz      200 while events are accepted and kept
/stats.json  everything as one JSON object
"
);

impl Site {
    /// May wait for a lock of the sink, except for `/healthz`.
    pub(super) fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
        match self.access.judge(headers) {
            Ok(Verdict::Allowed) => {}
            Ok(Verdict::Unauthorized) => {
                let refused = plain(StatusCode::UNAUTHORIZED, "send the token of http.token_file\n");
                return with(refused, hyper::header::WWW_AUTHENTICATE, "Bearer");
            }
            Ok(Verdict::Misdirected) => {
                let why = "use an address or localhost: this server is for its own machine\n";
                return plain(StatusCode::MISDIRECTED_REQUEST, why);
            }
            Err(error) => {
                log::warn!("answering a request: {error}");
                return plain(StatusCode::SERVICE_UNAVAILABLE, "the token's file cannot be read: see the log\n");
            }
        }
        let get: fn(&Self, &HeaderMap) -> Answer = match path {
            "/" => |_, _| plain(StatusCode::OK, INDEX),
            "/metrics" => Self::metrics,
            "/healthz" => |site, _| site.health(),
            "/readyz" => |site, _| site.readiness(),
            "/stats.json" => |site, _| json(true, &site.sink.observation(site.hanging_after)),
            _ => return plain(StatusCode::NOT_FOUND, "there is no such page: / lists them\n"),
        };
        // hyper leaves out the body of an answer to HEAD.
        if matches!(*method, Method::GET | Method::HEAD) {
            return get(self, headers);
        }
        let refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
        with(refused, hyper::header::ALLOW, "GET, HEAD")
    }

    fn metrics(&self, headers: &HeaderMap) -> Answer {
        let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok()).unwrap_or_default();
        let (format, content_type) = if accepted.contains("application/openmetrics-text") {
            (Format::OpenMetrics, OPEN_METRICS)
        } else {
            (Format::Prometheus, PROMETHEUS)
        };
        answer(StatusCode::OK, content_type, self.sink.metrics_as(format, Process::now()))
    }

    fn health(&self) -> Answer {
        let health = self.sink.health(self.hanging_after);
        json(health.why.is_none(), &health)
    }

    fn readiness(&self) -> Answer {
        let readiness = self.sink.readiness();
        json(readiness.ready, &readiness)
    }
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
        (hyper::header::CONTENT_TYPE, content_type),
        (hyper::header::CACHE_CONTROL, "no-store"),
        (hyper::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (hyper::header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
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

//! The token endpoint: OAuth 2.0 client credentials (RFC 6749 section 4.4), checked as strictly as a real server would.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tungstenite::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use tungstenite::http::{HeaderValue, Method};

use super::http::{self, Request, Response, refusal};
use super::options::{RetryAfter, SimulatorOptions};
use crate::config::percent;
use crate::threads::sync;

pub(super) const TOKEN_PATH: &str = "/oauth/token";

/// The limit of valid tokens. Only a client in a loop reaches it.
const TOKENS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Tokens {
    issued: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    requests: usize,
    expiry_by_token: HashMap<String, Instant>,
}

impl Tokens {
    /// Responds to a request; status 200 means that a token was issued.
    pub(super) fn respond(&self, options: &SimulatorOptions, request: &Request) -> Response {
        let mut issued = sync::lock(&self.issued);
        let failure = options.token_failures.get(issued.requests);
        issued.requests += 1;
        if let Some(status) = failure {
            return failure_response(*status, options.retry_after);
        }
        if let Err(response) = check(options, request) {
            return response;
        }
        let now = Instant::now();
        issued.expiry_by_token.retain(|_, expiry| *expiry > now);
        if issued.expiry_by_token.len() >= TOKENS_MAX {
            return failure_response(429, options.retry_after);
        }
        let token = format!("simulated-{:032x}", fastrand::u128(..));
        let body = options.token_answer.clone().unwrap_or_else(|| token_body(options, &token));
        // The clock cannot express every lifetime; a century is long enough.
        let century = Duration::from_secs(100 * 365 * 86_400);
        issued.expiry_by_token.insert(token, now + options.token_lifetime.min(century));
        http::json(200, body)
    }

    /// Returns when a token expires; `None` if it is unknown or has expired.
    pub(super) fn expiry(&self, token: &str) -> Option<Instant> {
        let issued = sync::lock(&self.issued);
        issued.expiry_by_token.get(token).copied().filter(|expiry| *expiry > Instant::now())
    }
}

fn token_body(options: &SimulatorOptions, token: &str) -> String {
    let mut body = serde_json::json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": options.token_lifetime.as_secs(),
    });
    let scope = options.granted_scope.as_ref().unwrap_or(&options.scope);
    if !scope.is_empty() {
        body["scope"] = scope.as_str().into();
    }
    body.to_string()
}

fn check(options: &SimulatorOptions, request: &Request) -> Result<(), Response> {
    let invalid = |why: &str| Err(refusal(400, "invalid_request", why));
    if request.method() != Method::POST {
        return Err(http::refusal_with(405, "invalid_request", "the token endpoint takes POST", (ALLOW, "POST")));
    }
    if !http::lists(request.headers(), &CONTENT_TYPE, "application/x-www-form-urlencoded") {
        return invalid("the Content-Type must be application/x-www-form-urlencoded");
    }
    let Some(fields) = parse_form(request.body()) else {
        return invalid("the body is not a form, or names a field twice");
    };
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    if field("grant_type").is_empty() {
        return invalid("grant_type is missing");
    }
    if field("grant_type") != "client_credentials" {
        return Err(refusal(400, "unsupported_grant_type", "grant_type must be client_credentials"));
    }
    if field("client_id") != options.client_id || field("client_secret") != options.client_secret.expose() {
        return Err(refusal(401, "invalid_client", "client_id or client_secret is wrong or missing"));
    }
    if field("scope") != options.scope {
        return Err(refusal(400, "invalid_scope", "scope is missing or unknown"));
    }
    Ok(())
}

/// Parses a form; `None` for anything else, or when a field comes twice (RFC 6749 section 3.2).
fn parse_form(body: &[u8]) -> Option<HashMap<String, String>> {
    let mut fields = HashMap::new();
    for pair in str::from_utf8(body).ok()?.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        if fields.insert(decode(name)?, decode(value)?).is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Decodes a name or a value of a form, more strictly than `form_urlencoded` does: `None` also for a bad escape.
fn decode(text: &str) -> Option<String> {
    let is_escape = |after: &str| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let is_well_formed = text.split('%').skip(1).all(is_escape);
    is_well_formed.then(|| percent::decode(&text.replace('+', " ")))?
}

/// The refusal of a token request or a handshake that an option demands.
pub(super) fn failure_response(status: u16, retry_after: RetryAfter) -> Response {
    let code = match status {
        401 => "invalid_client",
        403 => "unauthorized_client",
        429 | 503 => "temporarily_unavailable",
        500..=599 => "server_error",
        _ => "invalid_request",
    };
    let mut response = refusal(status, code, "an option of the simulator refuses this request");
    if let (429 | 503, Some(value)) = (status, retry_after_value(retry_after)) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

fn retry_after_value(retry_after: RetryAfter) -> Option<HeaderValue> {
    match retry_after {
        RetryAfter::Absent => None,
        RetryAfter::Seconds(seconds) => Some(seconds.into()),
        RetryAfter::Date(seconds) => {
            let date = SystemTime::now() + Duration::from_secs(seconds.into());
            httpdate::fmt_http_date(date).try_into().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded_or_refused() {
        let fields = parse_form(b"a=1&b=x+y%2Fz&c=").unwrap();
        assert_eq!((fields["a"].as_str(), fields["b"].as_str(), fields["c"].as_str()), ("1", "x y/z", ""));
        for bad in ["a=1&a=2", "a", "a=%2", "a=%zz", "a=%ff"] {
            assert!(parse_form(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}

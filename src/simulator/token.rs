//! The token endpoint: OAuth 2.0 client credentials (RFC 6749 section 4.4), checked as strictly as a real server would.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use secrecy::ExposeSecret;

use super::http::{Request, Response};
use super::options::{RetryAfter, SimulatorOptions};
use crate::threads::sync;

/// More are not kept: nobody needs so many who is not in a loop by mistake.
const TOKENS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Tokens {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: usize,
    expiry_by_token: HashMap<String, Instant>,
}

impl Tokens {
    /// The answer to a request; a token was issued when its status is 200.
    pub(super) fn answer(&self, options: &SimulatorOptions, request: &Request) -> Response {
        let mut state = sync::lock(&self.state);
        let failure = options.token_failures.get(state.requests);
        state.requests += 1;
        if let Some(status) = failure {
            return failure_response(*status, options.retry_after);
        }
        if let Err(response) = check(options, request) {
            return response;
        }
        let now = Instant::now();
        state.expiry_by_token.retain(|_, expiry| *expiry > now);
        if state.expiry_by_token.len() >= TOKENS_MAX {
            return failure_response(429, options.retry_after);
        }
        let token = format!("simulated-{:032x}", fastrand::u128(..));
        let answer = match &options.token_answer {
            Some(answer) => answer.clone(),
            None => token_answer(options, &token),
        };
        // A lifetime beyond what the clock can express is as good as a century.
        let century = Duration::from_secs(100 * 365 * 86_400);
        state.expiry_by_token.insert(token, now + options.token_lifetime.min(century));
        Response::json(200, answer)
    }

    /// Until when a token is good, if it is.
    pub(super) fn expiry(&self, token: &str) -> Option<Instant> {
        let state = sync::lock(&self.state);
        state.expiry_by_token.get(token).copied().filter(|expiry| *expiry > Instant::now())
    }
}

fn token_answer(options: &SimulatorOptions, token: &str) -> String {
    let mut answer = serde_json::json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": options.token_lifetime.as_secs(),
    });
    let scope = options.granted_scope.as_ref().unwrap_or(&options.scope);
    if !scope.is_empty() {
        answer["scope"] = scope.as_str().into();
    }
    answer.to_string()
}

fn check(options: &SimulatorOptions, request: &Request) -> Result<(), Response> {
    let invalid = |what: &str| Err(Response::error(400, "invalid_request", what));
    if request.method != "POST" {
        let response = Response::error(405, "invalid_request", "the token endpoint takes POST");
        return Err(response.with_header("Allow", "POST"));
    }
    if !request.lists("content-type", "application/x-www-form-urlencoded") {
        return invalid("the Content-Type must be application/x-www-form-urlencoded");
    }
    let Some(fields) = parse_form(&request.body) else {
        return invalid("the body is not a form, or names a field twice");
    };
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    if field("grant_type").is_empty() {
        return invalid("grant_type is missing");
    }
    if field("grant_type") != "client_credentials" {
        return Err(Response::error(400, "unsupported_grant_type", "grant_type must be client_credentials"));
    }
    if field("client_id") != options.client_id || field("client_secret") != options.client_secret.expose_secret() {
        return Err(Response::error(401, "invalid_client", "client_id or client_secret is wrong or missing"));
    }
    if field("scope") != options.scope {
        return Err(Response::error(400, "invalid_scope", "scope is missing or not the one there is"));
    }
    Ok(())
}

/// `None` when it is not a form, or a field is there twice (RFC 6749 section 3.2).
fn parse_form(body: &[u8]) -> Option<HashMap<String, String>> {
    let mut fields = HashMap::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let previous = fields.insert(decode(&pair[..at])?, decode(&pair[at + 1..])?);
        if previous.is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Undoes `application/x-www-form-urlencoded`; `None` for a bad escape or what is not UTF-8.
fn decode(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()?);
                rest = tail;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The answer that an option asks for, to a token request or to a handshake.
pub(super) fn failure_response(status: u16, retry_after: RetryAfter) -> Response {
    let code = match status {
        401 => "invalid_client",
        403 => "unauthorized_client",
        429 | 503 => "temporarily_unavailable",
        500..=599 => "server_error",
        _ => "invalid_request",
    };
    let response = Response::error(status, code, "the simulator was asked to refuse this");
    match retry_after {
        RetryAfter::Seconds(seconds) if matches!(status, 429 | 503) => {
            response.with_header("Retry-After", seconds.to_string())
        }
        RetryAfter::Date(seconds) if matches!(status, 429 | 503) => {
            let date = SystemTime::now() + Duration::from_secs(seconds.into());
            response.with_header("Retry-After", httpdate::fmt_http_date(date))
        }
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decoded() {
        let fields = parse_form(b"a=1&b=x+y%2Fz&c=").unwrap();
        assert_eq!((fields["a"].as_str(), fields["b"].as_str(), fields["c"].as_str()), ("1", "x y/z", ""));
        for bad in ["a=1&a=2", "a", "a=%2", "a=%zz", "a=%ff"] {
            assert!(parse_form(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}

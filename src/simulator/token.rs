//! The token endpoint, checked as strictly as a real server would: client credentials (RFC 6749 section 4.4), a user's password
//! (section 4.3), an access key.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tungstenite::http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use tungstenite::http::{HeaderValue, Method};

use super::http::{self, Request, Response, refusal};
use super::options::{RetryAfter, SimulatorOptions};
use super::profile::{TokenRequest, dialect};
use crate::config::percent;
use crate::threads::sync;

/// The path of the discovery document (`OpenID` Connect Discovery 1.0, section 4).
pub(super) const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// The limit of valid tokens. Only a client in a loop reaches it.
const TOKENS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Tokens {
    issued: Mutex<Issued>,
}

#[derive(Default)]
struct Issued {
    requests: usize,
    spent: u64,
    expiry_by_token: HashMap<String, Instant>,
}

impl Issued {
    fn issue(&mut self, lifetime: Duration) -> Option<String> {
        let now = Instant::now();
        self.expiry_by_token.retain(|_, expiry| *expiry > now);
        if self.expiry_by_token.len() >= TOKENS_MAX {
            return None;
        }
        let token = format!("simulated-{:032x}", fastrand::u128(..));
        // The clock cannot express every lifetime; a century is long enough.
        let century = Duration::from_secs(100 * 365 * 86_400);
        self.expiry_by_token.insert(token.clone(), now + lifetime.min(century));
        Some(token)
    }
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
        let Some(token) = issued.issue(options.token_lifetime) else {
            return failure_response(429, options.retry_after);
        };
        http::json(200, options.token_answer.clone().unwrap_or_else(|| token_body(options, &token)))
    }

    /// Issues a token without a request; `None` at the limit.
    pub(super) fn issue(&self, lifetime: Duration) -> Option<String> {
        sync::lock(&self.issued).issue(lifetime)
    }

    /// Uses a token that is good for one connection, and returns when it expires; `None` if it is unknown or has expired.
    pub(super) fn spend(&self, token: &str) -> Option<Instant> {
        let mut issued = sync::lock(&self.issued);
        let expiry = issued.expiry_by_token.remove(token).filter(|expiry| *expiry > Instant::now())?;
        issued.spent += 1;
        Some(expiry)
    }

    /// Number of tokens that [`spend`](Self::spend) has used.
    pub(super) fn spent(&self) -> u64 {
        sync::lock(&self.issued).spent
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
    // The response to a user or an access key often names no scope.
    let has_scope = dialect(options.profile).token_request == TokenRequest::ClientCredentials;
    let requested = if has_scope { options.scope.as_str() } else { "" };
    let scope = options.granted_scope.as_deref().unwrap_or(requested);
    if !scope.is_empty() {
        body["scope"] = scope.into();
    }
    body.to_string()
}

/// The discovery document of an issuer at this address.
pub(super) fn discovery(issuer: &str, path: &str) -> Response {
    let document = serde_json::json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}{path}"),
        "grant_types_supported": ["password"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    });
    http::json(200, document.to_string())
}

fn check(options: &SimulatorOptions, request: &Request) -> Result<(), Response> {
    if request.method() != Method::POST {
        return Err(http::refusal_with(405, "invalid_request", "the token endpoint takes POST", (ALLOW, "POST")));
    }
    match dialect(options.profile).token_request {
        TokenRequest::ClientCredentials => check_client_credentials(options, &form(request)?),
        TokenRequest::Password => check_password(options, request, &form(request)?),
        TokenRequest::AccessKey => check_access_key(options, request),
        TokenRequest::None => Err(refusal(404, "not_found", "there is no token endpoint")),
    }
}

fn invalid(why: &str) -> Response {
    refusal(400, "invalid_request", why)
}

fn form(request: &Request) -> Result<HashMap<String, String>, Response> {
    if !http::lists(request.headers(), &CONTENT_TYPE, "application/x-www-form-urlencoded") {
        return Err(invalid("the Content-Type must be application/x-www-form-urlencoded"));
    }
    let fields = parse_form(request.body()).ok_or_else(|| invalid("the body is not a form, or names a field twice"))?;
    if fields.get("grant_type").is_none_or(String::is_empty) {
        return Err(invalid("grant_type is missing"));
    }
    Ok(fields)
}

fn check_client_credentials(options: &SimulatorOptions, fields: &HashMap<String, String>) -> Result<(), Response> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
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

fn check_password(
    options: &SimulatorOptions,
    request: &Request,
    fields: &HashMap<String, String>,
) -> Result<(), Response> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    if field("grant_type") != "password" {
        return Err(refusal(400, "unsupported_grant_type", "grant_type must be password"));
    }
    if !is_client(options, http::header(request, &AUTHORIZATION).unwrap_or_default()) {
        return Err(refusal(401, "invalid_client", "Authorization is missing, not Basic, or has a wrong id or secret"));
    }
    if field("username") != options.username || field("password") != options.password.expose() {
        return Err(refusal(400, "invalid_grant", "username or password is wrong or missing"));
    }
    Ok(())
}

/// Whether HTTP Basic names the client: percent-encoded (RFC 6749 section 2.3.1) or as it is, which real servers take too.
fn is_client(options: &SimulatorOptions, authorization: &str) -> bool {
    let pair = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let bytes = pair.and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let raw = format!("{}:{}", options.client_id, options.client_secret.expose());
    let is_encoded = || {
        let (id, secret) = text.split_once(':')?;
        Some(decode(id)? == options.client_id && decode(secret)? == options.client_secret.expose())
    };
    text == raw || is_encoded().unwrap_or_default()
}

fn check_access_key(options: &SimulatorOptions, request: &Request) -> Result<(), Response> {
    if !http::lists(request.headers(), &CONTENT_TYPE, "application/json") {
        return Err(invalid("the Content-Type must be application/json"));
    }
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(request.body()) else {
        return Err(invalid("the body is not JSON"));
    };
    if body["accessKeyId"] != options.username.as_str() || body["accessKeySecret"] != options.password.expose() {
        return Err(refusal(401, "invalid_client", "accessKeyId or accessKeySecret is wrong or missing"));
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

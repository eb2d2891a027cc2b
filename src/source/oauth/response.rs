//! The meaning of the token endpoint's response (RFC 6749 section 5): a token, or an error.
//!
//! The body of a 2xx response holds the token, so no error shows it, not even when it is malformed.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::{Class, Error, ErrorKind, Result};
use crate::source::net::failure::refusal;
use crate::source::net::server_text::shown;
use crate::source::oauth::exchange::{BODY_BYTES_MAX, Exchanged};

/// Section 5.1 leaves `expires_in` out only where the lifetime is known otherwise; an hour is usual.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);
/// No token is valid for ten years; such a number is a unit mixed up or a bug.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How much of an error's body is shown.
const BODY_CHARS_SHOWN: usize = 500;

/// A token and how long it may be used.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) header: HeaderValue,
    pub(crate) lifetime: Duration,
}

/// The response of the token endpoint, whatever its status.
#[derive(Debug)]
pub(crate) struct TokenResponse {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// The server's time, to the second.
    pub(crate) date: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl From<Exchanged> for TokenResponse {
    fn from(Exchanged { status, headers, body, .. }: Exchanged) -> Self {
        let text = |name| header_text(&headers, name);
        Self {
            status: status.as_u16(),
            retry_after: text(header::RETRY_AFTER),
            date: text(header::DATE),
            location: text(header::LOCATION),
            content_type: text(header::CONTENT_TYPE),
            body,
        }
    }
}

impl TokenResponse {
    fn is_too_long(&self) -> bool {
        self.body.len() > BODY_BYTES_MAX
    }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The token in the body of a 2xx response. `scope` is the requested one.
pub(crate) fn granted(response: &TokenResponse, scope: &str) -> Result<Granted> {
    if response.is_too_long() {
        return Err(unusable("is too long for a token"));
    }
    // To a Value first: its errors name the place, never the content.
    let value: Value = serde_json::from_slice(&response.body).map_err(|error| {
        let content_type = response.content_type.as_deref().unwrap_or("no content type");
        let content_type = shown(content_type.as_bytes(), &[], 60);
        unusable(format!("is not JSON ({content_type}, {} bytes): {error}", response.body.len()))
    })?;
    let fields = value.as_object().ok_or_else(|| unusable("is not a JSON object"))?;
    check_token_type(fields.get("token_type"))?;
    let token = match fields.get("access_token") {
        Some(Value::String(token)) => token,
        Some(_) => return Err(unusable("has an `access_token` that is not a string")),
        None => return Err(unusable("has no `access_token`")),
    };
    let granted = Granted { header: bearer(token)?, lifetime: lifetime(fields.get("expires_in"))? };
    check_scope(fields.get("scope"), scope)?;
    Ok(granted)
}

/// Section 5.1: required, in upper or lower case. Some servers leave it out, which can only mean bearer.
fn check_token_type(token_type: Option<&Value>) -> Result<()> {
    match token_type {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(token_type)) if token_type.eq_ignore_ascii_case("bearer") => Ok(()),
        Some(_) => Err(unusable("has a `token_type` other than bearer")),
    }
}

/// RFC 6750 section 2.1 allows fewer characters still; these are the ones that cannot break the header.
fn bearer(token: &str) -> Result<HeaderValue> {
    if token.is_empty() {
        return Err(unusable("has an empty `access_token`"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("has an `access_token` with characters that no HTTP header may hold"));
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| unusable("has an `access_token` that no HTTP header may hold"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Seconds, as a number or, from some servers, as a string of digits. An impossible time is refused rather than guessed: a guess
/// would end in tokens that expire in use, or in one request after the other.
fn lifetime(expires_in: Option<&Value>) -> Result<Duration> {
    let seconds = match expires_in {
        None | Some(Value::Null) => {
            log::debug!("the token endpoint gives no lifetime for its token: assuming {LIFETIME_DEFAULT:?}");
            return Ok(LIFETIME_DEFAULT);
        }
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    let seconds = seconds.ok_or_else(|| unusable("has an `expires_in` that is not a number of seconds"))?;
    // Also refuses NaN, which is not more than zero.
    match Duration::try_from_secs_f64(seconds) {
        Ok(lifetime) if seconds > 0.0 && lifetime <= LIFETIME_MAX => Ok(lifetime),
        _ => Err(unusable(format!("has an `expires_in` of {seconds} s, which no token has"))),
    }
}

/// Section 5.1: a response without `scope` grants the requested one.
fn check_scope(granted: Option<&Value>, requested: &str) -> Result<()> {
    let granted: Vec<&str> = match granted {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(scope)) => scope.split_whitespace().collect(),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err(unusable("has a `scope` that is not a string")),
    };
    let missing: Vec<&str> = requested.split_whitespace().filter(|scope| !granted.contains(scope)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let granted = shown(granted.join(" ").as_bytes(), &[], 200);
    let message = format!("the token lacks the scope {}: the server granted `{granted}`", missing.join(" "));
    Err(Error::new(ErrorKind::Auth, message)
        .with_hint("grant the client this scope in CXone's administration, or change oauth.scope"))
}

/// A 2xx response without a usable token. The server may be repaired, so this is transient.
fn unusable(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, format!("the response {}", why.into()))
        .with_class(Class::Transient)
        .with_hint("check oauth.url: it must be the token endpoint itself, with no sign-in page in front of it")
}

/// The error that a status other than 2xx means.
pub(crate) fn refused(response: &TokenResponse, secrets: &[&str]) -> Error {
    let status = response.status;
    let location = response.location.as_deref().map(str::as_bytes);
    let message = refusal(&format!("status {status}"), location, &response.body, secrets, BODY_CHARS_SHOWN);
    let (kind, class, hint) = meaning(status, &response.body);
    Error::new(kind, message).with_class(class).with_http_status(status).with_hint(hint)
}

fn meaning(status: u16, body: &[u8]) -> (ErrorKind, Class, &'static str) {
    const SCOPE: &str = "grant the client the scope in oauth.scope in CXone's administration, or change oauth.scope";
    const CREDENTIALS: &str = "check oauth.client_id and oauth.client_secret (CXONE_CLIENT_ID, CXONE_CLIENT_SECRET): \
                               mistyped, revoked, or for another tenant";
    match status {
        400 if body.windows(13).any(|window| window == b"invalid_scope") => (ErrorKind::Auth, Class::Permanent, SCOPE),
        400 | 401 => (ErrorKind::Auth, Class::Permanent, CREDENTIALS),
        403 => (ErrorKind::Auth, Class::Permanent, SCOPE),
        404 | 405 | 410 => {
            (ErrorKind::Config, Class::Permanent, "check oauth.url: there is no token endpoint at this address")
        }
        301 | 308 => (
            ErrorKind::Config,
            Class::Permanent,
            "set oauth.url to the new address: redirects are not followed with a secret",
        ),
        300..=399 => (
            ErrorKind::Protocol,
            Class::Transient,
            "check oauth.url, and that no sign-in page is in between: redirects are not followed with a secret",
        ),
        429 => (
            ErrorKind::Connect,
            Class::Transient,
            "wait: the server limits the rate of requests, and the sink tries again later",
        ),
        500.. => (
            ErrorKind::Connect,
            Class::Transient,
            "wait: the server has an internal problem, and the sink tries again later",
        ),
        _ => (
            ErrorKind::Protocol,
            Class::Transient,
            "check oauth.url: the server there does not look like a token endpoint",
        ),
    }
}

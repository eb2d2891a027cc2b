//! The meaning of the token endpoint's response (RFC 6749 section 5): a token, or an error.
//!
//! The body of a 2xx response holds the token, so no error shows it, not even when it is malformed. Where a server deviates from the RFC,
//! its token is taken as long as its use is clear: the stream refuses it if it is not good.

use std::time::Duration;

use serde_json::{Map, Value};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::{Class, Error, ErrorKind, Result};
use crate::net::server_text::shown;
use crate::source::net::failure::refusal;
use crate::source::oauth::exchange::{BODY_BYTES_MAX, Exchanged};
use crate::source::oauth::oauth_error::OauthError;

/// Section 5.1 leaves `expires_in` out only where the lifetime is known otherwise; an hour is usual.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);
/// No token is valid for ten years; such a number is a unit mixed up or a bug.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How much of an error's body is shown.
const BODY_CHARS_SHOWN: usize = 500;
/// Tokens that need a proof in each request (RFC 9449 and others): as a bearer's they are worthless.
const TYPES_WITH_PROOF: [&str; 4] = ["dpop", "mac", "pop", "n_a"];

/// A token and how long it may be used.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) header: HeaderValue,
    pub(crate) lifetime: Duration,
}

/// Why there is no token.
#[derive(Debug)]
pub(crate) struct TokenFailure {
    pub(crate) error: Error,
    /// The endpoint itself refuses this client, in the words of RFC 6749; a status alone may be a gateway's.
    pub(crate) is_refusal: bool,
    /// The endpoint requests no request for this long.
    pub(crate) wait: Option<Duration>,
}

impl From<Error> for TokenFailure {
    fn from(error: Error) -> Self {
        Self { error, is_refusal: false, wait: None }
    }
}

/// The response of the token endpoint, whatever its status.
#[derive(Debug)]
pub(crate) struct TokenResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl From<Exchanged> for TokenResponse {
    fn from(Exchanged { status, headers, body, .. }: Exchanged) -> Self {
        Self { status: status.as_u16(), headers, body }
    }
}

impl TokenResponse {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn is_too_long(&self) -> bool {
        self.body.len() > BODY_BYTES_MAX
    }

    fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    /// The body as JSON; some servers begin it with a byte order mark.
    fn json(&self) -> serde_json::Result<Value> {
        // To a Value first: its errors name the place, never the content.
        serde_json::from_slice(self.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.body))
    }
}

/// The token in the body of a 2xx response. `scope` is the requested one; `secrets` are hidden in errors.
pub(crate) fn granted(
    response: &TokenResponse,
    scope: &str,
    secrets: &[&str],
) -> std::result::Result<Granted, TokenFailure> {
    if response.is_too_long() {
        return Err(unusable("is too long for a token").into());
    }
    let value = response.json().map_err(|error| {
        let content_type = response.header(header::CONTENT_TYPE).unwrap_or(b"no content type");
        let content_type = shown(content_type, &[], 60);
        unusable(format!("is not JSON ({content_type}, {} bytes): {error}", response.body.len()))
    })?;
    let fields = value.as_object().ok_or_else(|| unusable("is not a JSON object"))?;
    if let Some(refused) = refused_with_success(fields, response.status, secrets) {
        return Err(refused);
    }
    check_token_type(fields.get("token_type"))?;
    let token = match fields.get("access_token") {
        Some(Value::String(token)) => token,
        Some(_) => return Err(unusable("has an `access_token` that is not a string").into()),
        None => return Err(unusable("has no `access_token`").into()),
    };
    let granted = Granted { header: bearer(token.trim())?, lifetime: lifetime(fields.get("expires_in")) };
    check_scope(fields.get("scope"), scope)?;
    Ok(granted)
}

/// Some servers give an error a 2xx status. Of such a body, only the members of an error are shown.
fn refused_with_success(fields: &Map<String, Value>, status: u16, secrets: &[&str]) -> Option<TokenFailure> {
    let oauth_error = OauthError::in_fields(fields).filter(|_| !fields.contains_key("access_token"))?;
    let message = format!("status {status} with the error {}", oauth_error.shown(secrets));
    let is_refusal = oauth_error.is_final();
    let error = Error::new(ErrorKind::Auth, message)
        .with_class(if is_refusal { Class::Permanent } else { Class::Transient })
        .with_http_status(status)
        .with_hint(oauth_error.hint());
    Some(TokenFailure { error, is_refusal, wait: None })
}

/// Section 5.1: required, in upper or lower case. Servers leave it out, or name the format of the token instead, such as `JWT`; both can
/// only mean bearer.
fn check_token_type(token_type: Option<&Value>) -> Result<()> {
    let token_type = match token_type {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(token_type)) => token_type.trim().to_ascii_lowercase(),
        Some(_) => return Err(unusable("has a `token_type` that is not a string")),
    };
    if TYPES_WITH_PROOF.contains(&token_type.as_str()) {
        return Err(unusable("has a `token_type` that needs more than the token: it is not a bearer token"));
    }
    if !token_type.is_empty() && !token_type.starts_with("bearer") {
        let token_type = shown(token_type.as_bytes(), &[], 60);
        log::warn!("the token endpoint calls the type of its token {token_type}: using it as a bearer token");
    }
    Ok(())
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

/// Seconds, as a number or, from some servers, as a string of digits. An impossible time is as good as none: a token that expires in use
/// is refused by the stream, and replaced.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = match expires_in {
        None | Some(Value::Null) => {
            log::debug!("the token endpoint gives no lifetime for its token: assuming {LIFETIME_DEFAULT:?}");
            return LIFETIME_DEFAULT;
        }
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    let lifetime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    lifetime.filter(|lifetime| !lifetime.is_zero() && *lifetime <= LIFETIME_MAX).unwrap_or_else(|| {
        log::warn!(
            "the token endpoint gives its token an `expires_in` that no token has: assuming {LIFETIME_DEFAULT:?}"
        );
        LIFETIME_DEFAULT
    })
}

/// Section 5.1: a response without `scope` grants the requested one. Section 3.3 has spaces between scopes; some servers send commas, or
/// an array.
fn check_scope(granted: Option<&Value>, requested: &str) -> std::result::Result<(), TokenFailure> {
    let granted: Vec<&str> = match granted {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(scope)) => scope.split_whitespace().collect(),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err(unusable("has a `scope` that is not a string").into()),
    };
    let all: Vec<&str> = granted.iter().flat_map(|scope| parts(scope)).collect();
    let is_granted = |scope: &&str| granted.contains(scope) || parts(scope).all(|part| all.contains(&part));
    let missing: Vec<&str> = requested.split_whitespace().filter(|scope| !is_granted(scope)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let granted = shown(granted.join(" ").as_bytes(), &[], 200);
    let message = format!("the token lacks the scope {}: the server granted `{granted}`", missing.join(" "));
    let error = Error::new(ErrorKind::Auth, message)
        .with_hint("grant the client this scope in CXone's administration, or change oauth.scope");
    Err(TokenFailure { error, is_refusal: true, wait: None })
}

fn parts(scope: &str) -> impl Iterator<Item = &str> {
    scope.split(',').map(str::trim)
}

/// A 2xx response without a usable token. The server may be repaired, so this is transient.
fn unusable(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, format!("the response {}", why.into()))
        .with_class(Class::Transient)
        .with_hint("check oauth.url: it must be the token endpoint itself, with no sign-in page in front of it")
}

/// The error that a status other than 2xx means before the first token; [`refusals`](crate::source::oauth::refusals) decides what it means
/// later.
pub(crate) fn refused(response: &TokenResponse, secrets: &[&str]) -> TokenFailure {
    let status = response.status;
    let location = response.header(header::LOCATION);
    let body = if may_hold_token(&response.body) { NOT_SHOWN } else { &response.body };
    let message = refusal(&format!("status {status}"), location, body, secrets, BODY_CHARS_SHOWN);
    let json = response.json().ok();
    let oauth_error = json.as_ref().and_then(Value::as_object).and_then(OauthError::in_fields);
    let (kind, class, hint) = meaning(status);
    let hint = oauth_error.as_ref().filter(|error| error.is_final()).map_or(hint, OauthError::hint);
    let is_the_clients = (400..500).contains(&status) && class == Class::Permanent;
    TokenFailure {
        error: Error::new(kind, message).with_class(class).with_http_status(status).with_hint(hint),
        is_refusal: is_the_clients && oauth_error.is_some_and(|error| error.is_final()),
        wait: None,
    }
}

/// In place of a body that is not shown.
const NOT_SHOWN: &[u8] = b"(the body is not shown: it may hold a token)";

/// Whether a token may be in the body of an error, as a member or in a form.
fn may_hold_token(body: &[u8]) -> bool {
    let holds = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
    [b"_token\"".as_slice(), b"_token=", b"_token%22", b"_token\\\""].iter().any(|part| holds(part))
}

fn meaning(status: u16) -> (ErrorKind, Class, &'static str) {
    const CREDENTIALS: &str = "check oauth.client_id and oauth.client_secret (CXONE_CLIENT_ID, CXONE_CLIENT_SECRET): \
                               mistyped, revoked, or for another tenant";
    const SCOPE: &str = "grant the client the scope in oauth.scope in CXone's administration, or change oauth.scope";
    match status {
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

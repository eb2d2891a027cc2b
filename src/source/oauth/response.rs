//! The meaning of the token endpoint's response (RFC 6749 section 5): a token, or an error.
//!
//! The body of a 2xx response holds the token, so no error shows it, not even when it is malformed. Where a server deviates from the RFC,
//! its token is taken as long as its use is clear: the stream refuses it if it is not good.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, HeaderValue};

use crate::config::{Grant, OauthConfig};
use crate::error::{Class, Error, ErrorKind};
use crate::net::masks::Masks;
use crate::source::oauth::exchange::Exchanged;
use crate::source::oauth::hints::Hints;
use crate::source::oauth::oauth_error::OauthError;

/// Section 5.1 leaves `expires_in` out only where the lifetime is known otherwise; an hour is usual.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(3600);
/// No token is valid for ten years; such a number is a unit mixed up or a bug.
const LIFETIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// In front of the token in an `Authorization` header.
pub(super) const BEARER: &str = "Bearer ";
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

/// The wait that a response requests, by its status and headers.
pub(super) type RequestedWait<'a> = &'a dyn Fn(u16, &HeaderMap) -> Option<Duration>;

impl From<Error> for TokenFailure {
    fn from(error: Error) -> Self {
        Self { error, is_refusal: false, wait: None }
    }
}

/// The members with the token and its lifetime: those of section 5.1, and for access keys also those of the JSON endpoints that give tokens
/// for them.
const TOKEN: [&str; 3] = ["access_token", "accessToken", "token"];
const LIFETIME: [&str; 3] = ["expires_in", "expiresIn", "tokenExpirationTimeSec"];

/// The token in the body of a 2xx response. `masks` are for errors.
pub(super) fn granted(
    response: &Exchanged,
    oauth: &OauthConfig,
    hints: &Hints,
    mut masks: Masks,
) -> std::result::Result<Granted, TokenFailure> {
    let unusable = |why: &str| unusable(why, hints);
    let fields = response.json_object().map_err(|why| unusable(&why))?;
    let names = if oauth.grant == Grant::AccessKey { 3 } else { 1 };
    let member = |all: &[&str; 3]| all[..names].iter().find_map(|name| fields.get(*name));
    let token = member(&TOKEN);
    if let Some(oauth_error) = OauthError::in_fields(&fields)
        && token.is_none()
    {
        return Err(refused_with_success(&oauth_error, response.status.as_u16(), hints, &masks));
    }
    if let Some(token) = token.and_then(Value::as_str) {
        masks.add(token.trim());
    }
    check_token_type(fields.get("token_type"), &masks).map_err(unusable)?;
    let header = match token {
        Some(Value::String(token)) => {
            bearer(token).map_err(|why| unusable(&format!("has an `access_token` that {why}")))?
        }
        Some(_) => return Err(unusable("has an `access_token` that is not a string").into()),
        None => return Err(unusable("has no `access_token`").into()),
    };
    if let Some(scope) = oauth.requested_scope() {
        check_scope(fields.get("scope"), scope, hints, &masks)?;
    }
    Ok(Granted { header, lifetime: lifetime(member(&LIFETIME)) })
}

/// Some servers give an error a 2xx status. Of such a body, only the members of an error are shown.
fn refused_with_success(oauth_error: &OauthError<'_>, status: u16, hints: &Hints, masks: &Masks) -> TokenFailure {
    let message = format!("status {status} with the error {}", oauth_error.shown(masks));
    let is_refusal = oauth_error.is_final();
    let error = Error::new(ErrorKind::Auth, message)
        .with_class(if is_refusal { Class::Permanent } else { Class::Transient })
        .with_http_status(status)
        .with_hint(oauth_error.hint(hints));
    TokenFailure { error, is_refusal, wait: None }
}

/// Section 5.1: required, in upper or lower case. Servers leave it out, or name the format of the token instead, such as `JWT`; both can
/// only mean bearer.
fn check_token_type(token_type: Option<&Value>, masks: &Masks) -> std::result::Result<(), &'static str> {
    let token_type = match token_type {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(token_type)) => token_type.trim(),
        Some(_) => return Err("has a `token_type` that is not a string"),
    };
    let lower = token_type.to_ascii_lowercase();
    if TYPES_WITH_PROOF.contains(&lower.as_str()) {
        return Err("has a `token_type` that needs more than the token: it is not a bearer token");
    }
    if !lower.is_empty() && !lower.starts_with("bearer") {
        let token_type = masks.show(token_type.as_bytes(), 60);
        log::warn!("the token endpoint calls the type of its token {token_type}: using it as a bearer token");
    }
    Ok(())
}

/// The header with this token, or the reason why there can be none. RFC 6750 section 2.1 allows fewer characters still; these are the ones
/// that cannot break the header.
pub(super) fn bearer(token: &str) -> std::result::Result<HeaderValue, &'static str> {
    let token = token.trim();
    if token.is_empty() {
        return Err("is empty");
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("has characters that no HTTP header may hold");
    }
    let header = HeaderValue::from_str(&format!("{BEARER}{token}"));
    let mut header = header.map_err(|_| "no HTTP header may hold")?;
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
fn check_scope(
    granted: Option<&Value>,
    requested: &str,
    hints: &Hints,
    masks: &Masks,
) -> std::result::Result<(), TokenFailure> {
    let granted: Vec<&str> = match granted {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(scope)) => scope.split_whitespace().collect(),
        Some(Value::Array(scopes)) => scopes.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err(unusable("has a `scope` that is not a string", hints).into()),
    };
    let all: Vec<&str> = granted.iter().flat_map(|scope| parts(scope)).collect();
    let is_granted = |scope: &&str| granted.contains(scope) || parts(scope).all(|part| all.contains(&part));
    let missing: Vec<&str> = requested.split_whitespace().filter(|scope| !is_granted(scope)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let granted = masks.show(granted.join(" ").as_bytes(), 200);
    let message = format!("the token lacks the scope {}: the server granted `{granted}`", missing.join(" "));
    let error = Error::new(ErrorKind::Auth, message).with_hint(hints.scope());
    Err(TokenFailure { error, is_refusal: true, wait: None })
}

fn parts(scope: &str) -> impl Iterator<Item = &str> {
    scope.split(',').map(str::trim)
}

/// A 2xx response without a usable token. The server may be repaired, so this is transient.
fn unusable(why: &str, hints: &Hints) -> Error {
    let endpoint = match hints.endpoint {
        "oauth.url" => "oauth.url: it must be the token endpoint itself",
        _ => "oauth.discovery: what its issuer names must be the token endpoint itself",
    };
    Error::new(ErrorKind::Protocol, format!("the response {why}"))
        .with_class(Class::Transient)
        .with_hint(format!("check {endpoint}, with no sign-in page in front of it"))
}

//! The meaning of a token response with another status than 2xx.

use ureq::http::header;

use crate::error::{Class, Error, ErrorKind};
use crate::net::masks::Masks;
use crate::source::net::failure::{later_hint, refusal};
use crate::source::oauth::exchange::Exchanged;
use crate::source::oauth::hints::Hints;
use crate::source::oauth::oauth_error::OauthError;
use crate::source::oauth::response::TokenFailure;

/// How much of an error's body is shown.
const BODY_CHARS_SHOWN: usize = 500;

/// The error that the status means before the first token; [`refusals`](crate::source::oauth::refusals) decides what it means later.
pub(super) fn refused(response: &Exchanged, hints: &Hints, masks: &Masks) -> TokenFailure {
    let status = response.status.as_u16();
    let location = response.header(header::LOCATION);
    let body = if may_hold_token(&response.body) { NOT_SHOWN } else { &response.body };
    let message = refusal(&format!("status {status}"), location, body, masks, BODY_CHARS_SHOWN);
    let json = response.json().ok();
    let oauth_error = json.as_ref().and_then(serde_json::Value::as_object).and_then(OauthError::in_fields);
    let (kind, class, hint) = meaning(status, hints);
    let hint = oauth_error.as_ref().filter(|error| error.is_final()).map_or(hint, |error| error.hint(hints));
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
    const NAMES: [&str; 3] = ["_token", "\"token", "Token"];
    const ENDS: [&str; 4] = ["\"", "=", "%22", "\\\""];
    let holds = |part: &str| body.windows(part.len()).any(|window| window == part.as_bytes());
    NAMES.iter().any(|name| ENDS.iter().any(|end| holds(&format!("{name}{end}"))))
}

fn meaning(status: u16, hints: &Hints) -> (ErrorKind, Class, String) {
    let endpoint = hints.endpoint;
    match status {
        400 | 401 => (ErrorKind::Auth, Class::Permanent, hints.credentials()),
        403 => (ErrorKind::Auth, Class::Permanent, hints.scope()),
        404 | 405 | 410 => (
            ErrorKind::Config,
            Class::Permanent,
            format!("check {endpoint}: there is no token endpoint at this address"),
        ),
        301 | 308 => (ErrorKind::Config, Class::Permanent, hints.new_address()),
        300..=399 => (
            ErrorKind::Protocol,
            Class::Transient,
            format!(
                "check {endpoint}, and that no sign-in page is in between: redirects are not followed with a secret"
            ),
        ),
        429 | 500.. => (ErrorKind::Connect, Class::Transient, later_hint(status).into()),
        _ => (
            ErrorKind::Protocol,
            Class::Transient,
            format!("check {endpoint}: the server there does not look like a token endpoint"),
        ),
    }
}

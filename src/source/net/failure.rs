//! Errors of the route to a server.

use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::net::tls;
use crate::source::net::server_text::shown;

/// The error of a step with `peer`.
pub(crate) fn step_failed(step: &str, peer: &str, error: &io::Error, timeout: Duration, hint: &str) -> Error {
    if let Some(error) = tls::inside(error) {
        return tls::refused(peer, error);
    }
    let why = match error.kind() {
        io::ErrorKind::WouldBlock => format!("no answer within {timeout:?}"),
        io::ErrorKind::UnexpectedEof => "the other end closed the connection".into(),
        _ => error.to_string(),
    };
    Error::new(ErrorKind::Connect, format!("{step} with {peer}: {why}")).caused_by_io(error).with_hint(hint)
}

/// The message of a refusal: `what`, the target of a redirect, and the body.
pub(crate) fn refusal(what: &str, location: Option<&[u8]>, body: &[u8], secrets: &[&str], chars_max: usize) -> String {
    let redirect = location.map_or_else(String::new, |location| {
        // A query may hold anything.
        let place = location.split(|byte| b"?#".contains(byte)).next().unwrap_or_default();
        format!(", a redirect to {}", shown(place, secrets, 200))
    });
    let body = shown(body, secrets, chars_max);
    let body = if body.is_empty() { body } else { format!(": {body}") };
    format!("{what}{redirect}{body}")
}

//! Errors of the route to a server.

use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::net::masks::Masks;
use crate::net::tls;

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

/// The hint for a status by which a server puts a request off: 429, or one of 500 and above.
pub(crate) fn later_hint(status: u16) -> &'static str {
    match status {
        429 => "wait: the server limits the rate of requests, and the sink tries again later",
        _ => "wait: the server has an internal problem, and the sink tries again later",
    }
}

/// The message of a refusal: `what`, the target of a redirect, and the body.
pub(crate) fn refusal(what: &str, location: Option<&[u8]>, body: &[u8], masks: &Masks, chars_max: usize) -> String {
    let redirect = location.map_or_else(String::new, |location| {
        // A query may hold anything.
        let place = location.split(|byte| b"?#".contains(byte)).next().unwrap_or_default();
        format!(", a redirect to {}", masks.show(place, 200))
    });
    let body = masks.show(body, chars_max);
    let body = if body.is_empty() { body } else { format!(": {body}") };
    format!("{what}{redirect}{body}")
}

/// The reason why a response is not HTTP. Its bytes are not shown: they may be a token or events, from a server or a proxy that leaves the
/// head out.
pub(crate) fn not_http(why: &str, beginning: &[u8]) -> String {
    const LOOKS: [(&[u8], &str); 9] = [
        (b"HTTP/1.", "HTTP/1.1"),
        (b"HTTP/", "another version of HTTP"),
        (b"PRI * HTTP/2", "HTTP/2"),
        (b"\0\0", "HTTP/2"),
        (b"\x15\x03", "TLS"),
        (b"\x16\x03", "TLS"),
        (b"SSH-", "SSH"),
        (b"{", "JSON without a head"),
        (b"<", "HTML without a head"),
    ];
    let looks = LOOKS.iter().find(|(start, _)| beginning.starts_with(start));
    let looks = looks.map_or_else(String::new, |(_, looks)| format!(", it looks like {looks}"));
    format!("HTTP/1.1 ({why}): {} bytes came{looks}", beginning.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_http_are_described_and_not_shown() {
        let check = |bytes: &[u8], looks: &str| {
            assert_eq!(not_http("why", bytes), format!("HTTP/1.1 (why): {} bytes came{looks}", bytes.len()));
        };
        check(b"{\"access_token\":\"tok-secret\"}", ", it looks like JSON without a head");
        check(b"SSH-2.0-OpenSSH_9.6\r\n", ", it looks like SSH");
        check(b"\x81\x7e\x01\x00{\"agentId\":\"4711\"}", "");
        check(b"", "");
    }
}

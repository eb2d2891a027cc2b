//! The opening handshake (RFC 6455 section 4.1).
//!
//! Key and accept value are tungstenite's. Its own handshake writes the request with its token to the log (level `trace`), loses the
//! status of an HTTP/1.0 response and most of an error's body, refuses the legal `Connection: keep-alive, Upgrade`, and takes a response
//! that comes byte by byte for an attack.

use std::io;
use std::time::{Duration, Instant};

use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::http::{HeaderMap, HeaderValue, header};

use crate::source::net::http::{self, Fault, Head};
use crate::source::net::http_body::read_body;
use crate::source::net::transport::Transport;
use crate::source::websocket::extension::{self, Deflate};
use crate::source::websocket::request::Request;

/// Enough of an error's body to show the reason.
const BODY_BYTES_MAX: usize = 4 << 10;
/// The deadline for an error's body.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum Refusal {
    /// No response, or no HTTP response.
    Fault(Fault),
    /// A response with another status than 101.
    Status { head: Box<Head>, body: Vec<u8> },
    /// A 101 that does not open a WebSocket.
    BadUpgrade(&'static str),
    /// The response chooses no subprotocol, or the wrong one.
    BadSubprotocol(&'static str),
    /// A 101 with an extension that cannot be accepted.
    BadExtension(String),
}

/// A stream that is open.
#[derive(Debug)]
pub(super) struct Opened {
    /// The bytes behind the response.
    pub(super) first_bytes: Vec<u8>,
    /// The compression that was agreed on.
    pub(super) deflate: Option<Deflate>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// Requests the stream.
pub(super) fn open(transport: &mut Transport, request: &Request<'_>) -> Result<Opened, Refusal> {
    let key = generate_key();
    http::send_all(transport, &request.bytes(&key))?;
    let (head, mut rest) = http::read_head(transport)?;
    match head.status {
        101 if head.is_http_1_0 => Err(Refusal::BadUpgrade("it is in HTTP/1.0")),
        101 => {
            check_upgrade(&head.headers, &key).map_err(Refusal::BadUpgrade)?;
            let chosen = head.headers.get(header::SEC_WEBSOCKET_PROTOCOL).map(HeaderValue::as_bytes);
            check_subprotocol(chosen, request.subprotocol).map_err(Refusal::BadSubprotocol)?;
            let deflate = if request.offers_compression {
                extension::agreed(&head.headers).map_err(Refusal::BadExtension)?
            } else if head.headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
                return Err(Refusal::BadUpgrade("it uses an extension that was not requested"));
            } else {
                None
            };
            Ok(Opened { first_bytes: rest, deflate })
        }
        _ => {
            // Whatever arrives of it within a short time; its end does not matter.
            if transport.wait_until(Instant::now() + BODY_WAIT).is_ok() {
                let _ = read_body(transport, head.status, &head.headers, &mut rest, BODY_BYTES_MAX);
            }
            Err(Refusal::Status { head: Box::new(head), body: rest })
        }
    }
}

/// RFC 6455 section 4.1, the numbered list on the server's response.
fn check_upgrade(headers: &HeaderMap, key: &str) -> Result<(), &'static str> {
    let lists = |name: header::HeaderName, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(wanted))
    };
    if !lists(header::UPGRADE, "websocket") {
        return Err("it has no `Upgrade: websocket`");
    }
    if !lists(header::CONNECTION, "upgrade") {
        return Err("it has no `Connection: Upgrade`");
    }
    let accept = headers.get(header::SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("its `Sec-WebSocket-Accept` does not match our key: a cache or a proxy may have answered");
    }
    Ok(())
}

/// The server must choose one of those that were requested.
fn check_subprotocol(chosen: Option<&[u8]>, requested: Option<&str>) -> Result<(), &'static str> {
    match (chosen, requested) {
        (None, None) => Ok(()),
        (Some(_), None) => Err("it uses a subprotocol that was not requested"),
        (None, Some(_)) => Err("it does not agree to the subprotocol (stream.subprotocol)"),
        (Some(chosen), Some(requested)) if requested.split(',').any(|one| one.trim().as_bytes() == chosen) => Ok(()),
        (Some(_), Some(_)) => Err("it chooses another subprotocol than stream.subprotocol"),
    }
}

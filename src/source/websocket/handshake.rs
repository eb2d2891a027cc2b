//! The opening handshake (RFC 6455 section 4.1).
//!
//! The pieces are tungstenite's (key, accept value, parsing the answer); its own handshake is not used, because it writes the
//! request with its token to the log (level `trace`), loses the status of an HTTP/1.0 answer and most of an error's body,
//! refuses the legal `Connection: keep-alive, Upgrade`, and takes an answer that comes byte by byte for an attack.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use tungstenite::handshake::client::{Response, generate_key};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse;
use tungstenite::http::{HeaderMap, HeaderValue, header};

use super::super::address::Address;
use super::super::transport::Transport;

/// The head of an answer has some hundred bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Of an error's body, enough to say what is wrong.
const BODY_BYTES_MAX: usize = 4 << 10;
/// How long an error's body is waited for.
const BODY_WAIT: Duration = Duration::from_secs(1);

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The connection failed, or the deadline passed (`WouldBlock`).
    Io(io::Error),
    /// The server ended the connection without an answer, or in the middle of it.
    Ended,
    /// An answer in HTTP with another status than 101.
    Status { status: u16, headers: HeaderMap, body: Vec<u8> },
    /// An answer that is none; the bytes are its beginning.
    NoHttp { why: String, beginning: Vec<u8> },
    /// A 101 that does not make a WebSocket.
    BadUpgrade(&'static str),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Asks for the stream; returns what the server has sent beyond its answer.
pub(super) fn open(
    transport: &mut Transport,
    address: &Address,
    authorization: &HeaderValue,
) -> Result<Vec<u8>, Refusal> {
    let key = generate_key();
    send_all(transport, &request(address, &key, authorization))?;
    let (head, mut rest) = read_head(transport)?;
    // tungstenite refuses the version before it looks at the status.
    if let Some(status) = status_of_http_1_0(&head) {
        read_body(transport, &HeaderMap::new(), &mut rest);
        return Err(match status {
            101 => Refusal::BadUpgrade("it is in HTTP/1.0"),
            _ => Refusal::Status { status, headers: HeaderMap::new(), body: rest },
        });
    }
    let response = match Response::try_parse(&head) {
        Ok(Some((_, response))) => response,
        Ok(None) => return Err(Refusal::NoHttp { why: "it has no end".into(), beginning: head }),
        Err(error) => return Err(Refusal::NoHttp { why: error.to_string(), beginning: head }),
    };
    let (parts, _) = response.into_parts();
    if parts.status != 101 {
        read_body(transport, &parts.headers, &mut rest);
        return Err(Refusal::Status { status: parts.status.as_u16(), headers: parts.headers, body: rest });
    }
    check_upgrade(&parts.headers, &key).map_err(Refusal::BadUpgrade)?;
    Ok(rest)
}

fn request(address: &Address, key: &str, authorization: &HeaderValue) -> Vec<u8> {
    let mut request = format!(
        "GET {target} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Connection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Accept: application/json\r\n\
         User-Agent: {USER_AGENT}\r\n\
         Authorization: ",
        target = address.target,
        host = address.host_header(),
    )
    .into_bytes();
    request.extend_from_slice(authorization.as_bytes());
    request.extend_from_slice(b"\r\n\r\n");
    request
}

const USER_AGENT: &str = concat!("cxsink/", env!("CARGO_PKG_VERSION"));

fn send_all(transport: &mut Transport, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match transport.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    transport.flush()
}

/// Reads up to the empty line; returns the head and what came after it.
fn read_head(transport: &mut Transport) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let mut head = Vec::new();
    loop {
        let seen = head.len();
        match read_some(transport, &mut head)? {
            0 if head.is_empty() => return Err(Refusal::Ended),
            // Whoever speaks another protocol may say goodbye in it; that is worth showing.
            0 if !begins_as_http(&head) => return Err(no_http(head)),
            0 => return Err(Refusal::Ended),
            _ => {}
        }
        if !begins_as_http(&head) {
            return Err(no_http(head));
        }
        // The end may lie across two reads.
        let from = seen.saturating_sub(3);
        if let Some(place) = head[from..].windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = head.split_off(from + place + 4);
            return Ok((head, rest));
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err(Refusal::NoHttp {
                why: format!("its head is longer than {HEAD_BYTES_MAX} bytes"),
                beginning: head,
            });
        }
    }
}

fn no_http(beginning: Vec<u8>) -> Refusal {
    Refusal::NoHttp { why: "it does not begin with HTTP/1.".into(), beginning }
}

fn begins_as_http(head: &[u8]) -> bool {
    let expected = b"HTTP/1.";
    let length = head.len().min(expected.len());
    head[..length] == expected[..length]
}

fn read_some(transport: &mut Transport, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 4096];
    loop {
        match transport.read(&mut chunk) {
            Ok(read) => {
                into.extend_from_slice(&chunk[..read]);
                return Ok(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads what there is of an error's body, for a short while: how it ends does not matter.
fn read_body(transport: &mut Transport, headers: &HeaderMap, body: &mut Vec<u8>) {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let wanted = length.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    if transport.wait_until(Instant::now() + BODY_WAIT).is_err() {
        return;
    }
    while body.len() < wanted && !(chunked && body.ends_with(b"0\r\n\r\n")) {
        match read_some(transport, body) {
            Ok(1..) => {}
            _ => break,
        }
    }
    body.truncate(wanted);
}

fn status_of_http_1_0(head: &[u8]) -> Option<u16> {
    let status = head.strip_prefix(b"HTTP/1.0 ")?.get(..3)?;
    std::str::from_utf8(status).ok()?.parse().ok()
}

/// RFC 6455 section 4.1, the numbered list on the server's answer.
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
        return Err("its `Sec-WebSocket-Accept` does not fit our key: a cache or a proxy may have answered");
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err("it uses an extension that was not asked for");
    }
    if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        return Err("it uses a subprotocol that was not asked for");
    }
    Ok(())
}

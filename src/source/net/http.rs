//! Heads of HTTP/1.1 messages (RFC 9112), for a proxy's CONNECT and the WebSocket handshake.
//!
//! Both end in bytes that are no HTTP, on a connection that continues; a client library keeps the connection to itself. Both heads hold
//! secrets, and the libraries at hand write heads to the log at level `trace`. httparse parses a head; this file decides when to read
//! and when a head is complete.

use std::io::{self, Read, Write};
use std::mem;

use tungstenite::http::{HeaderMap, HeaderName, HeaderValue};

/// The head of a response has some hundred bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 128;

pub(crate) const USER_AGENT: &str = concat!("cxsink/", env!("CARGO_PKG_VERSION"));

/// A response up to its empty line.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The words behind the status.
    pub(crate) reason: String,
    pub(crate) is_http_1_0: bool,
    pub(crate) headers: HeaderMap,
}

/// Why there is no response, or not all of it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection failed, or the deadline passed (`WouldBlock`).
    Io(io::Error),
    /// The other side closed the connection before its response was complete.
    Ended,
    /// The response is not HTTP/1.x; the bytes are its beginning.
    NoHttp { why: String, beginning: Vec<u8> },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(crate) fn send_all(stream: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

/// Reads the head of the final response; returns it with the bytes that came after it.
pub(crate) fn read_head(stream: &mut impl Read) -> Result<(Head, Vec<u8>), Fault> {
    let mut received = Vec::new();
    loop {
        let head = parse(read_head_bytes(stream, &mut received)?)?;
        // RFC 9110 section 15.2: any number of interim responses may come first. No HTTP follows a 101.
        if head.status / 100 != 1 || head.status == 101 {
            return Ok((head, received));
        }
    }
}

/// Reads to the next empty line, beginning with the bytes `received` before; leaves later bytes there.
pub(crate) fn read_head_bytes(stream: &mut impl Read, received: &mut Vec<u8>) -> Result<Vec<u8>, Fault> {
    let mut seen = 0;
    loop {
        if !begins_as_http(received) {
            return Err(Fault::NoHttp { why: "it does not begin with HTTP/1.".into(), beginning: mem::take(received) });
        }
        // The empty line may lie across two reads.
        let from = usize::saturating_sub(seen, 3);
        if let Some(place) = received[from..].windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = received.split_off(from + place + 4);
            return Ok(mem::replace(received, rest));
        }
        if received.len() > HEAD_BYTES_MAX {
            let why = format!("its head is longer than {HEAD_BYTES_MAX} bytes");
            return Err(Fault::NoHttp { why, beginning: mem::take(received) });
        }
        seen = received.len();
        if read_some(stream, received)? == 0 {
            return Err(Fault::Ended);
        }
    }
}

fn begins_as_http(head: &[u8]) -> bool {
    let expected = b"HTTP/1.";
    let length = head.len().min(expected.len());
    head[..length] == expected[..length]
}

fn parse(bytes: Vec<u8>) -> Result<Head, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let why = match response.parse(&bytes) {
        Ok(httparse::Status::Complete(_)) => match read_fields(&response) {
            Some(head) => return Ok(head),
            None => "a header in it is not allowed".into(),
        },
        Ok(httparse::Status::Partial) => "it has no end".into(),
        Err(error) => error.to_string(),
    };
    Err(Fault::NoHttp { why, beginning: bytes })
}

fn read_fields(response: &httparse::Response<'_, '_>) -> Option<Head> {
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let value = HeaderValue::from_bytes(field.value).ok()?;
        headers.append(HeaderName::from_bytes(field.name.as_bytes()).ok()?, value);
    }
    Some(Head {
        status: response.code?,
        reason: response.reason.unwrap_or_default().into(),
        is_http_1_0: response.version == Some(0),
        headers,
    })
}

/// Appends the bytes of one read; 0 is the end.
pub(super) fn read_some(stream: &mut impl Read, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(read) => {
                into.extend_from_slice(&chunk[..read]);
                return Ok(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

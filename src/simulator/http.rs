//! As much of an HTTP/1.1 server as a token endpoint and a WebSocket handshake need, with a limit on everything.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
/// How long a connection may stay without a request; clients keep them for their next token.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long a request may take from its first byte to its last.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(5);
/// How long, and how far, a connection is drained that is being refused.
const DRAIN_MAX: Duration = Duration::from_millis(500);
const DRAIN_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without its query.
    pub(super) path: String,
    /// Whether the client speaks HTTP/1.1, and not 1.0.
    pub(super) is_http_11: bool,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The first header of that name, in any case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a header that is a list, possibly over several lines, holds an item; parameters after `;` do not count.
    pub(super) fn lists(&self, name: &str, item: &str) -> bool {
        self.headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split(','))
            .any(|found| found.split(';').next().unwrap_or(found).trim().eq_ignore_ascii_case(item))
    }

    pub(super) fn wants_close(&self) -> bool {
        self.lists("connection", "close") || !self.is_http_11
    }
}

#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Response {
    /// A JSON answer. It must not be cached, since it may hold a token (RFC 6749 section 5.1).
    pub(super) fn json(status: u16, body: impl Into<String>) -> Self {
        let headers = vec![("Content-Type", "application/json".into()), ("Cache-Control", "no-store".into())];
        Self { status, headers, body: body.into() }
    }

    /// An error as RFC 6749 section 5.2 has it. `description` must not repeat what the client sent.
    pub(super) fn error(status: u16, code: &str, description: &str) -> Self {
        Self::json(status, serde_json::json!({"error": code, "error_description": description}).to_string())
    }

    #[must_use]
    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn send(&self, mut socket: &TcpStream, closes: bool) -> io::Result<()> {
        use std::fmt::Write as _;
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if closes {
            text.push_str("Connection: close\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        socket.write_all(text.as_bytes())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Simulated",
    }
}

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Next {
    Request(Request),
    /// What came is not a request that can be answered in any other way; the connection ends with this answer.
    Refuse(Response),
    End,
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Requests<'a> {
    socket: &'a TcpStream,
    request_max: Duration,
    /// Read, but not yet part of a request.
    buffer: Vec<u8>,
}

impl<'a> Requests<'a> {
    pub(super) fn new(socket: &'a TcpStream, request_max: Duration) -> Self {
        Self { socket, request_max, buffer: Vec::new() }
    }

    /// What was read after the last request: the beginning of what a client says after the handshake.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    pub(super) fn next(&mut self) -> Next {
        let idle_deadline = Instant::now() + IDLE_MAX;
        let mut deadline = None;
        loop {
            match parse(&self.buffer) {
                Parsed::Request(request, length) => {
                    self.buffer.drain(..length);
                    return Next::Request(request);
                }
                Parsed::Refused(response) => return Next::Refuse(response),
                Parsed::Incomplete => {}
            }
            if !self.buffer.is_empty() {
                deadline.get_or_insert(Instant::now() + self.request_max);
            }
            match read_some(self.socket, &mut self.buffer, deadline.unwrap_or(idle_deadline)) {
                Ok(0) => return Next::End,
                Ok(_) => {}
                Err(error) if is_timeout(&error) && deadline.is_some() => {
                    return Next::Refuse(Response::error(408, "invalid_request", "the request took too long"));
                }
                Err(_) => return Next::End,
            }
        }
    }
}

fn read_some(mut socket: &TcpStream, buffer: &mut Vec<u8>, deadline: Instant) -> io::Result<usize> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    socket.set_read_timeout(Some(left))?;
    let mut chunk = [0; 4096];
    let length = socket.read(&mut chunk)?;
    buffer.extend_from_slice(&chunk[..length]);
    Ok(length)
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Ends a connection so that the client can still read the answer: closing it at once with something unread would reset it.
pub(super) fn end_gently(socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Write);
    let deadline = Instant::now() + DRAIN_MAX;
    let mut drained = Vec::new();
    let mut drained_bytes = 0;
    while drained_bytes < DRAIN_BYTES_MAX {
        drained.clear();
        match read_some(socket, &mut drained, deadline) {
            Ok(0) | Err(_) => break,
            Ok(length) => drained_bytes += length as u64,
        }
    }
}

enum Parsed {
    /// With its length in the buffer.
    Request(Request, usize),
    Refused(Response),
    Incomplete,
}

fn parse(buffer: &[u8]) -> Parsed {
    let Some(head_bytes) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        // What cannot become a request line is refused before it has piled up.
        if buffer.len() > HEAD_BYTES_MAX {
            return Parsed::Refused(Response::error(431, "invalid_request", "the header is too large"));
        }
        return if begins_like_http(buffer) { Parsed::Incomplete } else { Parsed::Refused(not_http()) };
    };
    if head_bytes > HEAD_BYTES_MAX {
        return Parsed::Refused(Response::error(431, "invalid_request", "the header is too large"));
    }
    let Some(mut request) = std::str::from_utf8(&buffer[..head_bytes]).ok().and_then(parse_head) else {
        return Parsed::Refused(not_http());
    };
    let body_start = head_bytes + 4;
    let body_bytes = match body_length(&request) {
        Ok(length) => length,
        Err(response) => return Parsed::Refused(response),
    };
    let Some(body) = buffer.get(body_start..body_start + body_bytes) else {
        return Parsed::Incomplete;
    };
    request.body = body.to_vec();
    Parsed::Request(request, body_start + body_bytes)
}

fn not_http() -> Response {
    Response::error(400, "invalid_request", "this is not an HTTP/1 request")
}

/// A method is made of letters; anything else, such as the first byte of a TLS handshake, will never become a request.
fn begins_like_http(buffer: &[u8]) -> bool {
    let method = buffer.split(|byte| *byte == b' ').next().unwrap_or(buffer);
    method.len() <= 16 && method.iter().all(u8::is_ascii_uppercase)
}

fn parse_head(head: &str) -> Option<Request> {
    let mut lines = head.split("\r\n");
    let mut parts = lines.next()?.split(' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    let is_http_11 = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return None,
    };
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_method || !target.starts_with('/') || parts.next().is_some() {
        return None;
    }
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let is_name = !name.is_empty() && !name.contains([' ', '\t']);
        if !is_name || headers.len() == HEADERS_MAX {
            return None;
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let path = target.split('?').next().unwrap_or(target).to_owned();
    Some(Request { method: method.to_owned(), path, is_http_11, headers, body: Vec::new() })
}

fn body_length(request: &Request) -> Result<usize, Response> {
    if request.header("transfer-encoding").is_some() {
        return Err(Response::error(501, "invalid_request", "a body needs a Content-Length here"));
    }
    let mut lengths = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let Some((_, length)) = lengths.next() else {
        return Ok(0);
    };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || lengths.next().is_some() {
        return Err(Response::error(400, "invalid_request", "the Content-Length is not one number"));
    }
    // A number too large for the type is too large in any case.
    let length = length.parse().unwrap_or(usize::MAX);
    if length > BODY_BYTES_MAX {
        return Err(Response::error(413, "invalid_request", "the body is too large"));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn parsed(text: &str) -> Result<(Request, usize), u16> {
        match parse(text.as_bytes()) {
            Parsed::Request(request, length) => Ok((request, length)),
            Parsed::Refused(response) => Err(response.status),
            Parsed::Incomplete => Err(0),
        }
    }

    #[test]
    fn a_request_is_taken_apart() {
        let head = "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\naccept: text/html, application/json;q=0.9\r\nContent-Length: 3\r\n\r\n";
        let (request, length) = parsed(&format!("{head}abcGET")).unwrap();
        assert_eq!(length, head.len() + 3);
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/a/b"));
        assert_eq!(request.body, b"abc");
        assert_eq!(request.header("HOST"), Some("x"));
        assert!(request.lists("Accept", "application/json") && !request.lists("Accept", "json"));
        assert!(!request.wants_close());
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_fitting_status() {
        let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        let cases = [
            ("", 0),
            ("GET / HT", 0),
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcd", 0),
            ("\u{16}\u{3}\u{1}", 400),
            ("hello", 400),
            ("AVERYLONGMETHODNAMEINDEED", 400),
            ("GET / HTTP/2.0\r\n\r\n", 400),
            ("GET /\r\n\r\n", 400),
            ("GET / a HTTP/1.1\r\n\r\n", 400),
            ("GET x HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n: empty\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
            (long.as_str(), 431),
            (long.trim_end(), 431),
            (many.as_str(), 400),
        ];
        for (text, status) in cases {
            assert_eq!(parsed(text).err(), Some(status), "{:?}", &text[..text.len().min(60)]);
        }
    }

    #[test]
    fn a_request_that_never_ends_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
        let next = Requests::new(&server, Duration::from_millis(50)).next();
        assert!(matches!(next, Next::Refuse(Response { status: 408, .. })), "{next:?}");
    }
}

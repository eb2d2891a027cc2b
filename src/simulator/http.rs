//! HTTP/1.1 as far as a token endpoint and a WebSocket handshake need it, with a limit on everything.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use httparse::Status;
use tungstenite::handshake::server::write_response;
use tungstenite::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use tungstenite::http::{self, HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
/// The limit of time without a request; clients keep a connection for their next token.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// The limit of time from the first byte of a request to its last.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Limits of draining a refused connection.
const DRAIN_MAX: Duration = Duration::from_millis(500);
const DRAIN_BYTES_MAX: u64 = 1 << 20;

pub(super) type Request = http::Request<Vec<u8>>;
/// Boxed: most functions here return it as their error.
pub(super) type Response = Box<http::Response<String>>;

/// Returns the first header of that name, if it is text.
pub(super) fn header<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// Whether a header that is a list, possibly over several lines, contains an item; parameters after `;` are ignored.
pub(super) fn lists(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|found| found.split(';').next().unwrap_or(found).trim().eq_ignore_ascii_case(item))
}

pub(super) fn wants_close(request: &Request) -> bool {
    lists(request.headers(), &CONNECTION, "close") || request.version() < Version::HTTP_11
}

/// A JSON response. It must not be cached, since it may hold a token (RFC 6749 section 5.1).
pub(super) fn json(status: u16, body: impl Into<String>) -> Response {
    let mut response = Box::new(http::Response::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An error as RFC 6749 section 5.2 defines it. `description` must not repeat text of the client.
pub(super) fn refusal(status: u16, code: &str, description: &str) -> Response {
    json(status, serde_json::json!({"error": code, "error_description": description}).to_string())
}

/// An error with one more header.
pub(super) fn refusal_with(
    status: u16,
    code: &str,
    description: &str,
    (name, value): (HeaderName, &'static str),
) -> Response {
    let mut response = refusal(status, code, description);
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

pub(super) fn send(mut response: Response, socket: &TcpStream, closes: bool) -> io::Result<()> {
    if closes {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let length = response.body().len().into();
    response.headers_mut().insert(CONTENT_LENGTH, length);
    send_switch(&response, socket)
}

/// Sends a response as it is: one that switches protocols has no length (RFC 9110 section 8.6).
pub(super) fn send_switch(response: &Response, mut socket: &TcpStream) -> io::Result<()> {
    // One write, so that it is one segment.
    let mut bytes = Vec::with_capacity(512);
    write_response(&mut bytes, response).map_err(io::Error::other)?;
    bytes.extend_from_slice(response.body().as_bytes());
    socket.write_all(&bytes)
}

/// Outcome of [`Requests::next`].
#[derive(Debug)]
pub(super) enum Next {
    Request(Box<Request>),
    /// The bytes are not a request; the connection ends with this response.
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

    /// Returns the bytes behind the last request: the first frames of a client that does not wait for the response.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    pub(super) fn next(&mut self) -> Next {
        let idle_deadline = Instant::now() + IDLE_MAX;
        let mut deadline = None;
        loop {
            match parse(&self.buffer) {
                Ok(Some((request, length))) => {
                    self.buffer.drain(..length);
                    return Next::Request(request.into());
                }
                Ok(None) => {}
                Err(response) => return Next::Refuse(response),
            }
            if !self.buffer.is_empty() {
                deadline.get_or_insert(Instant::now() + self.request_max);
            }
            match read_some(self.socket, &mut self.buffer, deadline.unwrap_or(idle_deadline)) {
                Ok(0) => return Next::End,
                Ok(_) => {}
                Err(error) if is_timeout(&error) && deadline.is_some() => {
                    return Next::Refuse(refusal(408, "invalid_request", "the request took too long"));
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

/// Ends a connection so that the client can still read the response: closing it with unread bytes would reset it.
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

/// Parses the first request in the buffer, with its length there; `None` while it is incomplete.
fn parse(buffer: &[u8]) -> Result<Option<(Request, usize)>, Response> {
    let too_large = || refusal(431, "invalid_request", "the header is too large");
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_bytes = match head.parse(buffer) {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) if buffer.len() > HEAD_BYTES_MAX => return Err(too_large()),
        Ok(Status::Partial) if begins_like_http(buffer) => return Ok(None),
        Ok(Status::Partial) | Err(_) => return Err(not_http()),
    };
    if head_bytes > HEAD_BYTES_MAX {
        return Err(too_large());
    }
    let mut request = request_of(&head).ok_or_else(not_http)?;
    let end = head_bytes + body_length(request.headers())?;
    let Some(body) = buffer.get(head_bytes..end) else {
        return Ok(None);
    };
    *request.body_mut() = body.to_vec();
    Ok(Some((request, end)))
}

fn request_of(head: &httparse::Request<'_, '_>) -> Option<Request> {
    let target = head.path.filter(|target| target.starts_with('/'))?;
    let version = if head.version? == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let request = http::Request::builder().method(head.method?).uri(target).version(version);
    let request = head.headers.iter().fold(request, |request, header| request.header(header.name, header.value));
    request.body(Vec::new()).ok()
}

fn not_http() -> Response {
    refusal(400, "invalid_request", "this is not an HTTP/1 request")
}

/// Whether these can be the first bytes of a request. Others, which a parser may take for the beginning of a long method, are
/// refused at once.
fn begins_like_http(buffer: &[u8]) -> bool {
    let method = buffer.split(|byte| *byte == b' ').next().unwrap_or(buffer);
    method.len() <= 16 && method.iter().all(u8::is_ascii_uppercase)
}

fn body_length(headers: &HeaderMap) -> Result<usize, Response> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(refusal(501, "invalid_request", "a body needs a Content-Length here"));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    let Some(length) = lengths.next() else {
        return Ok(0);
    };
    let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if !is_number || lengths.next().is_some() {
        return Err(refusal(400, "invalid_request", "the Content-Length is not one number"));
    }
    // A number too large for the type is too large in any case.
    let length = str::from_utf8(length).ok().and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
    if length > BODY_BYTES_MAX {
        return Err(refusal(413, "invalid_request", "the body is too large"));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tungstenite::http::header::{ACCEPT, HOST};

    use super::*;

    fn parsed(text: &str) -> Result<(Request, usize), u16> {
        match parse(text.as_bytes()) {
            Ok(parsed) => parsed.ok_or(0),
            Err(response) => Err(response.status().as_u16()),
        }
    }

    #[test]
    fn a_request_is_parsed_to_its_last_byte() {
        let head = "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\naccept: text/html, application/json;q=0.9\r\nContent-Length: 3\r\n\r\n";
        let (request, length) = parsed(&format!("{head}abcGET")).unwrap();
        assert_eq!(length, head.len() + 3);
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/a/b"));
        assert_eq!(request.body(), b"abc");
        assert_eq!(header(&request, &HOST), Some("x"));
        assert!(lists(request.headers(), &ACCEPT, "application/json") && !lists(request.headers(), &ACCEPT, "json"));
        assert!(!wants_close(&request));
    }

    #[test]
    fn other_bytes_are_refused_with_a_fitting_status() {
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
    fn a_request_that_never_ends_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
        let next = Requests::new(&server, Duration::from_millis(50)).next();
        assert!(matches!(&next, Next::Refuse(response) if response.status() == 408), "{next:?}");
    }
}

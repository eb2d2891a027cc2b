//! The little of HTTP/1.1 (RFC 9112) that the token request, a proxy and the WebSocket handshake have in common.
//!
//! Not a client's: those that there are write what they send and receive to the log (level `trace`), which here are secrets.
//! httparse reads heads and chunk sizes; this says when to read, how much, and when it is over.

use std::io::{self, Read, Write};

use tungstenite::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The head of an answer has some hundred bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 128;
/// A chunk's size with its extensions, which nobody uses.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;

pub(crate) const USER_AGENT: &str = concat!("cxsink/", env!("CARGO_PKG_VERSION"));

/// An answer up to its empty line.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The words behind the status.
    pub(crate) reason: String,
    pub(crate) is_http_1_0: bool,
    pub(crate) headers: HeaderMap,
}

/// Why there is no answer, or not all of it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection failed, or the deadline passed (`WouldBlock`).
    Io(io::Error),
    /// The other side ended the connection before its answer was complete.
    Ended,
    /// An answer that is none; the bytes are its beginning.
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

/// Reads the head of the final answer; returns it with what came after it.
pub(crate) fn read_head(stream: &mut impl Read) -> Result<(Head, Vec<u8>), Fault> {
    let mut bytes = Vec::new();
    loop {
        let end = read_to_empty_line(stream, &mut bytes)?;
        let rest = bytes.split_off(end);
        let head = parse(bytes)?;
        // RFC 9110 section 15.2: any number of interim answers may come first. 101 is one that nothing follows in HTTP.
        if head.status / 100 != 1 || head.status == 101 {
            return Ok((head, rest));
        }
        bytes = rest;
    }
}

fn read_to_empty_line(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize, Fault> {
    let mut seen = 0;
    loop {
        if !begins_as_http(bytes) {
            return Err(Fault::NoHttp {
                why: "it does not begin with HTTP/1.".into(),
                beginning: std::mem::take(bytes),
            });
        }
        // The end may lie across two reads.
        let from = usize::saturating_sub(seen, 3);
        if let Some(place) = bytes[from..].windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(from + place + 4);
        }
        if bytes.len() > HEAD_BYTES_MAX {
            let why = format!("its head is longer than {HEAD_BYTES_MAX} bytes");
            return Err(Fault::NoHttp { why, beginning: std::mem::take(bytes) });
        }
        seen = bytes.len();
        if read_some(stream, bytes)? == 0 {
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

/// Reads the body that belongs to `head`, of which `body` has come already: as far as it is within `bytes_max`, so what is longer
/// than that is longer than allowed. An error leaves in `body` what came before it.
pub(crate) fn read_body(
    stream: &mut impl Read,
    head: &Head,
    body: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Fault> {
    // RFC 9112 section 6.3, in its order.
    if matches!(head.status, 204 | 304) {
        body.clear();
        return Ok(());
    }
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let is_chunked = text(header::TRANSFER_ENCODING)
        .and_then(|codings| codings.rsplit(',').next())
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"));
    if is_chunked {
        let raw = std::mem::take(body);
        return read_chunks(stream, raw, body, bytes_max);
    }
    let length: Option<usize> = text(header::CONTENT_LENGTH).and_then(|length| length.trim().parse().ok());
    let wanted = length.unwrap_or(usize::MAX);
    while body.len() < wanted && body.len() <= bytes_max {
        match (read_some(stream, body)?, length) {
            (0, None) => return Ok(()),
            (0, Some(_)) => return Err(Fault::Ended),
            _ => {}
        }
    }
    body.truncate(wanted);
    Ok(())
}

fn read_chunks(stream: &mut impl Read, mut raw: Vec<u8>, body: &mut Vec<u8>, bytes_max: usize) -> Result<(), Fault> {
    loop {
        body.clear();
        let (decoded, is_complete) = decode_chunks(&raw)?;
        *body = decoded;
        if is_complete || body.len() > bytes_max {
            return Ok(());
        }
        if read_some(stream, &mut raw)? == 0 {
            return Err(Fault::Ended);
        }
    }
}

/// What the chunks hold so far (RFC 9112 section 7.1), and whether the last one has come. Trailers are not waited for: the
/// connection is not used again.
fn decode_chunks(mut raw: &[u8]) -> Result<(Vec<u8>, bool), Fault> {
    let broken = || Fault::NoHttp { why: "the size of a chunk in it is broken".into(), beginning: Vec::new() };
    let mut body = Vec::new();
    loop {
        let size = match httparse::parse_chunk_size(raw) {
            Ok(httparse::Status::Complete((_, 0))) => return Ok((body, true)),
            Ok(httparse::Status::Complete((used, size))) => {
                raw = &raw[used..];
                usize::try_from(size).map_err(|_| broken())?
            }
            Ok(httparse::Status::Partial) if raw.len() < CHUNK_LINE_BYTES_MAX => return Ok((body, false)),
            _ => return Err(broken()),
        };
        let Some((chunk, rest)) = raw.split_at_checked(size) else {
            body.extend_from_slice(raw);
            return Ok((body, false));
        };
        body.extend_from_slice(chunk);
        match rest {
            [] | [b'\r'] => return Ok((body, false)),
            [b'\r', b'\n', next @ ..] => raw = next,
            _ => return Err(broken()),
        }
    }
}

fn read_some(stream: &mut impl Read, into: &mut Vec<u8>) -> io::Result<usize> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Gives out what was sent in the given pieces.
    struct Pieces(VecDeque<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.front_mut() else { return Ok(0) };
            let taken = piece.len().min(buffer.len());
            buffer[..taken].copy_from_slice(&piece[..taken]);
            piece.drain(..taken);
            if piece.is_empty() {
                self.0.pop_front();
            }
            Ok(taken)
        }
    }

    /// How much of a broken answer has come is a matter of chance.
    fn told(fault: Fault) -> String {
        match fault {
            Fault::NoHttp { why, .. } => format!("NoHttp: {why}"),
            fault => format!("{fault:?}"),
        }
    }

    /// An answer that comes at once and one that comes byte by byte must be the same.
    fn answer(text: &str) -> Result<(Head, Vec<u8>), String> {
        let read = |pieces: VecDeque<Vec<u8>>| {
            let mut stream = Pieces(pieces);
            let (head, mut body) = read_head(&mut stream).map_err(told)?;
            let result = read_body(&mut stream, &head, &mut body, 100);
            result.map_err(|fault| format!("{} after {:?}", told(fault), String::from_utf8_lossy(&body)))?;
            Ok((head, body))
        };
        let whole = read([text.as_bytes().to_vec()].into());
        let bytewise = read(text.bytes().map(|byte| vec![byte]).collect());
        assert_eq!(format!("{whole:?}"), format!("{bytewise:?}"));
        whole
    }

    #[test]
    fn bodies_end_where_the_head_says() {
        let check = |text: &str, expected: &str| {
            let (_, body) = answer(text).unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), expected, "{text}");
        };
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "abc");
        check("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "");
        check("HTTP/1.1 200 OK\r\n\r\nto the end", "to the end");
        check("HTTP/1.0 200\r\n\r\nold", "old");
        check("HTTP/1.1 204 No Content\r\n\r\n", "");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=\"y\"\r\nd\r\n0\r\n\r\n", "abcd");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n0\r\nX: y\r\n\r\n", "");
        check(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "x",
        );
    }

    #[test]
    fn more_than_is_allowed_is_not_read() {
        let long = "x".repeat(150);
        let length_of = |text: String| answer_length(&text);
        assert!(length_of(format!("HTTP/1.1 200 OK\r\n\r\n{long}")) > 100);
        assert!(length_of(format!("HTTP/1.1 200 OK\r\nContent-Length: 150\r\n\r\n{long}")) > 100);
        assert!(length_of(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n96\r\n{long}\r\n")) > 100);
        // The rest never comes, and is not waited for.
        assert!(length_of(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{long}")) > 100);
    }

    fn answer_length(text: &str) -> usize {
        let mut stream = Pieces([text.as_bytes().to_vec()].into());
        let (head, mut body) = read_head(&mut stream).unwrap();
        read_body(&mut stream, &head, &mut body, 100).unwrap();
        body.len()
    }

    #[test]
    fn what_is_cut_or_broken_is_told_and_what_came_is_kept() {
        let check = |text: &str, why: &str| {
            let told = answer(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        };
        check("", "Ended");
        check("HTTP/1.1 200 OK\r\nX", "Ended");
        check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "Ended after \"abc\"");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", "Ended after \"abc\"");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "Ended after \"abc\"");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "size of a chunk");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX", "size of a chunk");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n", "size of a chunk");
        check("GET / HTTP/1.1\r\n\r\n", "does not begin with HTTP/1.");
        check("HTTP/1.1 abc\r\n\r\n", "NoHttp");
        check("HTTP/1.1 200 OK\r\n: x\r\n\r\n", "NoHttp");
        check(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(200)), "too many headers");
        check(&format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(70_000)), "longer than 65536");
    }
}

//! Bodies of HTTP/1.1 responses (RFC 9112 section 6.3): the token's, which ureq must not see, and those of refused handshakes.

use std::io::Read;

use tungstenite::http::{HeaderMap, header};

use crate::source::net::http::{Fault, read_some};

/// A chunk's size with its extensions, which no server in use sends. Short, because a line is parsed again with each read.
const CHUNK_LINE_BYTES_MAX: usize = 512;

/// Reads the body behind a head, of which `body` holds the first bytes. A body of more than `bytes_max` is read a little beyond that and
/// no further. After an error, `body` holds the bytes before it.
pub(crate) fn read_body(
    stream: &mut impl Read,
    status: u16,
    headers: &HeaderMap,
    body: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Fault> {
    // In the order of the RFC.
    if matches!(status, 204 | 304) {
        body.clear();
        return Ok(());
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
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
    let mut decoder = ChunkDecoder::Size;
    loop {
        let used = decoder.decode(&raw, body)?;
        raw.drain(..used);
        if decoder == ChunkDecoder::Complete || body.len() > bytes_max {
            return Ok(());
        }
        if read_some(stream, &mut raw)? == 0 {
            return Err(Fault::Ended);
        }
    }
}

/// Decodes a chunked body (section 7.1) as it arrives: by what comes next. Trailers are not read, because the connection is not used again.
#[derive(Debug, PartialEq, Eq)]
enum ChunkDecoder {
    /// The size of a chunk.
    Size,
    /// This many more bytes of content.
    Content(usize),
    /// The line break behind the content.
    LineBreak,
    Complete,
}

impl ChunkDecoder {
    /// Appends the content in `raw` to `body`. Returns how many bytes are done with; the rest is the beginning of a line.
    fn decode(&mut self, raw: &[u8], body: &mut Vec<u8>) -> Result<usize, Fault> {
        let broken = || Fault::NoHttp { why: "the size of a chunk in it is broken".into(), beginning: Vec::new() };
        let mut rest = raw;
        loop {
            match self {
                Self::Size => match httparse::parse_chunk_size(rest) {
                    Ok(httparse::Status::Complete((_, 0))) => *self = Self::Complete,
                    Ok(httparse::Status::Complete((used, size))) => {
                        rest = &rest[used..];
                        *self = Self::Content(usize::try_from(size).map_err(|_| broken())?);
                    }
                    Ok(httparse::Status::Partial) if rest.len() < CHUNK_LINE_BYTES_MAX => break,
                    _ => return Err(broken()),
                },
                Self::Content(left) => {
                    let (content, behind) = rest.split_at(rest.len().min(*left));
                    body.extend_from_slice(content);
                    rest = behind;
                    *left -= content.len();
                    if *left > 0 {
                        break;
                    }
                    *self = Self::LineBreak;
                }
                Self::LineBreak => match rest {
                    [] | [b'\r'] => break,
                    [b'\r', b'\n', next @ ..] => {
                        rest = next;
                        *self = Self::Size;
                    }
                    _ => return Err(broken()),
                },
                Self::Complete => break,
            }
        }
        Ok(raw.len() - rest.len())
    }
}

#[cfg(test)]
#[path = "tests/http.rs"]
mod tests;

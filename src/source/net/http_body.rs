//! Bodies of HTTP/1.1 responses (RFC 9112 section 6.3): the token's, which ureq must not see, and those of refused handshakes.

use std::io::Read;

use tungstenite::http::{HeaderMap, header};

use crate::source::net::http::{Fault, read_some};

/// A chunk's size with its extensions, which no server in use sends.
const CHUNK_LINE_BYTES_MAX: usize = 4 << 10;

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

/// The content of the chunks so far (section 7.1), and whether the last chunk is among them. Trailers are not read: the connection is not
/// used again.
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

#[cfg(test)]
#[path = "tests/http.rs"]
mod tests;

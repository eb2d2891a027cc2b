use std::collections::VecDeque;
use std::io;

use crate::source::net::http::{Head, read_head};
use crate::source::net::http_body::*;

/// A stream that arrives in these pieces.
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

/// Without the beginning of a broken response, whose length is a matter of chance.
fn described(fault: Fault) -> String {
    match fault {
        Fault::NoHttp { why, .. } => format!("NoHttp: {why}"),
        fault => format!("{fault:?}"),
    }
}

/// A response that comes at once and one that comes byte by byte must be the same.
fn response(text: &str) -> Result<(Head, Vec<u8>), String> {
    let read = |pieces: VecDeque<Vec<u8>>| {
        let mut stream = Pieces(pieces);
        let (head, mut body) = read_head(&mut stream).map_err(described)?;
        let result = read_body(&mut stream, head.status, &head.headers, &mut body, 100);
        result.map_err(|fault| format!("{} after {:?}", described(fault), String::from_utf8_lossy(&body)))?;
        Ok((head, body))
    };
    let whole = read([text.as_bytes().to_vec()].into());
    let bytewise = read(text.bytes().map(|byte| vec![byte]).collect());
    assert_eq!(format!("{whole:?}"), format!("{bytewise:?}"));
    whole
}

#[test]
fn bodies_end_as_their_head_declares() {
    let check = |text: &str, expected: &str| {
        let (_, body) = response(text).unwrap();
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
    let length_of = |text: String| body_length(&text);
    assert!(length_of(format!("HTTP/1.1 200 OK\r\n\r\n{long}")) > 100);
    assert!(length_of(format!("HTTP/1.1 200 OK\r\nContent-Length: 150\r\n\r\n{long}")) > 100);
    assert!(length_of(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n96\r\n{long}\r\n")) > 100);
    // The rest never comes, and nothing waits for it.
    assert!(length_of(format!("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{long}")) > 100);
}

fn body_length(text: &str) -> usize {
    let mut stream = Pieces([text.as_bytes().to_vec()].into());
    let (head, mut body) = read_head(&mut stream).unwrap();
    read_body(&mut stream, head.status, &head.headers, &mut body, 100).unwrap();
    body.len()
}

#[test]
fn a_cut_or_broken_response_is_an_error_and_its_beginning_is_kept() {
    let check = |text: &str, why: &str| {
        let error = response(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
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

#[test]
fn the_time_for_a_chunked_body_grows_with_its_length_alone() {
    // A byte in each chunk, behind an extension: decoded again with each read, this takes minutes.
    let chunks = format!("1;{}\r\nx\r\n", "e".repeat(400)).repeat(60_000);
    let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let mut stream = Counted { text: text.as_bytes(), reads: 0 };
    let (head, mut body) = read_head(&mut stream).unwrap();
    read_body(&mut stream, head.status, &head.headers, &mut body, 64 << 10).unwrap();
    assert_eq!(body.len(), 60_000);
    assert!(stream.reads > 5000);
}

/// Counts the reads.
struct Counted<'a> {
    text: &'a [u8],
    reads: usize,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        self.text.read(buffer)
    }
}

//! WebSocket frames (RFC 6455 section 5): the server's are written straight into the send buffer, the client's are read.
//!
//! Sending is written out here instead of left to tungstenite because a frame of ours needs no copy and no allocation: that
//! is what lets the simulator be faster than any reader.

use std::io::{self, Read};

pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What a control frame holds at most (RFC 6455 section 5.5).
pub(super) const CONTROL_BYTES_MAX: usize = 125;
/// A stream's client has nothing to say that is longer.
const CLIENT_BYTES_MAX: u64 = 1 << 20;

pub(super) const CODE_NORMAL: u16 = 1000;
pub(super) const CODE_PROTOCOL: u16 = 1002;
/// Stands for "no code" and is never sent itself (RFC 6455 section 7.4.1).
pub(super) const CODE_NONE: u16 = 1005;
const CODE_TOO_BIG: u16 = 1009;
pub(super) const CODE_TOKEN_EXPIRED: u16 = 4001;

/// Room for the header that most events need: two bytes and a 16-bit length.
const USUAL_HEADER_BYTES: usize = 4;

/// Appends one unmasked message whose payload is what `write` appends.
pub(super) fn push_message(out: &mut Vec<u8>, opcode: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; USUAL_HEADER_BYTES]);
    let payload = start + USUAL_HEADER_BYTES;
    write(out);
    let length = out.len() - payload;
    out[start] = 0x80 | opcode;
    if let Ok(short @ 0..=125) = u8::try_from(length) {
        out[start + 1] = short;
        out.copy_within(payload.., start + 2);
        out.truncate(start + 2 + length);
    } else if let Ok(length) = u16::try_from(length) {
        out[start + 1] = 126;
        out[start + 2..payload].copy_from_slice(&length.to_be_bytes());
    } else {
        let header_bytes = 10;
        out.resize(start + header_bytes + length, 0);
        out.copy_within(payload..payload + length, start + header_bytes);
        out[start + 1] = 127;
        out[start + 2..start + header_bytes].copy_from_slice(&(length as u64).to_be_bytes());
    }
}

pub(super) fn push_ping(out: &mut Vec<u8>, payload: &[u8]) {
    push_message(out, PING, |out| out.extend_from_slice(payload));
}

pub(super) fn push_pong(out: &mut Vec<u8>, payload: &[u8]) {
    push_message(out, PONG, |out| out.extend_from_slice(payload));
}

pub(super) fn push_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    push_message(out, CLOSE, |out| {
        if code != CODE_NONE {
            out.extend_from_slice(&code.to_be_bytes());
            out.extend_from_slice(reason.as_bytes());
        }
    });
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientFrame {
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// With its code, or [`CODE_NONE`].
    Close(u16),
    /// A message or a part of one; nobody is interested.
    Data,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadEnd {
    Gone,
    /// The client broke the protocol; the code to close with.
    Violation(u16),
}

impl From<io::Error> for ReadEnd {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Blocks until a whole frame has come.
pub(super) fn read_client_frame(input: &mut impl Read) -> Result<ClientFrame, ReadEnd> {
    let [first, second] = read_array(input)?;
    let (is_final, reserved, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0F);
    let is_masked = second & 0x80 != 0;
    let length = match second & 0x7F {
        126 => u64::from(u16::from_be_bytes(read_array(input)?)),
        127 => u64::from_be_bytes(read_array(input)?),
        short => u64::from(short),
    };
    let is_control = opcode & 0x8 != 0;
    let is_bad_control = is_control && (!is_final || length > CONTROL_BYTES_MAX as u64 || opcode > PONG);
    // A client must mask (RFC 6455 section 5.1).
    if reserved != 0 || !is_masked || is_bad_control || (3..8).contains(&opcode) {
        return Err(ReadEnd::Violation(CODE_PROTOCOL));
    }
    if length > CLIENT_BYTES_MAX {
        return Err(ReadEnd::Violation(CODE_TOO_BIG));
    }
    let mask: [u8; 4] = read_array(input)?;
    if !is_control {
        let skipped = io::copy(&mut input.take(length), &mut io::sink())?;
        return if skipped == length { Ok(ClientFrame::Data) } else { Err(ReadEnd::Gone) };
    }
    let mut payload = Vec::with_capacity(CONTROL_BYTES_MAX);
    input.take(length).read_to_end(&mut payload)?;
    if payload.len() as u64 != length {
        return Err(ReadEnd::Gone);
    }
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    match (opcode, payload.as_slice()) {
        (PING, _) => Ok(ClientFrame::Ping(payload)),
        (PONG, _) => Ok(ClientFrame::Pong(payload)),
        (_, []) => Ok(ClientFrame::Close(CODE_NONE)),
        (_, [high, low, ..]) => Ok(ClientFrame::Close(u16::from_be_bytes([*high, *low]))),
        (_, [_]) => Err(ReadEnd::Violation(CODE_PROTOCOL)),
    }
}

fn read_array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_shortest_header_for_its_length() {
        for (length, header) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (65_535, vec![0x81, 126, 0xFF, 0xFF]),
            (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut out = b"before".to_vec();
            push_message(&mut out, TEXT, |out| out.extend_from_slice(&payload));
            assert_eq!(out, [b"before".as_slice(), &header, &payload].concat());
        }
    }

    #[test]
    fn a_close_frame_carries_its_code_or_nothing() {
        let mut out = Vec::new();
        push_close(&mut out, 4001, "why");
        push_close(&mut out, CODE_NONE, "ignored");
        assert_eq!(out, b"\x88\x05\x0f\xa1why\x88\x00");
    }

    fn read(bytes: &[u8]) -> Result<ClientFrame, ReadEnd> {
        read_client_frame(&mut &*bytes)
    }

    #[test]
    fn client_frames_are_unmasked() {
        let mask = [1, 2, 3, 4];
        let masked = |text: &[u8]| text.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect::<Vec<u8>>();
        let frame = |first: u8, text: &[u8]| {
            [&[first, 0x80 | u8::try_from(text.len()).unwrap()], &mask[..], &masked(text)].concat()
        };
        assert_eq!(read(&frame(0x89, b"hello")), Ok(ClientFrame::Ping(b"hello".into())));
        assert_eq!(read(&frame(0x8A, b"")), Ok(ClientFrame::Pong(vec![])));
        assert_eq!(read(&frame(0x88, b"\x0f\xa1bye")), Ok(ClientFrame::Close(4001)));
        assert_eq!(read(&frame(0x88, b"")), Ok(ClientFrame::Close(CODE_NONE)));
        assert_eq!(read(&frame(0x81, b"data")), Ok(ClientFrame::Data));
        assert_eq!(read(&frame(0x88, b"x")), Err(ReadEnd::Violation(CODE_PROTOCOL)));
    }

    #[test]
    fn what_breaks_the_protocol_is_told_from_the_end() {
        let cases: [(&[u8], ReadEnd); 8] = [
            (b"", ReadEnd::Gone),
            (b"\x89", ReadEnd::Gone),
            (b"\x89\x85\x00\x00\x00\x00abc", ReadEnd::Gone),
            (b"\x89\x05hello", ReadEnd::Violation(CODE_PROTOCOL)),
            (b"\x09\x80\x00\x00\x00\x00", ReadEnd::Violation(CODE_PROTOCOL)),
            (b"\xC1\x80\x00\x00\x00\x00", ReadEnd::Violation(CODE_PROTOCOL)),
            (b"\x89\xFE\x01\x00\x00\x00\x00\x00", ReadEnd::Violation(CODE_PROTOCOL)),
            (b"\x82\xFF\x00\x00\x00\xFF\x00\x00\x00\x00", ReadEnd::Violation(CODE_TOO_BIG)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes), Err(expected), "{bytes:x?}");
        }
    }
}

//! WebSocket frames (RFC 6455 section 5), from the socket's bytes straight into the burst.
//!
//! tungstenite parses the frame headers; this file assembles the messages, for three reasons:
//! - A text that is not UTF-8, and a message that is too large, must become dead letters. tungstenite 0.30's `WebSocket` continues after
//!   such a message, but returns an error in place of its bytes.
//! - It writes payloads to the log at level `trace`, and refuses the bit RSV1, which compression (RFC 7692) needs later.
//! - Bytes go from the socket into the burst without a message of their own in between.
//!
//! RFC 6455 section 8.1 has a client close the connection when text is not UTF-8; this is the one rule that is not followed.

use std::io::{self, Cursor, Read};

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::event::Burst;

/// The limit of one system call. Larger buffers are not faster. Small in tests, so that few bytes take several calls.
const INPUT_BYTES: usize = if cfg!(test) { 4 << 10 } else { 64 << 10 };
/// Control frames have at most 125 bytes (section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// A larger message is an attack, or bytes that are no WebSocket frames.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;
/// A buffer that grew larger for one message is not kept.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// A decoded frame or message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A message is complete and in the burst.
    Message,
    Ping(Vec<u8>),
    Pong,
    Close(Option<Close>),
}

/// The content of a close frame (section 5.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: Vec<u8>,
}

/// The server broke a rule of the protocol: no byte after this can be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProtocolViolation(pub(super) String);

impl ProtocolViolation {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// A decoder and its buffers. Bytes come in by [`fill`](Self::fill) and go out by [`next`](Self::next).
#[derive(Debug)]
pub(super) struct Frames {
    /// `input[start..end]` has been read and not yet decoded.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// The data frame whose payload is still coming in.
    frame: Option<IncomingPayload>,
    /// Whether a fragmented message waits for its continuation.
    fragmented: bool,
    /// The first part of a message that came in several frames or reads, cut at `kept_max`.
    message: Vec<u8>,
    /// Its length so far, by the frames' headers.
    message_length: u64,
    kept_max: usize,
}

#[derive(Debug, Clone, Copy)]
struct IncomingPayload {
    left: u64,
    is_final: bool,
}

impl Frames {
    /// `first_bytes` came behind the handshake's response. Of a message larger than `kept_max`, the first bytes are kept.
    pub(super) fn new(first_bytes: &[u8], kept_max: u64) -> Self {
        let mut input = vec![0; INPUT_BYTES.max(first_bytes.len())];
        input[..first_bytes.len()].copy_from_slice(first_bytes);
        Self {
            input,
            start: 0,
            end: first_bytes.len(),
            frame: None,
            fragmented: false,
            message: Vec::new(),
            message_length: 0,
            kept_max: usize::try_from(kept_max.min(MESSAGE_BYTES_MAX)).unwrap_or(usize::MAX),
        }
    }

    /// Reads once. The caller calls this only after [`next`](Self::next) returned `None`: at most a header or a control frame is left
    /// then, so there is always room.
    pub(super) fn fill(&mut self, stream: &mut impl Read) -> io::Result<usize> {
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        debug_assert!(self.end + 14 + CONTROL_BYTES_MAX < self.input.len() || self.end == 0);
        let read = stream.read(&mut self.input[self.end..])?;
        self.end += read;
        Ok(read)
    }

    /// Decodes the next frame or message; `None` when more bytes are needed.
    pub(super) fn next(&mut self, burst: &mut Burst) -> Result<Option<Frame>, ProtocolViolation> {
        loop {
            if let Some(payload) = self.frame.take() {
                match self.take_payload(payload, burst) {
                    Progress::Message => return Ok(Some(Frame::Message)),
                    Progress::Frame => {}
                    Progress::NeedsMore => return Ok(None),
                }
            }
            let mut cursor = Cursor::new(&self.input[self.start..self.end]);
            let parsed = FrameHeader::parse(&mut cursor).map_err(|error| match error {
                tungstenite::Error::Protocol(error) => ProtocolViolation::new(error.to_string()),
                error => ProtocolViolation::new(error.to_string()),
            })?;
            let Some((header, length)) = parsed else {
                return Ok(None);
            };
            // A cursor over the input cannot be behind its end.
            let header_length = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            if header.rsv1 || header.rsv2 || header.rsv3 {
                return Err(ProtocolViolation::new("a frame with reserved bits, though no extension was agreed on"));
            }
            if header.mask.is_some() {
                return Err(ProtocolViolation::new("a masked frame from the server"));
            }
            match header.opcode {
                OpCode::Control(control) => return self.take_control(control, header.is_final, header_length, length),
                OpCode::Data(data) => {
                    self.begin_payload(data, length)?;
                    self.start += header_length;
                    self.frame = Some(IncomingPayload { left: length, is_final: header.is_final });
                }
            }
        }
    }

    fn begin_payload(&mut self, data: Data, length: u64) -> Result<(), ProtocolViolation> {
        match (data, self.fragmented) {
            (Data::Continue, true) => {}
            (Data::Continue, false) => return Err(ProtocolViolation::new("a continuation of no message")),
            (_, true) => return Err(ProtocolViolation::new("a new message in the middle of another")),
            (_, false) => self.message_length = 0,
        }
        self.message_length = self.message_length.saturating_add(length);
        if self.message_length > MESSAGE_BYTES_MAX {
            return Err(ProtocolViolation::new(format!("a message of {} bytes or more", self.message_length)));
        }
        Ok(())
    }

    /// Takes the available part of a data frame's payload.
    fn take_payload(&mut self, payload: IncomingPayload, burst: &mut Burst) -> Progress {
        let available = &self.input[self.start..self.end];
        let complete = payload.left <= available.len() as u64;
        let taken = if complete { usize::try_from(payload.left).unwrap_or(available.len()) } else { available.len() };
        let part = &available[..taken];
        self.start += taken;

        let is_whole_message = complete && payload.is_final && !self.fragmented && self.message.is_empty();
        if is_whole_message && taken <= self.kept_max {
            burst.push(part);
            return Progress::Message;
        }
        let room = self.kept_max - self.message.len();
        self.message.extend_from_slice(&part[..taken.min(room)]);
        if !complete {
            self.frame = Some(IncomingPayload { left: payload.left - taken as u64, ..payload });
            return Progress::NeedsMore;
        }
        self.fragmented = !payload.is_final;
        if self.fragmented {
            return Progress::Frame;
        }
        if self.message_length > self.message.len() as u64 {
            log::warn!("a message of {} bytes: only its first {} are kept", self.message_length, self.message.len());
        }
        burst.push(&self.message);
        self.message.clear();
        self.message.shrink_to(BUFFER_BYTES_KEPT);
        Progress::Message
    }

    /// Takes a control frame, whole or not at all.
    fn take_control(
        &mut self,
        control: Control,
        is_final: bool,
        header_length: usize,
        length: u64,
    ) -> Result<Option<Frame>, ProtocolViolation> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !is_final || length > CONTROL_BYTES_MAX {
            return Err(ProtocolViolation::new("a control frame that is fragmented or too long"));
        }
        let Some(payload) = self.input[self.start..self.end].get(header_length..header_length + length) else {
            return Ok(None);
        };
        let frame = match control {
            Control::Ping => Frame::Ping(payload.to_vec()),
            Control::Pong => Frame::Pong,
            Control::Close => Frame::Close(close(payload)?),
            Control::Reserved(code) => {
                return Err(ProtocolViolation::new(format!("an unknown control frame ({code})")));
            }
        };
        self.start += header_length + length;
        Ok(Some(frame))
    }
}

enum Progress {
    /// The message is complete and in the burst.
    Message,
    /// The frame is complete, the message is not.
    Frame,
    /// The frame is not complete.
    NeedsMore,
}

fn close(payload: &[u8]) -> Result<Option<Close>, ProtocolViolation> {
    match payload {
        [] => Ok(None),
        [_] => Err(ProtocolViolation::new("a close frame with half a code")),
        [high, low, reason @ ..] => {
            Ok(Some(Close { code: u16::from_be_bytes([*high, *low]), reason: reason.to_vec() }))
        }
    }
}

/// Appends a control frame with at most 125 bytes of payload, masked as a client must (section 5.3). The mask guards proxies
/// against scripts that choose the bytes; no script chooses these, so a fast generator is enough.
pub(super) fn encode_control(control: Control, payload: &[u8], out: &mut Vec<u8>) {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
    let mask = fastrand::u32(..).to_be_bytes();
    out.push(0x80 | u8::from(OpCode::Control(control)));
    out.push(0x80 | length);
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Decodes a whole stream of messages into bursts, as a connection does, and keeps none; returns the number of messages.
#[cfg(feature = "_bench")]
pub(crate) fn decode(mut stream: &[u8]) -> usize {
    let mut frames = Frames::new(&[], MESSAGE_BYTES_MAX);
    let (mut burst, mut messages) = (Burst::default(), 0);
    while frames.fill(&mut stream).is_ok_and(|read| read > 0) {
        while let Ok(Some(Frame::Message)) = frames.next(&mut burst) {
            messages += 1;
        }
        if burst.is_full() {
            burst.clear();
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::test_server::frame;

    /// Decodes `bytes`, handed over in pieces of `piece` bytes.
    fn decode(bytes: &[u8], piece: usize, kept_max: u64) -> (Vec<Vec<u8>>, Vec<Frame>, Option<ProtocolViolation>) {
        let mut frames = Frames::new(&[], kept_max);
        let (mut burst, mut others) = (Burst::default(), Vec::new());
        let mut violation = None;
        let mut rest = bytes;
        loop {
            match frames.next(&mut burst) {
                Ok(Some(Frame::Message)) => {}
                Ok(Some(other)) => others.push(other),
                Ok(None) if rest.is_empty() => break,
                Ok(None) => {
                    let read = frames.fill(&mut &rest[..piece.min(rest.len())]).unwrap();
                    assert!(read > 0, "no room");
                    rest = &rest[read..];
                }
                Err(found) => {
                    violation = Some(found);
                    break;
                }
            }
        }
        (burst.iter().map(<[u8]>::to_vec).collect(), others, violation)
    }

    #[test]
    fn messages_come_out_as_they_went_in_however_they_are_cut() {
        let large = vec![b'x'; 200_000];
        let middle = vec![b'y'; 40_000];
        let stream = [
            frame(1, true, b"{\"a\":1}"),
            frame(2, true, &[0, 255, 254]),
            frame(1, true, b""),
            frame(1, true, &[b'"', 0xff, b'"']),
            frame(1, true, &large),
            frame(1, false, b"one "),
            frame(9, true, b"are you there"),
            frame(0, false, b""),
            frame(0, true, b"two"),
            frame(2, false, b""),
            frame(0, true, b""),
            frame(10, true, b"pong"),
            frame(1, true, &middle),
            frame(1, true, &middle),
            frame(8, true, &[3, 232, b'b', b'y', b'e']),
        ]
        .concat();
        let expected: [&[u8]; 9] =
            [b"{\"a\":1}", &[0, 255, 254], b"", &[b'"', 0xff, b'"'], &large, b"one two", b"", &middle, &middle];
        let ends = [
            Frame::Ping(b"are you there".into()),
            Frame::Pong,
            Frame::Close(Some(Close { code: 1000, reason: b"bye".into() })),
        ];
        for piece in [1, 2, 7, 125, 4096, 65_536] {
            let (events, others, violation) = decode(&stream, piece, 1 << 20);
            assert_eq!(violation, None);
            assert!(events.iter().map(Vec::as_slice).eq(expected), "pieces of {piece} bytes");
            assert_eq!(others, ends);
        }
    }

    #[test]
    fn of_a_huge_message_the_beginning_is_kept_and_the_next_one_is_whole() {
        let huge = vec![b'h'; 300_000];
        let stream =
            [frame(1, true, &huge), frame(1, false, &huge), frame(0, true, &huge), frame(1, true, b"next")].concat();
        for (kept_max, first_lengths) in
            [(1000, [1000, 1000]), (300_000, [300_000, 300_000]), (600_001, [300_000, 600_000])]
        {
            let (events, _, violation) = decode(&stream, 65_536, kept_max);
            assert_eq!(violation, None);
            let lengths: Vec<_> = events.iter().map(Vec::len).collect();
            assert_eq!(lengths, [first_lengths[0], first_lengths[1], 4]);
        }
        let (events, _, _) = decode(&[frame(1, true, b"abcdef"), frame(1, true, b"g")].concat(), 100, 3);
        assert_eq!(events, [b"abc".to_vec(), b"g".to_vec()]);
    }

    #[test]
    fn broken_rules_are_named() {
        let check = |bytes: &[u8], why: &str| {
            let (events, _, violation) = decode(&[frame(1, true, b"before"), bytes.to_vec()].concat(), 1, 1 << 20);
            assert_eq!(events, [b"before".to_vec()], "earlier events are kept");
            let violation = violation.unwrap_or_else(|| panic!("{why}: nothing noticed"));
            assert!(violation.0.contains(why), "{why}: {}", violation.0);
        };
        check(&[0xc1, 0], "reserved bits");
        check(&[0x81, 0x80, 1, 2, 3, 4], "masked");
        check(&[0x83, 0], "opcode");
        check(&[0x8b, 0], "opcode");
        check(&frame(0, true, b"x"), "continuation of no message");
        check(&[frame(1, false, b"x"), frame(2, true, b"y")].concat(), "in the middle of another");
        check(&frame(9, true, &[0; 126]), "too long");
        check(&frame(9, false, b""), "fragmented");
        check(&frame(8, true, &[3]), "half a code");
        check(&[0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255], "a message of");
    }

    proptest::proptest! {
        #[test]
        fn how_bytes_are_cut_makes_no_difference(bytes: Vec<u8>, piece in 1..9_usize) {
            // Otherwise hardly any would be a frame.
            let likely: Vec<u8> = bytes.iter().flat_map(|byte| frame(byte & 0x8b, byte & 0x40 == 0, &bytes[..bytes.len() % 9])).collect();
            for bytes in [&bytes, &likely] {
                proptest::prop_assert_eq!(decode(bytes, piece, 100), decode(bytes, usize::MAX, 100));
            }
        }
    }

    #[test]
    fn sent_frames_are_masked() {
        let mut out = Vec::new();
        encode_control(Control::Pong, b"hello", &mut out);
        assert_eq!(out[..2], [0x8a, 0x85]);
        let unmasked: Vec<u8> = out[6..].iter().zip(out[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(unmasked, b"hello");
    }
}

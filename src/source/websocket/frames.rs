//! WebSocket frames (RFC 6455 section 5), from the socket's bytes straight into the burst.
//!
//! tungstenite parses the frame headers; this file assembles the messages, for three reasons:
//! - A text that is not UTF-8, and a message that is too large, must become dead letters. tungstenite 0.30's `WebSocket` continues after
//!   such a message, but returns an error in place of its bytes.
//! - It writes payloads to the log at level `trace`, and refuses the bit RSV1, which marks a compressed message (RFC 7692).
//! - Bytes go from the socket into the burst without a message of their own in between.
//!
//! RFC 6455 section 8.1 has a client close the connection when text is not UTF-8; this is the one rule that is not followed.

use std::io::{self, Cursor, Read};

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::event::Burst;

use super::control::{CONTROL_BYTES_MAX, Close};
use super::deflate::Inflater;
use super::extension::Deflate;
use super::violation::{ProtocolViolation, ViolationCode};

/// The limit of one system call. Larger buffers are not faster. Small in tests, so that few bytes take several calls.
const INPUT_BYTES: usize = if cfg!(test) { 4 << 10 } else { 64 << 10 };
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
    /// If compression was agreed on.
    inflater: Option<Box<Inflater>>,
    /// Whether the newest message is compressed.
    is_compressed: bool,
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
            inflater: None,
            is_compressed: false,
        }
    }

    /// Whether a message of this length may have been longer: only its beginning is kept then.
    pub(super) fn is_cut(&self, length: usize) -> bool {
        length >= self.kept_max
    }

    /// Also inflates the messages that the server compresses, if that was agreed on.
    pub(super) fn inflating(self, agreed: Option<Deflate>) -> Self {
        Self { inflater: agreed.map(|agreed| Box::new(Inflater::new(agreed))), ..self }
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
                let taken = if self.is_compressed {
                    self.take_compressed(payload, burst)?
                } else {
                    self.take_payload(payload, burst)
                };
                match taken {
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
                self.check_reserved(&header)?;
            }
            if header.mask.is_some() {
                return Err(ProtocolViolation::new("a masked frame from the server"));
            }
            match header.opcode {
                OpCode::Control(control) => return self.take_control(control, header.is_final, header_length, length),
                OpCode::Data(data) => {
                    self.begin_payload(data, header.rsv1, length)?;
                    self.start += header_length;
                    self.frame = Some(IncomingPayload { left: length, is_final: header.is_final });
                }
            }
        }
    }

    /// RSV1 marks the first frame of a compressed message (RFC 7692 section 6). Everything else is reserved.
    #[cold]
    fn check_reserved(&self, header: &FrameHeader) -> Result<(), ProtocolViolation> {
        let begins_message = matches!(header.opcode, OpCode::Data(Data::Text | Data::Binary));
        if header.rsv2 || header.rsv3 || self.inflater.is_none() {
            Err(ProtocolViolation::new("a frame with reserved bits, though no extension was agreed on"))
        } else if begins_message {
            Ok(())
        } else {
            Err(ProtocolViolation::new("the bit of compressed messages (RSV1) in a frame that begins none"))
        }
    }

    fn begin_payload(&mut self, data: Data, is_compressed: bool, length: u64) -> Result<(), ProtocolViolation> {
        match (data, self.fragmented) {
            (Data::Continue, true) => {}
            (Data::Continue, false) => return Err(ProtocolViolation::new("a continuation of no message")),
            (_, true) => return Err(ProtocolViolation::new("a new message in the middle of another")),
            (_, false) => (self.message_length, self.is_compressed) = (0, is_compressed),
        }
        self.message_length = self.message_length.saturating_add(length);
        if self.message_length > MESSAGE_BYTES_MAX {
            return Err(ProtocolViolation::new(format!("a message of {} bytes or more", self.message_length)));
        }
        Ok(())
    }

    /// How much of a payload is available, and whether that is all of it.
    fn available(&self, payload: IncomingPayload) -> (usize, bool) {
        let available = self.end - self.start;
        match usize::try_from(payload.left) {
            Ok(left) if left <= available => (left, true),
            _ => (available, false),
        }
    }

    /// Takes the available part of a data frame's payload.
    fn take_payload(&mut self, payload: IncomingPayload, burst: &mut Burst) -> Progress {
        let (taken, complete) = self.available(payload);
        let part = &self.input[self.start..self.start + taken];
        self.start += taken;

        let is_whole_message = complete && payload.is_final && !self.fragmented && self.message.is_empty();
        if is_whole_message && taken <= self.kept_max {
            burst.push(part);
            return Progress::Message;
        }
        let room = self.kept_max - self.message.len();
        self.message.extend_from_slice(&part[..taken.min(room)]);
        let progress = self.advance(payload, taken, complete);
        if let Progress::Message = progress {
            if self.message_length > self.message.len() as u64 {
                log::warn!(
                    "a message of {} bytes: only its first {} are kept",
                    self.message_length,
                    self.message.len()
                );
            }
            self.push_message(burst);
        }
        progress
    }

    /// Takes the available part of a compressed message's frame. Inlined, it would make every plain message slower.
    #[inline(never)]
    fn take_compressed(&mut self, payload: IncomingPayload, burst: &mut Burst) -> Result<Progress, ProtocolViolation> {
        let (taken, complete) = self.available(payload);
        let part = &self.input[self.start..self.start + taken];
        self.start += taken;

        // A compressed message is accepted only where there is an inflater.
        if let Some(inflater) = &mut self.inflater {
            let is_last = complete && payload.is_final;
            let inflated = inflater.take(part, is_last, &mut self.message, self.kept_max);
            if let Err(violation) = inflated {
                if violation.code == ViolationCode::TooLarge {
                    self.push_message(burst);
                }
                return Err(violation);
            }
        }
        let progress = self.advance(payload, taken, complete);
        if let Progress::Message = progress {
            self.push_message(burst);
        }
        Ok(progress)
    }

    /// The progress when this part of a frame's payload has been taken.
    fn advance(&mut self, payload: IncomingPayload, taken: usize, complete: bool) -> Progress {
        if !complete {
            self.frame = Some(IncomingPayload { left: payload.left - taken as u64, ..payload });
            return Progress::NeedsMore;
        }
        self.fragmented = !payload.is_final;
        if self.fragmented { Progress::Frame } else { Progress::Message }
    }

    /// Hands over the message that was collected.
    fn push_message(&mut self, burst: &mut Burst) {
        burst.push(&self.message);
        self.message.clear();
        self.message.shrink_to(BUFFER_BYTES_KEPT);
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
            Control::Close => Frame::Close(Close::decode(payload)?),
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
#[path = "tests/frames.rs"]
mod tests;

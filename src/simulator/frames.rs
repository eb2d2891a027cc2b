//! WebSocket frames that the simulator sends, formatted by tungstenite into a buffer of our own.
//!
//! `WebSocket::write` cannot send them, for two reasons. An event that a connection did not write goes back to the cursor and is sent
//! on the next connection, but a frame cannot be taken back from tungstenite's buffer. And one thread reads while another one is
//! blocked in a write, but a `WebSocket` is one object for both directions.

use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::OpCode;
use tungstenite::protocol::frame::{Frame, FrameHeader};

pub(super) const CODE_NORMAL: u16 = 1000;
pub(super) const CODE_PROTOCOL: u16 = 1002;
/// Stands for "no code" and is never sent itself (RFC 6455 section 7.4.1).
pub(super) const CODE_NONE: u16 = 1005;
pub(super) const CODE_NOT_UTF8: u16 = 1007;
pub(super) const CODE_POLICY: u16 = 1008;
pub(super) const CODE_TOO_BIG: u16 = 1009;
pub(super) const CODE_TOKEN_EXPIRED: u16 = 4001;

/// Appends one message in one frame.
pub(super) fn push_message(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    // Writing to a `Vec` cannot fail.
    let _ = header.format(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// Appends a control frame.
pub(super) fn push_control(out: &mut Vec<u8>, frame: Frame) {
    let _ = frame.format(out);
}

/// A close frame; with [`CODE_NONE`], one without code and reason.
pub(super) fn close(code: u16, reason: &str) -> Frame {
    Frame::close((code != CODE_NONE).then(|| CloseFrame { code: code.into(), reason: reason.into() }))
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::coding::Data;

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
            push_message(&mut out, OpCode::Data(Data::Text), &payload);
            assert_eq!(out, [b"before".as_slice(), &header, &payload].concat());
        }
    }

    #[test]
    fn a_close_frame_has_its_code_or_none() {
        let mut out = Vec::new();
        push_control(&mut out, close(4001, "why"));
        push_control(&mut out, close(CODE_NONE, "ignored"));
        assert_eq!(out, b"\x88\x05\x0f\xa1why\x88\x00");
    }
}

//! Control frames (RFC 6455 section 5.5): the content of a close frame, and the frames that this side sends.

use tungstenite::protocol::frame::coding::{Control, OpCode};

use super::violation::ProtocolViolation;

/// A control frame has at most 125 bytes of payload.
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// The content of a close frame (section 5.5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: Vec<u8>,
}

impl Close {
    /// `None`: without a code.
    pub(super) fn decode(payload: &[u8]) -> Result<Option<Self>, ProtocolViolation> {
        match payload {
            [] => Ok(None),
            [_] => Err(ProtocolViolation::new("a close frame with half a code")),
            [high, low, reason @ ..] => {
                Ok(Some(Self { code: u16::from_be_bytes([*high, *low]), reason: reason.to_vec() }))
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_frames_are_masked() {
        let mut out = Vec::new();
        encode_control(Control::Pong, b"hello", &mut out);
        assert_eq!(out[..2], [0x8a, 0x85]);
        let unmasked: Vec<u8> = out[6..].iter().zip(out[2..6].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(unmasked, b"hello");
    }
}

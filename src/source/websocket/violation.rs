//! Bytes of the server that end a connection.

/// The server broke a rule of the protocol, or sent what cannot be inflated: no byte after this can be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProtocolViolation {
    pub(super) what: String,
    pub(super) code: ViolationCode,
}

/// The code of the close frame that is sent to the server (RFC 6455 section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ViolationCode {
    ProtocolError = 1002,
    /// A compressed message is corrupt.
    Corrupt = 1007,
    /// A message inflates to more than is kept; its beginning is in the burst.
    TooLarge = 1009,
}

impl ProtocolViolation {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), code: ViolationCode::ProtocolError }
    }

    pub(super) fn corrupt(why: &str) -> Self {
        Self { what: format!("a compressed message is corrupt: {why}"), code: ViolationCode::Corrupt }
    }

    pub(super) fn too_large(kept: usize) -> Self {
        let what = format!("a compressed message has more than {kept} bytes: only these are kept");
        Self { what, code: ViolationCode::TooLarge }
    }

    /// The payload of the close frame.
    pub(super) fn close_payload(&self) -> [u8; 2] {
        (self.code as u16).to_be_bytes()
    }
}

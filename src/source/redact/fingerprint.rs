//! What is kept of an event, or of a message, that cannot be redacted: why, its length and its hash.

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::report::json::hex;

/// The only member of its text.
const NAME: &str = "cxsink_fingerprint";

/// The fingerprint of bytes that are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Why they are not kept, without a part of them.
    pub(crate) reason: String,
    /// Whether they are a message that could not be unwrapped, and not an event.
    pub(crate) is_message: bool,
    bytes: u64,
    sha256: String,
}

impl Fingerprint {
    pub(crate) fn new(reason: String, is_message: bool, of: &[u8]) -> Self {
        Self { reason, is_message, bytes: of.len() as u64, sha256: hex(&Sha256::digest(of)) }
    }

    /// As JSON, in place of the bytes.
    pub(crate) fn text(&self) -> String {
        let of = if self.is_message { "message" } else { "event" };
        json!({NAME: {"of": of, "reason": self.reason, "bytes": self.bytes, "sha256": self.sha256}}).to_string()
    }

    /// `None` if it is none.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(text).ok()?;
        let members = json.as_object().filter(|members| members.len() == 1)?.get(NAME)?;
        let text = |name: &str| members[name].as_str();
        Some(Self {
            reason: text("reason")?.into(),
            is_message: text("of")? == "message",
            bytes: members["bytes"].as_u64()?,
            sha256: text("sha256")?.into(),
        })
    }

    /// As the reason of a dead letter.
    pub(crate) fn describe(&self) -> String {
        let Self { bytes, sha256, .. } = self;
        format!("{}; redact is set, so it is not kept: {bytes} bytes with the SHA-256 {sha256}", self.problem())
    }

    /// The reason as a sentence.
    pub(crate) fn problem(&self) -> String {
        if self.is_message { self.reason.clone() } else { format!("the event is {}", self.reason) }
    }
}

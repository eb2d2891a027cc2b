//! The bytes of one event: about 300, in the form of CXone's events, built without an allocation.

use super::entry::Entry;
use super::options::InvalidKind;
use super::rng::{Purpose, Rng};
use crate::time::timestamp;

/// Writes an entry's bytes; the same entry always gives the same bytes.
#[derive(Debug, Clone)]
pub(super) struct BodyWriter {
    pub(super) seed: u64,
    pub(super) oversize_bytes: usize,
}

/// The order decides which one a seed leaves out.
const REQUIRED: [&str; 4] = ["interactionId", "timestamp", "type", "idempotencyKey"];
const TYPES: [&str; 4] = ["call", "chat", "email", "callback"];
pub(super) const DISPOSITIONS: [&str; 6] =
    ["resolved", "transferred", "abandoned", "voicemail", "escalated-to-supervisor", "callback-scheduled"];
pub(super) const QUEUES: [&str; 6] =
    ["support-tier-1", "support-tier-2", "sales-inbound", "billing-emea", "Kundendienst Zürich", "retention"];
/// Attributes that the schema allows but does not name.
const EXTRAS: [&str; 4] =
    [r#""language":"en-GB""#, r#""sentiment":-0.25"#, r#""recorded":true"#, r#""tags":["vip","renewal"]"#];

const BAD_TYPES: [&str; 4] = ["sms", "CALL", "video", ""];
const BAD_DATES: [&str; 6] =
    ["01/02/2026 10:11:12 PM", "2026-13-01T00:00:00.000Z", "2026-02-30T12:00:00Z", "2026-01-01", "1767225600000", ""];
const BAD_KEY_ENDINGS: [&str; 4] = [" ", "!", "/..", "-ü"];
const UNKNOWN_MEMBERS: [&str; 3] = [r#""channel":"voice""#, r#""version":2"#, r#""tenant":{"id":"t-1"}"#];

impl BodyWriter {
    /// Appends the event's bytes.
    pub(super) fn write(&self, entry: &Entry, out: &mut Vec<u8>) {
        let start = out.len();
        let invalid = entry.invalid();
        let mut rng = Rng::at(self.seed, Purpose::Body, entry.body);
        let mut interaction = Rng::at(self.seed, Purpose::Interaction, entry.key);
        // An event and its updates have these in common.
        let (interaction_id, key, usual_type) = (
            (interaction.next(), interaction.next()),
            (interaction.next(), interaction.next()),
            interaction.of(&TYPES),
        );
        let missing = (invalid == Some(InvalidKind::MissingField)).then(|| rng.of(&REQUIRED));

        // Every member is written with a comma in front; the first comma becomes the opening brace.
        if missing != Some("interactionId") {
            out.extend_from_slice(b",\"interactionId\":\"");
            push_uuid(out, interaction_id);
            out.push(b'"');
        }
        if missing != Some("timestamp") {
            out.extend_from_slice(b",\"timestamp\":\"");
            if invalid == Some(InvalidKind::BadDate) {
                out.extend_from_slice(rng.of(&BAD_DATES).as_bytes());
            } else {
                timestamp::push_millis(out, entry.stamp_ms);
            }
            out.push(b'"');
        }
        if missing != Some("type") {
            let is_other = entry.body != entry.key && rng.one_in(8);
            let name = match invalid {
                Some(InvalidKind::BadEnum) => rng.of(&BAD_TYPES),
                _ if is_other => rng.of(&TYPES),
                _ => usual_type,
            };
            push_text(out, "type", name);
        }
        if missing != Some("idempotencyKey") {
            out.extend_from_slice(b",\"idempotencyKey\":\"");
            if invalid != Some(InvalidKind::BadKeyPattern) {
                push_uuid(out, key);
            } else if !rng.one_in(5) {
                push_uuid(out, key);
                out.extend_from_slice(rng.of(&BAD_KEY_ENDINGS).as_bytes());
            }
            out.push(b'"');
        }
        if invalid == Some(InvalidKind::UnknownKey) {
            out.push(b',');
            out.extend_from_slice(rng.of(&UNKNOWN_MEMBERS).as_bytes());
        }
        let padded_bytes = (invalid == Some(InvalidKind::Oversize)).then_some(self.oversize_bytes);
        if padded_bytes.is_some() || !rng.one_in(64) {
            push_attributes(out, &mut rng, padded_bytes.map(|bytes| start + bytes));
        }
        out[start] = b'{';
        out.push(b'}');

        if invalid == Some(InvalidKind::NotJson) {
            // No proper prefix of an object is JSON. At least one byte is kept: an empty message is another fault.
            let kept = 1 + rng.index(out.len() - start - 1);
            out.truncate(start + kept);
            while std::str::from_utf8(&out[start..]).is_err() {
                out.pop();
            }
        }
    }
}

/// `padded_end`: the end of the padded event in `out`, its closing brace included.
fn push_attributes(out: &mut Vec<u8>, rng: &mut Rng, padded_end: Option<usize>) {
    out.extend_from_slice(b",\"attributes\":");
    let start = out.len();
    match presence(rng) {
        Presence::Value => {
            out.extend_from_slice(b",\"duration\":");
            push_decimal(out, rng.below(3600));
        }
        Presence::Null => out.extend_from_slice(b",\"duration\":null"),
        Presence::Absent => {}
    }
    push_nullable(out, rng, "disposition", |rng, out| out.extend_from_slice(rng.of(&DISPOSITIONS).as_bytes()));
    push_nullable(out, rng, "queueName", |rng, out| out.extend_from_slice(rng.of(&QUEUES).as_bytes()));
    push_nullable(out, rng, "agentId", |rng, out| {
        out.extend_from_slice(b"agent-");
        push_decimal(out, 10_000 + rng.below(5000));
    });
    if rng.one_in(8) {
        out.push(b',');
        out.extend_from_slice(rng.of(&EXTRAS).as_bytes());
    }
    if let Some(end) = padded_end {
        out.extend_from_slice(b",\"padding\":\"");
        let closing = "\"}}".len();
        out.resize((end - closing).max(out.len()), b'x');
        out.push(b'"');
    }
    if out.len() == start {
        out.push(b'{');
    } else {
        out[start] = b'{';
    }
    out.push(b'}');
}

enum Presence {
    Value,
    Null,
    Absent,
}

/// One attribute in 32 is null, one in 32 is absent.
fn presence(rng: &mut Rng) -> Presence {
    match rng.below(32) {
        0 => Presence::Null,
        1 => Presence::Absent,
        _ => Presence::Value,
    }
}

fn push_nullable(out: &mut Vec<u8>, rng: &mut Rng, name: &str, value: impl Fn(&mut Rng, &mut Vec<u8>)) {
    let presence = presence(rng);
    if matches!(presence, Presence::Absent) {
        return;
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    if matches!(presence, Presence::Null) {
        out.extend_from_slice(b"\":null");
        return;
    }
    out.extend_from_slice(b"\":\"");
    value(rng, out);
    out.push(b'"');
}

/// `text` must need no escapes.
fn push_text(out: &mut Vec<u8>, name: &str, text: &str) {
    for part in [",\"", name, "\":\"", text, "\""] {
        out.extend_from_slice(part.as_bytes());
    }
}

pub(super) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A random UUID, version 4 (RFC 9562 section 5.4).
pub(super) fn push_uuid(out: &mut Vec<u8>, (high, low): (u64, u64)) {
    let high = high & !0xF000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let mut text = [b'-'; 36];
    let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    // The groups of 4, 2, 2, 2 and 6 bytes, with their places in the text.
    for (at, group) in
        [(0, &bytes[..4]), (9, &bytes[4..6]), (14, &bytes[6..8]), (19, &bytes[8..10]), (24, &bytes[10..])]
    {
        for (digits, byte) in text[at..].chunks_exact_mut(2).zip(group) {
            digits[0] = HEX[usize::from(byte >> 4)];
            digits[1] = HEX[usize::from(byte & 0xF)];
        }
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        let mut out = Vec::new();
        push_uuid(&mut out, (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210));
        assert_eq!(out, b"01234567-89ab-4def-bedc-ba9876543210");
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 12_345, u64::MAX] {
            let mut out = b"x".to_vec();
            push_decimal(&mut out, number);
            assert_eq!(out, format!("x{number}").as_bytes());
        }
    }
}

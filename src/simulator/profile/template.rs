//! The events of a platform, as members with placeholders.
//!
//! `<key>`, `<interaction>` and `<time>` stand within quotes; `<type>`, `<queue>`, `<agent>`, `<disposition>`, `<duration>`, `<text>` and
//! `<number>` are replaced by a JSON value.

use crate::simulator::body::{DISPOSITIONS, QUEUES, push_decimal, push_uuid};
use crate::simulator::entry::Entry;
use crate::simulator::options::InvalidKind;
use crate::simulator::rng::{Purpose, Rng};
use crate::time::timestamp;

#[derive(Debug)]
pub(in crate::simulator) struct Event {
    /// At least one is required.
    pub(super) members: &'static [Member],
    /// The values of `<type>`.
    pub(super) types: &'static [&'static str],
}

#[derive(Debug)]
pub(in crate::simulator) struct Member {
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    pub(super) value: &'static str,
}

pub(super) const fn required(name: &'static str, value: &'static str) -> Member {
    Member { name, is_required: true, value }
}

pub(super) const fn optional(name: &'static str, value: &'static str) -> Member {
    Member { name, is_required: false, value }
}

const BAD_DATES: [&str; 4] = ["01/02/2026 10:11:12 PM", "2026-13-01T00:00:00.000Z", "1767225600000", ""];
const BAD_KEY_ENDINGS: [&str; 4] = [" ", "!", "/..", "-ü"];
/// Texts that a JSON text escapes, once more within a text, and letters of several bytes.
const TEXTS: [&str; 5] = [
    "Good morning, how can I help you?",
    "She said \"call me back\", and gave C:\\temp as the folder.",
    "Grüße aus Zürich",
    "First line\nsecond line\tend",
    "{\"not\": \"an event\"}",
];

/// Writes an entry's bytes by a template; the same entry always gives the same bytes.
#[derive(Debug, Clone)]
pub(in crate::simulator) struct TemplateWriter {
    pub(super) seed: u64,
    pub(super) oversize_bytes: usize,
    pub(super) event: &'static Event,
}

struct Draws {
    rng: Rng,
    interaction_id: (u64, u64),
    key: (u64, u64),
    usual_type: &'static str,
    may_have_other_type: bool,
}

impl TemplateWriter {
    /// Appends the event's bytes.
    pub(super) fn write(&self, entry: &Entry, out: &mut Vec<u8>) {
        let start = out.len();
        let mut rng = Rng::at(self.seed, Purpose::Body, entry.body);
        let mut common = Rng::at(self.seed, Purpose::Interaction, entry.key);
        let missing = (entry.invalid() == Some(InvalidKind::MissingField)).then(|| {
            let required = self.event.members.iter().filter(|member| member.is_required);
            required.clone().nth(rng.index(required.count())).map(|member| member.name)
        });
        let mut draws = Draws {
            rng,
            interaction_id: (common.next(), common.next()),
            key: (common.next(), common.next()),
            usual_type: common.of(self.event.types),
            may_have_other_type: entry.body != entry.key,
        };
        for member in self.event.members.iter().filter(|member| missing != Some(Some(member.name))) {
            for part in [",\"", member.name, "\":"] {
                out.extend_from_slice(part.as_bytes());
            }
            self.push_value(member.value, entry, &mut draws, out);
        }
        if entry.invalid() == Some(InvalidKind::Oversize) {
            out.extend_from_slice(b",\"padding\":\"");
            let end = start + self.oversize_bytes - "\"}".len();
            out.resize(end.max(out.len()), b'x');
            out.push(b'"');
        }
        out[start] = b'{';
        out.push(b'}');
        if entry.invalid() == Some(InvalidKind::NotJson) {
            // No proper prefix of an object is JSON.
            let kept = 1 + draws.rng.index(out.len() - start - 1);
            out.truncate(start + kept);
            while std::str::from_utf8(&out[start..]).is_err() {
                out.pop();
            }
        }
    }

    fn push_value(&self, value: &str, entry: &Entry, draws: &mut Draws, out: &mut Vec<u8>) {
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('<') {
            let (name, after) = after.split_once('>').unwrap_or((after, ""));
            out.extend_from_slice(before.as_bytes());
            self.push_drawn(name, entry, draws, out);
            rest = after;
        }
        out.extend_from_slice(rest.as_bytes());
    }

    fn push_drawn(&self, name: &str, entry: &Entry, draws: &mut Draws, out: &mut Vec<u8>) {
        let invalid = entry.invalid();
        let rng = &mut draws.rng;
        match name {
            "interaction" => push_uuid(out, draws.interaction_id),
            "key" => {
                push_uuid(out, draws.key);
                if invalid == Some(InvalidKind::BadKeyPattern) {
                    out.extend_from_slice(rng.of(&BAD_KEY_ENDINGS).as_bytes());
                }
            }
            "time" if invalid == Some(InvalidKind::BadDate) => out.extend_from_slice(rng.of(&BAD_DATES).as_bytes()),
            "time" => timestamp::push_millis(out, entry.stamp_ms),
            // Platforms add types without notice, so a schema allows every text.
            "type" if invalid == Some(InvalidKind::BadEnum) => out.push(b'7'),
            "type" if draws.may_have_other_type && rng.one_in(8) => push_json(out, rng.of(self.event.types)),
            "type" => push_json(out, draws.usual_type),
            "queue" => push_nullable(out, rng, |rng| rng.of(&QUEUES).into()),
            "disposition" => push_nullable(out, rng, |rng| rng.of(&DISPOSITIONS).into()),
            "agent" => push_nullable(out, rng, |rng| format!("agent-{}", 10_000 + rng.below(5000))),
            "text" => push_json(out, rng.of(&TEXTS)),
            "duration" => push_decimal(out, rng.below(3600)),
            "number" => push_decimal(out, rng.below(100)),
            _ => out.extend_from_slice(b"null"),
        }
    }
}

/// One value in 32 is null.
fn push_nullable(out: &mut Vec<u8>, rng: &mut Rng, text: impl Fn(&mut Rng) -> String) {
    if rng.one_in(32) {
        out.extend_from_slice(b"null");
    } else {
        push_json(out, &text(rng));
    }
}

fn push_json(out: &mut Vec<u8>, text: &str) {
    // Writing to a `Vec` cannot fail.
    let _ = serde_json::to_writer(out, text);
}

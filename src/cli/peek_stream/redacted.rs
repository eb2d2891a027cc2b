//! Messages and their events without what `[[redact]]` hides.

use crate::source::redact::{Fingerprint, Redacted, Redactor};
use crate::source::{Meaning, PeekedEvent};

/// A message as it may be shown.
pub(super) struct Shown {
    pub(super) message: Vec<u8>,
    pub(super) meaning: Meaning,
    /// Whether the message is its only event, so that it is there.
    pub(super) is_whole: bool,
}

/// What takes the place of a message that holds events.
const HIDDEN: &str = "the message is not shown";

/// `None` if the message holds no event.
pub(super) fn redacted(redactor: &Redactor, message: &[u8], meaning: &Meaning) -> Option<Shown> {
    let Meaning::Events(events) = meaning else { return None };
    let shown: Vec<PeekedEvent> = events.iter().map(|event| shown(redactor, event)).collect();
    let is_whole = matches!(events.as_slice(), [only] if only.bytes == message) && shown[0].problem.is_none();
    let message = if is_whole {
        shown[0].bytes.clone()
    } else {
        Fingerprint::new(HIDDEN.into(), true, message).text().into_bytes()
    };
    Some(Shown { message, meaning: Meaning::Events(shown), is_whole })
}

fn shown(redactor: &Redactor, event: &PeekedEvent) -> PeekedEvent {
    let fingerprint = match (&event.problem, redactor.redact(&event.bytes)) {
        (None, Redacted::Event(text)) => {
            return PeekedEvent { bytes: text.into_owned().into_bytes(), problem: None };
        }
        (None, Redacted::Fingerprint(fingerprint)) => fingerprint,
        (Some(reason), _) => Fingerprint::new(reason.clone(), true, &event.bytes),
    };
    PeekedEvent { bytes: fingerprint.text().into_bytes(), problem: Some(fingerprint.describe()) }
}

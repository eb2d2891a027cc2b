//! One event on the preparer's way: a row, or a dead letter.

use crate::error::{Error, ErrorKind};
use crate::pipeline::handoff::Assignment;
use crate::pipeline::preparer::Preparer;
use crate::report::dead_letter::DeadLetter;
use crate::rows::batch::Rows;
use crate::rows::event::ParsedEvent;
use crate::rows::{key_of, map_event};
use crate::source::redact::Fingerprint;
use crate::spool::SpooledEvent;

impl Preparer {
    /// Appends the row of the event; the error is its dead letter.
    pub(super) fn prepare_event(
        &self,
        event: SpooledEvent<'_>,
        assignment: &Assignment,
        rows: &mut Rows,
    ) -> Result<(), Box<DeadLetter>> {
        let arrival = event.arrival();
        let SpooledEvent { offset, received_at, bytes, is_message } = event;
        let is_suspect = self.spool.is_suspect(offset);
        if is_message && !is_suspect {
            return Err(self.letter_of_message(event).into());
        }
        // One that was spooled before it was to be redacted is redacted here; its dead letter is as it was spooled.
        let storable = self.rules.storable(bytes, || is_suspect || self.spool.is_redacted(offset));
        let mapped = if is_suspect {
            Err(Error::new(ErrorKind::Internal, "the process ended twice while it prepared this event"))
        } else {
            storable
                .as_ref()
                .map_err(Error::clone)
                .and_then(|event| self.rules.schema.parse(event).and_then(|event| map_event(&event, arrival, rows)))
        };
        mapped.map_err(|error| {
            let now = self.status.clock.unix_micros();
            let mut letter = DeadLetter::new(offset, received_at, now, &error, bytes);
            letter.key_hash = storable.ok().and_then(|event| key_of_rejected(&error, &event, assignment));
            letter.into()
        })
    }

    /// The dead letter of a message that was spooled whole, or of a fingerprint.
    fn letter_of_message(&self, event: SpooledEvent<'_>) -> DeadLetter {
        let SpooledEvent { offset, received_at, bytes, .. } = event;
        let now = self.status.clock.unix_micros();
        let fingerprint = if self.spool.is_redacted(offset) { Fingerprint::parse(bytes) } else { None };
        match fingerprint {
            Some(fingerprint) if !fingerprint.is_message => {
                let error = Error::new(ErrorKind::Json, fingerprint.describe());
                DeadLetter::new(offset, received_at, now, &error, bytes)
            }
            Some(fingerprint) => DeadLetter::of_message(offset, received_at, now, fingerprint.describe(), bytes),
            None => DeadLetter::of_message(offset, received_at, now, self.rules.reason_of_message(bytes), bytes),
        }
    }
}

/// The hash of a rejected event's key, if it has one. With several partitions it is not used: another writer may write a later event of
/// the key before the first writer keeps the dead letter.
fn key_of_rejected(error: &Error, event: &[u8], assignment: &Assignment) -> Option<u64> {
    if assignment.partitions > 1 || assignment.plan.has_loose_key || error.kind() == ErrorKind::Json {
        return None;
    }
    let text = std::str::from_utf8(event).ok()?;
    ParsedEvent::parse(text).ok().and_then(|event| key_of(&event, &assignment.plan))
}

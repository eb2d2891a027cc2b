//! One event on the preparer's way: a row, or a dead letter.

use crate::error::{Error, ErrorKind};
use crate::event::Burst;
use crate::pipeline::handoff::Assignment;
use crate::pipeline::preparer::Preparer;
use crate::pipeline::replayer::unwrap_again;
use crate::report::dead_letter::DeadLetter;
use crate::rows::batch::Rows;
use crate::rows::event::ParsedEvent;
use crate::rows::{key_of, map_event};
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
        let mapped = if self.spool.is_suspect(offset) {
            Err(Error::new(ErrorKind::Internal, "the process ended twice while it prepared this event"))
        } else if is_message {
            let (reason, now) = (self.reason_of_message(bytes), self.status.clock.unix_micros());
            return Err(DeadLetter::of_message(offset, received_at, now, reason, bytes).into());
        } else {
            self.schema.parse(bytes).and_then(|event| map_event(&event, arrival, rows))
        };
        mapped.map_err(|error| {
            let now = self.status.clock.unix_micros();
            let mut letter = DeadLetter::new(offset, received_at, now, &error, bytes);
            letter.key_hash = key_of_rejected(&error, bytes, assignment);
            letter.into()
        })
    }

    /// The reason why this message was spooled whole, by the current settings: the spool does not have it.
    fn reason_of_message(&self, message: &[u8]) -> String {
        let again = unwrap_again(self.unwrapper.as_deref(), message, &mut Burst::default());
        again.err().unwrap_or_else(|| "the message could not be unwrapped when it was received".into())
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

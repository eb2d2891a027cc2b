//! Dead letters that a writer keeps: those of whole batches, and poison events, which the database refuses.

use crate::error::{Class, Error, Result};
use crate::pipeline::writer::run::{End, Writer};
use crate::pipeline::writer::sub_batch::SubBatch;
use crate::report::dead_letter::DeadLetter;
use crate::report::stats::Stored;
use crate::report::status::Side;
use crate::rows::partition::key_hash;
use crate::spool::SpooledEvents;
use crate::time::backoff::Backoff;

impl Writer {
    /// Keeps dead letters before the checkpoint passes their events. Waits while the spool cannot take them; false when the sink
    /// ends first.
    pub(super) fn keep(&mut self, dead_letters: &[DeadLetter]) -> Result<bool> {
        let mut backoff = Backoff::new(self.config.retry.delay_min, self.config.retry.delay_max);
        while let Err(error) = self.spool.keep(dead_letters) {
            if self.is_given_up(error, &mut backoff)? {
                return Ok(false);
            }
        }
        if !dead_letters.is_empty() {
            self.status.recover(Side::DeadLetters);
        }
        self.log_dead_letters(dead_letters);
        for letter in dead_letters {
            self.status.note_dead_letter(letter);
        }
        Ok(true)
    }

    /// A line for the first of each kind, and now and then a tally: a stream of invalid events must not flood the log. Each has a
    /// notice and a dead letter.
    fn log_dead_letters(&mut self, dead_letters: &[DeadLetter]) {
        let now = self.status.clock.steady();
        for letter in dead_letters {
            if let Some(line) = self.tally.add(letter, now) {
                log::warn!("{line}");
            }
        }
        if let Some(line) = self.tally.line_if_due(now) {
            log::warn!("{line}");
        }
    }

    /// Waits until the spool may be tried again; true when the sink ends first.
    fn is_given_up(&self, error: Error, backoff: &mut Backoff) -> Result<bool> {
        if error.class() == Class::Permanent {
            return Err(error);
        }
        self.status.report(&error);
        self.status.stall(Side::DeadLetters);
        Ok(self.status.stop.wait(backoff.next_delay()))
    }

    /// Keeps the only event of a sub-batch as a dead letter: a poison event.
    pub(super) fn reject(&mut self, sub_batch: SubBatch<'_>, error: &Error) -> Result<End> {
        let mut events = SpooledEvents::default();
        let mut backoff = Backoff::new(self.config.retry.delay_min, self.config.retry.delay_max);
        while let Err(error) = self.spool.read(sub_batch.offset(0), 1, 0, &mut events) {
            if self.is_given_up(error, &mut backoff)? {
                return Ok(End::GivenUp);
            }
        }
        let now = self.status.clock.unix_micros();
        let rows = &sub_batch.batch.rows;
        let letters: Vec<DeadLetter> = events
            .iter()
            .map(|event| {
                let mut letter = DeadLetter::new(event.offset, event.received_at, now, error, event.bytes);
                letter.key_hash = (!rows.plan.has_loose_key).then(|| key_hash(rows, sub_batch.rows[0]));
                letter
            })
            .collect();
        if !self.keep(&letters)? {
            return Ok(End::GivenUp);
        }
        self.commit(sub_batch, sub_batch.to, Stored { dead_lettered: 1, ..Stored::default() });
        Ok(End::Committed)
    }
}

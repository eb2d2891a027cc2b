//! A batch by the split form where that promises to pay, otherwise by the upsert.

use std::time::{Duration, Instant};

use super::keys::{FreshKeys, Split};
use crate::destination::postgres::batch::{RunOptions, Upserts};
use crate::destination::postgres::connection::{Session, indicates_pooler};
use crate::destination::{Applied, Write};
use crate::error::{Class, Error, Result};

impl FreshKeys {
    /// Writes the batch. Whatever refuses the split form, for a key that is in the table or for any other reason, is not judged: nothing
    /// was written, and the upsert decides.
    pub(in super::super) fn write(
        &mut self,
        upserts: &mut Upserts,
        session: &mut Session,
        write: &Write<'_>,
        options: &RunOptions,
    ) -> Result<Applied> {
        if !upserts.can_split(write) {
            return upserts.run(session, write, options);
        }
        let begun = Instant::now();
        let split = self.split(write);
        if self.lets_try(&split) {
            match upserts.run_split(session, write, &split, options) {
                Ok(applied) => {
                    self.note_success();
                    return Ok(applied);
                }
                Err(error) => self.go_on_after(error, &split, upserts, options)?,
            }
        }
        // Both statements together keep the deadline of one.
        let left = options.timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let applied = upserts.run(session, write, &RunOptions { timeout: left, ..*options })?;
        self.note_upserted(&split, &applied);
        Ok(applied)
    }

    /// # Errors
    /// The upsert cannot follow at once: another transaction was in the way, the connection does not keep prepared statements, or it is not
    /// known whether the statement has failed. When the batch comes again, its keys are known ones.
    fn go_on_after(&mut self, error: Error, split: &Split, upserts: &mut Upserts, options: &RunOptions) -> Result<()> {
        if !error.is_refusal() || !options.unnamed_only && indicates_pooler(&error) {
            return Err(error);
        }
        self.note_failure();
        match error.class() {
            Class::Conflict => return Err(error),
            Class::Mismatch => upserts.never_split(),
            Class::BadRow | Class::Transient | Class::Permanent => {}
        }
        log::debug!(
            "{error}; of {} keys that looked fresh, not all may be: writing the batch again",
            split.fresh.len()
        );
        Ok(())
    }
}

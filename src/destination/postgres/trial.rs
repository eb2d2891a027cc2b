//! A trial: which rows does the table take at this moment, and which not?
//!
//! It runs in one transaction that is rolled back. The first statement, which writes no row, locks the table as any write does; until
//! the end no column, constraint, trigger or policy of it can change. Savepoints keep the tries apart.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{RunOptions, Upserts, Variant, begin_limited, parameters, with_types};
use super::connection::Session;
use super::encode::arrays;
use super::statement::history;
use crate::destination::{Trial, Write};
use crate::error::{Error, Result};
use crate::rows::batch::Rows;

impl Upserts {
    pub(super) fn trial(
        &self,
        session: &mut Session,
        suspect: &Write<'_>,
        witnesses: &[Write<'_>],
        options: &RunOptions,
    ) -> Result<Trial> {
        let begin = begin_limited(options.lock_timeout, options.timeout);
        run(session, options.timeout, &begin)?;
        let trial = self.try_all(session, suspect, witnesses, options.timeout);
        let ended = run(session, options.timeout, "ROLLBACK");
        // The first error counts, and not that of the clean-up.
        let trial = trial?;
        ended?;
        Ok(trial)
    }

    fn try_all(
        &self,
        session: &mut Session,
        suspect: &Write<'_>,
        witnesses: &[Write<'_>],
        timeout: Duration,
    ) -> Result<Trial> {
        let none = Rows::new(Arc::clone(&suspect.rows.plan));
        self.write(session, &Write::nothing(&none), timeout)?;
        run(session, timeout, "SAVEPOINT cxsink_trial")?;
        let Some(refusal) = self.try_one(session, suspect, timeout)? else {
            return Ok(Trial { refusal: None, witness: None });
        };
        for (index, witness) in witnesses.iter().enumerate() {
            if self.try_one(session, witness, timeout)?.is_none() {
                return Ok(Trial { refusal: self.try_one(session, suspect, timeout)?, witness: Some(index) });
            }
        }
        Ok(Trial { refusal: Some(refusal), witness: None })
    }

    /// Whether the table refuses the rows, and why. Writes nothing.
    fn try_one(&self, session: &mut Session, write: &Write<'_>, timeout: Duration) -> Result<Option<Error>> {
        let written = self
            .write(session, write, timeout)
            // Deferred constraints speak up here instead of at a commit.
            .and_then(|()| run(session, timeout, "SET CONSTRAINTS ALL IMMEDIATE"));
        let refusal = match written {
            Ok(()) => None,
            Err(error) if error.is_refusal() => Some(error),
            Err(error) => return Err(error),
        };
        run(session, timeout, "ROLLBACK TO SAVEPOINT cxsink_trial")?;
        Ok(refusal)
    }

    fn write(&self, session: &mut Session, write: &Write<'_>, timeout: Duration) -> Result<()> {
        let (arrays, history) = (arrays(write.rows, write.coalesced), history::Parameters::new(write));
        let Variant { upsert, nonce, .. } = self.unfenced()?;
        let typed = with_types(&parameters(nonce, &arrays, None, &history), upsert);
        session.run("writing a batch", timeout, |client| client.query_typed(&upsert.sql, &typed)).map(drop)
    }
}

fn run(session: &mut Session, timeout: Duration, sql: &str) -> Result<()> {
    session.run("trying a row", timeout, |client| client.batch_execute(sql))
}

//! Replaying dead letters: they become new events and are marked in the same transaction.
//!
//! So at any moment, also after a kill, a dead letter is either still to be replayed or it is an event again, never both and
//! never neither.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::{Result, violations_json};
use crate::event::Burst;
use crate::report::dead_letter::{DeadLetter, Rejection};
use crate::report::replay::Fate;
use crate::spool::dead_letters::pages::Page;
use crate::spool::dead_letters::requests::Request;
use crate::spool::late::{self, LateRange};
use crate::spool::queue::Spool;
use crate::spool::row::space_of;

/// A dead letter under the current settings.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// It is an event again.
    Accepted,
    /// These are its events: those of a message, or the event once it is redacted.
    Burst(Burst),
    /// It is still rejected: the dead letter with its new reason.
    Rejected(Box<DeadLetter>),
}

pub(crate) type Judged<'a> = (&'a DeadLetter, Judgement);

/// How the replay of a page ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replayed {
    Done {
        fates: Vec<(u64, Fate)>,
        /// The number of events that were appended.
        events: u64,
    },
    /// `spool.bytes_max` is reached, nothing was changed, and this much space is needed. See [`Spool::wait_for_space`].
    Full(u64),
}

impl Spool {
    /// In one transaction: the accepted ones become new events and are marked, the others get their new reason, and the progress
    /// of the request is noted. The events are late ones, unless the replay is forced.
    ///
    /// Dead letters that were deleted or replayed since they were read are skipped, and all of them if the request was withdrawn.
    pub(crate) fn replay(
        &self,
        judged: &[Judged<'_>],
        now: i64,
        is_forced: bool,
        progress: Option<(&Request, &Page)>,
    ) -> Result<Replayed> {
        let mut writer = self.intake()?;
        let replay = |writer: &mut Connection| {
            self.beside_reserve(writer, u64::MAX, |writer| self.replay_with(writer, judged, now, is_forced, progress))
                .map_err(|error| self.error("replaying dead letters in", &error))
        };
        match replay(&mut writer)? {
            // Rows of committed events do not count.
            Replayed::Full(_) => {
                self.delete_with(&mut writer)?;
                replay(&mut writer)
            }
            done @ Replayed::Done { .. } => Ok(done),
        }
    }

    fn replay_with(
        &self,
        writer: &mut Connection,
        judged: &[Judged<'_>],
        now: i64,
        is_forced: bool,
        progress: Option<(&Request, &Page)>,
    ) -> rusqlite::Result<Replayed> {
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Changes { fates, burst, late } = Changes::make(&transaction, judged, now, is_forced, self.end())?;
        if !burst.is_empty() && !self.has_room(&burst) {
            return Ok(Replayed::Full(space_of(&burst)));
        }
        if let Some((request, page)) = progress
            && !advance(&transaction, request, page, &fates, now)?
        {
            let fates = fates.into_iter().map(|(offset, _)| (offset, Fate::Skipped)).collect();
            return Ok(Replayed::Done { fates, events: 0 });
        }
        // A purge may delete a dead letter that is replayed. Its first event must not be prepared again after that.
        let change = self.append_rows(&transaction, &burst, now, self.committed())?;
        let late = || late.iter().copied().filter(|_| !is_forced);
        for (position, range) in late() {
            late::note(&transaction, position, range)?;
        }
        transaction.commit()?;
        for (position, range) in late() {
            self.add_late(position, range);
        }
        self.note_change(&change);
        Ok(Replayed::Done { fates, events: burst.events() as u64 })
    }
}

/// The changes of a replay's transaction.
#[derive(Default)]
struct Changes {
    fates: Vec<(u64, Fate)>,
    /// The events to append.
    burst: Burst,
    /// Their ranges, by dead letter.
    late: Vec<(u64, LateRange)>,
}

impl Changes {
    /// Marks the accepted dead letters, and updates the others. `end`: the offset of the burst.
    fn make(
        transaction: &Connection,
        judged: &[Judged<'_>],
        now: i64,
        is_forced: bool,
        end: u64,
    ) -> rusqlite::Result<Self> {
        let mut changes = Self::default();
        let marks = Marks { transaction, now, is_forced };
        for (letter, judgement) in judged {
            let fate = match judgement {
                Judgement::Rejected(rejected) if refresh(transaction, rejected)? => {
                    Fate::Rejected(Rejection::from(&**rejected))
                }
                Judgement::Rejected(_) => Fate::Skipped,
                Judgement::Accepted => changes.accept(&marks, letter, end, None)?,
                Judgement::Burst(events) => changes.accept(&marks, letter, end, Some(events))?,
            };
            changes.fates.push((letter.offset, fate));
        }
        Ok(changes)
    }

    /// `events`: others than its own bytes.
    fn accept(
        &mut self,
        marks: &Marks<'_>,
        letter: &DeadLetter,
        end: u64,
        events: Option<&Burst>,
    ) -> rusqlite::Result<Fate> {
        let begin = end + self.burst.events() as u64;
        let count = events.map_or(1, Burst::events) as u64;
        let replayed_as = (count > 0).then_some(begin);
        if !marks.mark(letter.offset, replayed_as)? {
            return Ok(Fate::Skipped);
        }
        match events {
            Some(events) => self.burst.extend(events),
            None => self.burst.push(&letter.event.0),
        }
        let range = LateRange { end: begin + count, origin: Some(letter.offset) };
        self.late.extend(replayed_as.map(|begin| (begin, range)));
        Ok(Fate::Replayed(replayed_as))
    }
}

/// Marks dead letters as replayed.
struct Marks<'a> {
    transaction: &'a Connection,
    now: i64,
    is_forced: bool,
}

impl Marks<'_> {
    /// False if it was deleted or replayed before. One that was superseded may be replayed again by force.
    fn mark(&self, offset: u64, replayed_as: Option<u64>) -> rusqlite::Result<bool> {
        let update = "UPDATE dead_letters SET replayed_at = ?2, replayed_as = ?3, superseded_at = NULL
             WHERE offset = ?1 AND (replayed_at IS NULL OR (?4 AND superseded_at IS NOT NULL))";
        let parameters = params![offset, self.now, replayed_as, self.is_forced];
        Ok(self.transaction.prepare_cached(update)?.execute(parameters)? > 0)
    }
}

/// Replaces the reason of a dead letter; false if it was deleted or replayed.
fn refresh(transaction: &Connection, letter: &DeadLetter) -> rusqlite::Result<bool> {
    let mut update = transaction.prepare_cached(
        "UPDATE dead_letters SET stage = ?2, reason = ?3, violations = ?4, sqlstate = ?5, constraint_name = ?6,
         column_name = ?7 WHERE offset = ?1 AND replayed_at IS NULL",
    )?;
    let updated = update.execute(params![
        letter.offset,
        letter.stage.name(),
        letter.reason,
        violations_json(&letter.violations).to_string(),
        letter.sqlstate,
        letter.constraint,
        letter.column
    ])?;
    Ok(updated > 0)
}

/// Notes the progress of a request; false if it was withdrawn.
fn advance(
    transaction: &Connection,
    request: &Request,
    page: &Page,
    fates: &[(u64, Fate)],
    now: i64,
) -> rusqlite::Result<bool> {
    let count = |is_so: fn(&Fate) -> bool| fates.iter().filter(|(_, fate)| is_so(fate)).count();
    let mut update = transaction.prepare_cached(
        "UPDATE replay_requests SET next_from = ?2, done_at = ?3, replayed = replayed + ?4, rejected = rejected + ?5,
         skipped = skipped + ?6 WHERE id = ?1 AND done_at IS NULL",
    )?;
    let updated = update.execute(params![
        request.id,
        page.next.unwrap_or(request.from),
        page.next.is_none().then_some(now),
        count(|fate| matches!(fate, Fate::Replayed(_))),
        count(|fate| matches!(fate, Fate::Rejected(_))),
        count(|fate| matches!(fate, Fate::Skipped)) + page.skipped.len(),
    ])?;
    Ok(updated > 0)
}

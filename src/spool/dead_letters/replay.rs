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

/// A dead letter under today's schema and mapping: with its new reason if it is still rejected, or `None` if it is accepted.
pub(crate) type Judged<'a> = (&'a DeadLetter, Option<DeadLetter>);

type Fates = Vec<(u64, Fate)>;

impl Spool {
    /// In one transaction: the accepted ones become new events and are marked, the others get their new reason, and the progress
    /// of the request is noted. The events are late ones, unless the replay is forced. `None` if `spool.bytes_max` is reached: nothing was changed.
    ///
    /// Dead letters that were deleted or replayed since they were read are skipped, and all of them if the request was withdrawn.
    pub(crate) fn replay(
        &self,
        judged: &[Judged<'_>],
        now: i64,
        is_forced: bool,
        progress: Option<(&Request, &Page)>,
    ) -> Result<Option<Fates>> {
        let mut writer = self.intake()?;
        self.beside_reserve(&mut writer, u64::MAX, |writer| self.replay_with(writer, judged, now, is_forced, progress))
            .map_err(|error| self.error("replaying dead letters in", &error))
    }

    fn replay_with(
        &self,
        writer: &mut Connection,
        judged: &[Judged<'_>],
        now: i64,
        is_forced: bool,
        progress: Option<(&Request, &Page)>,
    ) -> rusqlite::Result<Option<Fates>> {
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut burst = Burst::default();
        let fates = update(&transaction, judged, now, is_forced, self.end(), &mut burst)?;
        if !burst.is_empty() && !self.has_room(&burst) {
            return Ok(None);
        }
        if let Some((request, page)) = progress
            && !advance(&transaction, request, page, &fates, now)?
        {
            let skipped = fates.into_iter().map(|(offset, _)| (offset, Fate::Skipped));
            return Ok(Some(skipped.collect()));
        }
        // A purge may delete a dead letter that is replayed. Its first event must not be prepared again after that.
        let change = self.append_rows(&transaction, &burst, now, self.committed())?;
        let late = || fates.iter().filter_map(|(origin, fate)| late_event(*origin, fate)).filter(|_| !is_forced);
        for (position, range) in late() {
            late::note(&transaction, position, range)?;
        }
        transaction.commit()?;
        for (position, range) in late() {
            self.add_late(position, range);
        }
        self.note_change(&change);
        Ok(Some(fates))
    }
}

/// The event that a dead letter has become.
fn late_event(origin: u64, fate: &Fate) -> Option<(u64, LateRange)> {
    match fate {
        Fate::Replayed(Some(position)) => Some((*position, LateRange { end: position + 1, origin: Some(origin) })),
        _ => None,
    }
}

/// Marks the accepted dead letters, puts their events into the burst, and updates the others. `end`: the offset of the burst.
fn update(
    transaction: &Connection,
    judged: &[Judged<'_>],
    now: i64,
    is_forced: bool,
    end: u64,
    burst: &mut Burst,
) -> rusqlite::Result<Fates> {
    let mut fates = Vec::with_capacity(judged.len());
    for (letter, rejected) in judged {
        let offset = end + burst.events() as u64;
        let fate = match rejected {
            None if mark(transaction, letter.offset, now, is_forced, offset)? => {
                burst.push(&letter.event.0);
                Fate::Replayed(Some(offset))
            }
            Some(rejected) if refresh(transaction, rejected)? => Fate::Rejected(Rejection::from(rejected)),
            _ => Fate::Skipped,
        };
        fates.push((letter.offset, fate));
    }
    Ok(fates)
}

/// Marks a dead letter as replayed; false if it was deleted or replayed before. One that was superseded may be replayed again by force.
fn mark(transaction: &Connection, offset: u64, now: i64, is_forced: bool, replayed_as: u64) -> rusqlite::Result<bool> {
    let update = "UPDATE dead_letters SET replayed_at = ?2, replayed_as = ?3, superseded_at = NULL
         WHERE offset = ?1 AND (replayed_at IS NULL OR (?4 AND superseded_at IS NOT NULL))";
    Ok(transaction.prepare_cached(update)?.execute(params![offset, now, replayed_as, is_forced])? > 0)
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

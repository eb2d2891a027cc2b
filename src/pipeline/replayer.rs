//! Replaying dead letters: each is checked again with today's schema and mapping, and accepted ones are appended to the spool as
//! new events, in the order of their offsets.
//!
//! A page is one transaction, so that events of the stream can be appended between two pages.

use std::sync::Arc;

use crate::error::Result;
use crate::report::dead_letter::DeadLetter;
use crate::report::replay::{Fate, Selection};
use crate::report::stats::Counter;
use crate::report::status::Status;
use crate::rows::batch::Rows;
use crate::rows::schema::Schema;
use crate::rows::{Plan, map_event};
use crate::spool::{Judged, Page, Request, Spool};

/// A replay's view of the sink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replayer<'a> {
    pub(crate) spool: &'a Spool,
    pub(crate) status: &'a Status,
    pub(crate) schema: &'a Schema,
    /// The plan; without one, because no destination was reached yet, only the schema decides.
    pub(crate) plan: Option<&'a Arc<Plan>>,
    /// Whether the events overwrite their rows, whatever has been written since.
    pub(crate) is_forced: bool,
}

/// The offsets and fates of a page's dead letters.
pub(crate) type Fates = Vec<(u64, Fate)>;

impl Replayer<'_> {
    /// Replays one page of those below offset `to`. The fates are `None` if the spool has no room: nothing was changed.
    pub(crate) fn page(&self, selection: &Selection, from: u64, to: u64) -> Result<(Page, Option<Fates>)> {
        let page = self.spool.replayable(selection, from, to, self.is_forced)?;
        let fates = self.replay(&page, None)?;
        Ok((page, fates))
    }

    /// Replays one page of another process's request, which holds the progress.
    pub(crate) fn answer(&self, request: &Request) -> Result<()> {
        let page =
            self.spool.replayable(&request.selection, request.from, self.spool.committed(), request.is_forced)?;
        if self.replay(&page, Some(request))?.is_some() && page.next.is_none() {
            log::info!("dead letters were replayed as another process requested");
        }
        Ok(())
    }

    fn replay(&self, page: &Page, request: Option<&Request>) -> Result<Option<Fates>> {
        let now = self.status.clock.unix_micros();
        let judged: Vec<Judged<'_>> = page
            .dead_letters
            .iter()
            .map(|letter| {
                let error = check(self.schema, self.plan, letter, None).err();
                (letter, error.map(|error| letter.with_reason(&error)))
            })
            .collect();
        let is_forced = request.map_or(self.is_forced, |request| request.is_forced);
        let progress = request.map(|request| (request, page));
        let Some(mut fates) = self.spool.replay(&judged, now, is_forced, progress)? else {
            return Ok(None);
        };
        let replayed = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Replayed(_))).count();
        self.status.counters.add(Counter::Replayed, replayed as u64);
        fates.extend(page.skipped.iter().map(|&offset| (offset, Fate::Skipped)));
        fates.sort_unstable_by_key(|(offset, _)| *offset);
        Ok(Some(fates))
    }
}

/// Checks the event of a dead letter. If it is valid, its row is appended to `into`.
pub(crate) fn check(
    schema: &Schema,
    plan: Option<&Arc<Plan>>,
    letter: &DeadLetter,
    into: Option<&mut Rows>,
) -> Result<()> {
    let json = schema.parse(&letter.event.0)?;
    match (into, plan) {
        (Some(rows), _) => map_event(&json, letter.offset, rows),
        (None, Some(plan)) => map_event(&json, letter.offset, &mut Rows::new(Arc::clone(plan))),
        (None, None) => Ok(()),
    }
}

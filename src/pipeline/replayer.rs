//! Replaying dead letters: each is checked again under today's schema and mapping, and the good ones go through the spool
//! once more, in the order of their offsets.
//!
//! A page at a time, one transaction each, so that the stream's events get in between.

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

/// What a replay needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replayer<'a> {
    pub(crate) spool: &'a Spool,
    pub(crate) status: &'a Status,
    pub(crate) schema: &'a Schema,
    /// The mapping; where no destination was reached yet, only the schema decides.
    pub(crate) plan: Option<&'a Arc<Plan>>,
}

/// Offsets and fates of a page's dead letters.
pub(crate) type Fates = Vec<(u64, Fate)>;

impl Replayer<'_> {
    /// One page of those below offset `to`. The fates are `None` if the spool has no room for it: nothing was changed.
    pub(crate) fn page(&self, selection: &Selection, from: u64, to: u64) -> Result<(Page, Option<Fates>)> {
        let page = self.spool.replayable(selection, from, to)?;
        let fates = self.replay(&page, None)?;
        Ok((page, fates))
    }

    /// One page of what another process asks for; the request knows how far it has come.
    pub(crate) fn answer(&self, request: &Request) -> Result<()> {
        let page = self.spool.replayable(&request.selection, request.from, self.spool.committed())?;
        if self.replay(&page, Some(request))?.is_some() && page.next.is_none() {
            log::info!("dead letters were replayed as another process asked");
        }
        Ok(())
    }

    fn replay(&self, page: &Page, request: Option<&Request>) -> Result<Option<Fates>> {
        let now = self.status.clock.unix_micros();
        let judged: Vec<Judged<'_>> = page
            .letters
            .iter()
            .map(|letter| {
                let error = check(self.schema, self.plan, letter).err();
                (letter, error.map(|error| letter.with_reason(&error)))
            })
            .collect();
        let Some(mut fates) = self.spool.replay(&judged, now, request.map(|request| (request, page)))? else {
            return Ok(None);
        };
        let replayed = fates.iter().filter(|(_, fate)| matches!(fate, Fate::Replayed(_))).count();
        self.status.counters.add(Counter::Replayed, replayed as u64);
        fates.extend(page.skipped.iter().map(|&offset| (offset, Fate::Skipped)));
        fates.sort_unstable_by_key(|(offset, _)| *offset);
        Ok(Some(fates))
    }
}

/// Whether a dead letter's event is good now.
pub(crate) fn check(schema: &Schema, plan: Option<&Arc<Plan>>, letter: &DeadLetter) -> Result<()> {
    let json = schema.parse(&letter.event.0)?;
    match plan {
        Some(plan) => map_event(&json, letter.offset, &mut Rows::new(Arc::clone(plan))),
        None => Ok(()),
    }
}

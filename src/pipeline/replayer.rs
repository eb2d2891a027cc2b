//! Replaying dead letters: each is checked again with today's schema and mapping, and accepted ones are appended to the spool as
//! new events, in the order of their offsets.
//!
//! A page is one transaction, so that events of the stream can be appended between two pages.

use std::sync::Arc;

use crate::error::Result;
use crate::event::Burst;
use crate::report::dead_letter::{DeadLetter, Stage};
use crate::report::replay::{Fate, Selection};
use crate::report::stats::Counter;
use crate::report::status::Status;
use crate::rows::batch::Rows;
use crate::rows::schema::Schema;
use crate::rows::{Arrival, Plan, map_event};
use crate::source::unwrap::{Reason, Unwrapper};
use crate::spool::{Judged, Judgement, Page, Replayed, Request, Spool};
use crate::time::micros;

/// A replay's view of the sink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replayer<'a> {
    pub(crate) spool: &'a Spool,
    pub(crate) status: &'a Status,
    pub(crate) schema: &'a Schema,
    /// `None` if a message is one event.
    pub(crate) unwrapper: Option<&'a Unwrapper>,
    /// The plan; without one, because no destination was reached yet, only the schema decides.
    pub(crate) plan: Option<&'a Arc<Plan>>,
    /// Whether the events overwrite their rows, whatever has been written since.
    pub(crate) is_forced: bool,
}

/// The offsets and fates of a page's dead letters.
pub(crate) type Fates = Vec<(u64, Fate)>;

/// How the replay of a page ended.
pub(crate) enum PageReplay {
    /// The fates of its dead letters, and where the next page begins; `None` after the last.
    Done(Fates, Option<u64>),
    /// The spool has no room: nothing was changed, and this much space is needed.
    Full(u64),
}

impl Replayer<'_> {
    /// Replays one page of those below offset `to`.
    pub(crate) fn page(&self, selection: &Selection, from: u64, to: u64) -> Result<PageReplay> {
        let page = self.spool.replayable(selection, from, to, self.is_forced)?;
        self.replay(&page, None)
    }

    /// Replays one page of another process's request, which holds the progress.
    pub(crate) fn answer(&self, request: &Request) -> Result<()> {
        let page =
            self.spool.replayable(&request.selection, request.from, self.spool.committed(), request.is_forced)?;
        if let PageReplay::Done(_, None) = self.replay(&page, Some(request))? {
            log::info!("dead letters were replayed as another process requested");
        }
        Ok(())
    }

    fn replay(&self, page: &Page, request: Option<&Request>) -> Result<PageReplay> {
        let now = self.status.clock.unix_micros();
        let judge = |letter| (letter, judge(self.schema, self.plan, self.unwrapper, letter, None));
        let judged: Vec<Judged<'_>> = page.dead_letters.iter().map(judge).collect();
        let is_forced = request.map_or(self.is_forced, |request| request.is_forced);
        let progress = request.map(|request| (request, page));
        match self.spool.replay(&judged, now, is_forced, progress)? {
            Replayed::Full(space) => Ok(PageReplay::Full(space)),
            Replayed::Done { mut fates, events } => {
                self.status.counters.add(Counter::Replayed, events);
                fates.extend(page.skipped.iter().map(|&offset| (offset, Fate::Skipped)));
                fates.sort_unstable_by_key(|(offset, _)| *offset);
                Ok(PageReplay::Done(fates, page.next))
            }
        }
    }
}

/// Judges a dead letter by the current settings. The rows of what is valid in it are appended to `into`.
///
/// A message is accepted if it can be unwrapped: each of its events is judged on its way to the table, like one of the stream.
pub(crate) fn judge(
    schema: &Schema,
    plan: Option<&Arc<Plan>>,
    unwrapper: Option<&Unwrapper>,
    letter: &DeadLetter,
    into: Option<&mut Rows>,
) -> Judgement {
    let arrival = Arrival { offset: letter.offset, received_at: micros::from_time(letter.received_at) };
    if letter.stage != Stage::Message {
        let checked = check(schema, plan, &letter.event.0, arrival, into);
        return checked
            .map_or_else(|error| Judgement::Rejected(letter.with_reason(&error).into()), |()| Judgement::Accepted);
    }
    let mut events = Burst::default();
    if let Err(reason) = unwrap_again(unwrapper, &letter.event.0, &mut events) {
        return Judgement::Rejected(letter.with_reason_of_message(reason).into());
    }
    if let Some(rows) = into {
        for event in events.marked().filter(|event| !event.is_message) {
            // One that is not valid becomes a dead letter of its own.
            let _ = check(schema, plan, event.bytes, arrival, Some(rows));
        }
    }
    Judgement::Unwrapped(events)
}

/// Appends the events of a message that could not be unwrapped once.
///
/// # Errors
/// The reason why it cannot be unwrapped now either.
pub(crate) fn unwrap_again(
    unwrapper: Option<&Unwrapper>,
    message: &[u8],
    into: &mut Burst,
) -> std::result::Result<(), Reason> {
    if let Some(unwrapper) = unwrapper {
        return unwrapper.unwrap_again(message, into).map(drop);
    }
    into.push(message);
    Ok(())
}

/// Checks an event. If it is valid, its row is appended to `into`.
fn check(
    schema: &Schema,
    plan: Option<&Arc<Plan>>,
    event: &[u8],
    arrival: Arrival,
    into: Option<&mut Rows>,
) -> Result<()> {
    let json = schema.parse(event)?;
    match (into, plan) {
        (Some(rows), _) => map_event(&json, arrival, rows),
        (None, Some(plan)) => map_event(&json, arrival, &mut Rows::new(Arc::clone(plan))),
        (None, None) => Ok(()),
    }
}

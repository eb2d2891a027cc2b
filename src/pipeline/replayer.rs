//! Replaying dead letters: each is checked again with today's schema and mapping, and accepted ones are appended to the spool as
//! new events, in the order of their offsets.
//!
//! A page is one transaction, so that events of the stream can be appended between two pages.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Result;
use crate::event::Burst;
use crate::pipeline::event_rules::EventRules;
use crate::report::dead_letter::{DeadLetter, Stage};
use crate::report::replay::{Fate, Selection};
use crate::report::stats::Counter;
use crate::report::status::Status;
use crate::rows::batch::Rows;
use crate::rows::{Arrival, Plan, map_event};
use crate::source::redact::Fingerprint;
use crate::spool::{Judged, Judgement, Page, Replayed, Request, Spool};
use crate::time::micros;

/// A replay's view of the sink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replayer<'a> {
    pub(crate) spool: &'a Spool,
    pub(crate) status: &'a Status,
    pub(crate) rules: &'a EventRules,
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
        let judge = |letter| (letter, judge(self.rules, self.plan, letter, None));
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
///
/// One that was spooled before it was to be redacted is redacted now.
pub(crate) fn judge(
    rules: &EventRules,
    plan: Option<&Arc<Plan>>,
    letter: &DeadLetter,
    into: Option<&mut Rows>,
) -> Judgement {
    let event = &letter.event.0;
    let arrival = Arrival { offset: letter.offset, received_at: micros::from_time(letter.received_at) };
    if let Some(fingerprint) = fingerprint_of(letter) {
        return Judgement::Rejected(letter.with_reason_of_message(fingerprint.describe()).into());
    }
    let mut events = Burst::default();
    if letter.stage != Stage::Message {
        let storable = rules.storable(event, || letter.is_redacted);
        let checked = storable.and_then(|event| check(rules, plan, &event, arrival, into).map(|()| event));
        return match checked {
            Err(error) => Judgement::Rejected(letter.with_reason(&error).into()),
            Ok(Cow::Borrowed(_)) => Judgement::Accepted,
            Ok(Cow::Owned(redacted)) => {
                events.push(&redacted);
                Judgement::Burst(events)
            }
        };
    }
    if let Err(reason) = rules.unwrap_again(event, &mut events) {
        return Judgement::Rejected(letter.with_reason_of_message(reason).into());
    }
    if let Some(rows) = into {
        for event in events.marked().filter(|event| !event.is_message) {
            // One that is not valid becomes a dead letter of its own.
            let _ = check(rules, plan, event.bytes, arrival, Some(rows));
        }
    }
    Judgement::Burst(events)
}

/// What the dead letter has in place of an event that could not be redacted.
fn fingerprint_of(letter: &DeadLetter) -> Option<Fingerprint> {
    let may_be = letter.is_redacted && matches!(letter.stage, Stage::Message | Stage::Json);
    if may_be { Fingerprint::parse(&letter.event.0) } else { None }
}

/// Checks an event. If it is valid, its row is appended to `into`.
fn check(
    rules: &EventRules,
    plan: Option<&Arc<Plan>>,
    event: &[u8],
    arrival: Arrival,
    into: Option<&mut Rows>,
) -> Result<()> {
    let json = rules.schema.parse(event)?;
    match (into, plan) {
        (Some(rows), _) => map_event(&json, arrival, rows),
        (None, Some(plan)) => map_event(&json, arrival, &mut Rows::new(Arc::clone(plan))),
        (None, None) => Ok(()),
    }
}

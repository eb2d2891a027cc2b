//! Spool and destination compared: which events are applied already.
//!
//! The destination's checkpoint moves in the same transaction as the rows, so it is right when the two disagree.

use std::sync::Arc;

use crate::destination::{Applied, Destination, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::stats::Counter;
use crate::report::status::Status;
use crate::rows::Plan;
use crate::rows::batch::Rows;
use crate::rows::partition::{Layout, lane_of_checkpoint};
use crate::spool::Spool;

/// The first comparison of a process: what the destination is ahead was applied by an earlier process. Returns how the keys are
/// split, and the checkpoint of each lane to go on from; `None` if the destination keeps no checkpoints.
///
/// `wanted` is how the keys are to be split. If an earlier run split them otherwise, its lanes go on until they are level.
/// `is_first`: false when the same is read again, until they are.
pub(crate) fn first(
    spool: &Spool,
    status: &Status,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    wanted: Layout,
    is_first: bool,
) -> Result<Option<(Layout, Vec<u64>)>> {
    let names = wanted.checkpoints(spool.id());
    let Some(mut found) = destination.checkpoints(spool.id())? else { return Ok(None) };
    if found.is_empty() {
        if is_first && spool.checkpoint_max() > 0 {
            lost_checkpoint(spool, status, spool.checkpoint_max());
        }
        spool.replace_checkpoints(&[], 0);
        let made = names.iter().map(|name| destination.position(name, spool.committed()));
        let positions: Option<Vec<u64>> = made.collect::<Result<_>>()?;
        return Ok(positions.map(|positions| (wanted, positions)));
    }
    if is_first {
        for (name, position) in &found {
            went_back(spool, status, name, spool.checkpoint(name).unwrap_or(0), *position);
        }
        forget_lost_tail(spool, destination, plan, &mut found)?;
        // A lane in which nothing came stands behind.
        let applied = found.iter().map(|(_, position)| *position).min().unwrap_or(0);
        status.counters.subtract(Counter::Recovered, applied.saturating_sub(spool.committed()));
        mark_applied(spool, status, applied);
    }
    let applied = spool.committed();
    let is_level = found.iter().all(|(_, position)| *position <= applied);
    match Layout::of(spool.id(), &found) {
        Some((layout, positions)) if layout == wanted || (!is_level && layout == Layout::new(layout.lanes, plan)) => {
            Ok(Some((layout, positions)))
        }
        _ => {
            if !is_level {
                log::warn!(
                    "the columns of the key are others than in the last run, which ended with its {} connections apart: the events \
                     from {applied} on are applied again",
                    found.len()
                );
            }
            destination.replace_checkpoints(&found, &names, applied)?;
            spool.replace_checkpoints(&names, applied);
            Ok(Some((wanted, vec![applied; names.len()])))
        }
    }
}

/// Sets checkpoints that are beyond the end of the spool's numbering back to it.
fn forget_lost_tail(
    spool: &Spool,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    found: &mut [(String, u64)],
) -> Result<()> {
    let numbered_alike = spool.unchecked_from();
    // A row that the destination has just made stands where the spool does, whatever the numbering was before.
    let end = numbered_alike.max(spool.committed());
    for (checkpoint, position) in found.iter_mut().filter(|(_, position)| *position > end) {
        log::warn!(
            "the spool {} ends {} events before the destination's checkpoint: the machine went down before they were flushed; \
             they are applied, nothing of them is missing",
            spool.path().display(),
            *position - numbered_alike
        );
        rewind(destination, plan, checkpoint, *position, numbered_alike)?;
        *position = numbered_alike;
    }
    Ok(())
}

/// Any later comparison, of a lane's checkpoint that was `known` with what it is now: what it is ahead was committed by this process
/// without an answer, up to `unanswered_to` at most.
///
/// # Errors
/// Class `Permanent` if it is further ahead: another process writes under this spool's id, so nobody can say any more which events
/// are applied.
pub(crate) fn again(
    spool: &Spool,
    status: &Status,
    checkpoint: &str,
    known: Option<u64>,
    unanswered_to: u64,
    position: u64,
) -> Result<()> {
    let known = known.unwrap_or(position);
    if position > known.max(unanswered_to) {
        let message = format!(
            "the destination's checkpoint of the spool {} is {position}, which this sink has not written (it stood at {known})",
            spool.path().display()
        );
        return Err(Error::new(ErrorKind::Database, message).with_hint(
            "another sink uses a copy of this spool file: stop one of them, and give it a new spool; nothing of this spool was dropped",
        ));
    }
    went_back(spool, status, checkpoint, known, position);
    Ok(())
}

/// A checkpoint that stood at `known` stands at `position` now: a failover to a server that lagged behind, perhaps. What the
/// destination forgot by that is in the spool no more, so all that can be done is to say so.
///
/// How many of them were this lane's is not known any more, as they are gone.
fn went_back(spool: &Spool, status: &Status, checkpoint: &str, known: u64, position: u64) {
    if position < known {
        let events = known - position;
        let forgotten = match lane_of_checkpoint(checkpoint) {
            None => format!("{events} events"),
            Some((lane, lanes)) => format!("the share of connection {lane} of {lanes} in {events} events"),
        };
        let message = format!(
            "the destination has forgotten {forgotten} that it had confirmed: its checkpoint went back from {known} to {position}"
        );
        tell_forgotten(spool, status, position, message);
    }
}

/// The checkpoint, which stood at `known`, is not there any more.
pub(crate) fn lost_checkpoint(spool: &Spool, status: &Status, known: u64) {
    let message = format!(
        "the destination has no checkpoint of this spool, so it may have forgotten any of the {known} events that were confirmed"
    );
    tell_forgotten(spool, status, 0, message);
}

/// An error, and a gap in the ledger for a backfill.
fn tell_forgotten(spool: &Spool, status: &Status, from: u64, message: String) {
    if let Err(error) = spool.note_regression(from, status.clock.unix_micros(), &message) {
        log::warn!("{error}: `cxsink gaps` will not know of it");
    }
    status.report(&Error::new(ErrorKind::Database, message).with_class(Class::Transient).with_hint(
        "a failover to a server that lagged behind, a restored backup, or another database: `cxsink gaps` tells from when to when to fetch events again from CXone",
    ));
}

/// What is applied is so whether or not its rows can be deleted now: a full disk must not keep the destination from being used.
fn mark_applied(spool: &Spool, status: &Status, position: u64) {
    if let Err(error) = spool.commit_all(position) {
        status.report(&error);
    }
}

/// Sets the checkpoint back to where the spool's numbering goes on.
fn rewind(destination: &mut dyn Destination, plan: &Arc<Plan>, checkpoint: &str, from: u64, to: u64) -> Result<()> {
    let rows = Rows::new(Arc::clone(plan));
    let fence = Some(Fence { spool_id: checkpoint, from, to });
    match destination.apply(&Write { rows: &rows, merged: &[], fence })? {
        Applied::Committed { .. } => Ok(()),
        Applied::Fenced => {
            let message = "the destination's checkpoint of this spool moves although no other sink has the spool open";
            Err(Error::new(ErrorKind::Database, message).with_class(Class::Transient))
        }
    }
}

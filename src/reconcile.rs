//! Spool and destination compared: which events are applied already.
//!
//! The destination's checkpoint moves in the same transaction as the rows, so it is right when the two disagree.

use std::sync::Arc;

use crate::batch::Rows;
use crate::destination::{Applied, Destination, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::mapping::Plan;
use crate::notice::{Notice, Stored};
use crate::spool::Spool;
use crate::stats::Counter;
use crate::status::Status;

/// The first comparison of a process: what the destination is ahead was applied by an earlier process. Returns the checkpoint
/// to go on from.
pub(crate) fn first(
    spool: &Spool,
    status: &Status,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    position: u64,
) -> Result<u64> {
    let numbered_alike = spool.unchecked_from();
    // A row that the destination has just made stands where the spool does, whatever the numbering was before.
    let position = if position > numbered_alike && position > spool.applied() {
        log::warn!(
            "the spool {} ends {} events before the destination's checkpoint: the machine went down before they were flushed; \
             they are applied, nothing of them is missing",
            spool.path().display(),
            position - numbered_alike
        );
        rewind(spool, destination, plan, position, numbered_alike)?;
        numbered_alike
    } else {
        position
    };
    let ahead = position.saturating_sub(spool.applied());
    status.counters.subtract(Counter::Recovered, ahead);
    mark_applied(spool, status, position);
    Ok(position)
}

/// Any later comparison, of the checkpoint that was `known` with what it is now: what it is ahead was committed by this process
/// without an answer, up to `unanswered_to` at most.
///
/// # Errors
/// Class `Fatal` if it is further ahead: another process writes under this spool's id, so nobody can say any more which events
/// are applied.
pub(crate) fn again(
    spool: &Spool,
    status: &Status,
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
    if position < known {
        let forgotten = known - position;
        status.report(
            &Error::new(
                ErrorKind::Database,
                format!("the destination has forgotten {forgotten} events that it had confirmed: its checkpoint went back from {known} to {position}"),
            )
            .with_class(Class::Outage)
            .with_hint("a failover to a server that lagged behind, or a restored backup: fetch that time again from CXone"),
        );
    }
    let applied = spool.applied();
    // Dead letters move the spool's mark alone, so the checkpoint may stand a little behind.
    let Some(ahead) = position.checked_sub(applied).filter(|&ahead| ahead > 0) else { return Ok(()) };
    let dead_lettered = spool.dead_offsets(applied)?.iter().filter(|&&offset| offset < position).count() as u64;
    let confirmed = ahead - dead_lettered;
    let stored = Stored { confirmed, dead_lettered, ..Stored::default() };
    status.counters.add_stored(&stored);
    mark_applied(spool, status, position);
    status.notify(Notice::Stored(stored));
    Ok(())
}

/// What is applied is so whether or not its rows can be deleted now: a full disk must not keep the destination from being used.
fn mark_applied(spool: &Spool, status: &Status, position: u64) {
    if let Err(error) = spool.mark_applied(position) {
        status.report(&error);
    }
}

/// Sets the checkpoint back to where the spool's numbering goes on.
fn rewind(spool: &Spool, destination: &mut dyn Destination, plan: &Arc<Plan>, from: u64, to: u64) -> Result<()> {
    let rows = Rows::new(Arc::clone(plan));
    let fence = Some(Fence { spool_id: spool.id(), from, to });
    match destination.apply(&Write { rows: &rows, merged: &[], fence })? {
        Applied::Committed { .. } => Ok(()),
        Applied::Fenced => {
            let message = "the destination's checkpoint of this spool moves although no other sink has the spool open";
            Err(Error::new(ErrorKind::Database, message).with_class(Class::Outage))
        }
    }
}

//! Spool and destination compared: which events are applied already.
//!
//! The destination's checkpoint moves in the same transaction as the rows, so it is right when the two disagree.

use std::sync::Arc;

use crate::batch::Rows;
use crate::destination::{Applied, Destination, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::mapping::Plan;
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
    let position = if position > numbered_alike {
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
    spool.mark_applied(position)?;
    spool.note_checked()?;
    Ok(position)
}

/// Any later comparison: what the destination is ahead was committed by this process without an answer.
pub(crate) fn again(spool: &Spool, status: &Status, position: u64) -> Result<()> {
    let applied = spool.applied();
    let Some(ahead) = position.checked_sub(applied) else {
        // Dead letters move the spool's mark alone, so the checkpoint may stand a little behind.
        return Ok(());
    };
    let dead = spool.dead_offsets(applied)?.iter().filter(|&&offset| offset < position).count() as u64;
    status.counters.add(Counter::DeadLettered, dead);
    status.counters.add(Counter::Confirmed, ahead - dead);
    spool.mark_applied(position)
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

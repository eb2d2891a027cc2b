//! Reconciling spool and destination: which events are committed already.
//!
//! The destination's checkpoint moves in the same transaction as the rows, so it is right where the two differ.

use std::sync::Arc;

use crate::destination::{Applied, Destination, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::stats::Counter;
use crate::report::status::Status;
use crate::rows::Plan;
use crate::rows::batch::Rows;
use crate::rows::partition::{Partitioning, partition_of_checkpoint};
use crate::spool::Spool;

/// Compares spool and checkpoints for the first time in a process: events below a checkpoint were committed by an earlier process.
/// Returns the partitioning and the position of each checkpoint; `None` if the destination keeps no checkpoints.
///
/// `wanted`: the partitioning to have. Another one of an earlier run is kept until its partitions have the same position.
/// `is_first`: false for the same comparison later, until they have.
pub(super) fn first(
    spool: &Spool,
    status: &Status,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    wanted: Partitioning,
    is_first: bool,
) -> Result<Option<(Partitioning, Vec<u64>)>> {
    let Some(mut found) = destination.checkpoints(spool.id())? else { return Ok(None) };
    if found.is_empty() {
        if is_first && spool.checkpoint_max() > 0 {
            lost_checkpoint(spool, status, spool.checkpoint_max());
        }
        return create_checkpoints(spool, destination, wanted);
    }
    if is_first {
        for (name, position) in &found {
            report_regression(spool, status, name, spool.checkpoint(name).unwrap_or(0), *position);
        }
        set_back_lost_tail(spool, destination, plan, &mut found)?;
        // A partition without events has a lower position.
        let committed = found.iter().map(|(_, position)| *position).min().unwrap_or(0);
        status.counters.subtract(Counter::Recovered, committed.saturating_sub(spool.committed()));
        if let Err(error) = spool.commit_all(committed) {
            // Committed all the same: on a full disk the rows are deleted later.
            status.report(&error);
        }
    }
    choose_partitioning(spool, destination, plan, wanted, &found).map(Some)
}

fn create_checkpoints(
    spool: &Spool,
    destination: &mut dyn Destination,
    wanted: Partitioning,
) -> Result<Option<(Partitioning, Vec<u64>)>> {
    spool.replace_checkpoints(&[], 0);
    let names = wanted.checkpoints(spool.id());
    let created = names.iter().map(|name| destination.position(name, spool.committed()));
    let positions: Option<Vec<u64>> = created.collect::<Result<_>>()?;
    Ok(positions.map(|positions| (wanted, positions)))
}

/// The partitioning of the checkpoints, as long as it must be kept; otherwise replaces them by those of the wanted one.
fn choose_partitioning(
    spool: &Spool,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    wanted: Partitioning,
    found: &[(String, u64)],
) -> Result<(Partitioning, Vec<u64>)> {
    let committed = spool.committed();
    let is_level = found.iter().all(|(_, position)| *position <= committed);
    if let Some((partitioning, positions)) = Partitioning::of(spool.id(), found) {
        let has_same_key = partitioning == Partitioning::new(partitioning.count, plan);
        if partitioning == wanted || (!is_level && has_same_key) {
            return Ok((partitioning, positions));
        }
    }
    if !is_level {
        log::warn!(
            "the columns of the key have changed since the last run, which ended with its {} connections at different positions: \
             the events from {committed} on are applied again",
            found.len()
        );
    }
    let names = wanted.checkpoints(spool.id());
    destination.replace_checkpoints(found, &names, committed)?;
    spool.replace_checkpoints(&names, committed);
    Ok((wanted, vec![committed; names.len()]))
}

/// Sets checkpoints beyond the end of the spool's numbering back to it.
fn set_back_lost_tail(
    spool: &Spool,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    found: &mut [(String, u64)],
) -> Result<()> {
    let numbered_alike = spool.unchecked_from();
    // A checkpoint that the destination has just created is at the committed offset; also with another numbering.
    let end = numbered_alike.max(spool.committed());
    for (checkpoint, position) in found.iter_mut().filter(|(_, position)| *position > end) {
        log::warn!(
            "the spool {} ends {} events before the destination's checkpoint: the machine stopped before they were flushed; \
             they are committed, and none is lost",
            spool.path().display(),
            *position - numbered_alike
        );
        set_back(destination, plan, checkpoint, *position, numbered_alike)?;
        *position = numbered_alike;
    }
    Ok(())
}

/// Sets a checkpoint back to the offset at which the numbering of the spool continues.
fn set_back(destination: &mut dyn Destination, plan: &Arc<Plan>, checkpoint: &str, from: u64, to: u64) -> Result<()> {
    let rows = Rows::new(Arc::clone(plan));
    let fence = Some(Fence { spool_id: checkpoint, from, to });
    match destination.apply(&Write { rows: &rows, coalesced: &[], fence })? {
        Applied::Committed { .. } => Ok(()),
        Applied::Fenced => {
            let message =
                format!("setting back the checkpoint {checkpoint}: it moved although no other sink has the spool open");
            Err(Error::new(ErrorKind::Database, message).with_class(Class::Transient))
        }
    }
}

/// Compares a checkpoint with its last known position, any later time: if it is ahead, an in-doubt transaction committed, which may
/// have moved it to `in_doubt_to` at most.
///
/// # Errors
/// Class `Permanent` if it is further ahead: another process writes under this spool's id, so it is not known which events are
/// committed.
pub(super) fn again(
    spool: &Spool,
    status: &Status,
    checkpoint: &str,
    known: Option<u64>,
    in_doubt_to: u64,
    position: u64,
) -> Result<()> {
    let known = known.unwrap_or(position);
    if position > known.max(in_doubt_to) {
        let message = format!(
            "comparing the checkpoint of the spool {}: it is at {position}, where this sink has not moved it (it was at {known})",
            spool.path().display()
        );
        return Err(Error::new(ErrorKind::Database, message).with_hint(
            "stop the other sink that uses a copy of this spool file, or this one, and give it a new spool; no event of this spool was deleted",
        ));
    }
    report_regression(spool, status, checkpoint, known, position);
    Ok(())
}

/// Reports a checkpoint that went back from `known` to `position`, after a failover to a server with replication lag, perhaps. The
/// events in between are deleted from the spool.
///
/// With several partitions it is not known how many of them belonged to this one.
fn report_regression(spool: &Spool, status: &Status, checkpoint: &str, known: u64, position: u64) {
    if position < known {
        let events = known - position;
        let lost = match partition_of_checkpoint(checkpoint) {
            None => format!("{events} events"),
            Some((number, count)) => format!("the share of connection {number} of {count} in {events} events"),
        };
        let message = format!(
            "comparing the checkpoint: it went back from {known} to {position}; the destination lost {lost} that it had confirmed"
        );
        report_lost(spool, status, position, message);
    }
}

/// Reports a checkpoint that was deleted; its last known position was `known`.
pub(super) fn lost_checkpoint(spool: &Spool, status: &Status, known: u64) {
    let message = format!(
        "comparing the checkpoint: the destination has no checkpoint of this spool; it may have lost any of the {known} events that it had confirmed"
    );
    report_lost(spool, status, 0, message);
}

/// Reports an error, and notes a gap for a backfill.
fn report_lost(spool: &Spool, status: &Status, from: u64, message: String) {
    if let Err(error) = spool.note_regression(from, status.clock.unix_micros(), &message) {
        log::warn!("{error}: `cxsink gaps` will not show this gap");
    }
    status.report(&Error::new(ErrorKind::Database, message).with_class(Class::Transient).with_hint(
        "look for a failover to a server with replication lag, a restored backup, or another database; fetch the events of the time \
         that `cxsink gaps` shows from CXone again",
    ));
}

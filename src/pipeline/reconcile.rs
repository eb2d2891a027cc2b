//! Reconciling spool and destination: which events are committed already.
//!
//! The destination's checkpoint moves in the same transaction as the rows, so it is right where the two differ.

use std::sync::Arc;

use crate::destination::{Applied, Checkpoint, Destination, Fence, Write};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::report::stats::Counter;
use crate::report::status::Status;
use crate::rows::Plan;
use crate::rows::batch::Rows;
use crate::rows::partition::{Partitioning, partition_of_checkpoint};
use crate::spool::{Ownership, Spool};

/// Tries to take over the checkpoints while statements of an earlier process move them: it has one for each connection.
const CLAIMS_MAX: usize = 20;

/// Compares spool and checkpoints for the first time in a process, and takes the checkpoints over: events below them were committed by
/// an earlier process, whose late statements change nothing from then on. Returns the partitioning and the position of each
/// checkpoint; `None` if the destination keeps no checkpoints.
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
    let Some(mut found) = owned(spool, destination)? else { return Ok(None) };
    if found.is_empty() {
        if is_first && spool.checkpoint_max() > 0 {
            lost_checkpoint(spool, status, spool.checkpoint_max());
        }
        return create_checkpoints(spool, destination, wanted);
    }
    if is_first {
        for Checkpoint { name, position, .. } in &found {
            report_regression(spool, status, name, spool.checkpoint(name).unwrap_or(0), *position);
        }
        set_back_lost_tail(spool, destination, plan, &mut found)?;
        // A partition without events has a lower position.
        let committed = found.iter().map(|checkpoint| checkpoint.position).min().unwrap_or(0);
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
    let (new, position) = (new_checkpoints(spool, wanted), spool.committed());
    destination.replace_checkpoints(&[], &new)?;
    Ok(Some((wanted, vec![position; new.len()])))
}

/// The checkpoints of a partitioning, at the committed offset.
pub(super) fn new_checkpoints(spool: &Spool, partitioning: Partitioning) -> Vec<Checkpoint> {
    let names = partitioning.checkpoints(spool.id()).into_iter();
    names.map(|name| Checkpoint { name, position: spool.committed(), owner: Some(spool.owner().into()) }).collect()
}

/// The checkpoints of the spool, after this opening has become their owner; `None` if the destination keeps none.
///
/// # Errors
/// Class `Permanent` if one of them does not belong to this spool, or its position cannot be this spool's: no event below it is known
/// to be committed.
pub(super) fn owned(spool: &Spool, destination: &mut dyn Destination) -> Result<Option<Vec<Checkpoint>>> {
    for _ in 0..CLAIMS_MAX {
        let Some(mut found) = destination.checkpoints(spool.id())? else { return Ok(None) };
        let mut earlier = Vec::new();
        for checkpoint in &found {
            if !is_own(spool, checkpoint)? {
                earlier.push(checkpoint.clone());
            }
        }
        // A statement of an earlier process may have moved one in between.
        if earlier.is_empty() || destination.claim_checkpoints(&earlier, spool.owner())? {
            for checkpoint in &mut found {
                checkpoint.owner = Some(spool.owner().into());
            }
            return Ok(Some(found));
        }
    }
    let message = "taking over the checkpoints: they change again and again";
    Err(Error::new(ErrorKind::Database, message).with_class(Class::Transient))
}

/// Whether the checkpoint has this opening as its owner; false if it may be taken over.
fn is_own(spool: &Spool, checkpoint: &Checkpoint) -> Result<bool> {
    let Checkpoint { name, position, owner } = checkpoint;
    match spool.ownership(owner.as_deref())? {
        Ownership::Own => Ok(true),
        Ownership::Earlier => Ok(false),
        Ownership::TakenOver if *position <= spool.checkpoint(name).unwrap_or(spool.checkpoint_max()) => Ok(false),
        Ownership::TakenOver => {
            Err(spool.note_conflict(&format!("it is at {position}, which its owner, an earlier one, had not reached")))
        }
        Ownership::Later => Err(overtaken(spool)),
        Ownership::Foreign => {
            Err(spool.note_conflict("another sink owns it, with a copy of this spool file or a later state of it"))
        }
    }
}

/// Another process has opened the spool since; it has all that is in the file.
fn overtaken(spool: &Spool) -> Error {
    let message = format!("comparing the checkpoint of the spool {}: a later process owns it", spool.path().display());
    Error::new(ErrorKind::Database, message)
        .with_hint("end one of the two sinks: the later one has this spool's events")
}

/// The partitioning of the checkpoints, as long as it must be kept; otherwise replaces them by those of the wanted one.
fn choose_partitioning(
    spool: &Spool,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    wanted: Partitioning,
    found: &[Checkpoint],
) -> Result<(Partitioning, Vec<u64>)> {
    let committed = spool.committed();
    let is_level = found.iter().all(|checkpoint| checkpoint.position <= committed);
    let positions: Vec<_> = found.iter().map(|checkpoint| (checkpoint.name.clone(), checkpoint.position)).collect();
    if let Some((partitioning, positions)) = Partitioning::of(spool.id(), &positions) {
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
    replace(spool, destination, found, wanted)?;
    Ok((wanted, vec![committed; wanted.count]))
}

/// Replaces the checkpoints by those of this partitioning, at the committed offset.
pub(super) fn replace(
    spool: &Spool,
    destination: &mut dyn Destination,
    old: &[Checkpoint],
    wanted: Partitioning,
) -> Result<()> {
    destination.replace_checkpoints(old, &new_checkpoints(spool, wanted))?;
    spool.replace_checkpoints(&wanted.checkpoints(spool.id()), spool.committed());
    Ok(())
}

/// Sets checkpoints beyond the end of the spool's numbering back to it.
fn set_back_lost_tail(
    spool: &Spool,
    destination: &mut dyn Destination,
    plan: &Arc<Plan>,
    found: &mut [Checkpoint],
) -> Result<()> {
    let numbered_alike = spool.unchecked_from();
    // A checkpoint that the destination has just created is at the committed offset; also with another numbering.
    let end = numbered_alike.max(spool.committed());
    for Checkpoint { name, position, .. } in found.iter_mut().filter(|checkpoint| checkpoint.position > end) {
        log::warn!(
            "the spool {} ends {} events before the destination's checkpoint: the machine stopped before they were flushed; \
             they are committed, and none is lost",
            spool.path().display(),
            *position - numbered_alike
        );
        let fence = Fence { spool_id: name, owner: spool.owner(), from: *position, to: numbered_alike };
        set_back(destination, plan, fence)?;
        *position = numbered_alike;
    }
    Ok(())
}

/// Sets a checkpoint back to the offset at which the numbering of the spool continues.
fn set_back(destination: &mut dyn Destination, plan: &Arc<Plan>, fence: Fence<'_>) -> Result<()> {
    let rows = Rows::new(Arc::clone(plan));
    let nothing = Write { fence: Some(fence), ..Write::nothing(&rows) };
    match destination.apply(&nothing)? {
        Applied::Committed { .. } => Ok(()),
        Applied::Fenced => {
            let message = format!("setting back the checkpoint {}: it changed at the same time", fence.spool_id);
            Err(Error::new(ErrorKind::Database, message).with_class(Class::Transient))
        }
    }
}

/// Compares a checkpoint of this opening with its last known position, any later time: if it is ahead, an in-doubt transaction
/// committed, which may have moved it to `in_doubt_to` at most.
///
/// # Errors
/// Class `Permanent` if it is further ahead: somebody else has moved it, so it is not known which events are committed.
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
        let what = format!("it is at {position}, where this sink has not moved it (it was at {known})");
        return Err(spool.note_conflict(&what));
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
    status.measures.note_gap();
    if let Err(error) = spool.note_regression(from, status.clock.unix_micros(), &message) {
        log::warn!("{error}: `cxsink gaps` will not show this gap");
    }
    status.report(&Error::new(ErrorKind::Database, message).with_class(Class::Transient).with_hint(
        "look for a failover to a server with replication lag, a restored backup, or another database; fetch the events of the time \
         that `cxsink gaps` shows from CXone again",
    ));
}

//! `cxsink_dead_letters`: dead letters without a sink, and their replay.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cxsink_core::dead_letters::{self, DeadLetter, DeadLetters, PurgeFilter, ReplayReport, Selection};
use cxsink_core::{Error, Result};

use crate::boundary::{Call, Out, Process, call, free_with};
use crate::buffer::BufferHandle;
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::names::Status;
use crate::sink::SinkHandle;

/// The dead letters of a spool file, also while a sink, here or in another process, has it open.
#[derive(Debug)]
pub struct DeadLettersHandle {
    dead_letters: Mutex<DeadLetters>,
    process: Process,
}

/// The dead letters to delete; add up the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum PurgeFlag {
    /// Those that were exported.
    Exported = 1,
    /// Those that were replayed.
    Replayed = 2,
    /// Those that were neither. Their events are lost.
    Unseen = 4,
}

unsafe fn with_dead_letters<T>(
    call: Call,
    dead_letters: *const DeadLettersHandle,
    work: impl FnOnce(&DeadLetters) -> Result<T>,
) -> Result<T> {
    // SAFETY: as the caller promises.
    let handle = unsafe { call.handle(dead_letters, "dead_letters") }?;
    handle.process.check("the handle of dead letters")?;
    work(&handle.dead_letters.lock().unwrap_or_else(PoisonError::into_inner))
}

fn array(dead_letters: &[DeadLetter], with_event: bool) -> BufferHandle {
    BufferHandle::array(dead_letters, |letter| letter.to_json(with_event))
}

/// Opens the dead letters of the spool file spool.path, which must exist.
///
/// Ownership: `*out` is yours; free it by `cxsink_dead_letters_free`. The configuration is not needed afterwards.
/// Blocks: while it opens the file. Threads: any. Errors: SPOOL if the file does not exist, or is not a spool;
/// INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_open(
    config: *const ConfigHandle,
    out: *mut *mut DeadLettersHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_dead_letters_open", err, |call| {
            call.required(&out)?;
            let dead_letters = Mutex::new(DeadLetters::open(Configured::get(call, config)?.config)?);
            out.put(DeadLettersHandle { dead_letters, process: Process::current() });
            Ok(Status::Ok)
        })
    }
}

/// At most `count` dead letters from the offset `from` on, the oldest first, as a JSON array of objects: offset,
/// received_at, rejected_at, stage, reason, violations, sqlstate, constraint, column, bytes, exported_at, replayed_at,
/// replayed_as, superseded_at, and redacted (true) if it was redacted before it was spooled; times in microseconds since 1970-01-01
/// UTC. With `with_event` also event, the event itself as text, or event_hex if it is not UTF-8. For the next page, pass the last offset plus one.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_list(
    dead_letters: *const DeadLettersHandle,
    from: u64,
    count: usize,
    with_event: bool,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_dead_letters_list", err, |call| {
            call.required(&out)?;
            let page = with_dead_letters(call, dead_letters, |dead_letters| dead_letters.list(from, count))?;
            out.put(array(&page, with_event));
            Ok(Status::Ok)
        })
    }
}

/// The event of the dead letter with this offset, byte for byte: it may contain anything, NUL characters included. `*out`
/// stays NULL if no dead letter has this offset.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_event(
    dead_letters: *const DeadLettersHandle,
    offset: u64,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_dead_letters_event", err, |call| {
            call.required(&out)?;
            let page = with_dead_letters(call, dead_letters, |dead_letters| dead_letters.list(offset, 1))?;
            if let Some(letter) = page.into_iter().find(|letter| letter.offset == offset) {
                out.put(letter.event.0.into());
            }
            Ok(Status::Ok)
        })
    }
}

/// The number of dead letters.
///
/// Ownership: none. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_count(
    dead_letters: *const DeadLettersHandle,
    out: *mut u64,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_dead_letters_count", err, |call| {
            let out = call.number(out, "out")?;
            *out = 0;
            *out = with_dead_letters(call, dead_letters, DeadLetters::count)?;
            Ok(Status::Ok)
        })
    }
}

/// The dead letters that were not replayed, in groups of one reason each, with what would accept them, as a JSON object: dead_letters,
/// accepted_now (those that the schema accepts as it is now), ungrouped (those with a reason beside the 1,000 groups), and groups, the
/// largest first, each with stage, pointer, keyword, reason, sqlstate, constraint, column, dead_letters, first_offset, first_at, last_at
/// (in microseconds since 1970-01-01 UTC), advice and patch, the operations of a JSON Patch (RFC 6902) for the schema. No payload is part
/// of it, except, with `shows_values`, the values that an enum or const lacks.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk, and while it checks the events. Threads: any.
/// Errors: SPOOL if the file does not exist or cannot be read; CONFIG for a bad configuration or schema; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_summary(
    config: *const ConfigHandle,
    shows_values: bool,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_dead_letters_summary", err, |call| {
            call.required(&out)?;
            let summary = dead_letters::summary(Configured::get(call, config)?.config, shows_values)?;
            out.put(summary.to_json().into());
            Ok(Status::Ok)
        })
    }
}

/// Marks the dead letters with these `count` offsets as exported: a purge deletes them, and the sink deletes them when
/// dead_letters.bytes_max is reached.
///
/// Ownership: offsets are copied. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be written; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_mark_exported(
    dead_letters: *const DeadLettersHandle,
    offsets: *const u64,
    count: usize,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_dead_letters_mark_exported", err, |call| {
            let offsets = call.slice(offsets, count, "offsets")?;
            with_dead_letters(call, dead_letters, |dead_letters| dead_letters.mark_exported(offsets))?;
            Ok(Status::Ok)
        })
    }
}

/// Deletes dead letters permanently: those that `which` selects, a sum of cxsink_purge_flag, and of these only those rejected
/// before `before`, in microseconds since 1970-01-01 UTC; INT64_MAX for all. `*out`, if out is not NULL, gets a JSON object
/// of numbers: deleted; unseen, left because they were neither exported nor replayed; unfinished, left because their batch
/// is not finished, or its end is not recorded yet.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be written; those deleted before stay deleted. FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_purge(
    dead_letters: *const DeadLettersHandle,
    which: u32,
    before: i64,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_dead_letters_purge", err, |call| {
            let purge = purge(call, which, before)?;
            let purged = with_dead_letters(call, dead_letters, |dead_letters| dead_letters.purge(&purge))?;
            out.put(purged.to_json().into());
            Ok(Status::Ok)
        })
    }
}

fn purge(call: Call, which: u32, before: i64) -> Result<PurgeFilter> {
    let is_selected = |flag: PurgeFlag| which & flag as u32 != 0;
    let all = PurgeFlag::Exported as u32 | PurgeFlag::Replayed as u32 | PurgeFlag::Unseen as u32;
    if which == 0 || which & !all != 0 {
        return Err(call.invalid(format_args!("which is {which}, not a sum of cxsink_purge_flag")));
    }
    let mut purge = PurgeFilter::default();
    purge.exported = is_selected(PurgeFlag::Exported);
    purge.replayed = is_selected(PurgeFlag::Replayed);
    purge.unseen = is_selected(PurgeFlag::Unseen);
    purge.before = (before != i64::MAX).then(|| time(before));
    Ok(purge)
}

fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

/// Frees the handle and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
///
/// Ownership: takes the handle; the dead letters stay in the file. Blocks: never. Threads: any, after every other call
/// with this handle has returned. Errors: none; in a forked child it only sets the variable to NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_free(dead_letters: *mut *mut DeadLettersHandle) {
    let drop_here = |handle: Box<DeadLettersHandle>| {
        if !handle.process.is_current() {
            // Closing the file here would release the locks of the parent.
            std::mem::forget(handle);
        }
    };
    // SAFETY: as the caller promises.
    unsafe { free_with("cxsink_dead_letters_free", dead_letters, drop_here) }
}

/// At most `count` dead letters of this sink from the offset `from` on; see `cxsink_dead_letters_list`.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_dead_letters(
    sink: *const SinkHandle,
    from: u64,
    count: usize,
    with_event: bool,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_sink_dead_letters", err, |call| {
            call.required(&out)?;
            let page = SinkHandle::get(call, sink)?.dead_letters(from, count)?;
            out.put(array(&page, with_event));
            Ok(Status::Ok)
        })
    }
}

/// The value of `count` that selects every dead letter.
const ALL: usize = usize::MAX;

unsafe fn selection(call: Call, offsets: *const u64, count: usize) -> Result<Selection> {
    if count == ALL {
        return Ok(Selection::All);
    }
    // SAFETY: as the caller promises.
    let offsets = unsafe { call.slice(offsets, count, "offsets") };
    let hint = |error: Error| error.with_hint("pass CXSINK_ALL as the count to select every dead letter");
    offsets.map(|offsets| Selection::Offsets(offsets.to_vec())).map_err(hint)
}

/// `replay` replays the selected dead letters; its report goes to `out`.
unsafe fn replay(
    function: &'static str,
    offsets: *const u64,
    count: usize,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
    replay: impl FnOnce(Call, &Selection) -> Result<ReplayReport>,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call(function, err, |call| {
            let selection = selection(call, offsets, count)?;
            out.put(replay(call, &selection)?.to_json().into());
            Ok(Status::Ok)
        })
    }
}

/// Checks dead letters again, with the schema that the sink was opened with and the table as it is now, and accepts the valid
/// ones as new events, in the order of their offsets. The others stay, with their new reason. Each is replayed once, also
/// after a crash. `offsets` are the `count` offsets of those to replay; with CXSINK_ALL for `count`, all that were not
/// replayed yet are, and `offsets` is ignored.
///
/// A message that could not be unwrapped is unwrapped with the settings that the sink was opened with, and each of its events is
/// a new one; the JSON counts the message, the counter replayed its events.
///
/// A replayed event does not overwrite what a later event of its key has written since it was rejected; the counter superseded
/// counts those that are left out for that. `cxsink_sink_replay_forced` overwrites it.
///
/// `*out`, if out is not NULL, gets a JSON object: the numbers replayed, rejected, skipped and superseded; fates, an array for
/// the first 10,000; by, the process that replayed them, if it was another one.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while the spool is full, and
/// for the disk. Threads: any. Errors: STATE when the sink is stopping, SPOOL if the file cannot be used; those replayed
/// before stay replayed. FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_replay(
    sink: *mut SinkHandle,
    offsets: *const u64,
    count: usize,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        replay("cxsink_sink_replay", offsets, count, out, err, |call, selection| {
            SinkHandle::get(call, sink)?.replay(selection)
        })
    }
}

/// Like `cxsink_sink_replay`, but a replayed event overwrites its row, whatever has been written since.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while the spool is full, and
/// for the disk. Threads: any. Errors: as `cxsink_sink_replay`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_replay_forced(
    sink: *mut SinkHandle,
    offsets: *const u64,
    count: usize,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        replay("cxsink_sink_replay_forced", offsets, count, out, err, |call, selection| {
            SinkHandle::get(call, sink)?.replay_forced(selection)
        })
    }
}

/// Replays dead letters of the spool spool.path, without a sink of the caller. If no process has it open, this opens a sink
/// without a stream, replays them, and commits the spooled events if the destination is reachable. Otherwise the process
/// that has it open replays them on request. See `cxsink_sink_replay` for offsets, count and out.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`.
/// Blocks: for timeout_ms milliseconds at most for each step of the other process, -1 without limit; otherwise two minutes
/// at most. Threads: any. Errors: TIMEOUT if the other process does not answer in time; nothing more is replayed then.
/// SPOOL, DATABASE, CONFIG as for `cxsink_sink_start`; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_replay(
    config: *const ConfigHandle,
    offsets: *const u64,
    count: usize,
    timeout_ms: i32,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        replay("cxsink_replay", offsets, count, out, err, |call, selection| {
            let timeout = call.timeout(timeout_ms)?.unwrap_or(Duration::MAX);
            dead_letters::replay(Configured::get(call, config)?.config, selection, timeout)
        })
    }
}

/// Like `cxsink_replay`, but a replayed event overwrites its row, whatever has been written since.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`.
/// Blocks: as `cxsink_replay`. Threads: any. Errors: as `cxsink_replay`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_replay_forced(
    config: *const ConfigHandle,
    offsets: *const u64,
    count: usize,
    timeout_ms: i32,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        replay("cxsink_replay_forced", offsets, count, out, err, |call, selection| {
            let timeout = call.timeout(timeout_ms)?.unwrap_or(Duration::MAX);
            dead_letters::replay_forced(Configured::get(call, config)?.config, selection, timeout)
        })
    }
}

/// The report that `cxsink_replay` would return with this configuration, without changing anything; also while a sink runs.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while it connects to the
/// destination, and for the disk. Threads: any. Errors: SPOOL if the file does not exist; CONFIG for a bad configuration or
/// schema; DATABASE for a table that does not match the configuration; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_replay_dry_run(
    config: *const ConfigHandle,
    offsets: *const u64,
    count: usize,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_replay_dry_run", err, |call| {
            call.required(&out)?;
            let selection = selection(call, offsets, count)?;
            let report = dead_letters::replay_dry_run(Configured::get(call, config)?.config, &selection)?;
            out.put(report.to_json().into());
            Ok(Status::Ok)
        })
    }
}

//! `cxsink_dead_letters`: what could not be stored, seen from outside of a sink; and replaying it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cxsink_core::{DeadLetter, DeadLetters, Error, Purge, Replayed, Result, Selection};

use crate::boundary::{Call, Out, Process, call, free_with};
use crate::buffer::BufferHandle;
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::names::Status;
use crate::sink::SinkHandle;

/// The dead letters of a spool file: also while a sink has it open, here or in another process, and without one.
#[derive(Debug)]
pub struct DeadLettersHandle {
    letters: Mutex<DeadLetters>,
    process: Process,
}

/// Which dead letters to delete; add up what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum PurgeFlag {
    /// Those that were exported.
    Exported = 1,
    /// Those that were replayed.
    Replayed = 2,
    /// Those that were neither: nothing is left of them then.
    Unseen = 4,
}

unsafe fn with_letters<T>(
    call: Call,
    letters: *const DeadLettersHandle,
    work: impl FnOnce(&DeadLetters) -> Result<T>,
) -> Result<T> {
    // SAFETY: as the caller promises.
    let handle = unsafe { call.handle(letters, "letters") }?;
    handle.process.check("the handle of dead letters")?;
    work(&handle.letters.lock().unwrap_or_else(PoisonError::into_inner))
}

fn array(letters: &[DeadLetter], with_event: bool) -> BufferHandle {
    BufferHandle::array(letters, |letter| letter.to_json(with_event))
}

/// Opens the dead letters of the file that spool.path names; it must exist.
///
/// Ownership: `*out` is yours; free it by `cxsink_dead_letters_free`. The configuration is not needed afterwards.
/// Blocks: while it opens the file. Threads: any. Errors: SPOOL if there is no such file, or it is not a spool;
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
            let letters = Mutex::new(DeadLetters::open(Configured::get(call, config)?.config)?);
            out.put(DeadLettersHandle { letters, process: Process::current() });
            Ok(Status::Ok)
        })
    }
}

/// At most `count` dead letters from the offset `from` on, the oldest first, as a JSON array of objects: offset,
/// received_at, rejected_at, stage, reason, violations, sqlstate, constraint, column, bytes, exported_at, replayed_at,
/// replayed_as; times in microseconds since 1970-01-01 UTC. With `with_event` also event, the event itself as a text, or
/// event_hex where it is not UTF-8. To read on, give one more than the last offset.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_list(
    letters: *const DeadLettersHandle,
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
            let page = with_letters(call, letters, |letters| letters.list(from, count))?;
            out.put(array(&page, with_event));
            Ok(Status::Ok)
        })
    }
}

/// The event of the dead letter with this offset, byte for byte as it came: it may be anything, also NUL characters.
/// `*out` stays NULL if there is no such dead letter.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_event(
    letters: *const DeadLettersHandle,
    offset: u64,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_dead_letters_event", err, |call| {
            call.required(&out)?;
            let page = with_letters(call, letters, |letters| letters.list(offset, 1))?;
            if let Some(letter) = page.into_iter().find(|letter| letter.offset == offset) {
                out.put(letter.event.0.into());
            }
            Ok(Status::Ok)
        })
    }
}

/// How many dead letters there are.
///
/// Ownership: none. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_count(
    letters: *const DeadLettersHandle,
    out: *mut u64,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_dead_letters_count", err, |call| {
            let out = call.number(out, "out")?;
            *out = 0;
            *out = with_letters(call, letters, DeadLetters::count)?;
            Ok(Status::Ok)
        })
    }
}

/// Notes that the dead letters with these `count` offsets were exported: when dead_letters.bytes_max is reached, they
/// may go, and a purge deletes them.
///
/// Ownership: offsets are copied. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be written; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_mark_exported(
    letters: *const DeadLettersHandle,
    offsets: *const u64,
    count: usize,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_dead_letters_mark_exported", err, |call| {
            let offsets = call.slice(offsets, count, "offsets")?;
            with_letters(call, letters, |letters| letters.mark_exported(offsets))?;
            Ok(Status::Ok)
        })
    }
}

/// Deletes dead letters for good: those that `which` selects, a sum of cxsink_purge_flag, of these only the ones that
/// were set aside before `before`, in microseconds since 1970-01-01 UTC; INT64_MAX: whenever that was. `*out`, if out
/// is not NULL, gets a JSON object: deleted; unseen, how many are left because they were neither exported nor replayed;
/// unfinished, how many are left because the sink is still at work on their batch, or has yet to note its end.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be written: those deleted before stay deleted; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_purge(
    letters: *const DeadLettersHandle,
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
            let purged = with_letters(call, letters, |letters| letters.purge(&purge))?;
            out.put(purged.to_json().into());
            Ok(Status::Ok)
        })
    }
}

fn purge(call: Call, which: u32, before: i64) -> Result<Purge> {
    let is_selected = |flag: PurgeFlag| which & flag as u32 != 0;
    let all = PurgeFlag::Exported as u32 | PurgeFlag::Replayed as u32 | PurgeFlag::Unseen as u32;
    if which == 0 || which & !all != 0 {
        return Err(call.invalid(format_args!("which is {which}, not a sum of cxsink_purge_flag")));
    }
    let mut purge = Purge::default();
    purge.exported = is_selected(PurgeFlag::Exported);
    purge.replayed = is_selected(PurgeFlag::Replayed);
    purge.unseen = is_selected(PurgeFlag::Unseen);
    purge.before = Some(before).filter(|before| *before != i64::MAX);
    Ok(purge)
}

/// Frees the handle and makes the variable NULL. NULL, and a variable that is NULL, are fine.
///
/// Ownership: takes the handle; the dead letters stay in the file. Blocks: never. Threads: any, after every other call
/// with this handle has returned. Errors: none; in a forked child it only makes the variable NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_dead_letters_free(letters: *mut *mut DeadLettersHandle) {
    let drop_here = |handle: Box<DeadLettersHandle>| {
        if !handle.process.is_current() {
            // Closing the file here would take the parent's locks on it.
            std::mem::forget(handle);
        }
    };
    // SAFETY: as the caller promises.
    unsafe { free_with("cxsink_dead_letters_free", letters, drop_here) }
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
    let hint = |error: Error| error.with_hint("CXSINK_ALL for count selects every dead letter");
    offsets.map(|offsets| Selection::Offsets(offsets.to_vec())).map_err(hint)
}

fn give(mut out: Out<BufferHandle>, replayed: &Replayed) -> Status {
    out.put(replayed.to_json().into());
    Status::Ok
}

/// Checks dead letters again, under the schema that the sink was opened with and the table as it is now, and takes the
/// good ones as new events, in the order of their offsets. Those still bad stay, with today's reason. Each is replayed
/// once, whatever happens. `offsets` are the `count` offsets of those to replay; with CXSINK_ALL for `count` it is every
/// one that was not replayed yet, and `offsets` is not looked at.
///
/// `*out`, if out is not NULL, gets a JSON object: replayed, rejected and skipped, how many; letters, the fate of each of
/// the first 10,000; by, the process that did it, if another one did.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while the spool is full, and
/// for the disk. Threads: any. Errors: STATE when the sink is stopping, SPOOL if the file cannot be used: those replayed
/// before stay replayed; FORKED, INVALID_ARGUMENT.
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
        let out = Out::new(out);
        call("cxsink_sink_replay", err, |call| {
            let selection = selection(call, offsets, count)?;
            Ok(give(out, &SinkHandle::get(call, sink)?.replay(&selection)?))
        })
    }
}

/// Replays dead letters of the spool that spool.path names, without a sink of one's own. If no process has it open, a sink
/// without a stream does it, and what is spooled is applied before this returns, if the destination can be reached.
/// Otherwise the process that has it open is asked. See `cxsink_sink_replay` for offsets, count and out.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`.
/// Blocks: timeout_ms milliseconds, 0 or more, are for each step of the process that is asked; otherwise a minute or two
/// at most for draining. Threads: any. Errors: TIMEOUT if that process does not answer: nothing more is replayed then;
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
        let out = Out::new(out);
        call("cxsink_replay", err, |call| {
            let selection = selection(call, offsets, count)?;
            let timeout = call.timeout(timeout_ms)?.unwrap_or(Duration::MAX);
            Ok(give(out, &cxsink_core::replay(Configured::get(call, config)?.config, &selection, timeout)?))
        })
    }
}

/// What `cxsink_replay` would do under this configuration, without changing anything; also while a sink is running.
///
/// Ownership: offsets are copied; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while it connects to the
/// destination, if that can be reached, and for the disk. Threads: any. Errors: SPOOL if there is no such file; CONFIG for
/// a bad configuration or schema; DATABASE for a table that does not fit; INVALID_ARGUMENT.
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
        let out = Out::new(out);
        call("cxsink_replay_dry_run", err, |call| {
            call.required(&out)?;
            let selection = selection(call, offsets, count)?;
            Ok(give(out, &cxsink_core::replay_dry_run(Configured::get(call, config)?.config, &selection)?))
        })
    }
}

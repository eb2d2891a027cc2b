//! The connections to the stream, and the gaps between them, in which events may have been missed.

use cxsink_core::connections::{Connections, Gap, StreamConnection};

use crate::boundary::{Out, call};
use crate::buffer::BufferHandle;
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::names::Status;
use crate::sink::SinkHandle;

/// The last 10,000 connections to the stream, the oldest first, including those of earlier processes with this spool, as a
/// JSON array of objects: id, opened_at, first_event_at, last_event_at, events, ended_at, cause, close_code, tries_failed,
/// try_error; times in microseconds since 1970-01-01 UTC.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_connections(
    sink: *const SinkHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_sink_connections", err, |call| {
            call.required(&out)?;
            let connections = SinkHandle::get(call, sink)?.connections()?;
            out.put(BufferHandle::array(&connections, StreamConnection::to_json));
            Ok(Status::Ok)
        })
    }
}

/// The times in which events may have been missed, the oldest first, as a JSON array of objects: from, to, cause,
/// close_code, tries_failed, try_error; times in microseconds since 1970-01-01 UTC; to is null while the gap lasts.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file cannot be read; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_gaps(
    sink: *const SinkHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_sink_gaps", err, |call| {
            call.required(&out)?;
            out.put(BufferHandle::array(&SinkHandle::get(call, sink)?.gaps()?, Gap::to_json));
            Ok(Status::Ok)
        })
    }
}

/// As `cxsink_sink_connections`, from the spool file spool.path, also while a sink has it open.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file does not exist, or is not a spool; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_connections(
    config: *const ConfigHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_connections", err, |call| {
            call.required(&out)?;
            let connections = Connections::open(Configured::get(call, config)?.config)?.list()?;
            out.put(BufferHandle::array(&connections, StreamConnection::to_json));
            Ok(Status::Ok)
        })
    }
}

/// As `cxsink_sink_gaps`, from the spool file spool.path, also while a sink has it open.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: for the disk. Threads: any.
/// Errors: SPOOL if the file does not exist, or is not a spool; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_gaps(
    config: *const ConfigHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_gaps", err, |call| {
            call.required(&out)?;
            let gaps = Connections::open(Configured::get(call, config)?.config)?.gaps()?;
            out.put(BufferHandle::array(&gaps, Gap::to_json));
            Ok(Status::Ok)
        })
    }
}

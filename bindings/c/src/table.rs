//! The table of the destination: create it, and read its first rows.

use crate::boundary::{Out, call};
use crate::buffer::BufferHandle;
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::names::Status;

/// Creates the table destination.table at destination.url, and the table cxsink_checkpoint beside it, if they do not exist.
/// With mapping.columns of your own it creates these columns, with the types that the schema allows.
///
/// Ownership: none. Blocks: while it connects and works, within destination.connect_timeout and
/// destination.statement_timeout. Threads: any. Errors: DATABASE or CONNECT if the destination is unreachable or
/// refuses, or if the table exists without the columns of your own mapping; CONFIG if destination.url, the mapping or
/// the schema is missing or bad; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_init_db(config: *const ConfigHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_init_db", err, |call| {
            cxsink_core::init_db(Configured::get(call, config)?.config)?;
            Ok(Status::Ok)
        })
    }
}

/// The SQL of `cxsink_init_db`. Connects to nothing.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
/// Errors: CONFIG if destination.url, the mapping or the schema is missing or bad; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_init_db_sql(
    config: *const ConfigHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_init_db_sql", err, |call| {
            call.required(&out)?;
            out.put(cxsink_core::table::init_db_sql(Configured::get(call, config)?.config)?.into());
            Ok(Status::Ok)
        })
    }
}

/// Makes the spool file a spool of its own, with a new id: for a copy of a spool file, or one restored from a backup, whose
/// checkpoint another sink owns. The next start applies every event in the file, also those that the other sink has applied
/// already.
///
/// Ownership: none. Blocks: for a short time, for the disk. Threads: any. Errors: SPOOL if a sink has the file open, or it
/// cannot be used; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_renew_spool(config: *const ConfigHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_renew_spool", err, |call| {
            cxsink_core::renew_spool(Configured::get(call, config)?.config)?;
            Ok(Status::Ok)
        })
    }
}

/// The first `count` rows of the table of the destination, as a JSON object: columns, an array of names, and rows, an array of
/// arrays of texts or null.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: while it connects and reads, within
/// destination.connect_timeout and destination.statement_timeout. Threads: any.
/// Errors: DATABASE or CONNECT if the destination is unreachable or the table does not exist; CONFIG if destination.url is
/// missing or bad; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_peek(
    config: *const ConfigHandle,
    count: usize,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_peek", err, |call| {
            call.required(&out)?;
            out.put(cxsink_core::table::peek(Configured::get(call, config)?.config, count)?.to_json().into());
            Ok(Status::Ok)
        })
    }
}

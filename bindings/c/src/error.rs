//! `cxsink_error`: the details of a failure.

use std::ffi::{CString, c_char};

use cxsink_core::Error;

use crate::boundary::{c_text, free, value};
use crate::names::Status;

/// An error: what failed, the reason, and what to do next. It contains neither secrets nor values of events.
#[derive(Debug)]
pub struct ErrorHandle {
    status: Status,
    message: CString,
    hint: CString,
    detail: CString,
    is_retryable: bool,
    index: Option<u64>,
}

impl ErrorHandle {
    pub(crate) fn new(error: &Error) -> Self {
        Self {
            status: Status::from(error.kind()),
            message: c_text(error.message()),
            hint: c_text(error.hint().unwrap_or_default()),
            detail: c_text(&error.detail_json()),
            is_retryable: error.is_retryable(),
            index: error.index(),
        }
    }
}

unsafe fn text(
    function: &'static str,
    error: *const ErrorHandle,
    text: impl FnOnce(&ErrorHandle) -> &CString,
) -> *const c_char {
    // SAFETY: NULL, or an error that was not freed.
    value(function, c"".as_ptr(), || unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| text(error).as_ptr()))
}

/// The status that the failed call returned. NULL: CXSINK_STATUS_OK.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_error_status(error: *const ErrorHandle) -> Status {
    // SAFETY: NULL, or an error that was not freed.
    value("cxsink_error_status", Status::Panic, || unsafe { error.as_ref() }.map_or(Status::Ok, |error| error.status))
}

/// The message, `what failed: reason`, in one line. NULL: the empty text.
///
/// Ownership: the text belongs to the error and lives until that is freed.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_error_message(error: *const ErrorHandle) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { text("cxsink_error_message", error, |error| &error.message) }
}

/// The hint: how to fix it; the empty text if unknown, and for NULL.
///
/// Ownership: the text belongs to the error and lives until that is freed.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_error_hint(error: *const ErrorHandle) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { text("cxsink_error_hint", error, |error| &error.hint) }
}

/// Everything as one JSON object: kind, code, message, retryable, and, if known, hint, sqlstate, constraint, column,
/// http_status, close_code (RFC 6455 section 7.4), index and violations, each with pointer, keyword and message.
/// NULL: the empty text.
///
/// Ownership: the text belongs to the error and lives until that is freed.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_error_detail_json(error: *const ErrorHandle) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { text("cxsink_error_detail_json", error, |error| &error.detail) }
}

/// Whether the same call may succeed later without a change: the server was unreachable or busy. NULL: false.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_error_is_retryable(error: *const ErrorHandle) -> bool {
    // SAFETY: NULL, or an error that was not freed.
    value("cxsink_error_is_retryable", false, || unsafe { error.as_ref() }.is_some_and(|error| error.is_retryable))
}

/// After `cxsink_sink_ingest_many`, the index, from 0, of the first event that was not accepted; every event before it was
/// accepted. UINT64_MAX for other errors, and for NULL.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_error_index(error: *const ErrorHandle) -> u64 {
    // SAFETY: NULL, or an error that was not freed.
    let index = value("cxsink_error_index", None, || unsafe { error.as_ref() }.and_then(|error| error.index));
    index.unwrap_or(u64::MAX)
}

/// Frees the error and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
///
/// Ownership: takes the error; its texts become invalid. Do not free an error that belongs to a notice.
/// Blocks: never. Threads: any, once. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_error_free(error: *mut *mut ErrorHandle) {
    // SAFETY: as the caller promises.
    unsafe { free("cxsink_error_free", error) }
}

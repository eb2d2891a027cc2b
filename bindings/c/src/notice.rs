//! `cxsink_notice`: something that happened.

use std::ffi::{CString, c_char};
use std::ptr;

use cxsink_core::Notice;

use crate::boundary::{c_text, free, value};
use crate::error::ErrorHandle;

/// Something that happened, taken by `cxsink_sink_poll`.
#[derive(Debug)]
pub struct NoticeHandle {
    kind: u32,
    state: Option<u32>,
    error: Option<ErrorHandle>,
    json: CString,
}

impl NoticeHandle {
    pub(crate) fn new(notice: &Notice) -> Self {
        Self {
            kind: notice.kind_code(),
            state: if let Notice::State(state) = notice { Some(*state as u32) } else { None },
            error: if let Notice::Error(error) = notice { Some(ErrorHandle::new(error)) } else { None },
            json: c_text(&notice.to_json()),
        }
    }
}

/// The kind of the notice: a cxsink_notice_kind, or a number of a newer library. NULL: 0.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_notice_get_kind(notice: *const NoticeHandle) -> u32 {
    // SAFETY: NULL, or a notice that was not freed.
    value("cxsink_notice_get_kind", 0, || unsafe { notice.as_ref() }.map_or(0, |notice| notice.kind))
}

/// The new state in a notice of the kind STATE, a cxsink_state; UINT32_MAX for other kinds, and for NULL.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_notice_get_state(notice: *const NoticeHandle) -> u32 {
    // SAFETY: NULL, or a notice that was not freed.
    let state = value("cxsink_notice_get_state", None, || unsafe { notice.as_ref() }.and_then(|notice| notice.state));
    state.unwrap_or(u32::MAX)
}

/// The error in a notice of the kind ERROR; NULL for other kinds, and for NULL.
///
/// Ownership: the error belongs to the notice and lives until that is freed; do not free it.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_notice_get_error(notice: *const NoticeHandle) -> *const ErrorHandle {
    // SAFETY: NULL, or a notice that was not freed.
    let error =
        value("cxsink_notice_get_error", None, || unsafe { notice.as_ref() }.and_then(|notice| notice.error.as_ref()));
    error.map_or(ptr::null(), ptr::from_ref)
}

/// Everything as one JSON object with the member kind, and by that: state (STATE); offset, stage, reason, violations and
/// sqlstate (REJECTED); error (ERROR); stats (STATS); inserted, updated, unchanged, confirmed, coalesced and dead_lettered
/// (STORED). `len`, if it is not NULL, gets the number of bytes. NULL: the empty text.
///
/// Ownership: the text belongs to the notice and lives until that is freed. Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_notice_json(notice: *const NoticeHandle, len: *mut usize) -> *const c_char {
    // SAFETY: NULL, or a notice that was not freed.
    let json = value("cxsink_notice_json", c"", || unsafe { notice.as_ref() }.map_or(c"", |notice| &notice.json));
    // SAFETY: NULL, or the caller's variable.
    if let Some(len) = unsafe { len.as_mut() } {
        *len = json.count_bytes();
    }
    json.as_ptr()
}

/// Frees the notice and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
///
/// Ownership: takes the notice; its text and its error become invalid. Blocks: never. Threads: any, once. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_notice_free(notice: *mut *mut NoticeHandle) {
    // SAFETY: as the caller promises.
    unsafe { free("cxsink_notice_free", notice) }
}

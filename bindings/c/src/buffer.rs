//! `cxsink_buffer`: the bytes of a result. Every result that is more than a number is one.

use std::ffi::c_char;
use std::ptr;

use crate::boundary::{free, value};

/// The bytes of a result: JSON, SQL, or an event. A NUL character follows the last one, so that text is a C string.
#[derive(Debug)]
pub struct BufferHandle(Vec<u8>);

impl BufferHandle {
    /// A JSON array of these objects.
    pub(crate) fn array<T>(items: &[T], to_json: impl Fn(&T) -> String) -> Self {
        let items: Vec<String> = items.iter().map(to_json).collect();
        Self::from(format!("[{}]", items.join(",")))
    }
}

impl From<Vec<u8>> for BufferHandle {
    fn from(mut bytes: Vec<u8>) -> Self {
        bytes.push(0);
        Self(bytes)
    }
}

impl From<String> for BufferHandle {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

/// The bytes. `len`, if it is not NULL, gets their number, without the NUL character after them.
/// NULL: the empty text.
///
/// Ownership: the bytes belong to the buffer and live until that is freed.
/// Blocks: never. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_buffer_data(buffer: *const BufferHandle, len: *mut usize) -> *const c_char {
    // SAFETY: NULL, or a buffer that was not freed.
    let bytes = value("cxsink_buffer_data", None, || unsafe { buffer.as_ref() }).map_or(&b"\0"[..], |buffer| &buffer.0);
    // SAFETY: NULL, or the caller's variable.
    if let Some(len) = unsafe { len.as_mut() } {
        *len = bytes.len() - 1;
    }
    ptr::from_ref(bytes).cast()
}

/// Frees the buffer and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
///
/// Ownership: takes the buffer; its bytes become invalid. Blocks: never. Threads: any, once. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_buffer_free(buffer: *mut *mut BufferHandle) {
    // SAFETY: as the caller promises.
    unsafe { free("cxsink_buffer_free", buffer) }
}

//! The boundary of every call: out-parameters, NULL, panics, log callbacks.
//!
//! - `*out` and `*err` are NULL unless the call sets them.
//! - A panic ends here, since unwinding into C is undefined behaviour. It becomes the status `PANIC`.
//! - Within a log callback, only functions that never wait may be called; the others return `STATE`.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::Duration;

use cxsink_core::{Error, ErrorKind, Result};

use crate::error::ErrorHandle;
use crate::logging;
use crate::names::Status;

/// A call that returns a status, and puts its error into `err` if that is not NULL.
pub(crate) unsafe fn call(
    function: &'static str,
    err: *mut *mut ErrorHandle,
    body: impl FnOnce(Call) -> Result<Status>,
) -> Status {
    // SAFETY: NULL, or the caller's variable.
    let mut err = unsafe { Out::new(err) };
    let outcome = guard(function, || {
        if logging::is_in_callback() {
            return Err(Error::new(ErrorKind::State, format!("{function} was called in a log callback"))
                .with_hint("call only cxsink_sink_counter, cxsink_sink_state and cxsink_sink_stop there"));
        }
        body(Call(function))
    });
    let error = match outcome {
        Some(Ok(status)) => return status,
        Some(Err(error)) => error,
        None => Error::new(ErrorKind::Panic, format!("{function}: cxsink panicked"))
            .with_hint("report this bug in cxsink, with the place from the log"),
    };
    let status = Status::from(error.kind());
    // This must not unwind either.
    if let Ok(handle) = catch_unwind(AssertUnwindSafe(|| ErrorHandle::new(&error))) {
        err.put(handle);
    }
    status
}

/// A call that returns a value and no error.
pub(crate) fn value<T>(function: &'static str, otherwise: T, body: impl FnOnce() -> T) -> T {
    guard(function, body).unwrap_or(otherwise)
}

/// Frees the handle in the variable, by dropping it, and sets the variable to NULL.
pub(crate) unsafe fn free<T>(function: &'static str, variable: *mut *mut T) {
    // SAFETY: as the caller promises.
    unsafe { free_with(function, variable, drop) }
}

/// Frees the handle in the variable and sets the variable to NULL.
pub(crate) unsafe fn free_with<T>(function: &'static str, variable: *mut *mut T, free: impl FnOnce(Box<T>)) {
    let take = || {
        // SAFETY: NULL, or the caller's variable.
        let Some(variable) = (unsafe { variable.as_mut() }) else { return };
        let handle = std::mem::replace(variable, ptr::null_mut());
        if !handle.is_null() {
            // SAFETY: `Out::put` made it from a box of this type, and the variable is NULL now.
            free(unsafe { Box::from_raw(handle) });
        }
    };
    value(function, (), take);
}

/// `None` if the body panicked.
fn guard<T>(function: &'static str, body: impl FnOnce() -> T) -> Option<T> {
    logging::silence_panics();
    let guarded = || {
        #[cfg(test)]
        crate::tests::panic_if_asked(function);
        #[cfg(not(test))]
        let _ = function;
        body()
    };
    // After a panic, the locks and files of the core are as valid as after an error.
    catch_unwind(AssertUnwindSafe(guarded)).ok()
}

/// The caller's variable for a result.
pub(crate) struct Out<T>(*mut *mut T);

impl<T> Out<T> {
    /// Sets the variable to NULL.
    pub(crate) unsafe fn new(variable: *mut *mut T) -> Self {
        // SAFETY: NULL, or the caller's variable.
        if let Some(variable) = unsafe { variable.as_mut() } {
            *variable = ptr::null_mut();
        }
        Self(variable)
    }

    /// Puts it into the variable, if there is one.
    pub(crate) fn put(&mut self, value: T) {
        // SAFETY: as in `new`; the variable lives until the call returns.
        if let Some(variable) = unsafe { self.0.as_mut() } {
            *variable = Box::into_raw(Box::new(value));
        }
    }
}

/// A call, by the name of its function: checks its arguments.
#[derive(Clone, Copy)]
pub(crate) struct Call(&'static str);

impl Call {
    pub(crate) fn invalid(self, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::InvalidArgument, format!("{}: {what}", self.0))
    }

    fn null(self, what: &str) -> Error {
        self.invalid(format_args!("{what} is NULL"))
    }

    pub(crate) unsafe fn handle<'a, T>(self, handle: *const T, what: &str) -> Result<&'a T> {
        // SAFETY: NULL, or a handle that was not freed.
        unsafe { handle.as_ref() }
            .ok_or_else(|| self.null(what).with_hint("open it first, and do not use it after it was freed"))
    }

    pub(crate) unsafe fn handle_mut<'a, T>(self, handle: *mut T, what: &str) -> Result<&'a mut T> {
        // SAFETY: NULL, or a handle that was not freed and that no other thread uses during the call.
        unsafe { handle.as_mut() }
            .ok_or_else(|| self.null(what).with_hint("make it first, and do not use it after it was freed"))
    }

    /// A result whose variable must not be NULL.
    pub(crate) fn required<T>(self, out: &Out<T>) -> Result<()> {
        if out.0.is_null() { Err(self.null("out")) } else { Ok(()) }
    }

    /// A number whose variable must not be NULL.
    pub(crate) unsafe fn number<'a>(self, out: *mut u64, what: &str) -> Result<&'a mut u64> {
        // SAFETY: NULL, or the caller's variable.
        unsafe { out.as_mut() }.ok_or_else(|| self.null(what))
    }

    pub(crate) unsafe fn text<'a>(self, text: *const c_char, what: &str) -> Result<&'a str> {
        if text.is_null() {
            return Err(self.null(what));
        }
        // SAFETY: not NULL, so it ends with a NUL character.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_str().map_err(|_| self.invalid(format_args!("{what} is not UTF-8")))
    }

    /// The `length` items from `first` on.
    pub(crate) unsafe fn slice<'a, T>(self, first: *const T, length: usize, what: &str) -> Result<&'a [T]> {
        if first.is_null() {
            return Err(self.null(what));
        }
        if length > isize::MAX.unsigned_abs() / size_of::<T>() {
            return Err(self.invalid(format_args!("{what} cannot have a length of {length}")));
        }
        // SAFETY: not NULL, so it has this many, and a slice can be this long.
        Ok(unsafe { std::slice::from_raw_parts(first, length) })
    }

    /// A timeout in milliseconds; `None`, for -1, is without limit.
    pub(crate) fn timeout(self, timeout_ms: i32) -> Result<Option<Duration>> {
        match u64::try_from(timeout_ms) {
            Ok(timeout_ms) => Ok(Some(Duration::from_millis(timeout_ms))),
            Err(_) if timeout_ms == -1 => Ok(None),
            Err(_) => {
                Err(self.invalid(format_args!("timeout_ms is {timeout_ms}")).with_hint("use -1 to wait without limit"))
            }
        }
    }
}

/// Text for C, which ends at the first NUL character.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

/// The process that made a handle. A forked child has its memory, but not its threads.
#[derive(Debug)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn is_current(&self) -> bool {
        self.0 == std::process::id()
    }

    pub(crate) fn check(&self, what: &str) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Forked, format!("using {what}: it belongs to the parent process"))
            .with_hint("open one after the fork"))
    }
}

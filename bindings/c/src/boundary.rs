//! What every call does before and after the core does the work: out-parameters, NULL, panics, log callbacks.
//!
//! - `*out` and `*err` are NULL unless the call says otherwise, whatever happens.
//! - A panic ends here: unwinding into C is undefined. It becomes the status `PANIC`.
//! - Within a log callback only what cannot wait for anything may be called; the rest is `STATE`.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::Duration;

use cxsink_core::{Error, ErrorKind, Result};

use crate::error::ErrorHandle;
use crate::logging;
use crate::names::Status;

/// A call that tells its outcome by a status, and by an error if `err` is there.
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
                .with_hint("only cxsink_sink_counter and cxsink_sink_stop may be called there"));
        }
        body(Call(function))
    });
    let error = match outcome {
        Some(Ok(status)) => return status,
        Some(Err(error)) => error,
        None => Error::new(ErrorKind::Panic, format!("{function}: a panic inside of cxsink"))
            .with_hint("this is a bug in cxsink: please report it; the log says where it happened"),
    };
    let status = Status::from(error.kind());
    // Not under the tests' panic again, but it must not unwind either.
    if let Ok(handle) = catch_unwind(AssertUnwindSafe(|| ErrorHandle::new(&error))) {
        err.put(handle);
    }
    status
}

/// A call that has a value for an answer, and nothing to say about errors.
pub(crate) fn value<T>(function: &'static str, otherwise: T, body: impl FnOnce() -> T) -> T {
    guard(function, body).unwrap_or(otherwise)
}

/// Frees what the variable holds, by dropping it, and makes the variable NULL.
pub(crate) unsafe fn free<T>(function: &'static str, variable: *mut *mut T) {
    // SAFETY: as the caller promises.
    unsafe { free_with(function, variable, drop) }
}

/// Frees what the variable holds and makes the variable NULL.
pub(crate) unsafe fn free_with<T>(function: &'static str, variable: *mut *mut T, free: impl FnOnce(Box<T>)) {
    let take = || {
        // SAFETY: NULL, or the caller's variable.
        let Some(variable) = (unsafe { variable.as_mut() }) else { return };
        let handle = std::mem::replace(variable, ptr::null_mut());
        if !handle.is_null() {
            // SAFETY: it was made by `Out::put` from a box of this type, and the variable does not have it any more.
            free(unsafe { Box::from_raw(handle) });
        }
    };
    value(function, (), take);
}

/// `None`: it panicked.
fn guard<T>(function: &'static str, body: impl FnOnce() -> T) -> Option<T> {
    logging::silence_panics();
    let guarded = || {
        #[cfg(test)]
        crate::tests::panic_if_asked(function);
        #[cfg(not(test))]
        let _ = function;
        body()
    };
    // What a panic leaves behind is as valid as what an error does: the core's locks and files are.
    catch_unwind(AssertUnwindSafe(guarded)).ok()
}

/// The caller's variable for a result.
pub(crate) struct Out<T>(*mut *mut T);

impl<T> Out<T> {
    /// Makes the variable NULL.
    pub(crate) unsafe fn new(variable: *mut *mut T) -> Self {
        // SAFETY: NULL, or the caller's variable.
        if let Some(variable) = unsafe { variable.as_mut() } {
            *variable = ptr::null_mut();
        }
        Self(variable)
    }

    /// Gives it to the caller, if there is a variable.
    pub(crate) fn put(&mut self, value: T) {
        // SAFETY: as in `new`; the call is not over, so the variable is still there.
        if let Some(variable) = unsafe { self.0.as_mut() } {
            *variable = Box::into_raw(Box::new(value));
        }
    }
}

/// The call that is being made, and its arguments.
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
        unsafe { handle.as_ref() }.ok_or_else(|| self.null(what).with_hint("was it opened, and is it not freed yet?"))
    }

    pub(crate) unsafe fn handle_mut<'a, T>(self, handle: *mut T, what: &str) -> Result<&'a mut T> {
        // SAFETY: NULL, or a handle that was not freed and that nobody else uses meanwhile.
        unsafe { handle.as_mut() }.ok_or_else(|| self.null(what).with_hint("was it made, and is it not freed yet?"))
    }

    /// A result that the caller must have a variable for.
    pub(crate) fn required<T>(self, out: &Out<T>) -> Result<()> {
        if out.0.is_null() { Err(self.null("out")) } else { Ok(()) }
    }

    /// A number that the caller must have a variable for.
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

    /// `length` things from `first` on.
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

    /// Milliseconds; -1 is without limit.
    pub(crate) fn timeout(self, timeout_ms: i32) -> Result<Option<Duration>> {
        match u64::try_from(timeout_ms) {
            Ok(timeout_ms) => Ok(Some(Duration::from_millis(timeout_ms))),
            Err(_) if timeout_ms == -1 => Ok(None),
            Err(_) => Err(self.invalid(format_args!("timeout_ms is {timeout_ms}")).with_hint("-1 waits without limit")),
        }
    }
}

/// Text for C, which ends at the first NUL character.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

/// The process that made a handle: a forked child has the memory, but not the threads.
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
        Err(Error::new(ErrorKind::Forked, format!("{what} belongs to the parent process"))
            .with_hint("make one after the fork"))
    }
}

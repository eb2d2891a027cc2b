//! Trying a deployment before it runs.

use std::ffi::{c_char, c_void};

use cxsink_core::{CheckArea, CheckStep};

use crate::boundary::{Out, c_text, call};
use crate::buffer::BufferHandle;
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::names::Status;

/// Parts of a deployment, to be checked; add up what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CheckFlag {
    /// Where events wait: directory, file, lock and free space.
    Spool = 1,
    /// The way to a token: name, TCP, proxy, TLS, the token itself, and the server's clock.
    Oauth = 2,
    /// The way to the stream: name, TCP, proxy, TLS, and the handshake. The stream is opened and closed again at once.
    Stream = 4,
    /// The way to the table: name, TCP, login, TLS, table, columns, key, privileges, checkpoint, clock.
    Destination = 8,
    /// All of them.
    All = 15,
}

/// In the order of the core.
const AREAS: [(CheckFlag, CheckArea); 4] = [
    (CheckFlag::Spool, CheckArea::Spool),
    (CheckFlag::Oauth, CheckArea::Oauth),
    (CheckFlag::Stream, CheckArea::Stream),
    (CheckFlag::Destination, CheckArea::Destination),
];

/// Called for each step of a check when it is done: one JSON object of `len` bytes, which ends with a NUL character and
/// lives until the callback returns. It must not throw, nor leave by longjmp.
pub type StepFunction = Option<unsafe extern "C" fn(step: *const c_char, len: usize, user_data: *mut c_void)>;

/// Tries a deployment, step by step and for real: configuration and schema in any case, and the `areas`, a sum of
/// cxsink_check_flag. It leaves no trace: no row, no file that was not there.
///
/// `*is_ok`, if it is not NULL, gets whether no step failed. `*out`, if out is not NULL, gets a JSON object: ok, and steps,
/// an array of objects with name, status ("passed", "warning", "failed" or "skipped"), seconds, message and hint.
/// `on_step`, if it is not NULL, is called for each step in between, on this thread.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`; user_data is only passed on. Blocks: while it tries; a step
/// takes no longer than the timeouts of the configuration. Threads: any. Errors: INVALID_ARGUMENT. A step that fails is
/// no error of this call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_check(
    config: *const ConfigHandle,
    areas: u32,
    on_step: StepFunction,
    user_data: *mut c_void,
    is_ok: *mut bool,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        let mut is_ok = is_ok.as_mut();
        if let Some(is_ok) = is_ok.as_deref_mut() {
            *is_ok = false;
        }
        call("cxsink_check", err, |call| {
            let configured = Configured::get(call, config)?;
            if areas & !(CheckFlag::All as u32) != 0 {
                return Err(call.invalid(format_args!("areas is {areas}, not a sum of cxsink_check_flag")));
            }
            let wanted = AREAS.into_iter().filter(|(flag, _)| areas & *flag as u32 != 0);
            let wanted: Vec<CheckArea> = wanted.map(|(_, area)| area).collect();
            let tell = |step: &CheckStep| {
                if let Some(on_step) = on_step {
                    let json = c_text(&step.to_json());
                    on_step(json.as_ptr(), json.count_bytes(), user_data);
                }
            };
            let check = cxsink_core::check(configured.config, &wanted, tell);
            if let Some(is_ok) = is_ok {
                *is_ok = check.is_ok();
            }
            out.put(check.to_json().into());
            Ok(Status::Ok)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_areas_are_those_of_the_core() {
        assert_eq!(AREAS.map(|(_, area)| area), CheckArea::ALL);
        assert_eq!(AREAS.iter().fold(0, |sum, (flag, _)| sum | *flag as u32), CheckFlag::All as u32);
    }
}

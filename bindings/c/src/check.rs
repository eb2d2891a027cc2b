//! Checks of a deployment.

use std::ffi::{c_char, c_void};

use cxsink_core::check::{CheckArea, CheckStep};

use crate::boundary::{Out, c_text, call};
use crate::buffer::BufferHandle;
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::names::Status;

/// The parts of a deployment to check; add up the flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CheckFlag {
    /// The spool: directory, file, lock and free space.
    Spool = 1,
    /// The token endpoint: name, TCP, proxy, TLS, a token, and the server's clock.
    Oauth = 2,
    /// The stream: name, TCP, proxy, TLS, and the handshake. The stream is opened and closed again at once.
    Stream = 4,
    /// The destination: name, TCP, login, TLS, table, columns, key, privileges, checkpoint, clock.
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

/// Called after each step of a check, with one JSON object of `len` bytes, which ends with a NUL character and lives until
/// the callback returns. It must not throw or longjmp.
pub type StepFunction = Option<unsafe extern "C" fn(step: *const c_char, len: usize, user_data: *mut c_void)>;

/// Tries a deployment step by step, for real: configuration and schema in any case, and the `areas`, a sum of
/// cxsink_check_flag. It leaves no trace: no row, and no file that did not exist before.
///
/// `*is_ok`, if it is not NULL, is true if no step failed. `*out`, if out is not NULL, gets a JSON object: ok, and steps, an
/// array of objects with name, status ("passed", "warning", "failed" or "skipped"), seconds, message and hint.
/// `on_step`, if it is not NULL, is called after each step, on this thread.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`; user_data is passed to on_step. Blocks: a step takes no
/// longer than the timeouts of the configuration. Threads: any. Errors: INVALID_ARGUMENT. A failed step is not an error of
/// this call.
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
            let on_step = |step: &CheckStep| {
                if let Some(on_step) = on_step {
                    let json = c_text(&step.to_json());
                    on_step(json.as_ptr(), json.count_bytes(), user_data);
                }
            };
            let check = cxsink_core::check(configured.config, &wanted, on_step);
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

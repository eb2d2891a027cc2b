//! The limit on the size of a file (`RLIMIT_FSIZE`, `ulimit -f`). A write beyond it fails, and before it fails, SIGXFSZ ends the process
//! unless that ignores or handles the signal.
//!
//! The command line handles it. A library must not change what a signal does in the application: here the file stays below a limit that
//! leaves room for it, and a lower one is an error at the start.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::spool::identity::{beside, with_end};

/// A lower limit can be reached by the write-ahead log: 64 MiB, and the largest event twice.
const ROOM_MIN: u64 = 1 << 30;
/// The room that one append may need.
const APPEND_BYTES: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// The limit of this process; `None` if there is none.
#[cfg(unix)]
pub(in crate::spool) fn bytes_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

#[cfg(not(unix))]
pub(in crate::spool) fn bytes_max() -> Option<u64> {
    None
}

/// The pages that the spool's file may have.
pub(in crate::spool) fn pages_max() -> Option<u32> {
    bytes_max().map(|bytes| u32::try_from(bytes / PAGE).unwrap_or(u32::MAX).max(1))
}

/// Refuses a limit at which the process would end.
pub(in crate::spool) fn check(spool: &Path) -> Result<()> {
    match bytes_max() {
        Some(bytes) if bytes < ROOM_MIN && is_fatal() => Err(Error::spool(format!(
            "opening the spool {}: a file of this process may have {bytes} bytes at most, and at that size SIGXFSZ would end the process",
            spool.display()
        ))
        .with_hint("raise the limit (`ulimit -f`) to 1 GiB or more, or ignore SIGXFSZ in the application, as the command cxsink does")),
        _ => Ok(()),
    }
}

/// Whether one of the spool's files is as large as it may be, or nearly.
pub(super) fn reached(spool: &Path) -> bool {
    let Some(max) = bytes_max() else { return false };
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let largest = size(spool).max(size(&with_end(spool, "-wal"))).max(size(&beside(spool, "reserve")));
    largest.saturating_add(APPEND_BYTES) > max
}

/// Whether the signal has its usual effect. Bits of masks are numbered from 1 (proc(5), `SigIgn`, `SigCgt`).
#[cfg(target_os = "linux")]
fn is_fatal() -> bool {
    let bit = 1_u64 << (rustix::process::Signal::XFSZ.as_raw() - 1);
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    (mask("SigIgn:") | mask("SigCgt:")) & bit == 0
}

/// Unknown elsewhere.
#[cfg(not(target_os = "linux"))]
fn is_fatal() -> bool {
    false
}

//! JSON pointers (RFC 6901): as values of the configuration, and how their parts are read and written.

use crate::config::units::shown;
use crate::error::{Error, Result};

/// Checks the syntax. The empty pointer is the whole document.
pub(crate) fn check(pointer: &str) -> Result<()> {
    problem(pointer).map_or(Ok(()), |problem| {
        Err(Error::config(format!("{} {problem}", shown(pointer))).with_hint("write a JSON pointer such as /body/data"))
    })
}

/// The name that a part of a pointer stands for.
pub(crate) fn unescape(part: &str) -> String {
    // In this order (section 4), so that `~01` becomes `~1`.
    part.replace("~1", "/").replace("~0", "~")
}

/// The part of a pointer that stands for this name.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The index in an array that a name stands for: digits without a leading zero (section 4).
pub(crate) fn index(name: &str) -> Option<usize> {
    // `parse` would take a sign.
    let is_index = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    if is_index { name.parse().ok() } else { None }
}

/// How the text breaks the syntax of a pointer, if it does.
pub(super) fn problem(pointer: &str) -> Option<&'static str> {
    if pointer.is_empty() {
        return None;
    }
    if !pointer.starts_with('/') {
        return Some("is not a JSON pointer: it must start with /");
    }
    // RFC 6901, section 3: only 0 or 1 may follow `~`.
    let is_bad = pointer.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
    is_bad.then_some("contains a ~ that is not part of ~0 or ~1")
}

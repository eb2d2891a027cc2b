//! JSON pointers (RFC 6901) as values of the configuration.

use crate::config::units::shown;
use crate::error::{Error, Result};

/// Checks the syntax. The empty pointer is the whole document.
pub(crate) fn check(pointer: &str) -> Result<()> {
    problem(pointer).map_or(Ok(()), |problem| {
        Err(Error::config(format!("{} {problem}", shown(pointer))).with_hint("write a JSON pointer such as /body/data"))
    })
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

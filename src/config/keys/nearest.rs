//! Errors about unknown names, which say the nearest known one.

use crate::config::units::shown;
use crate::error::Error;

pub(in crate::config) fn unknown(what: &str, name: &str) -> Error {
    Error::config(format!("unknown {what} {}", shown(name)))
}

pub(in crate::config) fn unknown_near(what: &str, name: &str, nearest: &str) -> Error {
    Error::config(format!("unknown {what} {}; the nearest known one is {nearest:?}", shown(name)))
}

/// Of pairs of a text and its meaning, the meaning of the text nearest to `name`.
pub(in crate::config) fn nearest<T>(
    name: &str,
    candidates: impl IntoIterator<Item = (impl AsRef<str>, T)>,
) -> Option<T> {
    // The time of a comparison is proportional to both lengths, and a name may be any text.
    let name: String = name.chars().take(100).collect();
    let distance = |candidate: &str| strsim::osa_distance(&name, candidate);
    candidates.into_iter().min_by_key(|(candidate, _)| distance(candidate.as_ref())).map(|(_, meaning)| meaning)
}

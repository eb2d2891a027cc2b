//! A suggestion.

/// A setting to try: a key, its value as TOML, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suggestion {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) why: String,
}

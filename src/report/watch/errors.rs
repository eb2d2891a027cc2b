//! The latest errors: each text once, with how often it came.

use serde::Serialize;

use crate::error::Error;
use crate::error::foreign_text::{one_line, without_numbers};

/// The texts that are kept; beyond them, the one that did not come for the longest time goes.
const ERRORS_MAX: usize = 20;
/// Of a message, and of a hint.
const CHARS_MAX: usize = 600;

/// Errors that differ in numbers only, such as ports and offsets, are one. Times are seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RecentError {
    /// `Error::kind` in lower case.
    pub(crate) kind: String,
    /// The last one.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) count: u64,
    pub(crate) first_at: f64,
    pub(crate) last_at: f64,
    #[serde(skip)]
    text: String,
}

/// In the order of their last time.
#[derive(Debug, Default)]
pub(super) struct RecentErrors(Vec<RecentError>);

impl RecentErrors {
    pub(super) fn note(&mut self, error: &Error, at: f64) {
        let text = without_numbers(&one_line(error.message(), CHARS_MAX));
        let kind = error.kind().name().to_ascii_lowercase();
        let known = self.0.iter().position(|known| known.text == text && known.kind == kind);
        let (count, first_at) = match known {
            Some(place) => {
                let known = self.0.remove(place);
                (known.count + 1, known.first_at)
            }
            None => (1, at),
        };
        if self.0.len() >= ERRORS_MAX {
            self.0.remove(0);
        }
        self.0.push(RecentError {
            kind,
            message: one_line(error.message(), CHARS_MAX).into_owned(),
            hint: error.hint().map(|hint| one_line(hint, CHARS_MAX).into_owned()),
            count,
            first_at,
            last_at: at,
            text,
        });
    }

    /// The latest first.
    pub(super) fn list(&self) -> Vec<RecentError> {
        self.0.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn errors_that_differ_in_numbers_are_one_and_the_latest_comes_first() {
        let mut errors = RecentErrors::default();
        let refused = |port: u32| {
            Error::new(ErrorKind::Connect, format!("connecting to 127.0.0.1:{port}: refused")).with_hint("start it")
        };
        errors.note(&refused(5), 1.0);
        errors.note(&Error::new(ErrorKind::Auth, "the token was refused"), 2.0);
        errors.note(&refused(77), 3.0);
        let found = errors.list();
        let shown: Vec<_> = found.iter().map(|error| (&*error.kind, &*error.message, error.count)).collect();
        assert_eq!(
            shown,
            [("connect", "connecting to 127.0.0.1:77: refused", 2), ("auth", "the token was refused", 1)]
        );
        assert_eq!((found[0].first_at, found[0].last_at), (1.0, 3.0));
        assert_eq!(found[0].hint.as_deref(), Some("start it"));
    }

    #[test]
    fn the_memory_of_errors_is_bounded() {
        let mut errors = RecentErrors::default();
        for letter in ('a'..='z').cycle().zip(1..).map(|(letter, length)| letter.to_string().repeat(length)).take(700) {
            errors.note(&Error::new(ErrorKind::Spool, letter), 1.0);
        }
        let found = errors.list();
        assert_eq!(found.len(), ERRORS_MAX);
        assert!(found.iter().all(|error| error.message.chars().count() <= CHARS_MAX + 1));
    }
}

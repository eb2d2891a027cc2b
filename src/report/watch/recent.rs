//! What happened lately, for those who did not look at that time. Some tens of kilobytes at most, and nothing without a watcher.

use std::sync::Mutex;

use crate::error::Error;
use crate::report::dead_letter::DeadLetter;
use crate::report::watch::errors::{RecentError, RecentErrors};
use crate::report::watch::rejections::Rejections;
use crate::threads::sync;

/// Noted by the threads of a sink from the time on at which somebody watches.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    errors: Mutex<RecentErrors>,
    rejections: Mutex<Rejections>,
}

impl Recent {
    /// `at`: seconds since 1970-01-01 UTC.
    pub(crate) fn note_error(&self, error: &Error, at: f64) {
        sync::lock(&self.errors).note(error, at);
    }

    pub(crate) fn note_dead_letter(&self, letter: &DeadLetter) {
        sync::lock(&self.rejections).note(letter);
    }

    /// The latest first.
    pub(crate) fn errors(&self) -> Vec<RecentError> {
        sync::lock(&self.errors).list()
    }

    pub(crate) fn rejections(&self) -> Rejections {
        sync::lock(&self.rejections).sorted()
    }
}

//! When the token endpoint's refusals end the sink.
//!
//! Before the first token, every refusal does: the configuration was never right. Later it was right, and a gateway in front of the endpoint
//! answers with any status while the endpoint is away. So only the endpoint's own words count then (RFC 6749 section 5.2), and only if it
//! repeats them: an endpoint that has just started may not know its clients yet.

use std::time::{Duration, Instant};

use crate::error::{Class, Error};
use crate::source::oauth::response::TokenFailure;

/// How often the endpoint must refuse the client, with nothing else in between.
const REFUSALS_MIN: u32 = 3;
/// The least time from the first refusal to the last.
const REFUSED_FOR_MIN: Duration = Duration::from_secs(180);

/// The refusals since the latest token.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    has_had_token: bool,
    count: u32,
    since: Option<Instant>,
}

impl Refusals {
    /// A token was granted.
    pub(super) fn end(&mut self) {
        *self = Self { has_had_token: true, ..Self::default() };
    }

    /// The error that a failure means: class `Permanent` if it is to end the sink.
    pub(super) fn judge(&mut self, failure: TokenFailure, now: Instant) -> Error {
        let TokenFailure { error, is_refusal, .. } = failure;
        if !self.has_had_token || (is_refusal && self.is_repeated(now)) {
            return error;
        }
        if !is_refusal {
            (self.count, self.since) = (0, None);
        }
        if error.class() != Class::Permanent {
            return error;
        }
        let fix = error.hint().map_or_else(String::new, |hint| format!("; if this goes on, {hint}"));
        error
            .with_class(Class::Transient)
            .with_hint(format!("wait: there was a token before, and the sink tries again{fix}"))
    }

    fn is_repeated(&mut self, now: Instant) -> bool {
        self.count += 1;
        let since = *self.since.get_or_insert(now);
        self.count >= REFUSALS_MIN && now.saturating_duration_since(since) >= REFUSED_FOR_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes of failures at these seconds, each a refusal or not, after a token.
    fn classes(failures: &[(u64, bool)]) -> Vec<Class> {
        let begin = Instant::now();
        let mut refusals = Refusals::default();
        refusals.end();
        let mut judge = |&(at, is_refusal): &(u64, bool)| {
            let error = Error::config("x").with_hint("check it");
            let failure = TokenFailure { error, is_refusal, wait: None };
            let error = refusals.judge(failure, begin + Duration::from_secs(at));
            assert_eq!(error.hint().unwrap().contains("wait"), error.class() == Class::Transient);
            assert!(error.hint().unwrap().ends_with("check it"));
            error.class()
        };
        failures.iter().map(&mut judge).collect()
    }

    #[test]
    fn before_the_first_token_every_failure_stands_as_it_is() {
        let judge = |is_refusal| {
            let failure = TokenFailure { error: Error::config("x"), is_refusal, wait: None };
            Refusals::default().judge(failure, Instant::now()).class()
        };
        assert_eq!((judge(false), judge(true)), (Class::Permanent, Class::Permanent));
    }

    #[test]
    fn after_a_token_only_refusals_over_minutes_are_permanent() {
        use Class::{Permanent, Transient};
        let check = |failures: &[(u64, bool)], last: Class| {
            let found = classes(failures);
            assert!(found[..found.len() - 1].iter().all(|class| *class == Transient), "{failures:?}: {found:?}");
            assert_eq!(*found.last().unwrap(), last, "{failures:?}");
        };
        check(&[(0, true)], Transient);
        check(&[(0, true), (60, true), (180, true)], Permanent);
        check(&[(0, true), (60, true), (179, true)], Transient);
        check(&[(0, true), (200, true)], Transient);
        check(&[(0, true), (60, true), (90, false), (180, true), (200, true)], Transient);
        check(&[(0, false), (100, false), (300, false), (9000, false)], Transient);
    }
}

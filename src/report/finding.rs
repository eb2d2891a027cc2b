//! A finding: the result of one examination of a deployment. The spool, the sources and the destinations examine themselves and
//! return findings; `check` makes steps of them.

use std::fmt;

use crate::error::foreign_text::{MESSAGE_CHARS_MAX, into_one_line};

/// The result of a step that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) message: String,
    /// The fix; present if this is a warning.
    pub(crate) hint: Option<String>,
}

impl Finding {
    pub(crate) fn good(message: impl Into<String>) -> Self {
        Self { message: into_one_line(message.into(), MESSAGE_CHARS_MAX), hint: None }
    }

    pub(crate) fn warning(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(into_one_line(hint.into(), MESSAGE_CHARS_MAX)), ..Self::good(message) }
    }

    /// Compares another machine's clock with ours. `ahead` is how many seconds it is ahead, exact to `uncertainty` seconds.
    pub(crate) fn clock(whose: impl fmt::Display, ahead: f64, uncertainty: f64) -> Self {
        let difference = ahead.abs();
        let direction = if ahead > 0.0 { "ahead of" } else { "behind" };
        if difference <= CLOCK_SKEW_MAX + uncertainty {
            return Self::good(format!(
                "{whose} and this machine agree, to within {:.1} s",
                difference.max(uncertainty)
            ));
        }
        Self::warning(
            format!("{whose} is {difference:.0} s {direction} this machine's clock"),
            "synchronize both clocks by NTP: certificates and tokens are valid between two times only, and times in the table are those of the database",
        )
    }
}

/// How many seconds two clocks may differ. Certificates and tokens are renewed longer than this before they expire.
const CLOCK_SKEW_MAX: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_less_than_five_seconds_apart_agree() {
        let check = |ahead, uncertainty, says: &str, is_warning: bool| {
            let finding = Finding::clock("its clock", ahead, uncertainty);
            assert!(finding.message.contains(says), "{finding:?}");
            assert_eq!(finding.hint.is_some(), is_warning, "{finding:?}");
        };
        check(0.2, 0.01, "agree, to within 0.2 s", false);
        check(-4.9, 0.0, "agree, to within 4.9 s", false);
        check(0.1, 1.0, "agree, to within 1.0 s", false);
        check(5.5, 1.0, "agree", false);
        check(61.0, 1.0, "its clock is 61 s ahead of this machine's", true);
        check(-3600.2, 0.0, "its clock is 3600 s behind this machine's", true);
    }
}

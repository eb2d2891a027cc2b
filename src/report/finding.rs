//! What a check of a deployment finds: a list of steps, each tried for real, each with what was found and what to do.
//!
//! [`run::check`] goes through them. The steps of a destination or of the spool are told here in data ([`Finding`]), so that each
//! part can examine itself.

use std::fmt;
use std::time::Duration;

use crate::error::Error;

/// A part of the deployment: the section of the configuration that its steps are named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckArea {
    /// Where events wait: directory, file, lock and free space.
    Spool,
    /// The way to a token: name, TCP, proxy, TLS, the token itself, and the server's clock.
    Oauth,
    /// The way to the stream: name, TCP, proxy, TLS, and the handshake, for which a token is fetched. The stream is opened and closed
    /// again at once; not while a sink has the spool. Events that come in this moment are lost to this sink, and a server
    /// that sends to its newest connection only takes them from a sink elsewhere.
    Stream,
    /// The way to the table: name, TCP, login, TLS, table, columns, key, privileges, checkpoint, clock.
    Destination,
}

impl CheckArea {
    /// Every area, in the order in which they are checked.
    pub const ALL: [Self; 4] = [Self::Spool, Self::Oauth, Self::Stream, Self::Destination];

    /// The name of the section: `"spool"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::Oauth => "oauth",
            Self::Stream => "stream",
            Self::Destination => "destination",
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckStatus {
    /// As it should be.
    Passed,
    /// It works, but not as well as it could, or not for long; the hint says more.
    Warning,
    /// The sink would not work.
    Failed,
    /// Not tried, because a step before it failed or it might do harm; the message says which.
    Skipped,
}

impl CheckStatus {
    /// For machines: `"passed"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// For people: one character.
    pub const fn sign(self) -> char {
        match self {
            Self::Passed => '✓',
            Self::Warning => '!',
            Self::Failed => '✗',
            Self::Skipped => '-',
        }
    }
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckStep {
    /// What, as `section.step`: `"destination.table"`. Stable.
    pub name: &'static str,
    /// How it ended.
    pub status: CheckStatus,
    /// How long it took.
    pub duration: Duration,
    /// What was found, or what was tried, on what, and why it failed. Never a secret.
    pub message: String,
    /// What to do about it; always there for a failure or a warning.
    pub hint: Option<String>,
}

impl CheckStep {
    /// The step as one JSON object: `name`, `status`, `seconds`, `message` and, where there is one, `hint`.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    fn to_value(&self) -> serde_json::Value {
        let mut value = serde_json::json!({
            "name": self.name,
            "status": self.status.name(),
            "seconds": self.duration.as_secs_f64(),
            "message": self.message,
        });
        if let (Some(hint), Some(object)) = (&self.hint, value.as_object_mut()) {
            object.insert("hint".into(), hint.as_str().into());
        }
        value
    }
}

/// What a check found: every step, in the order in which they were tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The steps.
    pub steps: Vec<CheckStep>,
}

impl Check {
    /// A check that ended before it began: there is no configuration to check.
    pub fn without_configuration(error: &Error) -> Self {
        Self { steps: vec![failed("configuration", Duration::ZERO, error)] }
    }

    /// Whether no step failed. Warnings do not count, and a step is skipped only after a failure or on purpose.
    pub fn is_ok(&self) -> bool {
        self.count(CheckStatus::Failed) == 0
    }

    /// How many steps ended in this way.
    pub fn count(&self, status: CheckStatus) -> usize {
        self.steps.iter().filter(|step| step.status == status).count()
    }

    /// One object for machines: `{"ok": true, "steps": [{"name": …, "status": …, "seconds": …, "message": …, "hint": …}, …]}`;
    /// `hint` is left out where there is none.
    pub fn to_json(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(CheckStep::to_value).collect();
        serde_json::json!({ "ok": self.is_ok(), "steps": steps }).to_string()
    }
}

pub(crate) fn failed(name: &'static str, duration: Duration, error: &Error) -> CheckStep {
    // A failure without advice would leave its reader alone.
    let hint = error.hint().unwrap_or("the message names what failed; the log of the other side may say more");
    CheckStep { name, status: CheckStatus::Failed, duration, message: error.to_string(), hint: Some(hint.into()) }
}

/// What a step that did not fail has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) message: String,
    /// What to do, if this is a warning.
    pub(crate) advice: Option<String>,
}

impl Finding {
    pub(crate) fn good(message: impl Into<String>) -> Self {
        Self { message: message.into(), advice: None }
    }

    pub(crate) fn warning(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { message: message.into(), advice: Some(advice.into()) }
    }

    /// What another machine's clock says, compared with ours. `ahead`: how many seconds it is ahead of ours, give or take
    /// `uncertainty` seconds.
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
            "set both clocks by NTP: certificates and tokens are good only between two times, and times in the table are the database's",
        )
    }

    pub(crate) fn into_step(self, name: &'static str, duration: Duration) -> CheckStep {
        let status = if self.advice.is_some() { CheckStatus::Warning } else { CheckStatus::Passed };
        CheckStep { name, status, duration, message: self.message, hint: self.advice }
    }
}

/// How many seconds two clocks may differ: a certificate or a token's life is never that close to its end.
const CLOCK_SKEW_MAX: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_a_little() {
        let check = |ahead, uncertainty, says: &str, is_warning: bool| {
            let finding = Finding::clock("its clock", ahead, uncertainty);
            assert!(finding.message.contains(says), "{finding:?}");
            assert_eq!(finding.advice.is_some(), is_warning, "{finding:?}");
        };
        check(0.2, 0.01, "agree, to within 0.2 s", false);
        check(-4.9, 0.0, "agree, to within 4.9 s", false);
        check(0.1, 1.0, "agree, to within 1.0 s", false);
        check(5.5, 1.0, "agree", false);
        check(61.0, 1.0, "its clock is 61 s ahead of this machine's", true);
        check(-3600.2, 0.0, "its clock is 3600 s behind this machine's", true);
    }

    #[test]
    fn a_failure_always_has_advice_and_json_has_it_all() {
        let check = Check::without_configuration(&Error::config("no"));
        assert!(!check.is_ok());
        let json: serde_json::Value = serde_json::from_str(&check.to_json()).unwrap();
        assert_eq!(json["ok"], false);
        let step = &json["steps"][0];
        assert_eq!((&step["name"], &step["status"]), (&"configuration".into(), &"failed".into()));
        assert!(step["seconds"].is_f64() && step["hint"].is_string(), "{step}");
        let passed = Finding::good("fine").into_step("spool.lock", Duration::from_millis(2));
        assert_eq!(passed.to_value()["hint"], serde_json::Value::Null);
    }
}

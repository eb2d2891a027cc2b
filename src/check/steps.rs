//! The steps of a check: each tried for real, each reported with what was found and what to do about it.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::report::finding::Finding;

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

fn passed(name: &'static str, duration: Duration, finding: Finding) -> CheckStep {
    let status = if finding.advice.is_some() { CheckStatus::Warning } else { CheckStatus::Passed };
    CheckStep { name, status, duration, message: finding.message, hint: finding.advice }
}

/// Runs the steps of an area and reports each. Steps that are not reached are reported as skipped when this is dropped.
pub(super) struct Steps<'a> {
    left: Vec<&'static str>,
    reports: &'a Sender<CheckStep>,
    failed: Option<&'static str>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(names: &[&'static str], reports: &'a Sender<CheckStep>) -> Self {
        Self { left: names.to_vec(), reports, failed: None }
    }

    /// Tries a step; `None` if it failed.
    pub(super) fn step<T>(&mut self, name: &'static str, tried: impl FnOnce() -> Result<(T, Finding)>) -> Option<T> {
        self.try_step(name, || tried().map(|(found, finding)| (found, Some(finding))))
    }

    /// Tries a step without a result of its own; `None` if it failed. A step that does not apply is left out.
    pub(super) fn examine(
        &mut self,
        name: &'static str,
        tried: impl FnOnce() -> Result<Option<Finding>>,
    ) -> Option<()> {
        self.try_step(name, || tried().map(|finding| ((), finding)))
    }

    fn try_step<T>(&mut self, name: &'static str, tried: impl FnOnce() -> Result<(T, Option<Finding>)>) -> Option<T> {
        let started_at = Instant::now();
        let outcome = tried();
        let duration = started_at.elapsed();
        match outcome {
            Ok((found, Some(finding))) => {
                self.report(passed(name, duration, finding));
                Some(found)
            }
            Ok((found, None)) => {
                self.left.retain(|left| *left != name);
                Some(found)
            }
            Err(error) => {
                self.failed = Some(name);
                self.report(failed(name, duration, &error));
                None
            }
        }
    }

    pub(super) fn skip(&mut self, name: &'static str, why: String) {
        self.report(CheckStep {
            name,
            status: CheckStatus::Skipped,
            duration: Duration::ZERO,
            message: why,
            hint: None,
        });
    }

    fn report(&mut self, step: CheckStep) {
        self.left.retain(|left| *left != step.name);
        // The caller may have stopped listening.
        drop(self.reports.send(step));
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        let why = self.failed.map_or_else(|| "not tried".into(), |failed| format!("not tried, as {failed} failed"));
        for name in std::mem::take(&mut self.left) {
            self.skip(name, why.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_always_has_advice_and_json_has_it_all() {
        let check = Check::without_configuration(&Error::config("no"));
        assert!(!check.is_ok());
        let json: serde_json::Value = serde_json::from_str(&check.to_json()).unwrap();
        assert_eq!(json["ok"], false);
        let step = &json["steps"][0];
        assert_eq!((&step["name"], &step["status"]), (&"configuration".into(), &"failed".into()));
        assert!(step["seconds"].is_f64() && step["hint"].is_string(), "{step}");
        let passed = passed("spool.lock", Duration::from_millis(2), Finding::good("fine"));
        assert_eq!(passed.to_value()["hint"], serde_json::Value::Null);
    }
}

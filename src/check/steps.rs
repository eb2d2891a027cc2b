//! The steps of a check: each tried for real, each reported with what was found and what to do about it.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::report::json::{self, serialize_as_name};

/// A part of a deployment. Its steps are named after the section of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckArea {
    /// The spool: directory, file, lock and free space.
    Spool,
    /// The token endpoint: its issuer, name, TCP, proxy, TLS, a token, and the server's clock.
    Oauth,
    /// The stream: name, TCP, proxy, TLS, and the handshake, for which a token is fetched. The stream is opened and closed again at
    /// once; not while a sink has the spool open. Events that arrive in this moment are lost to this sink, and a server that sends
    /// to its newest connection only takes them from a sink elsewhere.
    Stream,
    /// The destination: name, TCP, login, TLS, table, columns, key, privileges, checkpoint, clock.
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

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckStatus {
    /// As it should be.
    Passed,
    /// It works, but not as well as it could, or not for long; the hint says more.
    Warning,
    /// The sink would not work.
    Failed,
    /// Not tried, because an earlier step failed or it might do harm; the message says which.
    Skipped,
}

impl CheckStatus {
    /// The name for machines: `"passed"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// The sign for people: one character.
    pub const fn sign(self) -> char {
        match self {
            Self::Passed => '✓',
            Self::Warning => '!',
            Self::Failed => '✗',
            Self::Skipped => '-',
        }
    }
}

serialize_as_name!(CheckArea, CheckStatus);

/// One step of a check and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckStep {
    /// The name, as `section.step`: `"destination.table"`. Stable.
    pub name: &'static str,
    /// The outcome.
    pub status: CheckStatus,
    /// The time it took; serialized as `seconds`.
    #[serde(rename = "seconds", serialize_with = "json::seconds")]
    pub duration: Duration,
    /// The finding; for a failure, what failed and why. It never contains a secret.
    pub message: String,
    /// The fix; always present for a failure or a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl CheckStep {
    /// The step as one JSON object: `name`, `status`, `seconds`, `message` and, if there is one, `hint`.
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}

/// The result of a check: every step, in the order in which they were tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The steps.
    pub steps: Vec<CheckStep>,
}

impl CheckReport {
    /// The report of a check without a valid configuration: one failed step.
    pub fn without_configuration(error: &Error) -> Self {
        Self { steps: vec![failed("configuration", Duration::ZERO, error)] }
    }

    /// Whether no step failed. Warnings and skipped steps do not count.
    pub fn is_ok(&self) -> bool {
        self.count(CheckStatus::Failed) == 0
    }

    /// The number of steps with this outcome.
    pub fn count(&self, status: CheckStatus) -> usize {
        self.steps.iter().filter(|step| step.status == status).count()
    }

    /// Everything as one JSON object: `{"ok": true, "steps": […]}`, each step as in [`CheckStep::to_json`].
    pub fn to_json(&self) -> String {
        json::to_json(self)
    }
}

impl Serialize for CheckReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Members<'a> {
            ok: bool,
            steps: &'a [CheckStep],
        }
        Members { ok: self.is_ok(), steps: &self.steps }.serialize(serializer)
    }
}

pub(crate) fn failed(name: &'static str, duration: Duration, error: &Error) -> CheckStep {
    // Every failure has a hint.
    let hint = error.hint().unwrap_or(match error.kind() {
        ErrorKind::Config | ErrorKind::InvalidArgument => {
            "set the key to a value that it takes: docs/configuration.md lists every key with its values"
        }
        ErrorKind::Spool | ErrorKind::Internal => "read the message: the cause is on this machine",
        _ => "read the message; the log of the other side may say more",
    });
    CheckStep { name, status: CheckStatus::Failed, duration, message: error.to_string(), hint: Some(hint.into()) }
}

fn passed(name: &'static str, duration: Duration, finding: Finding) -> CheckStep {
    let status = if finding.hint.is_some() { CheckStatus::Warning } else { CheckStatus::Passed };
    CheckStep { name, status, duration, message: finding.message, hint: finding.hint }
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

    /// Skips the steps that were not tried.
    pub(super) fn skip_rest(&mut self, why: &str) {
        for name in std::mem::take(&mut self.left) {
            self.report(CheckStep {
                name,
                status: CheckStatus::Skipped,
                duration: Duration::ZERO,
                message: why.into(),
                hint: None,
            });
        }
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
        self.skip_rest(&why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_always_has_a_hint_in_its_json() {
        let check = CheckReport::without_configuration(&Error::config("no"));
        assert!(!check.is_ok());
        let json: serde_json::Value = serde_json::from_str(&check.to_json()).unwrap();
        assert_eq!(json["ok"], false);
        let step = &json["steps"][0];
        assert_eq!((&step["name"], &step["status"]), (&"configuration".into(), &"failed".into()));
        assert!(step["seconds"].is_f64() && step["hint"].is_string(), "{step}");
        let passed = passed("spool.lock", Duration::from_millis(2), Finding::good("fine"));
        assert!(!passed.to_json().contains("hint"), "{passed:?}");
    }
}

//! From dead letters to groups.

use crate::config::Config;
use crate::error::Result;
use crate::error::foreign_text::without_numbers;
use crate::report::dead_letter::{DeadLetter, Stage};
use crate::report::summary::Summary;
use crate::rows::schema::{Explanation, Finding, Schema};
use crate::sink::summary::advice::advice;
use crate::sink::summary::groups::{Entry, Groups};
use crate::source::redact::Fingerprint;
use crate::spool::DeadLetters;

/// The dead letters that were not replayed, in groups of one reason each, with what would accept them; also while a sink runs. It
/// needs no destination.
///
/// What the schema refused is checked against the schema as it is now, so that a change of the schema can be tried before a replay.
/// No payload is part of it, except the values that an `enum` or `const` lacks, with `shows_values`.
///
/// # Errors
/// [`Spool`](crate::ErrorKind::Spool) if the file does not exist or cannot be read; [`Config`](crate::ErrorKind::Config) for a bad
/// configuration or schema.
pub fn summary(config: &Config, shows_values: bool) -> Result<Summary> {
    let schema = Schema::compile(&config.schema, config.stream.event_bytes_max)?;
    let letters = DeadLetters::open(config)?;
    let mut summary = Summary::default();
    let mut groups = Groups::default();
    letters.visit_unreplayed(|letter| {
        summary.dead_letters += 1;
        match entries(&letter, &schema, shows_values) {
            Some(entries) => groups.add(&letter, entries),
            None => summary.accepted_now += 1,
        }
    })?;
    (summary.groups, summary.ungrouped) = groups.finish();
    Ok(summary)
}

/// What is wrong with a dead letter; `None` if the schema refused it and no longer does.
pub(super) fn entries(letter: &DeadLetter, schema: &Schema, shows_values: bool) -> Option<Vec<Entry>> {
    if !matches!(letter.stage, Stage::Json | Stage::Schema) {
        return Some(stored(letter));
    }
    // Its check takes as long as the budget allows.
    let is_costly = letter.violations.iter().any(|violation| violation.keyword == "budget");
    // What is kept in place of an event that could not be redacted is no event.
    let is_fingerprint = letter.is_redacted && Fingerprint::parse(&letter.event.0).is_some();
    if is_costly || is_fingerprint {
        return Some(stored(letter));
    }
    match schema.explain(&letter.event.0, shows_values) {
        Explanation::Accepted => None,
        Explanation::Violations(findings) => Some(findings.into_iter().map(entry_of_finding).collect()),
        Explanation::Unexplained(error) => Some(stored(&letter.with_reason(&error))),
    }
}

fn entry_of_finding(finding: Finding) -> Entry {
    let change = finding.change;
    Entry {
        stage: Stage::Schema,
        pointer: Some(finding.pointer),
        keyword: Some(finding.keyword),
        reason: finding.message,
        place: change.place,
        detail: change.detail,
        advice: change.advice,
        patch: change.patch,
        limit: change.limit,
    }
}

/// The reasons that the dead letter has.
fn stored(letter: &DeadLetter) -> Vec<Entry> {
    let entry = |pointer, keyword, reason| Entry {
        stage: letter.stage,
        pointer,
        keyword,
        reason,
        place: String::new(),
        detail: String::new(),
        advice: advice(letter),
        patch: Vec::new(),
        limit: None,
    };
    if letter.violations.is_empty() {
        return vec![entry(None, None, without_numbers(&letter.reason))];
    }
    let violations = letter.violations.iter();
    violations
        .map(|violation| {
            let reason = without_numbers(&violation.message);
            entry(Some(violation.pointer.clone()), Some(violation.keyword.clone()), reason)
        })
        .collect()
}

//! `dead-letters replay`: checks dead letters again and writes the valid ones to the table.

use std::fmt::Write;
use std::time::Duration;

use crate::cli::format::count;
use crate::cli::print::print_out;
use crate::dead_letters::{Fate, ReplayReport, Selection};
use crate::{Config, Result};

/// How to replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Only tell.
    DryRun,
    /// Leave rows that later events have written.
    Careful,
    Forced,
}

pub(super) fn replay(config: &Config, ids: &[u64], way: Way, timeout: Duration) -> Result<()> {
    let selection = if ids.is_empty() { Selection::All } else { Selection::Offsets(ids.to_vec()) };
    let report = match way {
        Way::DryRun => crate::dead_letters::replay_dry_run(config, &selection)?,
        Way::Careful => crate::dead_letters::replay(config, &selection, timeout)?,
        Way::Forced => crate::dead_letters::replay_forced(config, &selection, timeout)?,
    };
    print_out!("{}", describe(&report, way == Way::DryRun));
    Ok(())
}

fn describe(report: &ReplayReport, dry_run: bool) -> String {
    let mut text = String::new();
    for (offset, fate) in &report.fates {
        let said = match fate {
            Fate::Replayed(None) => "valid: would be replayed".to_owned(),
            Fate::Replayed(Some(again)) => format!("replayed as event {again}"),
            Fate::Rejected(rejection) => format!("still rejected ({}): {}", rejection.stage, rejection.reason),
            Fate::Superseded => {
                "superseded: a later event of its key is in the table, and the row would stay as it is".to_owned()
            }
            Fate::Skipped => "skipped: no such dead letter, or replayed before".to_owned(),
        };
        let _ = writeln!(text, "{offset:>10}  {said}");
    }
    let shown = report.fates.len() as u64;
    let not_replayed = if dry_run { report.superseded } else { 0 };
    let all = report.replayed + report.rejected + report.skipped + not_replayed;
    if shown > 0 && shown < all {
        let _ = writeln!(text, "{:>10}  and {} more", "…", count(all - shown));
    }
    let replayed = if dry_run { "would be replayed" } else { "replayed" };
    let _ = write!(text, "{} {replayed}, {} still rejected", count(report.replayed), count(report.rejected));
    if report.skipped > 0 {
        let _ = write!(text, ", {} skipped", count(report.skipped));
    }
    match (report.superseded, dry_run) {
        (0, _) => {}
        (superseded, true) => {
            let _ = write!(text, ", {} superseded", count(superseded));
        }
        (superseded, false) => {
            let _ =
                write!(text, "; {} of the replayed ones superseded by later events of their keys", count(superseded));
        }
    }
    if let Some(by) = &report.by {
        let _ = write!(text, " by {by}, with the configuration that it was started with");
    }
    if report.replayed > 0 && !dry_run {
        text.push_str("\nan event that the database rejects again becomes a new dead letter, at its new offset");
    }
    if report.superseded > 0 {
        text.push_str("\nto overwrite newer values with a superseded event, replay it with --force");
    }
    text
}

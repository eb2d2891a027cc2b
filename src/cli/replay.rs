//! `dead-letters replay`: checks dead letters again and writes the valid ones to the table.

use std::fmt::Write;
use std::time::Duration;

use super::format::count;
use super::print::print_out;
use crate::dead_letters::{Fate, ReplayReport, Selection};
use crate::{Config, Result};

pub(super) fn replay(config: &Config, ids: &[u64], dry_run: bool, timeout: Duration) -> Result<()> {
    let selection = if ids.is_empty() { Selection::All } else { Selection::Offsets(ids.to_vec()) };
    let report = if dry_run {
        crate::dead_letters::replay_dry_run(config, &selection)?
    } else {
        crate::dead_letters::replay(config, &selection, timeout)?
    };
    print_out!("{}", describe(&report, dry_run));
    Ok(())
}

fn describe(report: &ReplayReport, dry_run: bool) -> String {
    let mut text = String::new();
    for (offset, fate) in &report.fates {
        let said = match fate {
            Fate::Replayed(None) => "valid: would be replayed".to_owned(),
            Fate::Replayed(Some(again)) => format!("replayed as event {again}"),
            Fate::Rejected(rejection) => format!("still rejected ({}): {}", rejection.stage, rejection.reason),
            Fate::Skipped => "skipped: no such dead letter, or replayed before".to_owned(),
        };
        let _ = writeln!(text, "{offset:>10}  {said}");
    }
    let shown = report.fates.len() as u64;
    let all = report.replayed + report.rejected + report.skipped;
    if shown > 0 && shown < all {
        let _ = writeln!(text, "{:>10}  and {} more", "…", count(all - shown));
    }
    let replayed = if dry_run { "would be replayed" } else { "replayed" };
    let _ = write!(text, "{} {replayed}, {} still rejected", count(report.replayed), count(report.rejected));
    if report.skipped > 0 {
        let _ = write!(text, ", {} skipped", count(report.skipped));
    }
    if let Some(by) = &report.by {
        let _ = write!(text, " by {by}, with the configuration that it was started with");
    }
    if report.replayed > 0 && !dry_run {
        text.push_str("\nan event that the database rejects again becomes a new dead letter, at its new offset");
    }
    text
}

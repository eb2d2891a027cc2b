//! A replay of dead letters, tried without doing it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::pipeline::event_rules::EventRules;
use crate::pipeline::replayer::{Fates, judge};
use crate::report::dead_letter::Rejection;
use crate::report::replay::{Fate, ReplayReport, Selection};
use crate::rows::batch::Rows;
use crate::sink::adapters::away_from_the_caller;
use crate::sink::table_now::{TableNow, connect};
use crate::spool::{Judgement, Page, Requests};

/// The report that [`replay`](super::replay::replay) would return with this configuration, without changing anything; also while a sink
/// runs. It tells which events would be superseded, by the table as it is now.
///
/// If the destination is unreachable, only the schema is checked, not the mapping and not the table, and the log says so.
///
/// # Errors
/// [`Spool`](crate::ErrorKind::Spool) if the file does not exist; [`Config`](crate::ErrorKind::Config) for a bad configuration or schema;
/// [`Database`](crate::ErrorKind::Database) for a table that does not match the configuration.
pub fn replay_dry_run(config: &Config, selection: &Selection) -> Result<ReplayReport> {
    config.validate()?;
    let requests = Requests::open(config)?;
    let rules = EventRules::from_config(config)?;
    let mut table = match connect(config) {
        Ok(table) => Some(table),
        Err(error) if error.is_retryable() => {
            log::warn!("{error}: only the schema is checked, not the table");
            None
        }
        Err(error) => return Err(error),
    };
    let mut report = ReplayReport::default();
    let mut from = 0;
    loop {
        let page = requests.replayable(selection, from)?;
        let fates;
        (fates, table) = fates_of(&page, &requests, &rules, table)?;
        for (offset, fate) in fates {
            report.count(offset, fate);
        }
        for &offset in &page.skipped {
            report.count(offset, Fate::Skipped);
        }
        let Some(next) = page.next else { break };
        from = next;
    }
    // On a thread of its own: see `away_from_the_caller`.
    away_from_the_caller(move || {
        drop(table);
        Ok(())
    })?;
    Ok(report)
}

/// The fate of each dead letter of a page. Gives the table back.
fn fates_of(
    page: &Page,
    requests: &Requests,
    rules: &EventRules,
    table: Option<TableNow>,
) -> Result<(Fates, Option<TableNow>)> {
    let mut rows = table.as_ref().map(|(_, plan)| Rows::new(Arc::clone(plan)));
    let mut fates = Vec::new();
    for letter in &page.dead_letters {
        // Only those that may be superseded are compared with the table.
        let rows = if requests.is_overtaken(letter.offset)? { rows.as_mut() } else { None };
        let plan = table.as_ref().map(|(_, plan)| plan);
        let fate = match judge(rules, plan, letter, rows) {
            Judgement::Accepted | Judgement::Burst(_) => Fate::Replayed(None),
            Judgement::Rejected(rejected) => Fate::Rejected(Rejection::from(&*rejected)),
        };
        fates.push((letter.offset, fate));
    }
    let (Some((mut destination, plan)), Some(rows)) = (table, rows) else { return Ok((fates, None)) };
    let (superseded, destination) = away_from_the_caller(move || {
        let which: Vec<u32> = (0..u32::try_from(rows.len()).unwrap_or(u32::MAX)).collect();
        let superseded: HashSet<u32> = destination.superseded(&rows, &which)?.into_iter().collect();
        // A message is superseded if all of its events are.
        let (left, applied): (Vec<u32>, Vec<u32>) = which.into_iter().partition(|row| superseded.contains(row));
        let offsets =
            |rows_of: Vec<u32>| rows_of.into_iter().map(|row| rows.offsets[row as usize]).collect::<HashSet<u64>>();
        Ok((&offsets(left) - &offsets(applied), destination))
    })?;
    for (offset, fate) in &mut fates {
        if superseded.contains(offset) {
            *fate = Fate::Superseded;
        }
    }
    Ok((fates, Some((destination, plan))))
}

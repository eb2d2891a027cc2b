//! The actions, except for the summary.

use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use comfy_table::CellAlignment::{Left, Right};

use crate::cli::arguments::DeadLetters as Action;
use crate::cli::dead_letters::{replay, summary};
use crate::cli::format::{count, counted, list, utc};
use crate::cli::print::print_out;
use crate::dead_letters::{DeadLetter, DeadLetters, PurgeFilter};
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, NAME_CHARS_MAX, one_line};
use crate::files::open;
use crate::time::micros;
use crate::{Config, Error, ErrorKind, Result};

/// Dead letters read at a time.
const PAGE: usize = 1000;

pub(in crate::cli) fn dead_letters(config: &Config, action: &Action) -> Result<ExitCode> {
    let letters = DeadLetters::open(config)?;
    match action {
        Action::Replay { dry_run, ids, force, timeout } => {
            let way = match (dry_run, force) {
                (true, _) => replay::Way::DryRun,
                (false, true) => replay::Way::Forced,
                (false, false) => replay::Way::Careful,
            };
            replay::replay(config, ids, way, *timeout)?;
        }
        Action::Purge { exported, replayed, before, older_than, all } => {
            let mut purge = PurgeFilter::default();
            let is_any = !exported && !replayed;
            (purge.exported, purge.replayed) = (*exported || is_any, *replayed || is_any);
            if *all {
                purge = PurgeFilter::all();
            }
            let age = older_than.and_then(|age| SystemTime::now().checked_sub(age));
            purge.before = before.map(micros::to_time).or(age);
            delete(&letters, &purge)?;
        }
        Action::List { from, limit, json: true } => list_json(&letters, *from, *limit)?,
        Action::List { from, limit, json: false } => show_list(&letters, *from, limit.unwrap_or(LIST_MAX))?,
        Action::Summary { values, json } => summary::print(config, *values, *json)?,
        Action::Show { offset } => show_one(&letters, *offset)?,
        Action::Export { file } => export(&letters, file)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Dead letters that a list shows unless it is told otherwise.
const LIST_MAX: usize = 100;

/// All of them, unless there is a limit, each as one JSON object without its event.
fn list_json(letters: &DeadLetters, mut from: u64, limit: Option<usize>) -> Result<()> {
    let mut left = limit.unwrap_or(usize::MAX);
    while left > 0 {
        let page = letters.list(from, left.min(PAGE))?;
        let Some(last) = page.last() else { break };
        from = last.offset + 1;
        left -= page.len();
        for letter in &page {
            print_out!("{}", letter.to_json(false));
        }
    }
    Ok(())
}

fn show_list(letters: &DeadLetters, from: u64, limit: usize) -> Result<()> {
    let total = letters.count()?;
    // One more, to see whether there are more.
    let mut page = letters.list(from, limit.saturating_add(1))?;
    let has_more = page.len() > limit;
    page.truncate(limit);
    if page.is_empty() {
        let place = if from > 0 && total > 0 { format!(" from offset {from} on") } else { String::new() };
        print_out!("no dead letters{place}");
        return Ok(());
    }
    let head = [("offset", Right), ("rejected at", Left), ("stage", Left), ("handled", Left), ("reason", Left)];
    let rows = page.iter().map(|letter| {
        [
            letter.offset.to_string(),
            utc(letter.rejected_at),
            letter.stage.to_string(),
            handled(letter).into(),
            letter.reason.clone(),
        ]
    });
    print_out!("{}", list(head, rows));
    let shown = count(page.len() as u64);
    print_out!("{shown} of {}; to see an event: cxsink dead-letters show OFFSET", counted(total, "dead letter"));
    if let Some(last) = page.last().filter(|_| has_more) {
        print_out!("there are more: cxsink dead-letters list --from {}", last.offset + 1);
    }
    Ok(())
}

fn handled(letter: &DeadLetter) -> &'static str {
    match (letter.superseded_at, letter.replayed_at, letter.exported_at) {
        (Some(_), _, _) => "superseded",
        (None, Some(_), _) => "replayed",
        (None, None, Some(_)) => "exported",
        (None, None, None) => "",
    }
}

fn delete(letters: &DeadLetters, purge: &PurgeFilter) -> Result<()> {
    let purged = letters.purge(purge)?;
    print_out!("{} deleted", counted(purged.deleted, "dead letter"));
    if purged.unseen > 0 {
        print_out!("{} not deleted: neither exported nor replayed; use --all to delete them too", count(purged.unseen));
    }
    if purged.unfinished > 0 {
        print_out!(
            "{} not deleted: their batch is not committed yet; try again once the sink has written it",
            count(purged.unfinished)
        );
    }
    Ok(())
}

fn show_one(letters: &DeadLetters, offset: u64) -> Result<()> {
    let letter = letters.list(offset, 1)?.into_iter().find(|letter| letter.offset == offset).ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, format!("showing dead letter {offset}: it does not exist"))
            .with_hint("list them with `cxsink dead-letters list`")
    })?;
    print_out!("{}", describe(&letter).trim_end());
    Ok(())
}

/// All fields of a dead letter, one a line.
pub(in crate::cli) fn describe(letter: &DeadLetter) -> String {
    let mut text = format!(
        "  offset       {}\n  received at  {}\n  rejected at  {}\n  stage        {}\n  reason       {}\n",
        letter.offset,
        utc(letter.received_at),
        utc(letter.rejected_at),
        letter.stage,
        one_line(&letter.reason, MESSAGE_CHARS_MAX)
    );
    let details = [("sqlstate", &letter.sqlstate), ("constraint", &letter.constraint), ("column", &letter.column)];
    for (name, value) in details {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<12} {}", one_line(value, NAME_CHARS_MAX));
        }
    }
    if let Some(at) = letter.exported_at {
        let _ = writeln!(text, "  exported at  {}", utc(at));
    }
    if let (Some(at), Some(offset)) = (letter.replayed_at, letter.replayed_as) {
        let _ = writeln!(text, "  replayed at  {}, as event {offset}", utc(at));
    }
    if letter.superseded_at.is_some() {
        text.push_str(
            "  superseded   a later event of its key was in the table; replay --force writes it all the same\n",
        );
    }
    for violation in &letter.violations {
        let _ = writeln!(text, "  {:<12} {violation}", one_line(&violation.keyword, NAME_CHARS_MAX));
    }
    // Whole: this is the place to see it.
    let event = String::from_utf8_lossy(&letter.event.0);
    let _ = writeln!(text, "  event        {}", one_line(&event, usize::MAX));
    text
}

fn export(letters: &DeadLetters, file: &Path) -> Result<()> {
    let is_stdout = file.as_os_str() == "-";
    let fail = |error: std::io::Error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        if is_there {
            Error::new(ErrorKind::InvalidArgument, format!("writing {}: {error}", file.display()))
                .with_hint("name a new file; the existing one may have the only copy of earlier dead letters")
        } else {
            let name = if is_stdout { "the standard output".into() } else { file.display().to_string() };
            Error::new(ErrorKind::Internal, format!("writing {name}: {error}"))
                .with_hint("make room or name another file; the dead letters are still in the spool")
        }
    };
    // Events are confidential: a file for this user only, and never one that was there.
    let mut out: Box<dyn Write> = if is_stdout {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(open::create_private(file).map_err(fail)?)
    };
    let mut from = 0;
    let mut exported = 0;
    loop {
        let page = letters.list(from, PAGE)?;
        let Some(last) = page.last() else { break };
        match write_page(&mut out, &page) {
            // As in `cxsink dead-letters export | head`: those that were not read are not marked.
            Err(error) if is_stdout && error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(fail)?,
        }
        // Only after the write: a marked dead letter may be deleted.
        letters.mark_exported(&page.iter().map(|letter| letter.offset).collect::<Vec<_>>())?;
        exported += page.len() as u64;
        from = last.offset + 1;
    }
    if !is_stdout {
        print_out!("{} exported to {}", counted(exported, "dead letter"), file.display());
    }
    Ok(())
}

fn write_page(out: &mut dyn Write, page: &[DeadLetter]) -> std::io::Result<()> {
    let mut lines = BufWriter::new(out);
    for letter in page {
        writeln!(lines, "{}", letter.to_json(true))?;
    }
    lines.flush()
}

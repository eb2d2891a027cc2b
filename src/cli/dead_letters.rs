//! `dead-letters`: what could not be stored, and why.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::arguments::DeadLetters as Action;
use crate::cli::format::grouped;
use crate::{Config, DeadLetter, DeadLetters, Error, ErrorKind, Purge, Result};

/// How many are read at a time.
const PAGE: usize = 1000;

pub(super) fn dead_letters(config: &Config, action: &Action) -> Result<ExitCode> {
    let letters = DeadLetters::open(config)?;
    match action {
        Action::Replay { dry_run, ids, timeout } => super::replay::replay(config, ids, *dry_run, *timeout)?,
        Action::Purge { exported, replayed, before, all } => {
            let mut purge = Purge::default();
            let is_any = !exported && !replayed;
            (purge.exported, purge.replayed) = (*exported || is_any, *replayed || is_any);
            if *all {
                purge = Purge::all();
            }
            purge.before = *before;
            delete(&letters, &purge)?;
        }
        Action::List { from, limit } => list(&letters, *from, *limit)?,
        Action::Show { offset } => show(&letters, *offset)?,
        Action::Export { file } => export(&letters, file)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(letters: &DeadLetters, from: u64, limit: usize) -> Result<()> {
    let total = letters.count()?;
    let page = letters.list(from, limit)?;
    if page.is_empty() {
        say!("no dead letters");
        return Ok(());
    }
    say!("{:>10}  {:<20}  {:<8}  {:<8}  reason", "offset", "rejected at", "stage", "seen");
    for letter in &page {
        say!(
            "{:>10}  {:<20}  {:<8}  {:<8}  {}",
            letter.offset,
            time(letter.rejected_at),
            letter.stage,
            seen(letter),
            letter.reason
        );
    }
    say!("{} of {} dead letters; `cxsink dead-letters show OFFSET` shows the event", page.len(), grouped(total));
    if let Some(last) = page.last().filter(|_| page.len() == limit) {
        say!("More, if there are any: `cxsink dead-letters list --from {}`", last.offset + 1);
    }
    Ok(())
}

/// What was done with it.
fn seen(letter: &DeadLetter) -> &'static str {
    match (letter.replayed_at, letter.exported_at) {
        (Some(_), _) => "replayed",
        (None, Some(_)) => "exported",
        (None, None) => "",
    }
}

fn delete(letters: &DeadLetters, purge: &Purge) -> Result<()> {
    let purged = letters.purge(purge)?;
    say!("{} dead letters deleted", grouped(purged.deleted));
    if purged.unseen > 0 {
        say!(
            "{} are left: they were neither exported nor replayed; --all deletes them as well",
            grouped(purged.unseen)
        );
    }
    if purged.unfinished > 0 {
        say!(
            "{} are left: the sink is still at work on their batch, or will be when it starts; try again in a moment",
            grouped(purged.unfinished)
        );
    }
    Ok(())
}

fn show(letters: &DeadLetters, offset: u64) -> Result<()> {
    let letter = letters.list(offset, 1)?.into_iter().find(|letter| letter.offset == offset).ok_or_else(|| {
        Error::new(ErrorKind::InvalidArgument, format!("there is no dead letter with the offset {offset}"))
            .with_hint("`cxsink dead-letters list` shows those there are")
    })?;
    say!("{}", describe(&letter).trim_end());
    Ok(())
}

/// Everything about a dead letter, for a person.
pub(super) fn describe(letter: &DeadLetter) -> String {
    let mut text = format!(
        "  offset       {}\n  received at  {}\n  rejected at  {}\n  stage        {}\n  reason       {}\n",
        letter.offset,
        time(letter.received_at),
        time(letter.rejected_at),
        letter.stage,
        letter.reason
    );
    let details = [("sqlstate", &letter.sqlstate), ("constraint", &letter.constraint), ("column", &letter.column)];
    for (name, value) in details {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<12} {value}");
        }
    }
    if let Some(at) = letter.exported_at {
        let _ = writeln!(text, "  exported at  {}", time(at));
    }
    if let (Some(at), Some(offset)) = (letter.replayed_at, letter.replayed_as) {
        let _ = writeln!(text, "  replayed at  {}, as event {offset}", time(at));
    }
    for violation in &letter.violations {
        let _ = writeln!(text, "  {:<12} {violation}", violation.keyword);
    }
    let event: String =
        String::from_utf8_lossy(&letter.event.0).chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    let _ = writeln!(text, "  event        {event}");
    text
}

fn export(letters: &DeadLetters, file: &Path) -> Result<()> {
    let fail = |error: std::io::Error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        let error = Error::new(ErrorKind::InvalidArgument, format!("writing {}: {error}", file.display()));
        if is_there { error.with_hint("name a new file: what was exported before may be nowhere else") } else { error }
    };
    let is_stdout = file.as_os_str() == "-";
    let mut out: Box<dyn Write> =
        if is_stdout { Box::new(std::io::stdout().lock()) } else { Box::new(create_private(file).map_err(fail)?) };
    let mut from = 0;
    let mut exported = 0;
    loop {
        let page = letters.list(from, PAGE)?;
        let Some(last) = page.last() else { break };
        {
            let mut lines = BufWriter::new(&mut out);
            for letter in &page {
                writeln!(lines, "{}", letter.to_json(true)).map_err(fail)?;
            }
            lines.flush().map_err(fail)?;
        }
        // Only now: what is marked may be deleted.
        letters.mark_exported(&page.iter().map(|letter| letter.offset).collect::<Vec<_>>())?;
        exported += page.len() as u64;
        from = last.offset + 1;
    }
    if !is_stdout {
        say!("{} dead letters exported to {}", grouped(exported), file.display());
    }
    Ok(())
}

/// Events are for nobody else's eyes. A file that is there stays as it is.
fn create_private(file: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Microseconds since 1970 as a time to the second.
pub(super) fn time(micros: i64) -> String {
    format!("{}Z", &crate::time::timestamp::format_micros(micros)[..19])
}

//! The end of a process with several streams: what each has done, and the exit code.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, json};

use crate::cli::format::rate;
use crate::cli::print::{print_err, report};
use crate::cli::streams::{Row, overview};
use crate::config::LogFormat;
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::{Config, Error, ErrorKind, Stats};

/// A stream at the end of the process.
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) stats: Stats,
    pub(super) error: Option<Error>,
}

impl Ended {
    pub(super) fn not_opened(name: String, error: Error) -> Self {
        let stats = Stats { state: crate::State::Failed, ..Stats::default() };
        Self { name, stats, error: Some(error) }
    }
}

/// Prints what the streams have done; the exit code says whether all have ended well.
pub(super) fn end(config: &Config, ended: &[Ended], elapsed: Duration) -> ExitCode {
    match config.log.format {
        LogFormat::Text => print_err!("{}", overview(&ended.iter().map(|one| row(one, elapsed)).collect::<Vec<_>>())),
        LogFormat::Json => {
            let stream = |one: &Ended| (one.name.clone(), json!({ "stats": one.stats, "error": one.error }));
            let streams: Map<_, _> = ended.iter().map(stream).collect();
            print_err!("{}", json!({ "elapsed_s": elapsed.as_secs_f64(), "streams": streams }));
        }
    }
    let failed: Vec<&Ended> = ended.iter().filter(|one| one.error.is_some()).collect();
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let names: Vec<&str> = failed.iter().map(|one| one.name.as_str()).collect();
    let message = format!("{} of {} streams failed: {}", failed.len(), ended.len(), names.join(", "));
    report(&Error::new(ErrorKind::State, message).with_hint("see the errors above; what is in a spool is safe"));
    // As for one stream: 2 where the configuration let nothing start.
    let is_usage = |one: &&Ended| {
        one.stats.received + one.stats.recovered == 0
            && one.error.as_ref().is_some_and(|error| error.kind() == ErrorKind::Config)
    };
    ExitCode::from(if failed.len() == ended.len() && failed.iter().all(is_usage) { 2 } else { 1 })
}

fn row(one: &Ended, elapsed: Duration) -> Row {
    let stats = &one.stats;
    let note = one
        .error
        .as_ref()
        .map_or_else(String::new, |error| one_line(&error.to_string(), MESSAGE_CHARS_MAX).into_owned());
    Row {
        name: one.name.clone(),
        state: stats.state.to_string(),
        rates: Some([rate(stats.received, elapsed), rate(stats.finished(), elapsed)].map(|rate| rate.to_string())),
        stored: Some(stats.stored()),
        pending: Some(stats.pending),
        oldest: None,
        dead_letters: Some(stats.dead_lettered),
        note,
    }
}

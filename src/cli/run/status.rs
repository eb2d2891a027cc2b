//! `status`: how a sink is doing, by its pages or, without them, by its spool file.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};

use super::http::ask;
use crate::cli::arguments::StatusOptions;
use crate::cli::format::{count, counted, duration};
use crate::cli::print::print_out;
use crate::spool::{Look, look};
use crate::{Config, Result};

pub(super) const WATCH_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn status_of_one(config: &Config, options: &StatusOptions) -> Result<ExitCode> {
    show(options, || {
        let found = Status::of(config)?;
        let text = if options.json { found.json().to_string() } else { found.text(options.watch) };
        Ok((found.is_good(), text))
    })
}

/// Prints what `look` finds, and says by the exit code whether that is good; or prints it again each second.
pub(super) fn show(options: &StatusOptions, look: impl Fn() -> Result<(bool, String)>) -> Result<ExitCode> {
    loop {
        let (is_good, text) = look()?;
        print_out!("{text}");
        if !options.watch {
            return Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

pub(super) enum Status {
    /// What the sink says about itself: `/stats.json`.
    Answered(Json),
    /// What its file says.
    Found(Look),
}

impl Status {
    fn of(config: &Config) -> Result<Self> {
        Ok(match ask(&config.http)? {
            Some(answer) => Self::Answered(answer),
            None => Self::of_spool(config)?,
        })
    }

    pub(super) fn of_spool(config: &Config) -> Result<Self> {
        look(config).map(Self::Found)
    }

    /// A process runs, and is well as far as is known.
    pub(super) fn is_good(&self) -> bool {
        match self {
            Self::Answered(answer) => streams(answer).iter().all(|stream| {
                stream["health"]["status"] == "ok"
                    && !matches!(stream["stats"]["state"].as_str(), Some("closed" | "failed"))
            }),
            Self::Found(look) => look.holder.is_some(),
        }
    }

    pub(super) fn json(&self) -> Json {
        match self {
            Self::Answered(answer) => json!({ "running": self.is_good(), "source": "http", "process": answer }),
            Self::Found(look) => json!({ "running": self.is_good(), "source": "spool", "spool": look }),
        }
    }

    /// One line, and, unless it is short, what else there is to say.
    fn text(&self, is_short: bool) -> String {
        match self {
            Self::Answered(answer) => {
                streams(answer).iter().map(|stream| answered(stream, is_short)).collect::<Vec<_>>().join("\n")
            }
            Self::Found(look) => found(look),
        }
    }
}

pub(super) fn number(json: &Json) -> u64 {
    json.as_u64().unwrap_or_default()
}

pub(super) fn seconds(json: &Json) -> Option<Duration> {
    Duration::try_from_secs_f64(json.as_f64()?).ok()
}

fn streams(answer: &Json) -> &[Json] {
    answer["streams"].as_array().map_or(&[], Vec::as_slice)
}

fn answered(sink: &Json, is_short: bool) -> String {
    let stats = &sink["stats"];
    let mut lines = vec![sink["line"].as_str().unwrap_or("unknown").to_owned()];
    lines.extend(
        ["health", "readiness"].iter().filter_map(|part| sink[part]["why"].as_str()).map(|why| format!("  {why}")),
    );
    if is_short {
        return lines.join("\n");
    }
    let mut add = |name: &str, value: String| lines.push(format!("  {name:<18} {value}"));
    add("received", count(number(&stats["received"])).to_string());
    if let Some(age) = seconds(&sink["oldest_pending_s"]).filter(|age| !age.is_zero()) {
        add("oldest pending", duration(age));
    }
    for (name, key) in [("last event", "last_event_at"), ("last commit", "last_commit_at")] {
        let ago = seconds(&sink[key]).and_then(|at| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + at).ok());
        add(name, ago.map_or_else(|| "none yet".to_owned(), |ago| format!("{} ago", duration(ago))));
    }
    add("reconnects", count(number(&stats["reconnects"])).to_string());
    add("gaps", count(number(&sink["gaps"])).to_string());
    lines.join("\n")
}

fn found(look: &Look) -> String {
    let state = look.holder.as_ref().map_or_else(|| "not running".to_owned(), |holder| format!("running ({holder})"));
    let pending = format!("{} pending", count(look.pending));
    let mut parts = vec![state, pending, counted(look.dead_letters, "dead letter")];
    if let Some(age) = look.oldest_age() {
        parts.push(format!("the oldest pending event is {} old", duration(age)));
    }
    parts.join(" · ")
}

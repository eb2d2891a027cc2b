//! Several streams in one table: `status` of a configuration with `[streams.NAME]`, and `top`, which shows it again each second.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Map, Value as Json, json};

use crate::cli::arguments::{Settings, StatusOptions};
use crate::cli::format::rate;
use crate::cli::logging::StreamName;
use crate::cli::print::print_out;
use crate::cli::run::http::ask;
use crate::cli::run::status::{Status, WATCH_INTERVAL, number, seconds, show, status_of_one};
use crate::cli::streams::{Row, Stream, overview};
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::{Config, Error, ErrorKind, Result};

pub(in crate::cli) fn top(settings: &Settings) -> Result<ExitCode> {
    let config = settings.load()?;
    let streams = settings.streams(&config, &[])?;
    let mut rates = Rates::default();
    loop {
        let found = Found::of(&config, &streams)?;
        // ECMA-48: to the first place, and what was below goes.
        let begin = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
        print_out!("{begin}{}", found.table(Some(&mut rates)));
        std::thread::sleep(WATCH_INTERVAL);
    }
}

pub(in crate::cli) fn status(settings: &Settings, options: &StatusOptions) -> Result<ExitCode> {
    let config = settings.load()?;
    let streams = settings.streams(&config, &[])?;
    if let [Stream { name: None, config }] = &streams[..] {
        return status_of_one(config, options);
    }
    show(options, || {
        let found = Found::of(&config, &streams)?;
        let text = if options.json { found.json().to_string() } else { found.table(None) };
        Ok((found.is_good(), text))
    })
}

/// What is known of each stream, or why nothing is.
struct Found(Vec<(String, Result<Status>)>);

impl Found {
    fn of(config: &Config, streams: &[Stream]) -> Result<Self> {
        let answer = ask(&config.http)?;
        let one = |stream: &Stream| {
            let found = match &answer {
                None => Status::of_spool(&stream.config),
                Some(answer) => named(answer, stream.name.as_ref()).map(Status::Answered),
            };
            (stream.name().to_owned(), found)
        };
        Ok(Self(streams.iter().map(one).collect()))
    }

    fn is_good(&self) -> bool {
        self.0.iter().all(|(_, found)| found.as_ref().is_ok_and(Status::is_good))
    }

    /// `{"running": …, "streams": {NAME: …}}`
    fn json(&self) -> Json {
        let one = |(name, found): &(String, Result<Status>)| {
            let found = match found {
                Ok(found) => found.json(),
                Err(error) => json!({ "running": false, "error": error }),
            };
            (name.clone(), found)
        };
        json!({ "running": self.is_good(), "streams": self.0.iter().map(one).collect::<Map<_, _>>() })
    }

    fn table(&self, mut rates: Option<&mut Rates>) -> String {
        let row = |(name, found): &(String, Result<Status>)| match found {
            Ok(Status::Answered(answer)) => {
                let stream = &answer["streams"][0];
                let row = answered(name, stream);
                Row { rates: rates.as_mut().map(|rates| rates.of(name, &stream["stats"])), ..row }
            }
            Ok(Status::Found(look)) => Row {
                name: name.clone(),
                state: if look.holder.is_some() { "running".into() } else { "not running".into() },
                pending: Some(look.pending),
                oldest: look.oldest_age(),
                dead_letters: Some(look.dead_letters),
                note: look.holder.clone().unwrap_or_default(),
                ..Row::default()
            },
            Err(error) => {
                Row { name: name.clone(), state: "unknown".into(), note: error.to_string(), ..Row::default() }
            }
        };
        overview(&self.0.iter().map(row).collect::<Vec<_>>())
    }
}

/// The part of an answer that is about this stream.
fn named(answer: &Json, name: Option<&StreamName>) -> Result<Json> {
    let Some(name) = name.map(StreamName::as_str) else { return Ok(answer.clone()) };
    let streams = answer["streams"].as_array().map_or(&[][..], Vec::as_slice);
    let found = streams.iter().find(|stream| stream["name"] == name).ok_or_else(|| not_there(name))?;
    Ok(json!({ "version": answer["version"], "streams": [found] }))
}

fn not_there(name: &str) -> Error {
    Error::new(ErrorKind::State, format!("the running process has no stream {name}"))
        .with_hint("restart it after a change of its streams, or without --only")
}

fn answered(name: &str, answer: &Json) -> Row {
    let counted = &answer["stats"];
    let why = ["health", "readiness"].iter().find_map(|part| answer[part]["why"].as_str()).unwrap_or_default();
    let state = counted["state"].as_str().or_else(|| answer["readiness"]["state"].as_str()).unwrap_or("unknown");
    Row {
        name: name.to_owned(),
        state: state.to_owned(),
        rates: None,
        stored: answer["stored"].as_u64(),
        pending: counted["pending"].as_u64(),
        oldest: seconds(&answer["oldest_pending_s"]),
        dead_letters: counted["dead_lettered"].as_u64(),
        note: one_line(why, MESSAGE_CHARS_MAX).into_owned(),
    }
}

/// The counters at the last look, for the events a second.
#[derive(Default)]
struct Rates(HashMap<String, (Instant, [u64; 2])>);

impl Rates {
    /// In and out since the last look; blank at the first one.
    fn of(&mut self, name: &str, stats: &Json) -> [String; 2] {
        let sum = |names: &[&str]| names.iter().map(|name| number(&stats[name])).sum::<u64>();
        let received = sum(&["received"]);
        let finished = sum(&["received", "recovered", "replayed"]).saturating_sub(number(&stats["pending"]));
        let now = [received, finished];
        match self.0.insert(name.to_owned(), (Instant::now(), now)) {
            None => Default::default(),
            Some((at, before)) => {
                let elapsed = at.elapsed();
                [0, 1].map(|side| rate(now[side].saturating_sub(before[side]), elapsed).to_string())
            }
        }
    }
}

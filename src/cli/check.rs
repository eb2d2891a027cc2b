//! `check`: tries each step from the stream to the table.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use log::LevelFilter;

use super::arguments::{CheckOptions, Settings};
use super::format::{Tone, duration, shows_colours, toned};
use super::print::print_out;
use super::streams::Stream;
use crate::check::{CheckArea, CheckReport, CheckStatus, CheckStep};

pub(super) fn check(settings: &Settings, options: &CheckOptions) -> ExitCode {
    let started = Instant::now();
    let loaded = settings.load().and_then(|config| Ok((settings.streams(&config, &[])?, config)));
    let (streams, config) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let check = CheckReport::without_configuration(&error);
            check.steps.iter().for_each(|step| show(step, options));
            return end(&[check], |check| check[0].to_json(), options, started);
        }
    };
    // The steps have all that the log has at level info.
    if log::max_level() == LevelFilter::Info {
        log::set_max_level(LevelFilter::Warn);
    }
    let areas = if options.only.is_empty() { CheckArea::ALL.to_vec() } else { options.only.clone() };
    let try_one = |stream: &Stream| {
        let _scope = stream.enter();
        crate::check(&stream.config, &areas, |step| show(step, options))
    };
    if let [Stream { name: None, .. }] = &streams[..] {
        return end(&[try_one(&streams[0])], |check| check[0].to_json(), options, started);
    }
    // What they do to each other.
    let mut all = vec![crate::check(&config, &areas, |step| show(step, options))];
    for stream in &streams {
        if !options.json {
            print_out!("\n{}", stream.name());
        }
        all.push(try_one(stream));
    }
    end(&all, |all| to_json(all, &streams), options, started)
}

/// `{"ok": …, "steps": […], "streams": {NAME: {"ok": …, "steps": […]}}}`
fn to_json(all: &[CheckReport], streams: &[Stream]) -> String {
    let report = |check: &CheckReport| serde_json::to_value(check).unwrap_or_default();
    let by_name = streams.iter().zip(&all[1..]).map(|(stream, check)| (stream.name().to_owned(), report(check)));
    let by_name: serde_json::Map<_, _> = by_name.collect();
    let mut json = report(&all[0]);
    json["ok"] = all.iter().all(CheckReport::is_ok).into();
    json["streams"] = by_name.into();
    json.to_string()
}

fn show(step: &CheckStep, options: &CheckOptions) {
    if !options.json {
        print_out!("{}", line(step));
    }
}

fn end(
    all: &[CheckReport],
    to_json: impl FnOnce(&[CheckReport]) -> String,
    options: &CheckOptions,
    started: Instant,
) -> ExitCode {
    if options.json {
        print_out!("{}", to_json(all));
    } else {
        print_out!("{}", summary(all, started.elapsed()));
    }
    ExitCode::from(u8::from(!all.iter().all(CheckReport::is_ok)))
}

/// Columns of a step's name and of its time.
const NAME: usize = 24;
const TIME: usize = 9;
/// Columns before a hint, so that it is below its message.
const INDENT: usize = NAME + TIME + 5;

fn line(step: &CheckStep) -> String {
    let CheckStep { name, status, message, hint, .. } = step;
    let took = if *status == CheckStatus::Skipped { String::new() } else { duration(step.duration) };
    let hint = hint.as_ref().map_or_else(String::new, |hint| format!("\n{:INDENT$}→ {hint}", ""));
    let tone = match status {
        CheckStatus::Passed => Tone::Good,
        CheckStatus::Warning => Tone::Warning,
        CheckStatus::Failed => Tone::Bad,
        CheckStatus::Skipped => Tone::Faint,
    };
    let sign = status.sign().to_string();
    let sign = toned(&sign, Some(tone), shows_colours(&std::io::stdout()));
    format!("{sign} {name:<NAME$} {took:>TIME$}  {message}{hint}")
}

fn summary(all: &[CheckReport], elapsed: Duration) -> String {
    let counts = [CheckStatus::Passed, CheckStatus::Warning, CheckStatus::Failed, CheckStatus::Skipped].map(|status| {
        let count: usize = all.iter().map(|check| check.count(status)).sum();
        (count > 0 || status == CheckStatus::Passed).then(|| format!("{count} {}", status.name()))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    format!("{} in {}", counts.join(", "), duration(elapsed))
}

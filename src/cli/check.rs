//! `check`: tries each step from the stream to the table.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use log::LevelFilter;

use super::arguments::{CheckOptions, Settings};
use super::format::{Tone, duration, shows_colours, toned};
use super::print::print_out;
use crate::check::{CheckArea, CheckReport, CheckStatus, CheckStep};

pub(super) fn check(settings: &Settings, options: &CheckOptions) -> ExitCode {
    let started = Instant::now();
    let show = |step: &CheckStep| {
        if !options.json {
            print_out!("{}", line(step));
        }
    };
    let check = match settings.load() {
        Ok(config) => {
            // The steps have all that the log has at level info.
            if log::max_level() == LevelFilter::Info {
                log::set_max_level(LevelFilter::Warn);
            }
            let areas = if options.only.is_empty() { CheckArea::ALL.to_vec() } else { options.only.clone() };
            crate::check(&config, &areas, show)
        }
        Err(error) => {
            let check = CheckReport::without_configuration(&error);
            check.steps.iter().for_each(show);
            check
        }
    };
    if options.json {
        print_out!("{}", check.to_json());
    } else {
        print_out!("{}", summary(&check, started.elapsed()));
    }
    ExitCode::from(u8::from(!check.is_ok()))
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

fn summary(check: &CheckReport, elapsed: Duration) -> String {
    let counts = [CheckStatus::Passed, CheckStatus::Warning, CheckStatus::Failed, CheckStatus::Skipped].map(|status| {
        let count = check.count(status);
        (count > 0 || status == CheckStatus::Passed).then(|| format!("{count} {}", status.name()))
    });
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    format!("{} in {}", counts.join(", "), duration(elapsed))
}

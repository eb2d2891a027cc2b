//! The log on the standard error stream: a line for people, or a JSON object for machines.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::MultiProgress;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::format::{Tone, shows_colours, toned};
use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::threads::sync;
use crate::time::clock::{Clock, SystemClock};

/// The longest line: an error and its hint.
const LINE_CHARS_MAX: usize = 3 * MESSAGE_CHARS_MAX;

struct Logger;

/// Whether the log, and everything else on the standard error stream, is JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// The live line below the log: log lines go above it.
static BESIDE: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Sets the format of the standard error stream. Known before the configuration where the command line or the environment has it, so
/// that an error of the configuration has it too.
pub(super) fn set_format(format: LogFormat) {
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

pub(super) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// A line of a JSON log.
pub(super) fn json_line(level: Level, target: &str, message: &str) -> serde_json::Value {
    serde_json::json!({
        "time": now(),
        "level": level.as_str().to_ascii_lowercase(),
        "target": target,
        "message": message,
    })
}

fn now() -> String {
    let now = crate::time::timestamp::format_micros(SystemClock.unix_micros());
    format!("{}Z", &now[..23])
}

/// Starts the log of this process. A second call only changes format and level.
pub(super) fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    };
    set_format(config.format);
    let _ = log::set_logger(&Logger);
    log::set_max_level(level);
}

/// Sets the live line that log lines go above from now on; `None`: there is none.
pub(super) fn set_beside(progress: Option<MultiProgress>) {
    *sync::lock(&BESIDE) = progress;
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Records of other crates at lower levels contain headers and payloads: tungstenite logs the Authorization header at trace.
        metadata.target().starts_with("cxsink") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Records of other crates may hold foreign text.
        let message = record.args().to_string();
        let message = one_line(&message, LINE_CHARS_MAX);
        let line = if is_json() {
            json_line(record.level(), record.target(), &message).to_string()
        } else {
            let tone = match record.level() {
                Level::Error => Some(Tone::Bad),
                Level::Warn => Some(Tone::Warning),
                _ => None,
            };
            let level = format!("{:<5}", record.level());
            format!("{} {} {message}", now(), toned(&level, tone, shows_colours(&std::io::stderr())))
        };
        let print = || {
            // A reader that has gone away is not a reason to end.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        };
        let beside = sync::lock(&BESIDE);
        match &*beside {
            Some(progress) => progress.suspend(print),
            None => print(),
        }
    }

    fn flush(&self) {}
}

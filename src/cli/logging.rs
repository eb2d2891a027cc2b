//! The log on the standard error stream: a line for people, or a JSON object for machines.

use std::io::Write as _;
use std::sync::Mutex;

use indicatif::MultiProgress;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::threads::sync;
use crate::time::clock::{Clock, SystemClock};

/// The longest line: an error and its hint.
const LINE_CHARS_MAX: usize = 3 * MESSAGE_CHARS_MAX;

struct Logger {
    format: LogFormat,
}

/// The live line below the log: log lines go above it.
static BESIDE: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Starts the log of this process. A second call only changes the level.
pub(super) fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    };
    let _ = log::set_boxed_logger(Box::new(Logger { format: config.format }));
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
        let now = crate::time::timestamp::format_micros(SystemClock.unix_micros());
        let time = format!("{}Z", &now[..23]);
        // Records of other crates may hold foreign text.
        let message = record.args().to_string();
        let message = one_line(&message, LINE_CHARS_MAX);
        let line = match self.format {
            LogFormat::Text => format!("{time} {:<5} {message}", record.level()),
            LogFormat::Json => serde_json::json!({
                "time": time,
                "level": record.level().as_str().to_ascii_lowercase(),
                "target": record.target(),
                "message": message,
            })
            .to_string(),
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

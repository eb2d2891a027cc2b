//! The log on the standard error stream: a line for people, or a JSON object for machines.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use indicatif::MultiProgress;
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::format::{Tone, shows_colours, toned};
use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::error::foreign_text::{MESSAGE_CHARS_MAX, one_line};
use crate::threads::spawn::{EnteredScope, LogScope};
use crate::threads::sync;
use crate::time::clock::{Clock, SystemClock};

/// The longest line: an error and its hint.
const LINE_CHARS_MAX: usize = 3 * MESSAGE_CHARS_MAX;

struct Logger;

/// The name of a stream, for the log lines of its threads.
#[derive(Debug, Clone)]
pub(super) struct StreamName(Arc<str>);

impl StreamName {
    pub(super) fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Log lines of this thread, and of the threads that it starts, carry the name until the guard is dropped.
    pub(super) fn enter(&self) -> EnteredScope {
        LogScope::new(Arc::new(self.clone())).enter()
    }
}

/// The name that every line has, where the whole command is for one stream.
static NAME_OF_ALL: OnceLock<StreamName> = OnceLock::new();

/// Every line carries this name from now on.
pub(super) fn name_all(name: &StreamName) {
    let _ = NAME_OF_ALL.set(name.clone());
}

/// The stream whose thread this is.
pub(super) fn stream_name() -> Option<StreamName> {
    LogScope::current().and_then(|scope| scope.value::<StreamName>().cloned()).or_else(|| NAME_OF_ALL.get().cloned())
}

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
    let mut line = serde_json::json!({
        "time": now(),
        "level": level.as_str().to_ascii_lowercase(),
        "target": target,
        "message": message,
    });
    if let Some(name) = stream_name() {
        line["stream"] = name.as_str().into();
    }
    line
}

/// The stream whose thread this is, in front of a line for people.
pub(super) fn prefix() -> String {
    stream_name().map_or_else(String::new, |name| format!("{}: ", name.as_str()))
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
            format!("{} {} {}{message}", now(), toned(&level, tone, shows_colours(&std::io::stderr())), prefix())
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

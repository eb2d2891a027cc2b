//! The loop of `peek-stream`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use log::LevelFilter;

use super::advice::Advisor;
use super::as_toml;
use super::redacted::redacted;
use super::report::Report;
use crate::cli::arguments::{PeekStream, Settings};
use crate::cli::{print, signals};
use crate::config::TokenIn;
use crate::error::foreign_text::one_line;
use crate::sink::open_peek;
use crate::source::{Meaning, Peeked, StreamPeek};
use crate::spool::examine;
use crate::threads::stop_signal::StopSignal;
use crate::{Config, Error, ErrorKind, Result, Validator};

pub(crate) fn peek_stream(settings: &Settings, options: &PeekStream) -> Result<ExitCode> {
    let config = settings.load_one()?;
    // The report has all that the log has at level info.
    if log::max_level() == LevelFilter::Info {
        log::set_max_level(LevelFilter::Warn);
    }
    let stop = StopSignal::new();
    let stopped = stop.clone();
    signals::watch(move || stopped.set())?;
    let mut peek = open_peek(&config, stop.clone())?;
    let validator = Validator::new(&config)?;
    examine::lock(&config.spool.path).map_err(in_use)?;
    print::say(&warning(&config));

    let mut watch = Watch {
        config: &config,
        validator: &validator,
        advisor: Advisor::new(&config, &validator),
        report: Report::new(options, &validator),
        answer_until: None,
    };
    let outcome = peek.open().map_err(|error| about_opening(error, &config)).and_then(|address| {
        watch.report.opened(&address);
        let outcome = watch.run(peek.as_mut(), options.count, options.timeout, &stop);
        watch.report.end(&watch.advisor.suggestions(), &|text, chars_max| peek.shown(text, chars_max));
        outcome.map_err(about_loss)
    });
    match outcome {
        Err(_) if stop.is_set() => Ok(ExitCode::SUCCESS),
        outcome => outcome.map(|()| ExitCode::SUCCESS),
    }
}

/// An unknown stream may expect its token in another place.
fn about_opening(error: Error, config: &Config) -> Error {
    if !matches!(error.http_status(), Some(400 | 401 | 403)) || config.stream.token_in != TokenIn::Header {
        return error;
    }
    let hint = error.hint().map_or_else(String::new, |hint| format!("{hint}; "));
    error.with_hint(format!(
        "{hint}or the stream expects its token elsewhere: try stream.token_in = \"query:NAME\", or \"message\" with {{token}} in stream.open"
    ))
}

/// A sink would connect again. Here the reason is wanted.
fn about_loss(error: Error) -> Error {
    let Some(code) = error.close_code() else { return error };
    error.with_hint(format!(
        "read the code and the reason: the stream may expect another token, another message in stream.open, or a heartbeat (stream.heartbeat); if it \
         requests a delay, put {{ close_code = {code} }} into stream.open_refused"
    ))
}

/// A sink is running: its server may send events to the newest connection only.
fn in_use(error: Error) -> Error {
    error.with_hint(
        "end the sink first, or set spool.path to another file if it reads another stream: many servers send an event to one connection only",
    )
}

fn warning(config: &Config) -> String {
    let mut text = "peeking at the stream; many servers send an event to one connection only, so an event that is shown here may be \
                    missing elsewhere"
        .to_owned();
    if config.stream.ack.is_some() {
        text += "; stream.ack is not sent, so the server may send these events again, or no more of them";
    }
    text
}

struct Watch<'a> {
    config: &'a Config,
    validator: &'a Validator,
    advisor: Advisor<'a>,
    report: Report<'a>,
    /// When `stream.open_answer` is late.
    answer_until: Option<Instant>,
}

impl Watch<'_> {
    /// Shows messages until there are enough of them, or nothing comes any more.
    fn run(&mut self, peek: &mut dyn StreamPeek, count: u64, timeout: Duration, stop: &StopSignal) -> Result<()> {
        let mut until = Instant::now() + timeout;
        self.answer_until =
            self.config.stream.open_answer.as_ref().map(|_| Instant::now() + self.config.stream.open_timeout);
        while self.report.messages < count && !stop.is_set() {
            let next = peek.next(self.answer_until.map_or(until, |answer| answer.min(until)))?;
            match next {
                Some(Peeked::Sent { key, message }) => {
                    self.report.sent(key, &message, &|text, chars_max| peek.shown(text, chars_max));
                }
                Some(Peeked::Received { message, meaning }) => {
                    until = Instant::now() + timeout;
                    self.received(peek, &message, &meaning);
                }
                Some(Peeked::Closed) => {
                    self.report.note("the server closed the stream in order (code 1000)");
                    return self.ended_without_messages("the server closed it");
                }
                None if self.answer_until.is_some_and(|answer| answer <= Instant::now()) => {
                    self.answer_until = None;
                    self.report.note(&self.late());
                }
                None if until <= Instant::now() => {
                    return self.ended_without_messages(&format!("nothing came for {} s", timeout.as_secs()));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn received(&mut self, peek: &dyn StreamPeek, message: &[u8], meaning: &Meaning) {
        if *meaning == Meaning::OpenAnswer {
            self.answer_until = None;
        }
        let shown = |text: &[u8], chars_max: usize| peek.shown(text, chars_max);
        let redacted = self.validator.redactor().and_then(|redactor| redacted(redactor, message, meaning));
        let (message, meaning) = redacted.as_ref().map_or((message, meaning), |shown| (&shown.message, &shown.meaning));
        if redacted.as_ref().is_some_and(|shown| !shown.is_whole) {
            self.report.received(message, meaning, None, &shown);
            return;
        }
        // What is quoted in a suggestion is written in another way than in the message. So a secret must be gone before that.
        let masked = shown(message, usize::MAX);
        let has_secret = masked != one_line(String::from_utf8_lossy(message).trim(), usize::MAX);
        let remark = self.advisor.note(if has_secret { masked.as_bytes() } else { message }, meaning);
        self.report.received(message, meaning, remark.as_deref(), &shown);
    }

    fn late(&self) -> String {
        let expected = self.config.stream.open_answer.as_ref().map(as_toml::shown).unwrap_or_default();
        let came = if self.report.messages == 0 { "nothing came at all" } else { "see above for what came instead" };
        format!(
            "stream.open_answer = {expected} did not come within {:?} (stream.open_timeout): a sink would connect again here; {came}",
            self.config.stream.open_timeout
        )
    }

    /// Some messages are enough to be no failure.
    fn ended_without_messages(&self, why: &str) -> Result<()> {
        if self.report.messages > 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Connect, format!("peeking at the stream: no message came; {why}"))
            .with_hint(self.what_to_try()))
    }

    fn what_to_try(&self) -> String {
        let stream = &self.config.stream;
        let mut tries = Vec::new();
        if stream.open.is_empty() {
            tries.push("set stream.open: many streams send nothing before an opening message");
        } else {
            tries.push("compare the messages in stream.open with the documentation of the stream");
        }
        if stream.heartbeat.is_none() {
            tries.push("set stream.heartbeat if the stream needs one");
        }
        tries.push("cause an event, and give it more time with --timeout");
        tries.join("; ")
    }
}

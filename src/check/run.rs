//! Runs the steps of a check on a thread of its own and reports each one to the caller when it is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use super::steps::{CheckArea, CheckReport, CheckStep, Steps, failed};
use super::{destination, source, spool, streams};
use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Error, ErrorKind, Result};
use crate::report::finding::Finding;
use crate::rows::schema::Schema;
use crate::sink::{Sink, open_destination, open_probe};
use crate::source::Probe;
use crate::threads::spawn;
use crate::threads::stop_signal::StopSignal;

/// Tries a deployment step by step, for real: the configuration and the schema in any case, and these areas. `on_step` is called on
/// the caller's thread after each step.
///
/// Of a configuration of several streams it tries what they do to each other; then [`Config::for_stream`] gives the configuration of each,
/// which is tried for itself.
///
/// It leaves no trace: no row, and no file that did not exist before. Blocks; a step takes no longer than the timeouts of the
/// configuration.
///
/// ```
/// use cxsink::Config;
/// use cxsink::check::CheckArea;
///
/// let mut config = Config::default();
/// config.set("destination.url", "sqlite:/nowhere/events.db")?;
/// let report = cxsink::check(&config, &[CheckArea::Destination], |step| println!("{} {}", step.status.sign(), step.name));
/// assert!(!report.is_ok());
/// assert_eq!(report.steps.last().unwrap().name, "destination.checkpoint"); // skipped: there is no such file
/// # Ok::<(), cxsink::Error>(())
/// ```
pub fn check(config: &Config, areas: &[CheckArea], mut on_step: impl FnMut(&CheckStep)) -> CheckReport {
    let (sender, steps) = mpsc::channel();
    let (config, areas) = (config.clone(), areas.to_vec());
    // The `postgres` crate must not be called on a thread that is inside an asynchronous runtime.
    let spawned = spawn::spawn("cxsink-check", move || {
        // Nothing that a panic leaves behind is used again.
        if catch_unwind(AssertUnwindSafe(|| check_all(&config, &areas, &sender))).is_err() {
            let error =
                Error::new(ErrorKind::Panic, "running the check: it panicked").with_hint("report this bug in cxsink");
            drop(sender.send(failed("check", Duration::ZERO, &error)));
        }
    });
    let mut report = CheckReport { steps: Vec::new() };
    if let Err(error) = spawned {
        let error = Error::new(ErrorKind::Internal, format!("starting a thread: {error}")).caused_by_io(&error);
        report.steps.push(failed("check", Duration::ZERO, &error));
    }
    for step in steps {
        on_step(&step);
        report.steps.push(step);
    }
    report
}

impl Sink {
    /// Tries everything that a sink with this configuration needs, without opening one: every area of [`check`](crate::check()).
    pub fn check(config: &Config) -> CheckReport {
        check(config, &CheckArea::ALL, |_| {})
    }
}

fn check_all(config: &Config, areas: &[CheckArea], reports: &Sender<CheckStep>) {
    let wanted = |area| areas.contains(&area);
    let needs_stream = wanted(CheckArea::Oauth) || wanted(CheckArea::Stream);
    if !config.stream_names().is_empty() {
        return streams::check(config, reports);
    }
    let parts = Steps::new(&["configuration"], reports).step("configuration", || configuration(config, needs_stream));
    let Some(Parts { mut destination, mut probe }) = parts else { return };
    let schema = Steps::new(&["schema"], reports).step("schema", || schema(config));
    if wanted(CheckArea::Spool) {
        spool::check(&config.spool, config.dead_letters.bytes_max, reports);
    }
    if let Some(probe) = probe.as_deref_mut() {
        // Without a token no stream opens.
        let has_token = source::check_token(probe, reports);
        if wanted(CheckArea::Stream) {
            source::check_stream(config, probe, has_token, reports);
        }
    }
    if wanted(CheckArea::Destination) {
        destination::check(config, schema.as_ref(), destination.as_mut(), reports);
    }
}

struct Parts {
    destination: Box<dyn Destination>,
    /// `None` if no stream is configured, or its area is not wanted.
    probe: Option<Box<dyn Probe>>,
}

fn configuration(config: &Config, needs_stream: bool) -> Result<(Parts, Finding)> {
    config.validate()?;
    let destination = open_destination(config, StopSignal::new())?;
    let probe = if needs_stream { open_probe(config)? } else { None };
    let good = "every value is known and within its range";
    let finding = if needs_stream && probe.is_none() {
        Finding::warning(format!("{good}; there is no stream"), NO_STREAM)
    } else {
        Finding::good(good)
    };
    Ok((Parts { destination, probe }, finding))
}

const NO_STREAM: &str =
    "set CXONE_CLIENT_ID, CXONE_CLIENT_SECRET and CXONE_STREAM_ID, unless only the application hands in events";

fn schema(config: &Config) -> Result<(Schema, Finding)> {
    let schema = Schema::compile(&config.schema, config.stream.event_bytes_max)?;
    let name = match (&config.schema.file, &config.schema.inline) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(_)) => "schema.inline".into(),
        (None, None) => "the built-in schema".into(),
    };
    let finding = match schema.warnings() {
        [] => Finding::good(name),
        warnings => Finding::warning(
            format!("{name}: {}", warnings.join("; ")),
            "correct these places of the schema, or events pass that it seems to refuse",
        ),
    };
    Ok((schema, finding))
}

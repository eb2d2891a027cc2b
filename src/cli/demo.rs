//! `demo`: the main job on a simulated stream, with nothing to set up.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::arguments::{Demo, Settings};
use super::shape::{grouped, summary, table};
use crate::config::OnNormalClose;
use crate::simulator::{Simulator, SimulatorOptions};
use crate::{Config, Error, ErrorKind, Result, Sink};

pub(super) fn demo(options: &Demo, settings: &Settings) -> Result<ExitCode> {
    let directory = Directory::make()?;
    let mut config = Config::default();
    config.spool.path = directory.path.join("spool.db");
    config.stream.on_normal_close = OnNormalClose::Stop;
    config.retry.delay_min = Duration::from_millis(50);
    config.destination.table = "cxsink_demo_events".into();
    let destination = match &options.destination {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", directory.path.join("demo.db").display()),
    };
    config.set("destination.url", &destination)?;
    // The summary tells it all; with -v the log does too.
    config.set("log.level", "error")?;
    settings.apply(&mut config)?;
    super::logging::start(&config.log);

    let simulator = Simulator::start(script(options.events))?;
    simulator.apply_to(&mut config);
    crate::init_db(&config)?;
    let shown = config.get("destination.url").unwrap_or_default();
    println!("A simulated CXone sends {} events; the sink puts them into {shown}\n", grouped(options.events));

    let started = Instant::now();
    let sink = Sink::open(&config)?;
    let signals = super::run::watch_signals()?;
    sink.start()?;
    let stats = super::run::to_the_end(&sink, &signals, Duration::from_secs(30), Some(options.events), || false)?;
    let elapsed = started.elapsed();
    let letters = sink.dead_letters(0, 1)?;

    println!("{}", summary(&stats, elapsed));
    let first = crate::peek(&config, 5)?;
    println!("The first rows of {}:\n{}", config.destination.table, table(&first.columns, &first.rows));
    match letters.first() {
        Some(letter) => println!("The first dead letter:\n{}", super::dead_letters::describe(letter)),
        None => println!("No dead letters.\n"),
    }
    if options.destination.is_none() {
        println!("Look around: {}", directory.path.display());
        directory.keep();
    }
    if stats.is_balanced() && stats.pending == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::new(ErrorKind::Internal, "the demo's accounting does not close, or it was ended early"))
}

/// A lively stream: redeliveries, updates, a few bad events, and a connection lost on the way.
fn script(events: u64) -> SimulatorOptions {
    SimulatorOptions {
        events: Some(events),
        redelivery_percent: 5.0,
        update_percent: 10.0,
        invalid_percent: 0.1,
        close_after: Some(events / 2),
        close_code: 1001,
        close_reason: "the demo restarts the server".into(),
        replay_events: 100,
        close_at_end: true,
        ..SimulatorOptions::default()
    }
}

/// The demo's files: deleted when it ends, unless there is something to see in them.
struct Directory {
    path: PathBuf,
    is_kept: std::cell::Cell<bool>,
}

impl Directory {
    /// `cxsink-demo` in the directory for temporary files; what an earlier demo left there is deleted.
    fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("cxsink-demo-{}", std::process::id()));
        let make = |path: &Path| {
            if path.exists() {
                std::fs::remove_dir_all(path)?;
            }
            std::fs::create_dir(path)
        };
        make(&path).map_err(|error| {
            Error::new(ErrorKind::InvalidArgument, format!("making the demo's directory {}: {error}", path.display()))
                .with_hint("set TMPDIR to a directory that this user may write to")
        })?;
        Ok(Self { path, is_kept: false.into() })
    }

    fn keep(&self) {
        self.is_kept.set(true);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.is_kept.get() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

//! `demo`: the main job on a simulated stream, with nothing to set up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::arguments::{Demo, Settings};
use crate::cli::format::{grouped, summary, table, terminal_width};
use crate::config::OnNormalClose;
use crate::simulator::{Simulator, SimulatorOptions};
use crate::{Config, Error, ErrorKind, Result, Sink};

pub(super) fn demo(options: &Demo, settings: &Settings) -> Result<ExitCode> {
    let directory = make_directory()?;
    let mut config = Config::default();
    config.spool.path = directory.join("spool.db");
    config.stream.on_normal_close = OnNormalClose::Stop;
    config.retry.delay_min = Duration::from_millis(50);
    config.destination.table = "cxsink_demo_events".into();
    let destination = match &options.destination {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", directory.join("demo.db").display()),
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
    say!("A simulated CXone sends {} events; the sink puts them into {shown}\n", grouped(options.events));

    let started = Instant::now();
    let sink = Sink::open(&config)?;
    let signals = super::run::stop_on_signal(&sink)?;
    sink.start()?;
    let stats = super::run::to_the_end(&sink, &signals, Duration::from_secs(30), Some(options.events), || false)?;
    let elapsed = started.elapsed();
    let letters = sink.dead_letters(0, 1)?;

    say!("{}", summary(&stats, elapsed));
    let first = crate::peek(&config, 5)?;
    let rows = table(&first.columns, &first.rows, terminal_width());
    say!("The first rows of {}:\n{rows}", config.destination.table);
    if let Some(letter) = letters.first() {
        say!("The first dead letter:\n{}", super::dead_letters::describe(letter));
    }
    say!(
        "Look around: {DIRECTORY}/ has the spool{}",
        if options.destination.is_none() { " and the table" } else { "" }
    );
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

/// The folder for the demo's files, in the working directory so that one can look around afterwards.
const DIRECTORY: &str = "cxsink-demo";

/// Makes the folder, and deletes from it what an earlier demo left.
fn make_directory() -> Result<PathBuf> {
    let path = PathBuf::from(DIRECTORY);
    let make = || {
        std::fs::create_dir_all(&path)?;
        for name in ["spool.db", "demo.db"] {
            for end in ["", "-wal", "-shm"] {
                match std::fs::remove_file(path.join(format!("{name}{end}"))) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    };
    make().map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("making the demo's folder {DIRECTORY}: {error}"))
            .with_hint("run the demo in a directory that this user may write to")
    })?;
    Ok(path)
}

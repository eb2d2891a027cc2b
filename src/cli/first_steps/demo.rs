//! `demo`: from a simulated stream into a table, without any set-up.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cli::arguments::{Demo, Settings};
use crate::cli::follow::{failed, follow};
use crate::cli::format::{counted, rows, summary, terminal_width};
use crate::cli::print::print_out;
use crate::cli::signals::stop_on_signal;
use crate::cli::{dead_letters, logging};
use crate::config::OnNormalClose;
use crate::files::open;
use crate::simulator::{Simulator, SimulatorOptions};
use crate::{Config, Error, ErrorKind, Result, Sink};

pub(in crate::cli) fn demo(options: &Demo, settings: &Settings) -> Result<ExitCode> {
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
    // The summary is enough; -v shows the log.
    config.set("log.level", "error")?;
    settings.apply(&mut config)?;
    logging::start(&config.log);

    let simulator = Simulator::start(script(options.events))?;
    simulator.apply_to(&mut config);
    crate::init_db(&config)?;
    let url = config.get("destination.url").unwrap_or_default();
    print_out!("A simulated CXone sends {}; the sink writes them to {url}\n", counted(options.events, "event"));

    let started = Instant::now();
    let sink = Sink::open(&config)?;
    let signals = stop_on_signal(&sink)?;
    sink.start()?;
    let stats = match follow(&sink, &signals, Duration::from_secs(30), Some(options.events), || false) {
        Ok(stats) => stats,
        Err(error) => return Ok(failed(&sink, &error)),
    };
    let elapsed = started.elapsed();
    let letters = sink.dead_letters(0, 1)?;

    print_out!("{}", summary(&stats, elapsed));
    let first = crate::table::peek(&config, 5)?;
    let rows = rows(&first.columns, &first.rows, terminal_width());
    print_out!("The first rows of {}:\n{rows}\n", config.destination.table);
    if let Some(letter) = letters.first() {
        print_out!("The first dead letter:\n{}", dead_letters::describe(letter));
    }
    print_out!("The spool{} in {DIRECTORY}/", if options.destination.is_none() { " and the table are" } else { " is" });
    print_out!("Look at the dead letters with: cxsink dead-letters list --set spool.path={DIRECTORY}/spool.db");
    if stats.is_balanced() && stats.pending == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::new(
        ErrorKind::Internal,
        "checking the demo's counters: they do not add up, or the demo was stopped early",
    ))
}

/// A stream with redeliveries, updates, a few invalid events, and a server that closes once.
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

/// The folder of the demo's files, in the working directory, so that they can be looked at afterwards.
const DIRECTORY: &str = "cxsink-demo";

/// Creates the folder and deletes the files of an earlier demo.
fn make_directory() -> Result<PathBuf> {
    let path = PathBuf::from(DIRECTORY);
    let make = || {
        open::create_private_folder(&path)?;
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
        Error::new(ErrorKind::InvalidArgument, format!("creating the demo's folder {DIRECTORY}: {error}"))
            .with_hint("run the demo in a directory that this user may write to")
    })?;
    Ok(path)
}

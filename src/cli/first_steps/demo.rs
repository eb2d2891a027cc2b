//! `demo`: from a simulated stream into a table, without any set-up.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::cli::arguments::{Demo, Settings};
use crate::cli::follow::{failed, follow};
use crate::cli::format::{count, counted, rows, summary, terminal_width};
use crate::cli::print::print_out;
use crate::cli::signals::stop_on_signal;
use crate::cli::{dead_letters, logging};
use crate::config::OnNormalClose;
use crate::dead_letters::DeadLetters;
use crate::files::open;
use crate::simulator::{Simulator, SimulatorOptions, SimulatorReport};
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
    // Rows of an earlier demo in a database of your own would be counted too.
    let is_new = options.events <= COMPARED_MAX && crate::table::peek(&config, 1)?.rows.is_empty();
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
    let is_whole = signals.load(Ordering::SeqCst) == 0;
    let comparison = if is_new && is_whole { Some(Comparison::new(&config, &simulator.report())?) } else { None };

    print_out!("{}", summary(&stats, elapsed));
    if let Some(comparison) = &comparison {
        print_out!("{comparison}");
    }
    let first = crate::table::peek(&config, 5)?;
    let rows = rows(&first.columns, &first.rows, terminal_width());
    print_out!("The first rows of {}:\n{rows}\n", config.destination.table);
    if let Some(letter) = letters.first() {
        print_out!("The first dead letter:\n{}", dead_letters::describe(letter));
    }
    print_out!("The spool{} in {DIRECTORY}/", if options.destination.is_none() { " and the table are" } else { " is" });
    print_out!("Look at the dead letters with: cxsink dead-letters list --set spool.path={DIRECTORY}/spool.db");
    if stats.is_balanced() && stats.pending == 0 && comparison.is_none_or(|comparison| comparison.is_good()) {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::new(
        ErrorKind::Internal,
        "checking the demo: its counters do not add up, something is missing in the table, or it was stopped early",
    ))
}

/// The rows are read for the comparison; more than this would take long.
const COMPARED_MAX: u64 = 1_000_000;

/// What was sent beside what is stored.
struct Comparison {
    keys_sent: u64,
    keys_stored: u64,
    invalid_sent: u64,
    /// An invalid event that the server sends again after its restart is kept twice.
    invalid_kept: u64,
}

impl Comparison {
    fn new(config: &Config, sent: &SimulatorReport) -> Result<Self> {
        let one_more = usize::try_from(sent.unique_keys).unwrap_or(usize::MAX).saturating_add(1);
        Ok(Self {
            keys_sent: sent.unique_keys,
            keys_stored: crate::table::peek(config, one_more)?.rows.len() as u64,
            invalid_sent: sent.invalid_total(),
            invalid_kept: DeadLetters::open(config)?.count()?.min(sent.invalid_total()),
        })
    }

    fn is_good(&self) -> bool {
        self.keys_stored == self.keys_sent && self.invalid_kept == self.invalid_sent
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |is_good| if is_good { '✓' } else { '✗' };
        let (stored, sent) = (count(self.keys_stored), count(self.keys_sent));
        writeln!(f, "  in the table        {stored} of {sent} keys {}", sign(self.keys_stored == self.keys_sent))?;
        let (kept, invalid) = (count(self.invalid_kept), count(self.invalid_sent));
        let is_kept = sign(self.invalid_kept == self.invalid_sent);
        writeln!(f, "  in the dead letters {kept} of {invalid} invalid events {is_kept}")
    }
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

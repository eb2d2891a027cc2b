//! What can be typed. The comments are the help texts.
#![expect(clippy::doc_markdown, reason = "a terminal shows no backticks")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::Result;
use crate::{CheckArea, Config};

/// Takes interaction events from a NICE CXone Data Actions stream, checks each against a JSON Schema, and upserts them into
/// PostgreSQL. Nothing that was read is lost: events wait in a spool file until they are in the table, or are kept as dead
/// letters with the reason.
#[derive(Debug, Parser)]
#[command(name = "cxsink", version, max_term_width = 110, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) settings: Settings,
    #[command(subcommand)]
    pub(super) command: Command,
}

const AFTER_HELP: &str = "\
Configuration comes from the file, then from .env, then from the environment, then from --set; later ones win. A plain \
deployment needs only CXONE_CLIENT_ID, CXONE_CLIENT_SECRET, CXONE_STREAM_ID and DATABASE_URL (or DB_HOST, DB_NAME, DB_USER, \
DB_PASSWORD). Any key can also be set as CXSINK_SECTION__KEY. All keys: docs/configuration.md.

Exit codes: 0 ok, 1 ended by an error, 2 bad usage or configuration.";

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// The configuration file [default: cxsink.toml, if there is one]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets a configuration key, for example --set batch.events_max=2000; may be repeated
    #[arg(short, long = "set", global = true, value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
    /// Shows more: each step (-v), everything (-vv); the same as log.level
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// One JSON object a line on the standard error stream, for machines; the same as log.format = "json"
    #[arg(long, global = true, value_name = "text|json")]
    log_format: Option<String>,
}

impl Settings {
    /// Loads the configuration and starts the log.
    pub(super) fn load(&self) -> Result<Config> {
        let default = Path::new("cxsink.toml");
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None if default.exists() => Config::load(default)?,
            None => Config::from_env()?,
        };
        self.apply(&mut config)?;
        super::logging::start(&config.log);
        Ok(config)
    }

    /// What the command line itself says.
    pub(super) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(format) = &self.log_format {
            config.set("log.format", format)?;
        }
        match self.verbose {
            0 => {}
            1 => config.set("log.level", "debug")?,
            _ => config.set("log.level", "trace")?,
        }
        for set in &self.sets {
            // Not shown: without its usual form nobody can say whether it is a secret.
            let (key, value) = set.split_once('=').ok_or_else(|| {
                crate::Error::new(crate::ErrorKind::InvalidArgument, "--set: there is no `=` in what follows it")
                    .with_hint("write it as --set section.key=value")
            })?;
            config.set(key.trim(), value.trim())?;
        }
        Ok(())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read the stream into the table until SIGINT or SIGTERM
    ///
    /// At the first signal, reading stops and what is spooled is applied; a second one ends at once. Nothing is lost either
    /// way: what is still in the spool is applied by the next start.
    Run(Run),
    /// Try each step on the way from the stream to the table, and say what to do about what fails
    ///
    /// One line a step: ✓ as it should be, ! works but see the hint, ✗ the sink would not work, - not tried. Exit code 1 if a step
    /// failed. Nothing is left behind: no row, no file.
    ///
    /// To try the stream it is opened and closed again at once, but not while a sink has the spool. Events that come in this moment
    /// are not kept, and a sink that reads the same stream elsewhere may miss them: leave the stream out then (--only).
    Check(CheckOptions),
    /// Make the default table and the table cxsink_checkpoint, where they do not exist
    InitDb {
        /// Print the SQL instead of running it
        #[arg(long)]
        print: bool,
    },
    /// Put events from a file of JSON Lines into the table, through the same path as the stream's
    Import {
        /// The file, one event a line; - reads the standard input
        file: PathBuf,
    },
    /// Check events from a file of JSON Lines against the schema; connects to nothing
    ///
    /// Prints each invalid line's number and every reason. Exit code 1 if there is one.
    Validate {
        /// The file, one event a line; - reads the standard input
        file: PathBuf,
    },
    /// Look at the events that could not be stored, replay or delete them; also while a sink is running
    DeadLetters {
        #[command(subcommand)]
        action: DeadLetters,
    },
    /// Show when events may have been missed, for a backfill; also while a sink is running
    ///
    /// A window begins when the last event before it was read, or when the server closed the stream in order, and ends when the
    /// stream was open again, whether a connection, the process or the machine was gone. Times are of this machine's clock: an
    /// event's own timestamp may be a little earlier. What is applied twice changes nothing, so take a margin.
    Gaps {
        /// One JSON object a line; times in microseconds since 1970-01-01 UTC
        #[arg(long)]
        json: bool,
    },
    /// Play CXone on this machine: token endpoint and stream, with faults on demand
    ///
    /// Prints the settings with which a sink reads from it, and at the end what it sent. Runs until a signal, or until every
    /// event was sent and --close-at-end true closed the stream.
    Simulate(Simulate),
    /// Show the main job on a simulated stream, with nothing to set up
    Demo(Demo),
}

/// `cxsink run`
#[derive(Debug, Args)]
pub(super) struct Run {
    /// After a signal, end after this time even if not everything is applied; the rest stays in the spool
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(super) drain_timeout: Duration,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    text.parse().map_err(|_| "a whole number of seconds".to_owned()).map(Duration::from_secs)
}

/// `cxsink check`
#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    /// One JSON object at the end, for machines: {"ok": …, "steps": [{"name", "status", "seconds", "message", "hint"}, …]}
    #[arg(long)]
    pub(super) json: bool,
    /// Only these areas, besides the configuration; separated by commas: spool, oauth, stream (with its token), destination
    /// [default: all]
    #[arg(long, value_name = "AREA,…", value_delimiter = ',', value_parser = area)]
    pub(super) only: Vec<CheckArea>,
}

fn area(text: &str) -> std::result::Result<CheckArea, String> {
    CheckArea::ALL.into_iter().find(|area| area.name() == text).ok_or_else(|| {
        let names = CheckArea::ALL.map(CheckArea::name);
        format!("the areas are {}", names.join(", "))
    })
}

/// `cxsink dead-letters …`
#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// One line for each: offset, time, stage and reason
    List {
        /// Start at this offset
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Show at most this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One dead letter, with every reason and the event itself
    Show {
        /// The offset, as `list` shows it
        offset: u64,
    },
    /// All of them as JSON Lines, with the events
    ///
    /// What was exported may be deleted when dead_letters.bytes_max is reached.
    Export {
        /// The file to make, which must not exist yet; - writes to the standard output
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Check them again under today's schema and mapping, and put the good ones into the table
    ///
    /// In the order of their offsets, each once. Those still bad stay, with today's reason. One that the database refuses again
    /// is a dead letter again, at a new offset. If a sink is running on this spool, it is asked to do it, under the configuration
    /// that it was started with.
    Replay {
        /// Only say what would happen to each, under the configuration of this command
        #[arg(long)]
        dry_run: bool,
        /// Only the one with this offset; may be repeated [default: all that were not replayed yet]
        #[arg(long = "id", value_name = "OFFSET")]
        ids: Vec<u64>,
        /// How long a running sink may take to answer
        #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
        timeout: Duration,
    },
    /// Delete them for good
    ///
    /// Those that were neither exported nor replayed are left, unless --all is given.
    #[command(group = clap::ArgGroup::new("selection").required(true).multiple(true))]
    Purge {
        /// Those that were exported
        #[arg(long, group = "selection")]
        exported: bool,
        /// Those that were replayed
        #[arg(long, group = "selection")]
        replayed: bool,
        /// Those set aside before this date or time, such as 2026-11-22 or 2026-11-22T16:00:00Z; with other options, only
        /// those of them
        #[arg(long, group = "selection", value_name = "DATE", value_parser = unix_micros)]
        before: Option<i64>,
        /// Also those that nobody has seen: neither exported nor replayed
        #[arg(long, group = "selection")]
        all: bool,
    },
}

/// A date, from its midnight UTC on, or a time, as microseconds since 1970-01-01 UTC.
fn unix_micros(text: &str) -> std::result::Result<i64, String> {
    let time = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let parsed = crate::time::timestamp::DateTime::parse(&time)
        .ok_or("a date as 2026-11-22, or a time as 2026-11-22T16:00:00Z")?;
    parsed.utc_micros().map_err(|why| format!("the time {why}"))
}

/// `cxsink simulate`
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Options as NAME VALUE pairs: --events 1000 --rate 500 …; `--list` shows all of them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "--NAME VALUE")]
    pub(super) options: Vec<String>,
}

/// `cxsink demo`
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many events the simulated stream has
    #[arg(long, default_value_t = 100_000)]
    pub(super) events: u64,
    /// Where to put them: postgresql://… (the table cxsink_demo_events is made there) [default: an SQLite file of its own]
    #[arg(long, value_name = "URL")]
    pub(super) destination: Option<String>,
}

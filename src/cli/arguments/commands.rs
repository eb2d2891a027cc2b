//! Arguments of the command line. The comments are the help texts.
#![expect(clippy::doc_markdown, reason = "a terminal shows no backticks")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::Config;
use crate::Result;
use crate::check::CheckArea;
use crate::cli::logging;
use crate::config::units::parse_duration;
use crate::config::{ConfigOrigin, Layers, changed_keys};
use crate::simulator::Profile;

/// Reads interaction events from a NICE CXone Data Actions stream, validates each against a JSON Schema, and upserts them into a
/// PostgreSQL table. Events wait in a local spool file until they are committed to the table. Events that cannot be stored are
/// kept in it as dead letters, with the reason.
#[derive(Debug, Parser)]
#[command(name = "cxsink", version, max_term_width = 110, after_help = AFTER_HELP)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    pub(in crate::cli) settings: Settings,
    #[command(subcommand)]
    pub(in crate::cli) command: Command,
}

const AFTER_HELP: &str = "\
To try it without an account or a database: cxsink demo.

Configuration: the file, then .env, then the environment, then --set; a later one overrides an earlier one. With --config, .env is not read \
unless --env-file names it. The minimum is \
CXONE_CLIENT_ID, CXONE_CLIENT_SECRET, CXONE_STREAM_ID and DATABASE_URL (or DB_HOST, DB_NAME, DB_USER and DB_PASSWORD). \
The environment variable of any other key is CXSINK_SECTION__KEY. All keys: docs/configuration.md.

Exit codes: 0 success, 1 an error ended the command, 2 wrong usage or configuration; 130 (SIGINT) or 143 (SIGTERM) a second signal ended \
it at once. After a first signal, `run` ends with 0; `import` with 1 if it had not read its input to the end.";

/// Options of every command.
#[derive(Debug, Args)]
pub(in crate::cli) struct Settings {
    /// Configuration file [default: cxsink.toml, if it exists]. Beside it, .env in the working directory is not read, only --env-file
    #[arg(short, long, global = true, help_heading = "Global options", value_name = "FILE")]
    config: Option<PathBuf>,
    /// File of variables [default: .env in the working directory, if it exists and there is no --config]
    #[arg(long, global = true, help_heading = "Global options", value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Set a configuration key, for example --set batch.events_max=2000; may be repeated. Not for secrets: other users see the arguments
    /// of a process; use oauth.client_secret_file, destination.password_file or the environment
    #[arg(short, long = "set", global = true, help_heading = "Global options", value_name = "SECTION.KEY=VALUE")]
    sets: Vec<String>,
    /// Only this stream, of a configuration with [streams.NAME] sections; may be repeated. Without it, `run`, `check`, `init-db`, `status`,
    /// `top` and `gaps` are for all streams, and the others need it. --set without streams.NAME then sets a key of this stream
    #[arg(long = "stream", global = true, help_heading = "Global options", value_name = "NAME")]
    pub(in crate::cli) streams: Vec<String>,
    /// Log more: -v for log.level=debug, -vv for log.level=trace
    #[arg(short, long, global = true, help_heading = "Global options", action = clap::ArgAction::Count)]
    verbose: u8,
    /// Format of the log on the standard error stream: lines of text, or one JSON object a line; sets log.format
    #[arg(long, global = true, help_heading = "Global options", value_name = "text|json")]
    log_format: Option<String>,
}

const DEFAULT_FILE: &str = "cxsink.toml";

impl Settings {
    /// Loads the configuration and starts the log.
    pub(in crate::cli) fn load(&self) -> Result<Config> {
        self.load_with_origin().map(|(config, _)| config)
    }

    /// The same, with where it comes from.
    pub(in crate::cli) fn load_with_origin(&self) -> Result<(Config, ConfigOrigin)> {
        let (config, origin) = self.read()?;
        logging::start(&config.log);
        log::debug!("configuration file: {}; spool: {}", self.file(), config.spool.path.display());
        if let Some(file) = &origin.env_file {
            log::info!("reading variables from {file}");
        }
        for key in self.secrets_set(&config) {
            log::warn!(
                "--set {key}: other users see the arguments of a process; set the secret in the environment or in a file \
                 (oauth.client_secret_file, destination.password_file, proxy.password_file)"
            );
        }
        Ok((config, origin))
    }

    /// The configuration, and where it comes from.
    pub(in crate::cli) fn read(&self) -> Result<(Config, ConfigOrigin)> {
        let layers = self.layers()?;
        let mut config = layers.config()?;
        self.apply(&mut config)?;
        let mut origin = layers.origin()?;
        origin.set_keys.extend(self.log_format.iter().map(|_| "log.format".to_owned()));
        origin.set_keys.extend((self.verbose > 0).then(|| "log.level".to_owned()));
        origin.set_keys.extend(self.set_keys().map(str::to_owned));
        origin.changed_keys = changed_keys(&Config::default(), &config).into_iter().map(str::to_owned).collect();
        Ok((config, origin))
    }

    fn set_keys(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().filter_map(|set| set.split_once('=')).map(|(key, _)| key.trim())
    }

    /// File, variables and environment. Beside a file that is named, the working directory is no source of settings.
    fn layers(&self) -> Result<Layers> {
        let layers = match (&self.env_file, &self.config) {
            (Some(file), _) => Layers::default().process_environment().read_dotenv(file)?,
            (None, Some(_)) => Layers::default().process_environment(),
            (None, None) => Layers::from_process()?,
        };
        let default = Path::new(DEFAULT_FILE);
        match &self.config {
            Some(path) => layers.read_file(path),
            None if default.exists() => layers.read_file(default),
            None => Ok(layers),
        }
    }

    /// The keys whose secret is among the arguments.
    fn secrets_set<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = &'a str> {
        self.set_keys().filter(|key| config.get(key).is_some_and(|shown| shown.contains("***")))
    }

    /// The configuration file, in words.
    fn file(&self) -> String {
        match &self.config {
            Some(path) => path.display().to_string(),
            None if Path::new(DEFAULT_FILE).exists() => DEFAULT_FILE.into(),
            None => "none".into(),
        }
    }

    /// Logs what a sink is about to do, before it connects: that may take its time.
    pub(in crate::cli) fn announce(&self, config: &Config, source: &str) {
        log::info!(
            "cxsink {}: from {source} to the table {} of {}; spool {}, configuration file {}",
            env!("CARGO_PKG_VERSION"),
            config.destination.table,
            config.get("destination.url").unwrap_or_default(),
            config.spool.path.display(),
            self.file()
        );
    }

    /// Applies the options to the configuration.
    pub(in crate::cli) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(format) = &self.log_format {
            config.set("log.format", format)?;
        }
        match self.verbose {
            0 => {}
            1 => config.set("log.level", "debug")?,
            _ => config.set("log.level", "trace")?,
        }
        for set in &self.sets {
            // The text is not shown: without a key it may be a secret.
            let (key, value) = set.split_once('=').ok_or_else(|| {
                crate::Error::new(crate::ErrorKind::InvalidArgument, "parsing --set: the value has no `=`")
                    .with_hint("write it as --set section.key=value")
            })?;
            let names = config.stream_names();
            // A name that nothing else has is a typing error.
            if let Some(name) = stream_of(key.trim()).filter(|name| !names.is_empty() && !names.contains(name)) {
                config.for_stream(name)?;
            }
            config.set(key.trim(), value.trim())?;
        }
        Ok(())
    }

    /// Applies the options that are not for all streams or for another one to the configuration of one stream, if it was named.
    pub(in crate::cli) fn apply_to_stream(&self, config: &mut Config) -> Result<()> {
        if self.streams.is_empty() {
            return Ok(());
        }
        let pairs = self.sets.iter().filter_map(|set| set.split_once('='));
        let mut own = pairs.filter(|(key, _)| stream_of(key.trim()).is_none());
        own.try_for_each(|(key, value)| config.set(key.trim(), value.trim()))
    }
}

/// The stream in `streams.NAME.KEY`.
fn stream_of(key: &str) -> Option<&str> {
    key.strip_prefix("streams.")?.split('.').next()
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Read the stream into the table until SIGINT or SIGTERM
    ///
    /// The first signal stops reading and writes the spooled events to the table, without waiting for an unreachable database. A
    /// second signal ends at once. No event is lost either way: the next start writes the rest.
    Run(Run),
    /// Say how a sink is doing: its state, its connections, what is pending; also from another process
    ///
    /// Asks the running sink at http.listen. Without that, it reads the spool file from outside, which says whether a process has it open,
    /// and what is in it. Exit code 0 if a sink runs and its loops move, 1 if not.
    Status(StatusOptions),
    /// Show all streams in one table, again each second, until a signal
    ///
    /// Asks the running process at http.listen; without that, it reads the spool files from outside, which say what is pending.
    Top,
    /// Try each step from the stream to the table, with a hint for each problem
    ///
    /// Prints one line for each step: ✓ passed, ! warning, ✗ failed, - skipped. Exit code 1 if a step failed. Leaves no row and no
    /// file behind.
    ///
    /// Opens the stream and closes it again at once, unless a sink is running on the spool. Events that arrive in this moment are
    /// not stored, and a sink that reads the same stream on another machine may miss them: leave the stream out then, with --only.
    Check(CheckOptions),
    /// Create the events table, the table cxsink_checkpoint and the history, if one is configured and they do not exist
    InitDb {
        /// Print the SQL instead of running it
        #[arg(long)]
        print: bool,
        /// Make the history partitioned by month; on an existing one, add the partitions of months that have come since
        #[arg(long)]
        partitioned: bool,
    },
    /// Write events from a file of JSON Lines to the table, through the spool, like those of the stream
    ///
    /// The lines are events, not messages of a stream: [event] of the configuration does not apply. Lines that have arrived are written at
    /// once, also those of a pipe that stays open. Exit code 1 if the input was not read to its end,
    /// or if every event is a dead letter.
    Import {
        /// File with one event a line; - for the standard input
        file: PathBuf,
        /// The file is an export of dead letters: write their events, except where a later event of the same key is in the table
        #[arg(long)]
        replay: bool,
    },
    /// Validate events from a file of JSON Lines against the schema, without any connection
    ///
    /// The lines are events, not messages of a stream: [event] of the configuration does not apply. Prints the number of each invalid line,
    /// with every reason. Exit code 1 if a line is invalid.
    Validate {
        /// Also try whether each value fits its column: connects to the destination, reads the table's columns, and writes nothing
        ///
        /// Constraints, and values that only the database can read (such as those of the type inet), are not tried.
        #[arg(long)]
        columns: bool,
        /// File with one event a line; - for the standard input
        file: PathBuf,
    },
    /// List, show, export, replay or delete the events that could not be stored; also while a sink is running
    DeadLetters {
        #[command(subcommand)]
        action: DeadLetters,
    },
    /// Make a spool file a spool of its own, after an error which says that another sink owns its checkpoint
    ///
    /// For a copy of a spool file, or one restored from a backup. End the sink that uses the other file first, if only one of them is
    /// to go on. The next start writes every event in the file to the table, also those that the other sink has written already.
    RenewSpool,
    /// List the times in which events may have been missed, for a backfill; also while a sink is running
    ///
    /// A gap begins with the last event that was read, or with the server's orderly close, and ends when the stream was open again.
    /// Its cause may be a connection, the process or the machine. Times are of this machine's clock, and an event's own timestamp
    /// may be a little earlier: backfill with a margin, since an event that is written twice changes nothing.
    Gaps {
        /// Print one JSON object a line, with times in microseconds since 1970-01-01 UTC
        #[arg(long)]
        json: bool,
    },
    /// Write a configuration file to start from, with comments
    ///
    /// A profile is a platform whose stream differs in its token, its conversation or its messages; --list prints them. The file holds no
    /// secret: its first lines name the variables. It is for this user only (mode 0600).
    Init(Init),
    /// Show what the stream sends, and what a sink would make of it, without storing anything
    ///
    /// For finding out the settings of an unknown stream: docs/streams.md. It connects as `run` would, needs no database, and goes on where
    /// `run` would fail: it shows the answer that came instead, why a message cannot be unwrapped, and which settings would help. Tokens and
    /// secrets are shown as ***; events are shown as they are.
    ///
    /// Many servers send an event to one connection only: an event that is shown here is then missing elsewhere. Nothing is
    /// acknowledged (stream.ack). Exit code 1 if no message came, or if the connection was lost.
    PeekStream(PeekStream),
    /// Simulate CXone on this machine: token endpoint and stream, with faults on demand
    ///
    /// Prints the environment variables for a sink to read from it, and at the end a JSON object with the counters. Runs until a
    /// signal, or, with --close-at-end true, until it has sent every event. With --profile NAME it speaks as another platform; cxsink init
    /// writes the configuration for that.
    Simulate(Simulate),
    /// Write a simulated stream to a table, without an account or a database
    Demo(Demo),
    /// Print the completions of commands and options for a shell
    ///
    /// For bash: cxsink completions bash > /usr/share/bash-completion/completions/cxsink, for zsh: > /usr/share/zsh/site-functions/_cxsink,
    /// for fish: > /usr/share/fish/vendor_completions.d/cxsink.fish; or into the folder of this user that the shell reads.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages, cxsink.1 and one for each command, into a folder
    ///
    /// For man cxsink: cxsink manual-pages /usr/local/share/man/man1
    ManualPages {
        /// An existing folder; pages of the same names are overwritten
        folder: PathBuf,
    },
}

/// `cxsink run`
#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// Run only this stream, of a configuration with [streams.NAME] sections; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) only: Vec<String>,
    /// Time after the first signal to write the spooled events; the next start writes the rest
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(in crate::cli) drain_timeout: Duration,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    text.parse().map_err(|_| "not a whole number of seconds".to_owned()).map(Duration::from_secs)
}

/// `cxsink status`
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusOptions {
    /// Print one JSON object: {"running": …, "source": "http" or "spool", …}, with everything that is known
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Print it again each second, until a signal
    #[arg(long)]
    pub(in crate::cli) watch: bool,
}

/// `cxsink check`
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckOptions {
    /// Print one JSON object at the end: {"ok": …, "steps": [{"name", "status", "seconds", "message", "hint"}, …]}
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Try only these areas, besides the configuration: spool, oauth, stream (with its token), destination; separated by commas
    /// [default: all]
    #[arg(long, value_name = "AREA,…", value_delimiter = ',', value_parser = area)]
    pub(in crate::cli) only: Vec<CheckArea>,
}

fn area(text: &str) -> std::result::Result<CheckArea, String> {
    CheckArea::ALL.into_iter().find(|area| area.name() == text).ok_or_else(|| {
        let names = CheckArea::ALL.map(CheckArea::name);
        format!("the areas are {}", names.join(", "))
    })
}

/// `cxsink dead-letters …`
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeadLetters {
    /// List them: offset, time, stage and reason
    List {
        /// Start at this offset
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Show at most this many [default: 100; with --json, all]
        #[arg(long)]
        limit: Option<usize>,
        /// Print one JSON object a line, without the events; `export` prints them with the events
        #[arg(long)]
        json: bool,
    },
    /// Sum them up by reason and place, with the change of the schema or table that would accept them; also while a sink runs
    ///
    /// Those that were not replayed. What the schema refused is checked against the schema as it is now: change it, and look again before
    /// a replay. The changes are JSON Patch (RFC 6902). One with several reasons is in several groups. No payload is shown.
    Summary {
        /// Show the values that an enum or a const lacks; they are parts of events
        #[arg(long)]
        values: bool,
        /// Print one JSON object, with times in microseconds since 1970-01-01 UTC
        #[arg(long)]
        json: bool,
    },
    /// Show one, with every reason and the event itself
    Show {
        /// The offset, as `list` shows it
        offset: u64,
    },
    /// Export all of them as JSON Lines, with the events
    ///
    /// When dead_letters.bytes_max is reached, a sink may delete exported dead letters.
    Export {
        /// File to create, which must not exist; - for the standard output
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Validate them again with the current schema and mapping, and write the valid ones to the table
    ///
    /// In the order of their offsets, each once. The others remain, with the current reason. A message that could not be unwrapped is
    /// unwrapped with the current [event] settings. An event is superseded, and changes nothing,
    /// if a later event of its key has been written. An event that the database rejects again becomes a new dead letter, at a new offset. If a sink is running on this spool, it does the work, with the configuration
    /// that it was started with.
    Replay {
        /// Only print what would happen to each, with the configuration of this command
        #[arg(long)]
        dry_run: bool,
        /// Replay only the one with this offset; may be repeated [default: all that were not replayed yet]
        #[arg(long = "id", value_name = "OFFSET")]
        ids: Vec<u64>,
        /// Overwrite rows that later events of the same key have written
        #[arg(long, conflicts_with = "dry_run")]
        force: bool,
        /// Time to wait for a running sink
        #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
        timeout: Duration,
    },
    /// Delete them permanently
    ///
    /// Keeps those that were neither exported nor replayed, unless --all is given.
    #[command(group = clap::ArgGroup::new("selection").required(true).multiple(true))]
    Purge {
        /// Delete exported ones
        #[arg(long, group = "selection")]
        exported: bool,
        /// Delete replayed ones
        #[arg(long, group = "selection")]
        replayed: bool,
        /// Delete only those rejected before this date (from midnight UTC) or time: 2026-11-22, 2026-11-22T16:00:00Z
        #[arg(long, group = "selection", value_name = "DATE", value_parser = unix_micros)]
        before: Option<i64>,
        /// Delete only those rejected longer ago than this: 30d, 12h
        #[arg(long, group = "selection", value_name = "DURATION", value_parser = duration)]
        older_than: Option<Duration>,
        /// Delete all, also those that were neither exported nor replayed
        #[arg(long, group = "selection")]
        all: bool,
    },
}

fn duration(text: &str) -> std::result::Result<Duration, String> {
    parse_duration(text).map_err(|error| error.message().to_owned())
}

/// Parses a date (its midnight UTC) or a time, as microseconds since 1970-01-01 UTC.
fn unix_micros(text: &str) -> std::result::Result<i64, String> {
    let time = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let parsed = crate::time::timestamp::DateTime::parse(&time)
        .ok_or("not a date such as 2026-11-22, nor a time such as 2026-11-22T16:00:00Z")?;
    parsed.utc_micros().map_err(|why| format!("the time {why}"))
}

/// `cxsink init`
#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// Platform whose stream is read; --list prints all of them
    #[arg(long, value_name = "NAME", default_value = "data-actions", value_parser = profile)]
    pub(in crate::cli) profile: Profile,
    /// List the profiles instead of writing a file
    #[arg(long)]
    pub(in crate::cli) list: bool,
    /// Overwrite the file if it exists
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// File to create
    #[arg(default_value = DEFAULT_FILE)]
    pub(in crate::cli) path: PathBuf,
}

fn profile(text: &str) -> std::result::Result<Profile, String> {
    Profile::named(text).ok_or_else(|| {
        let names = Profile::ALL.map(Profile::name);
        format!("the profiles are {}", names.join(", "))
    })
}

/// `cxsink peek-stream`
#[derive(Debug, Args)]
pub(in crate::cli) struct PeekStream {
    /// End after this many messages
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) count: u64,
    /// End after this long without a message
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(in crate::cli) timeout: Duration,
    /// Print nothing but the messages, whole, one a line
    #[arg(long, conflicts_with = "json")]
    pub(in crate::cli) raw: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// `cxsink simulate`
#[derive(Debug, Args)]
pub(in crate::cli) struct Simulate {
    /// Options of the simulator, for example --profile event-hub --events 1000 --rate 500; --list prints all of them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "--NAME VALUE")]
    pub(in crate::cli) options: Vec<String>,
}

/// `cxsink demo`
#[derive(Debug, Args)]
pub(in crate::cli) struct Demo {
    /// Number of events of the simulated stream
    #[arg(long, default_value_t = 100_000)]
    pub(in crate::cli) events: u64,
    /// Database to write to, as postgresql://…, in the new table cxsink_demo_events [default: an SQLite file]
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) destination: Option<String>,
}

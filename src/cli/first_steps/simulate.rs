//! `simulate`: a local stand-in for CXone.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cli::arguments::{Settings, Simulate};
use crate::cli::print::{self, print_out};
use crate::cli::{logging, signals};
use crate::simulator::{OptionKey, Profile, Simulator, SimulatorOptions};
use crate::{Config, Error, ErrorKind, Result};

pub(in crate::cli) fn simulate(arguments: &Simulate, settings: &Settings) -> Result<ExitCode> {
    if arguments.options.iter().any(|argument| argument == "--list") {
        SimulatorOptions::keys().iter().for_each(show);
        return Ok(ExitCode::SUCCESS);
    }
    let mut options = parse(&arguments.options)?;
    let profile = options.profile;
    if profile.needs_token_file() && options.token_file.is_none() {
        options.token_file = Some(std::path::absolute(TOKEN_FILE).unwrap_or_else(|_| TOKEN_FILE.into()));
    }
    let mut config = Config::default();
    settings.apply(&mut config)?;
    logging::start(&config.log);
    let closes_at_end = options.close_at_end;
    let signals = signals::watch(|| ())?;
    let simulator = Simulator::start(options)?;
    let settings = simulator.settings();
    for (key, variable) in VARIABLES {
        if let Some((_, value)) = settings.iter().find(|(name, _)| *name == key) {
            print_out!("{variable}={value}");
        }
    }
    print::say(&match profile {
        Profile::DataActions => {
            "simulating CXone until Ctrl-C; start a sink with these environment variables".to_owned()
        }
        _ => format!(
            "simulating {} until Ctrl-C; start a sink with these environment variables and the cxsink.toml of \
             `cxsink init --profile {}`",
            profile.platform(),
            profile.name()
        ),
    });
    let mut is_finished = false;
    while signals.load(Ordering::SeqCst) == 0 && !(is_finished && closes_at_end) {
        is_finished = simulator.wait_finished(Duration::from_millis(100));
        if is_finished {
            // `wait_finished` returns at once now.
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
    simulator.stop();
    print_out!("{}", simulator.report().to_json());
    Ok(ExitCode::SUCCESS)
}

/// The file of the token, for profiles that need one, if none is named.
const TOKEN_FILE: &str = "cxsink-simulator-token";

/// What a configuration file leaves to the environment, and the addresses of the simulator.
const VARIABLES: [(&str, &str); 11] = [
    ("oauth.url", "CXSINK_OAUTH__URL"),
    ("oauth.discovery", "CXSINK_OAUTH__DISCOVERY"),
    ("stream.url", "CXSINK_STREAM__URL"),
    ("oauth.client_id", "CXONE_CLIENT_ID"),
    ("oauth.client_secret", "CXONE_CLIENT_SECRET"),
    ("stream.id", "CXONE_STREAM_ID"),
    ("oauth.username", "CXSINK_OAUTH__USERNAME"),
    ("oauth.password", "CXSINK_OAUTH__PASSWORD"),
    ("oauth.token_file", "CXSINK_OAUTH__TOKEN_FILE"),
    ("event.each", "CXSINK_EVENT__EACH"),
    ("event.lines", "CXSINK_EVENT__LINES"),
];

fn show(key: &OptionKey) {
    let default = match key.default {
        Some("") => " [default: none]".into(),
        Some(default) => format!(" [default: {default}]"),
        None => String::new(),
    };
    print_out!("  --{:<22} {}", key.name.replace('_', "-"), key.about);
    print_out!("  {:24} {}{default}", "", key.takes);
}

/// Parses pairs: `--name value`, `--name=value` or `name=value`.
fn parse(arguments: &[String]) -> Result<SimulatorOptions> {
    let mut options = SimulatorOptions::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let bare = argument.trim_start_matches('-');
        let pair = bare.split_once('=').or_else(|| Some((bare, rest.next()?.as_str())));
        let (name, value) = pair.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, format!("parsing the simulator's options: {argument} has no value"))
                .with_hint("run `cxsink simulate --list` for the values of each option")
        })?;
        options.set(&name.replace('-', "_"), value)?;
    }
    Ok(options)
}

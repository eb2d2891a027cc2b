//! `simulate`: a local stand-in for CXone.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::arguments::{Settings, Simulate};
use super::print::{self, print_out};
use super::{logging, signals};
use crate::simulator::{OptionKey, Simulator, SimulatorOptions};
use crate::{Config, Error, ErrorKind, Result};

pub(super) fn simulate(arguments: &Simulate, settings: &Settings) -> Result<ExitCode> {
    if arguments.options.iter().any(|argument| argument == "--list") {
        SimulatorOptions::keys().iter().for_each(show);
        return Ok(ExitCode::SUCCESS);
    }
    let options = parse(&arguments.options)?;
    let mut config = Config::default();
    settings.apply(&mut config)?;
    logging::start(&config.log);
    let closes_at_end = options.close_at_end;
    let signals = signals::watch(|| ())?;
    let simulator = Simulator::start(options)?;
    print_out!("CXSINK_OAUTH__URL={}", simulator.oauth_url());
    print_out!("CXSINK_STREAM__URL={}", simulator.stream_url());
    print_out!("CXONE_CLIENT_ID={}", simulator.client_id());
    print_out!("CXONE_CLIENT_SECRET={}", simulator.client_secret());
    print_out!("CXONE_STREAM_ID={}", simulator.stream_id());
    print::say("simulating CXone until Ctrl-C; start a sink with these environment variables");
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

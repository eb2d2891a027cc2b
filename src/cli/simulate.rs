//! `simulate`: CXone on this machine.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::arguments::{Settings, Simulate};
use crate::simulator::{Simulator, SimulatorOptions};
use crate::{Config, Error, ErrorKind, Result};

pub(super) fn simulate(arguments: &Simulate, settings: &Settings) -> Result<ExitCode> {
    let Some(options) = read_options(&arguments.options)? else { return Ok(ExitCode::SUCCESS) };
    let mut config = Config::default();
    settings.apply(&mut config)?;
    super::logging::start(&config.log);
    let closes_at_end = options.close_at_end;
    let signals = super::run::watch_signals(|| ())?;
    let simulator = Simulator::start(options)?;
    say!("CXSINK_OAUTH__URL={}", simulator.oauth_url());
    say!("CXSINK_STREAM__URL={}", simulator.stream_url());
    say!("CXONE_CLIENT_ID={}", simulator.client_id());
    say!("CXONE_CLIENT_SECRET={}", simulator.client_secret());
    say!("CXONE_STREAM_ID={}", simulator.stream_id());
    eprintln!("simulating CXone; set the above for a sink, and press Ctrl-C to end");
    let mut is_finished = false;
    while signals.load(Ordering::SeqCst) == 0 && !(is_finished && closes_at_end) {
        is_finished = simulator.wait_finished(Duration::from_millis(100));
        if is_finished {
            // Nothing more happens until a signal comes or a sink connects again.
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
    simulator.stop();
    say!("{}", simulator.report().to_json());
    Ok(ExitCode::SUCCESS)
}

/// `--name value`, `--name=value` or `name=value`, in pairs; `None` after the list of all options was shown.
fn read_options(arguments: &[String]) -> Result<Option<SimulatorOptions>> {
    let mut options = SimulatorOptions::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--list" {
            for key in SimulatorOptions::keys() {
                let default = match key.default {
                    Some("") => "; none by default".into(),
                    Some(default) => format!("; {default} by default"),
                    None => String::new(),
                };
                say!("  --{:<22} {}", key.name.replace('_', "-"), key.about);
                say!("  {:24} {}{default}", "", key.takes);
            }
            return Ok(None);
        }
        let bare = argument.trim_start_matches('-');
        let (name, value) = match bare.split_once('=') {
            Some((name, value)) => (name, value),
            None => (
                bare,
                rest.next()
                    .ok_or_else(|| {
                        Error::new(
                            ErrorKind::InvalidArgument,
                            format!("the simulator's option {argument} has no value"),
                        )
                        .with_hint("`cxsink simulate --list` shows what each option takes")
                    })?
                    .as_str(),
            ),
        };
        options.set(&name.replace('-', "_"), value)?;
    }
    Ok(Some(options))
}

//! `run`: a sink from the stream to the table, until a signal.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::cli::arguments::{Run, Settings};
use crate::cli::follow::{failed, follow, sum_up};
use crate::cli::run::http::Server;
use crate::cli::run::notify::Notifier;
use crate::cli::run::reload::Running;
use crate::cli::run::several;
use crate::cli::run::sinks::Sinks;
use crate::cli::signals::{note_hangup, reap_orphans, stop_on_signal};
use crate::cli::streams::{Stream, check_has_stream};
use crate::config::ConfigOrigin;
use crate::{Config, Result, Sink};

pub(in crate::cli) fn run(settings: &Settings, options: &Run) -> Result<ExitCode> {
    let (config, origin) = settings.load_with_origin()?;
    let streams = settings.streams(&config, &options.only)?;
    match &streams[..] {
        [Stream { name: None, config }] => run_one(settings, options, config, origin),
        _ => several::run(settings, options, (&config, origin), streams),
    }
}

fn run_one(settings: &Settings, options: &Run, config: &Config, origin: ConfigOrigin) -> Result<ExitCode> {
    check_has_stream(config)?;
    let started = Instant::now();
    let sink = Sink::open(config)?;
    let signals = stop_on_signal(&sink)?;
    let hangup = note_hangup()?;
    reap_orphans()?;
    let sinks = Sinks::from(&sink);
    let server = Server::start(sinks.clone(), config, origin)?;
    settings.announce(config, &format!("the stream {}", config.stream.id.as_deref().unwrap_or_default()));
    sink.start()?;
    let mut notifier = Notifier::new(config.http.hanging_after);
    notifier.ready();
    let mut running = Running::of_one(config, &sink);
    let each_turn = || {
        if hangup.swap(false, Ordering::SeqCst) {
            running.reload(settings);
        }
        if sink.state().is_ending() {
            notifier.stopping();
        }
        notifier.tick(&sinks);
        server.iter().for_each(Server::tick);
        false
    };
    let followed = follow(&sink, &signals, options.drain_timeout, None, each_turn);
    // A short drain may have ended between two turns.
    notifier.stopping();
    Ok(match followed {
        Ok(stats) => {
            sum_up(config, &stats, started.elapsed());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let stats = sink.stats();
            if stats.received + stats.recovered + stats.replayed > 0 {
                sum_up(config, &stats, started.elapsed());
            }
            failed(&sink, &error)
        }
    })
}

//! `run`: a sink from the stream to the table, until a signal.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::cli::arguments::{Run, Settings};
use crate::cli::follow::{failed, follow, sum_up};
use crate::cli::run::http::Server;
use crate::cli::run::notify::Notifier;
use crate::cli::run::reload::reload;
use crate::cli::signals::{note_hangup, reap_orphans, stop_on_signal};
use crate::{Error, ErrorKind, Result, Sink, State};

pub(in crate::cli) fn run(settings: &Settings, options: &Run) -> Result<ExitCode> {
    let (config, origin) = &settings.load_with_origin()?;
    if !config.has_stream() {
        return Err(Error::new(ErrorKind::Config, "running the sink: no stream is configured").with_hint(
            "set CXONE_STREAM_ID, CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, or stream.id, oauth.client_id and \
             oauth.client_secret; to read a file, use `cxsink import`",
        ));
    }
    let started = Instant::now();
    let sink = Sink::open(config)?;
    let signals = stop_on_signal(&sink)?;
    let hangup = note_hangup()?;
    reap_orphans()?;
    let server = Server::start(&sink, config, origin.clone())?;
    settings.announce(config, &format!("the stream {}", config.stream.id.as_deref().unwrap_or_default()));
    sink.start()?;
    let mut notifier = Notifier::new(config.http.hanging_after);
    notifier.ready();
    let mut running = config.clone();
    let each_turn = || {
        if hangup.swap(false, Ordering::SeqCst) {
            reload(settings, &mut running, &sink);
        }
        if !matches!(sink.state(), State::Open | State::Running | State::Stalled) {
            notifier.stopping();
        }
        notifier.tick(&sink);
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

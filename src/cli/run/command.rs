//! `run`: a sink from the stream to the table, until a signal.

use std::process::ExitCode;
use std::time::Instant;

use crate::cli::arguments::{Run, Settings};
use crate::cli::follow::{failed, follow, sum_up};
use crate::cli::run::http::Server;
use crate::cli::signals::stop_on_signal;
use crate::{Error, ErrorKind, Result, Sink};

pub(in crate::cli) fn run(settings: &Settings, options: &Run) -> Result<ExitCode> {
    let config = &settings.load()?;
    if !config.has_stream() {
        return Err(Error::new(ErrorKind::Config, "running the sink: no stream is configured").with_hint(
            "set CXONE_STREAM_ID, CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, or stream.id, oauth.client_id and \
             oauth.client_secret; to read a file, use `cxsink import`",
        ));
    }
    let started = Instant::now();
    let sink = Sink::open(config)?;
    let signals = stop_on_signal(&sink)?;
    let _server = Server::start(&sink, config)?;
    settings.announce(config, &format!("the stream {}", config.stream.id.as_deref().unwrap_or_default()));
    sink.start()?;
    Ok(match follow(&sink, &signals, options.drain_timeout, None, || false) {
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

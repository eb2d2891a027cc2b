//! `run`: a sink from the stream to the table, until a signal.

use std::process::ExitCode;
use std::time::Instant;

use super::arguments::Run;
use super::follow::{follow, sum_up};
use super::print::report;
use super::signals::stop_on_signal;
use crate::{Config, Error, ErrorKind, Result, Sink};

pub(super) fn run(config: &Config, options: &Run) -> Result<ExitCode> {
    if !config.has_stream() {
        return Err(Error::new(ErrorKind::Config, "running the sink: no stream is configured").with_hint(
            "set CXONE_STREAM_ID, CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, or stream.id, oauth.client_id and \
             oauth.client_secret; to read a file, use `cxsink import`",
        ));
    }
    let started = Instant::now();
    let sink = Sink::open(config)?;
    let signals = stop_on_signal(&sink)?;
    sink.start()?;
    Ok(match follow(&sink, &signals, options.drain_timeout, None, || false) {
        Ok(stats) => {
            sum_up(config, &stats, started.elapsed());
            ExitCode::SUCCESS
        }
        Err(error) => {
            sum_up(config, &sink.stats(), started.elapsed());
            report(&error);
            // The sink has run, so the usage was right: not 2.
            ExitCode::from(1)
        }
    })
}

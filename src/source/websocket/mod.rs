//! The real [`Source`]: the event stream over WebSocket.

mod close_reason;
mod connection;
mod connector;
mod frames;
mod handshake;
mod heartbeat;
mod probe;
mod rotation;

use std::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::event::Burst;
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::Clock;

pub(crate) use self::probe::WebsocketProbe;

use self::connection::End;
use self::connector::{Open, Opener};
#[cfg(feature = "bench")]
pub(crate) use self::frames::decode;
use self::rotation::Renewal;
use super::{Observer, Read, Source};

/// See the [module documentation](self).
pub(crate) struct WebsocketSource {
    opener: Arc<Opener>,
    open: Option<Open>,
    renewal: Renewal,
}

impl WebsocketSource {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(config: &Config, stop: StopSignal, clock: Arc<dyn Clock>, observer: Observer) -> Result<Self> {
        let opener = Arc::new(Opener::new(config, stop, clock, observer)?);
        Ok(Self { opener, open: None, renewal: Renewal::new(config) })
    }

    /// From now on this connection is read; the one before is closed.
    fn go_on_with(&mut self, open: Open) {
        self.renewal.begin(&open.token);
        self.open = Some(open);
        log::info!("the stream {} is open", self.opener.way.address);
    }

    /// The connection that was read is gone.
    fn ended(&mut self, old: &Open, end: End) -> Result<Read> {
        // A close while the next connection is being opened is one for expiry, or else the next one will tell. Anything else is
        // trouble for the reader to know; `connect` then takes the next one.
        let next =
            if self.renewal.is_leaving() || matches!(end, End::Closed(_)) { self.renewal.take_next() } else { None };
        if self.opener.stop.is_set() {
            return Err(Error::stopped());
        }
        if let Some(next) = next {
            self.go_on_with(next);
            return Ok(Read::Renewed);
        }
        match close_reason::judge(end, &self.opener.settings, &old.token) {
            None => Ok(Read::Closed),
            Some(verdict) => {
                self.opener.act_on(&verdict, &old.token);
                Err(verdict.error.while_doing(format_args!("reading the stream {}", self.opener.way.address)))
            }
        }
    }

    /// Whatever a call found while the sink stops, the stop is the reason.
    fn unless_stopped<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| if self.opener.stop.is_set() { Error::stopped() } else { error })
    }
}

impl Source for WebsocketSource {
    fn connect(&mut self) -> Result<()> {
        self.open = None;
        if self.opener.stop.is_set() {
            return Err(Error::stopped());
        }
        let opened = self.renewal.take_next().map_or_else(|| self.opener.open(None), Ok);
        let open = self.unless_stopped(opened)?;
        self.go_on_with(open);
        Ok(())
    }

    fn read(&mut self, burst: &mut Burst) -> Result<Read> {
        let Some(mut open) = self.open.take() else {
            return self.unless_stopped(Err(close_reason::not_open()));
        };
        let until = self.renewal.advance(&self.opener, &mut open);
        let (clock, stop) = (&*self.opener.clock, &self.opener.stop);
        match open.connection.read(burst, until, clock, stop) {
            Err(end) => self.ended(&open, end),
            Ok(read) => {
                let has_left = self.renewal.has_left(&mut open, &read, clock.steady());
                match if has_left { self.renewal.take_next() } else { None } {
                    Some(next) => self.go_on_with(next),
                    None => self.open = Some(open),
                }
                Ok(read)
            }
        }
    }
}

impl fmt::Debug for WebsocketSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebsocketSource")
            .field("opener", &self.opener)
            .field("open", &self.open.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod peer_tests;
#[cfg(test)]
mod rotation_tests;
#[cfg(test)]
mod tests;

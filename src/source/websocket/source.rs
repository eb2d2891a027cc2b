//! [`Source`] over WebSocket: the open connection, and the change to the next one.

use std::fmt;
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::event::Burst;
use crate::source::websocket::close_reason;
use crate::source::websocket::connector::{OpenStream, StreamConnector};
use crate::source::websocket::end::End;
use crate::source::websocket::rotation::Rotation;
use crate::source::{Observer, ReadOutcome, Source};
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::Clock;

/// See the [module documentation](self).
pub(crate) struct WebsocketSource {
    connector: Arc<StreamConnector>,
    open: Option<OpenStream>,
    rotation: Rotation,
    /// Events of the next connection that came before it was open. They have not been read from here.
    early: Burst,
}

impl WebsocketSource {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(config: &Config, stop: StopSignal, clock: Arc<dyn Clock>, observer: Observer) -> Result<Self> {
        let connector = Arc::new(StreamConnector::new(config, stop, clock, observer)?);
        Ok(Self { connector, open: None, rotation: Rotation::new(config), early: Burst::default() })
    }

    /// Reads this connection from now on. Closes the one before.
    fn switch_to(&mut self, open: OpenStream) {
        self.rotation.begin(&open.token);
        self.open = Some(open);
        log::info!("the stream {} is open", self.connector.route.address);
    }

    /// The connection that was read is gone.
    fn ended(&mut self, old: &OpenStream, end: End) -> Result<ReadOutcome> {
        // A close while the next connection is being opened is due to expiry; if it is not, the next one will be closed too. The reader
        // must know of any other end; `connect` takes the next connection then.
        let has_next = self.rotation.is_closing() || matches!(end, End::Closed(_));
        let next = if has_next { self.rotation.take_next(&mut self.early) } else { None };
        if self.connector.stop.is_set() {
            return Err(Error::stopped());
        }
        if let Some(next) = next {
            self.switch_to(next);
            return Ok(ReadOutcome::Rotated);
        }
        self.connector.lost(end, old).map_or(Ok(ReadOutcome::Closed), Err)
    }

    /// After a stop, every other error is its consequence.
    fn unless_stopped<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| if self.connector.stop.is_set() { Error::stopped() } else { error })
    }
}

impl Source for WebsocketSource {
    fn connect(&mut self, early: &mut Burst) -> Result<()> {
        self.open = None;
        let next = self.rotation.take_next(&mut self.early);
        early.append(&mut self.early);
        if self.connector.stop.is_set() {
            return Err(Error::stopped());
        }
        let opened = next.map_or_else(|| self.connector.open(None, early), Ok);
        let open = self.unless_stopped(opened)?;
        self.switch_to(open);
        Ok(())
    }

    fn read(&mut self, burst: &mut Burst) -> Result<ReadOutcome> {
        let Some(mut open) = self.open.take() else {
            return self.unless_stopped(Err(close_reason::not_open()));
        };
        let until = self.rotation.advance(&self.connector, &open, &mut self.early);
        if self.early.messages() > 0 {
            let has_events = !self.early.is_empty();
            burst.append(&mut self.early);
            if has_events {
                self.open = Some(open);
                return Ok(ReadOutcome::Events);
            }
        }
        let (clock, stop) = (&*self.connector.clock, &self.connector.stop);
        match open.connection.read(burst, until, clock, stop) {
            Err(end) => self.ended(&open, end),
            Ok(read) => {
                let is_closed = self.rotation.is_closed_after(&mut open, &read, clock.steady());
                match if is_closed { self.rotation.take_next(&mut self.early) } else { None } {
                    Some(next) => self.switch_to(next),
                    None => self.open = Some(open),
                }
                Ok(read)
            }
        }
    }

    fn kept(&mut self) {
        // The events that wait here are acknowledged by the connection too, and not spooled yet.
        if let (Some(open), true) = (&mut self.open, self.early.is_empty()) {
            open.connection.kept(&*self.connector.clock);
        }
    }
}

impl fmt::Debug for WebsocketSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebsocketSource")
            .field("connector", &self.connector)
            .field("open", &self.open.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/acknowledgements.rs"]
mod acknowledgement_tests;
#[cfg(test)]
#[path = "tests/compression.rs"]
mod compression_tests;
#[cfg(test)]
#[path = "tests/handshake.rs"]
mod handshake_tests;
#[cfg(test)]
#[path = "tests/heartbeat.rs"]
mod heartbeat_tests;
#[cfg(test)]
#[path = "tests/opening.rs"]
mod opening_tests;
#[cfg(test)]
#[path = "tests/peers.rs"]
mod peer_tests;
#[cfg(test)]
#[path = "tests/places.rs"]
mod places_tests;
#[cfg(test)]
#[path = "tests/rotation_opening.rs"]
mod rotation_opening_tests;
#[cfg(test)]
#[path = "tests/rotation.rs"]
mod rotation_tests;
#[cfg(test)]
#[path = "tests/source.rs"]
mod tests;
#[cfg(test)]
#[path = "tests/tls.rs"]
mod tls_tests;

//! The real [`Source`]: the event stream over WebSocket.

mod connection;
mod ending;
mod frames;
mod handshake;
mod heartbeat;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::{Config, StreamConfig};
use crate::error::{Error, Result};
use crate::event::Burst;
use crate::stop_signal::{InterruptGuard, StopSignal};

use self::connection::{Connection, End};
use self::ending::Verdict;
use self::frames::Frames;
use self::heartbeat::Heartbeat;
use super::address::{Address, Purpose};
use super::token::{Token, TokenSource};
use super::transport::Transport;
use super::{Observer, Read, Source, dial, tls};

/// Events up to this size are passed on whole, so that an oversize event can be looked at as a dead letter.
const EVENT_BYTES_KEPT: u64 = 64 << 20;

/// See the [module documentation](self).
pub(crate) struct WebsocketSource {
    address: Address,
    settings: StreamConfig,
    roots: tls::Roots,
    tokens: TokenSource,
    stop: StopSignal,
    clock: Arc<dyn Clock>,
    open: Option<Open>,
    /// The server asked not to be called before this.
    not_before: Option<Instant>,
}

/// The stream that is open now.
struct Open {
    connection: Connection,
    /// What it was opened with, to be forgotten if the server closes the stream because of it.
    token: Token,
    _interrupt: InterruptGuard,
}

impl WebsocketSource {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(config: &Config, stop: StopSignal, clock: Arc<dyn Clock>, observer: Observer) -> Result<Self> {
        Ok(Self {
            address: Address::parse(Purpose::Stream, &config.stream_url()?)?,
            settings: config.stream.clone(),
            roots: tls::Roots::default(),
            tokens: TokenSource::new(config, stop.clone(), Arc::clone(&clock), observer)?,
            stop,
            clock,
            open: None,
            not_before: None,
        })
    }

    fn try_connect(&mut self) -> Result<Open> {
        if let Some(when) = self.not_before.take() {
            let wait = when.saturating_duration_since(self.clock.steady());
            if !wait.is_zero() {
                log::info!("the stream's server asked to be called later: waiting {wait:?}");
            }
            if self.stop.wait(wait) {
                return Err(Error::stopped());
            }
        }
        let token = self.tokens.token()?;
        let opened = self.open_stream(&token);
        opened.map_err(|verdict| {
            self.act_on(&verdict, &token);
            verdict.error.while_doing(format_args!("opening the stream {}", self.address))
        })
    }

    fn open_stream(&self, token: &Token) -> std::result::Result<Open, Verdict> {
        let timeout = self.settings.connect_timeout;
        let deadline = Instant::now() + timeout;
        let peer = ending::Peer { address: &self.address, timeout };

        let tls = self.address.tls.then(|| tls::session(&self.roots, &self.address)).transpose()?;
        let tcp = dial::dial(&self.address, deadline, &self.stop)?;
        let mut transport = Transport::new(tcp, tls, deadline).map_err(|error| peer.failed("TCP", &error))?;
        let interrupt = transport.interrupt().map_err(|error| peer.failed("TCP", &error))?;
        let interrupt = self.stop.on_set(interrupt);
        transport.handshake_tls().map_err(|error| peer.tls_failed(&error))?;
        let tail = handshake::open(&mut transport, &self.address, &token.header)
            .map_err(|refusal| peer.refused(refusal, token, self.clock.unix_micros()))?;

        let kept_max = self.settings.event_bytes_max.saturating_mul(4).max(EVENT_BYTES_KEPT);
        let frames = Frames::new(&tail, kept_max);
        let heartbeat = Heartbeat::new(self.settings.ping_interval, self.settings.idle_timeout, self.clock.steady());
        let connection = Connection::new(transport, frames, heartbeat);
        Ok(Open { connection, token: token.clone(), _interrupt: interrupt })
    }

    /// What a verdict asks for besides its error.
    fn act_on(&mut self, verdict: &Verdict, token: &Token) {
        if verdict.forget_token {
            self.tokens.forget(token);
        }
        self.not_before = verdict.wait.and_then(|wait: Duration| self.clock.steady().checked_add(wait));
    }

    /// Whatever a call found while the sink stops, the stop is the reason.
    fn unless_stopped<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| if self.stop.is_set() { Error::stopped() } else { error })
    }
}

impl Source for WebsocketSource {
    fn connect(&mut self) -> Result<()> {
        self.open = None;
        if self.stop.is_set() {
            return Err(Error::stopped());
        }
        let opened = self.try_connect();
        self.open = Some(self.unless_stopped(opened)?);
        log::info!("the stream {} is open", self.address);
        Ok(())
    }

    fn read(&mut self, burst: &mut Burst) -> Result<Read> {
        let Some(open) = &mut self.open else {
            return self.unless_stopped(Err(ending::not_open()));
        };
        let end = match open.connection.read(burst, &*self.clock, &self.stop) {
            Ok(read) => return Ok(read),
            Err(end) => end,
        };
        let token = open.token.clone();
        self.open = None;
        if matches!(end, End::Stopped) || self.stop.is_set() {
            return Err(Error::stopped());
        }
        match ending::judge(end, &self.settings, &token) {
            None => Ok(Read::Closed),
            Some(verdict) => {
                self.act_on(&verdict, &token);
                Err(verdict.error.while_doing(format_args!("reading the stream {}", self.address)))
            }
        }
    }
}

impl fmt::Debug for WebsocketSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebsocketSource")
            .field("address", &format_args!("{}", self.address))
            .field("open", &self.open.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

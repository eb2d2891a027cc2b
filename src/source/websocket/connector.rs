//! Opens streams, on the reader's thread or, ahead of time, on one that [`renewal`](crate::source::websocket::rotation) starts.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::config::{Config, StreamConfig};
use crate::error::{Error, Result};
use crate::threads::stop_signal::{InterruptGuard, StopSignal};
use crate::threads::sync;
use crate::time::clock::Clock;

use crate::source::Observer;
use crate::source::net::address::Purpose;
use crate::source::net::route::{Reached, Way};
use crate::source::oauth::token::{Token, TokenSource};
use crate::source::websocket::close_reason;
use crate::source::websocket::close_reason::Verdict;
use crate::source::websocket::connection::Connection;
use crate::source::websocket::frames::Frames;
use crate::source::websocket::handshake;
use crate::source::websocket::heartbeat::Heartbeat;

/// Events up to this size are passed on whole, so that an oversize event can be looked at as a dead letter.
const EVENT_BYTES_KEPT: u64 = 64 << 20;

/// What it takes to open a stream.
pub(super) struct Opener {
    pub(super) way: Way,
    pub(super) settings: StreamConfig,
    pub(super) tokens: TokenSource,
    pub(super) stop: StopSignal,
    pub(super) clock: Arc<dyn Clock>,
    /// The server asked not to be called before this.
    not_before: Mutex<Option<Instant>>,
}

/// A stream that is open.
pub(super) struct Open {
    pub(super) connection: Connection,
    /// What it was opened with, to be forgotten if the server closes the stream because of it.
    pub(super) token: Token,
    _interrupt: InterruptGuard,
}

impl Opener {
    /// Checks the configuration; connects to nothing.
    pub(super) fn new(config: &Config, stop: StopSignal, clock: Arc<dyn Clock>, observer: Observer) -> Result<Self> {
        Ok(Self {
            way: Way::new(Purpose::Stream, &config.stream_url()?, config)?,
            settings: config.stream.clone(),
            tokens: TokenSource::new(config, stop.clone(), Arc::clone(&clock), observer)?,
            stop,
            clock,
            not_before: Mutex::default(),
        })
    }

    /// Opens a stream; with a new token if the one at hand is `replaced`.
    pub(super) fn open(&self, replaced: Option<&Token>) -> Result<Open> {
        let not_before = sync::lock(&self.not_before).take();
        if let Some(when) = not_before {
            let wait = when.saturating_duration_since(self.clock.steady());
            if !wait.is_zero() {
                log::info!("the stream's server asked to be called later: waiting {wait:?}");
            }
            if self.stop.wait(wait) {
                return Err(Error::stopped());
            }
        }
        let token = self.tokens.token(replaced)?;
        self.open_stream(&token).map_err(|verdict| {
            self.act_on(&verdict, &token);
            verdict.error.while_doing(format_args!("opening the stream {}", self.way.address))
        })
    }

    /// Opens a stream with this token.
    pub(super) fn open_stream(&self, token: &Token) -> std::result::Result<Open, Verdict> {
        let timeout = self.settings.connect_timeout;
        let Reached { mut transport, interrupt } = self.way.open(timeout, &self.stop)?;
        let tail = handshake::open(&mut transport, &self.way.address, &token.header)
            .map_err(|refusal| close_reason::refused(refusal, &self.way, timeout, token, self.clock.unix_micros()))?;

        let kept_max = self.settings.event_bytes_max.saturating_mul(4).max(EVENT_BYTES_KEPT);
        let frames = Frames::new(&tail, kept_max);
        let heartbeat = Heartbeat::new(self.settings.ping_interval, self.settings.idle_timeout, self.clock.steady());
        let connection = Connection::new(transport, frames, heartbeat);
        Ok(Open { connection, token: token.clone(), _interrupt: interrupt })
    }

    /// What a verdict asks for besides its error.
    pub(super) fn act_on(&self, verdict: &Verdict, token: &Token) {
        if verdict.forget_token {
            self.tokens.forget(token);
        }
        let later = |wait: Duration| self.clock.steady().checked_add(wait);
        *sync::lock(&self.not_before) = verdict.wait.and_then(later);
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("address", &format_args!("{}", self.way.address)).finish_non_exhaustive()
    }
}

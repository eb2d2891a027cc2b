//! Opens streams: on the reader's thread, or ahead of time on a thread of [`rotation`](crate::source::websocket::rotation).

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tungstenite::http::HeaderMap;

use crate::config::{Config, Secret, StreamConfig};
use crate::error::{Error, Result};
use crate::event::Burst;
use crate::net::masks::Masks;
use crate::source::Observer;
use crate::source::net::address::Purpose;
use crate::source::net::retry_after::requested_wait;
use crate::source::net::route::{Connected, Route};
use crate::source::net::transport::Transport;
use crate::source::oauth::shelf::Token;
use crate::source::oauth::token::TokenCache;
use crate::source::websocket::close_reason::{self, StreamFailure};
use crate::source::websocket::connection::Connection;
use crate::source::websocket::conversation::{Conversation, OpenRefusals, Rules, fill};
use crate::source::websocket::end::End;
use crate::source::websocket::frames::Frames;
use crate::source::websocket::handshake;
use crate::source::websocket::request::Request;
use crate::threads::stop_signal::{InterruptGuard, StopSignal};
use crate::threads::sync;
use crate::time::clock::Clock;

/// Events up to this size are kept whole, so that a dead letter shows an oversize event.
const EVENT_BYTES_KEPT: u64 = 64 << 20;

/// More than an event may have, so that a message that was cut is still too large; and far less than SQLite keeps in a row.
fn kept_max(event_bytes_max: u64) -> u64 {
    event_bytes_max.saturating_add(1).max(EVENT_BYTES_KEPT)
}

/// See the [module documentation](self).
pub(super) struct StreamConnector {
    pub(super) route: Route,
    pub(super) settings: StreamConfig,
    pub(super) rules: Arc<Rules>,
    pub(super) tokens: TokenCache,
    pub(super) stop: StopSignal,
    pub(super) clock: Arc<dyn Clock>,
    /// The server requested no connection before this.
    not_before: Mutex<Option<Instant>>,
    open_refusals: Mutex<OpenRefusals>,
    /// No wait that the server requests is shorter.
    wait_min: Duration,
    /// Whether a stream was open: the configuration was right then.
    has_been_open: AtomicBool,
}

/// A stream after its handshake: nothing was said on it yet.
pub(super) struct Handshaken {
    pub(super) transport: Transport,
    pub(super) frames: Frames,
    /// For the server's messages: it may send back what it got.
    pub(super) masks: Arc<Masks>,
    pub(super) interrupt: InterruptGuard,
}

/// A stream that is open.
pub(super) struct OpenStream {
    pub(super) connection: Connection,
    /// The token that opened it; dropped if the server closes the stream because of it.
    pub(super) token: Token,
    pub(super) masks: Arc<Masks>,
    opened_at: Instant,
    _interrupt: InterruptGuard,
}

impl StreamConnector {
    /// Checks the configuration; connects to nothing.
    pub(super) fn new(config: &Config, stop: StopSignal, clock: Arc<dyn Clock>, observer: Observer) -> Result<Self> {
        Ok(Self {
            route: Route::new(Purpose::Stream, &config.stream_url()?, config)?,
            settings: config.stream.clone(),
            rules: Arc::new(Rules::new(config)?),
            tokens: TokenCache::new(config, stop.clone(), Arc::clone(&clock), observer)?,
            stop,
            clock,
            not_before: Mutex::default(),
            open_refusals: Mutex::new(OpenRefusals::new(config.stream.open_refused_delay)),
            wait_min: config.retry.delay_min,
            has_been_open: AtomicBool::new(false),
        })
    }

    /// Opens a stream, with a new token if the cached one is `replaced`. Events that come before it is open go to `early`, also on an
    /// error.
    pub(super) fn open(&self, replaced: Option<&Token>, early: &mut Burst) -> Result<OpenStream> {
        let not_before = sync::lock(&self.not_before).take();
        if let Some(when) = not_before {
            let wait = when.saturating_duration_since(self.clock.steady());
            if !wait.is_zero() {
                log::info!("the server of the stream requested a later connection: waiting {wait:?}");
            }
            if self.stop.wait(wait) {
                return Err(Error::stopped());
            }
        }
        let token = self.tokens.token(replaced)?;
        match self.open_stream(&token, early) {
            Ok(open) => {
                self.has_been_open.store(true, Ordering::Relaxed);
                Ok(open)
            }
            Err(failure) => {
                self.act_on(&failure, &token, Duration::ZERO);
                let error = failure.error.while_doing(format_args!("opening the stream {}", self.route.address));
                let is_known = self.has_been_open.load(Ordering::Relaxed);
                Err(if is_known { close_reason::after_success(error) } else { error })
            }
        }
    }

    /// Opens a stream with this token.
    pub(super) fn open_stream(
        &self,
        token: &Token,
        early: &mut Burst,
    ) -> std::result::Result<OpenStream, StreamFailure> {
        let Handshaken { transport, frames, masks, interrupt } = self.shake_hands(token)?;
        let now = self.clock.steady();
        let conversation = Conversation::begin(&self.settings, &self.rules, token.secret(), Arc::clone(&masks), now);
        let mut connection = Connection::new(transport, frames, conversation, &self.opening_messages(token));
        if let Err(end) = connection.open(early, &*self.clock, &self.stop) {
            let instead = connection.came_instead();
            return Err(close_reason::unopened(end, &instead, &self.settings, token, &masks));
        }
        let opened_at = self.clock.steady();
        Ok(OpenStream { connection, token: token.clone(), masks, opened_at, _interrupt: interrupt })
    }

    /// Connects to the server, and makes the handshake with it.
    pub(super) fn shake_hands(&self, token: &Token) -> std::result::Result<Handshaken, StreamFailure> {
        let timeout = self.settings.connect_timeout;
        let headers = self.settings.all_headers()?;
        let masks = Arc::new(masks(token, &headers));
        let Connected { mut transport, interrupt } = self.route.open(timeout, &self.stop)?;
        let wait =
            |status, headers: &HeaderMap| requested_wait(status, headers, self.clock.unix_micros(), self.wait_min);
        let sent = token.header.as_ref().map(|header| (header, token.secret()));
        let request = Request::new(&self.route.address, &self.settings, sent, &headers);
        let opened = handshake::open(&mut transport, &request)
            .map_err(|refusal| close_reason::refused(refusal, &self.route, timeout, token, &masks, wait))?;
        if self.settings.compression {
            let compresses = if opened.deflate.is_some() { "compresses" } else { "does not compress" };
            log::info!("the server of the stream {compresses} its messages");
        }
        let frames =
            Frames::new(&opened.first_bytes, kept_max(self.settings.event_bytes_max)).inflating(opened.deflate);
        Ok(Handshaken { transport, frames, masks, interrupt })
    }

    /// `stream.open`, as it is sent.
    pub(super) fn opening_messages(&self, token: &Token) -> Vec<String> {
        let stream_id = self.settings.id.as_deref().unwrap_or_default();
        self.settings.open.iter().map(|template| fill(template, token.secret(), stream_id)).collect()
    }

    /// The error of a stream that was open; `None` if the server closed it in order.
    pub(super) fn lost(&self, end: End, open: &OpenStream) -> Option<Error> {
        let failure = close_reason::lost(end, &self.settings, &open.token, &open.masks)?;
        let open_for = self.clock.steady().saturating_duration_since(open.opened_at);
        self.act_on(&failure, &open.token, open_for);
        Some(failure.error.while_doing(format_args!("reading the stream {}", self.route.address)))
    }

    /// Drops the token and sets the wait, as the failure of a stream requires that was open for this long.
    fn act_on(&self, failure: &StreamFailure, token: &Token, open_for: Duration) {
        if failure.discard_token {
            self.tokens.discard(token);
        }
        let wait = if failure.is_open_refused {
            Some(sync::lock(&self.open_refusals).refused(open_for))
        } else {
            failure.wait
        };
        if let Some(wait) = wait {
            *sync::lock(&self.not_before) = self.clock.steady().checked_add(wait);
        }
    }
}

fn masks(token: &Token, headers: &[(String, Secret)]) -> Masks {
    let mut masks = Masks::new(headers.iter().map(|(_, value)| value.clone()));
    masks.add(token.secret());
    masks
}

impl fmt::Debug for StreamConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConnector")
            .field("address", &format_args!("{}", self.route.address))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// A row holds 1,000,000,000 bytes at most (SQLite documentation, `SQLITE_MAX_LENGTH`).
    #[test]
    fn the_kept_part_of_the_largest_message_fits_into_the_spool() {
        let mut config = Config::default();
        config.set("stream.event_bytes_max", "256MiB").unwrap();
        let kept = kept_max(config.stream.event_bytes_max);
        assert!((config.stream.event_bytes_max + 1..500_000_000).contains(&kept), "{kept}");
        assert_eq!(kept_max(1 << 20), 64 << 20);
    }
}

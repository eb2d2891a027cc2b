//! The OAuth 2.0 token (client credentials, RFC 6749 section 4.4): fetched on demand, kept until shortly before its expiry.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use crate::config::Secret;
use ureq::http::{HeaderValue, header};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::source::net::retry_after::requested_wait;
use crate::source::net::route::Route;
use crate::source::oauth::refusals::Refusals;
use crate::source::oauth::request::TokenRequest;
use crate::source::oauth::response::{Granted, TokenFailure, TokenResponse};
use crate::source::{Observer, SourceEvent};
use crate::threads::stop_signal::StopSignal;
use crate::threads::sync;
use crate::time::clock::Clock;

/// Retries after a 429 before it becomes an error.
const RETRIES_MAX: u32 = 3;

/// Gives out tokens. A caller that comes during a fetch waits for that token.
pub(crate) struct TokenCache {
    request: TokenRequest,
    refresh_early: Duration,
    /// No wait that the endpoint requests is shorter.
    wait_min: Duration,
    stop: StopSignal,
    clock: Arc<dyn Clock>,
    observer: Observer,
    /// Held during a fetch, so that there is never more than one.
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    token: Option<CachedToken>,
    /// How many tokens have been fetched; the number of the latest.
    fetched: u64,
    refusals: Refusals,
    /// The endpoint requested no request before this.
    not_before: Option<Instant>,
}

struct CachedToken {
    token: Token,
    renew_at: Instant,
}

/// A token to use now.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// `Bearer …`, marked sensitive: `Debug` does not show it.
    pub(crate) header: HeaderValue,
    /// Whether it was fetched just now: if the stream refuses it, its age is not the reason.
    pub(crate) fresh: bool,
    /// When the request for it was sent. The server issued it later, so expiry counted from here errs on the early side.
    pub(crate) requested_at: Instant,
    /// How long it may be used, counted from `requested_at`.
    pub(crate) lifetime: Duration,
    number: u64,
}

/// A token that no cache keeps, and the facts around it.
pub(crate) struct FetchedToken {
    pub(crate) token: Token,
    /// The server's time, to the second.
    pub(crate) date: Option<SystemTime>,
    /// The time from the request to the response.
    pub(crate) took: Duration,
}

impl Token {
    /// The token itself, by which errors find and hide it.
    pub(crate) fn secret(&self) -> &str {
        self.header.to_str().unwrap_or_default().trim_start_matches("Bearer ")
    }
}

impl TokenCache {
    pub(crate) fn new(config: &Config, stop: StopSignal, clock: Arc<dyn Clock>, observer: Observer) -> Result<Self> {
        Ok(Self {
            request: TokenRequest::new(config)?,
            refresh_early: config.oauth.refresh_early,
            wait_min: config.retry.delay_min,
            stop,
            clock,
            observer,
            cache: Mutex::default(),
        })
    }

    /// The cached token, or a new one if there is none or it expires soon. A `replaced` token counts as
    /// expired.
    pub(crate) fn token(&self, replaced: Option<&Token>) -> Result<Token> {
        let mut cache = sync::lock(&self.cache);
        if let Some(CachedToken { token, renew_at }) = &cache.token
            && self.clock.steady() < *renew_at
            && replaced.is_none_or(|replaced| replaced.number != token.number)
        {
            return Ok(Token { fresh: false, ..token.clone() });
        }
        self.wait_until(cache.not_before.take())?;
        let requested_at = self.clock.steady();
        let granted = match self.fetch() {
            Ok(granted) => granted,
            Err(failure) => {
                let now = self.clock.steady();
                cache.not_before = failure.wait.and_then(|wait| now.checked_add(wait));
                return Err(cache.refusals.judge(failure, now));
            }
        };
        cache.refusals.end();
        cache.fetched += 1;
        let token = Token {
            header: granted.header,
            fresh: true,
            requested_at,
            lifetime: granted.lifetime,
            number: cache.fetched,
        };
        // A token that lives shorter than twice `refresh_early` would otherwise be fetched again for each connection.
        let early = self.refresh_early.min(granted.lifetime / 2);
        cache.token = requested_at
            .checked_add(granted.lifetime.saturating_sub(early))
            .map(|renew_at| CachedToken { token: token.clone(), renew_at });
        log::info!("got a token, valid for {} s", granted.lifetime.as_secs());
        (self.observer)(SourceEvent::TokenFetched { renewal: token.number > 1 });
        Ok(token)
    }

    /// Fetches a token for `check`: past the cache, and without a retry after a 429.
    pub(crate) fn fetch_once(&self) -> Result<FetchedToken> {
        let (secret, requested_at) = (self.request.secret()?, self.clock.steady());
        let response = self.request.send(&secret, &self.stop)?;
        let took = self.clock.steady().saturating_duration_since(requested_at);
        let granted = self.request.granted(&response, &secret).map_err(|failure| failure.error)?;
        let token = Token { header: granted.header, fresh: true, requested_at, lifetime: granted.lifetime, number: 1 };
        let date = response.headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        Ok(FetchedToken { token, date, took })
    }

    /// The route to the token endpoint, and its timeout.
    pub(crate) fn route(&self) -> (&Route, Duration) {
        (&self.request.route, self.request.connect_timeout)
    }

    /// The stream refused `token`: the next call of [`token`](Self::token) fetches a new one. A newer one stays.
    pub(crate) fn discard(&self, token: &Token) {
        let mut cache = sync::lock(&self.cache);
        if cache.token.as_ref().is_some_and(|cached| cached.token.number == token.number) {
            cache.token = None;
        }
    }

    fn fetch(&self) -> std::result::Result<Granted, TokenFailure> {
        let mut retries = 0;
        loop {
            if self.stop.is_set() {
                return Err(Error::stopped().into());
            }
            let secret: Secret = self.request.secret()?;
            let response = self.request.send(&secret, &self.stop)?;
            let wait = self.requested_wait(&response);
            match (self.request.granted(&response, &secret), wait) {
                (Err(_), Some(wait)) if response.status == 429 && retries < RETRIES_MAX => {
                    retries += 1;
                    log::warn!(
                        "the token endpoint limits the rate of requests (429): waiting {wait:?}, then retry {retries} of {RETRIES_MAX}"
                    );
                    if self.stop.wait(wait) {
                        return Err(Error::stopped().into());
                    }
                }
                (granted, wait) => return granted.map_err(|failure| TokenFailure { wait, ..failure }),
            }
        }
    }

    fn requested_wait(&self, response: &TokenResponse) -> Option<Duration> {
        requested_wait(response.status, &response.headers, self.clock.unix_micros(), self.wait_min)
    }

    /// Waits as the endpoint requested.
    fn wait_until(&self, not_before: Option<Instant>) -> Result<()> {
        let wait = not_before.map_or(Duration::ZERO, |when| when.saturating_duration_since(self.clock.steady()));
        if !wait.is_zero() {
            log::info!("the token endpoint requested a later request: waiting {wait:?}");
        }
        if self.stop.wait(wait) { Err(Error::stopped()) } else { Ok(()) }
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/token.rs"]
mod tests;

//! The OAuth 2.0 token: fetched on demand, kept until shortly before its expiry. Or a token in a file that another program renews, read for
//! each connection; or none.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{HeaderMap, header};

use crate::config::{Config, Grant, OauthConfig, Secret};
use crate::error::{Error, Result};
use crate::source::net::retry_after::requested_wait;
use crate::source::net::route::Route;
use crate::source::oauth::request::TokenRequest;
use crate::source::oauth::response::{Granted, TokenFailure, bearer};
use crate::source::oauth::shelf::{CachedToken, Shelf, Token, Tokens, shelf_of};
use crate::source::oauth::single_flight::Turn;
use crate::source::{Observer, SourceEvent};
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::Clock;

/// Retries after a 429 before it becomes an error.
const RETRIES_MAX: u32 = 3;

/// Gives out tokens. A caller that comes during a fetch waits for that token.
pub(crate) struct TokenCache {
    /// `None`: no request gets a token.
    request: Option<TokenRequest>,
    oauth: OauthConfig,
    /// No wait that the endpoint requests is shorter.
    wait_min: Duration,
    stop: StopSignal,
    clock: Arc<dyn Clock>,
    observer: Observer,
    /// Perhaps that of several sinks.
    shelf: Arc<Shelf>,
    /// The number of the latest token that the observer knows.
    observed: AtomicU64,
}

/// A token that no cache keeps, and the facts around it.
pub(crate) struct FetchedToken {
    pub(crate) token: Token,
    /// The server's time, to the second.
    pub(crate) date: Option<SystemTime>,
    /// The time from the request to the response.
    pub(crate) took: Duration,
}

/// Where tokens come from.
pub(crate) struct TokenRoute {
    pub(crate) route: Arc<Route>,
    pub(crate) connect_timeout: Duration,
    /// Whether an issuer has named it.
    pub(crate) is_discovered: bool,
}

impl TokenCache {
    pub(crate) fn new(config: &Config, stop: StopSignal, clock: Arc<dyn Clock>, observer: Observer) -> Result<Self> {
        config.oauth.validate()?;
        let is_given = config.oauth.grant == Grant::None;
        let tokens = Self {
            request: if is_given { None } else { Some(TokenRequest::new(config)?) },
            oauth: config.oauth.clone(),
            wait_min: config.retry.delay_min,
            stop,
            clock,
            observer,
            shelf: shelf_of(config),
            observed: AtomicU64::new(0),
        };
        if is_given {
            // To fail early.
            tokens.given()?;
        }
        Ok(tokens)
    }

    /// The cached token, or a new one if there is none or it expires soon. A `replaced` token counts as
    /// expired.
    pub(crate) fn token(&self, replaced: Option<&Token>) -> Result<Token> {
        let Some(request) = &self.request else {
            let given = self.given();
            return self.shelf.with(|shelf| {
                let given = given.map_err(|error| shelf.refusals.judge(error.into(), self.clock.steady()));
                given.inspect(|_| shelf.refusals.end())
            });
        };
        let find = |shelf: &Tokens| shelf.token_at(self.clock.steady(), replaced);
        match self.shelf.turn(&self.stop, find)? {
            Turn::Found(CachedToken { token, expires_at, .. }) => {
                if self.observed.swap(token.number, Ordering::Relaxed) != token.number {
                    (self.observer)(SourceEvent::TokenShared { expires_at });
                }
                Ok(Token { fresh: false, ..token })
            }
            Turn::Renew(renewal) => renewal.end(self.renew(request), &self.stop),
        }
    }

    /// Gets a new token. No other caller does in the meantime.
    fn renew(&self, request: &TokenRequest) -> Result<Token> {
        self.wait_until(self.shelf.with(|shelf| shelf.not_before.take()))?;
        let requested_at = self.clock.steady();
        let granted = match self.fetch(request) {
            Ok(granted) => granted,
            Err(failure) => {
                request.forget_route();
                let now = self.clock.steady();
                return Err(self.shelf.with(|shelf| {
                    shelf.not_before = failure.wait.and_then(|wait| now.checked_add(wait));
                    shelf.refusals.judge(failure, now)
                }));
            }
        };
        let lifetime = granted.lifetime;
        let CachedToken { token, expires_at, .. } = self.keep(granted, requested_at);
        log::info!("got a token, valid for {} s", lifetime.as_secs());
        self.observed.store(token.number, Ordering::Relaxed);
        (self.observer)(SourceEvent::TokenFetched { renewal: token.number > 1, expires_at });
        Ok(token)
    }

    /// Puts a new token on the shelf.
    fn keep(&self, granted: Granted, requested_at: Instant) -> CachedToken {
        let lifetime = granted.lifetime;
        let expires_at = self.expiry(requested_at, lifetime);
        // A token that lives shorter than twice `refresh_early` would otherwise be fetched again for each connection.
        let early = self.oauth.refresh_early.min(lifetime / 2);
        let renew_at = requested_at.checked_add(lifetime.saturating_sub(early));
        self.shelf.with(|shelf| {
            shelf.refusals.end();
            shelf.fetched += 1;
            let token = Token {
                header: Some(granted.header),
                fresh: true,
                requested_at,
                lifetime: Some(lifetime),
                number: shelf.fetched,
            };
            let kept = CachedToken { token, renew_at: renew_at.unwrap_or(requested_at), expires_at };
            shelf.cached = Some(kept.clone());
            kept
        })
    }

    /// Gets a token for `check`, without a retry after a 429. Where several streams share tokens, the first check gets it for all.
    pub(crate) fn fetch_once(&self) -> Result<FetchedToken> {
        let Some(request) = &self.request else {
            return Ok(FetchedToken { token: self.given()?, date: None, took: Duration::ZERO });
        };
        match self.shelf.turn(&self.stop, |shelf| shelf.token_at(self.clock.steady(), None))? {
            Turn::Found(CachedToken { token, .. }) => {
                Ok(FetchedToken { token: Token { fresh: true, ..token }, date: None, took: Duration::ZERO })
            }
            Turn::Renew(renewal) => renewal.end(self.probe(request), &self.stop),
        }
    }

    fn probe(&self, request: &TokenRequest) -> Result<FetchedToken> {
        let requested_at = self.clock.steady();
        let answer = request.send(&self.stop, &|_, _| None).map_err(|failure| failure.error)?;
        let took = self.clock.steady().saturating_duration_since(requested_at);
        let granted = answer.granted.map_err(|failure| failure.error)?;
        let date = answer.headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        Ok(FetchedToken { token: self.keep(granted, requested_at).token, date, took })
    }

    /// The route to the token endpoint, and its timeout; `None` if no request gets a token. Fetches the
    /// issuer's document if the endpoint is not known.
    pub(crate) fn route(&self) -> Result<Option<TokenRoute>> {
        let Some(request) = &self.request else { return Ok(None) };
        let route = request.route(&self.stop, &|_, _| None).map_err(|failure| failure.error)?;
        Ok(Some(TokenRoute { route, connect_timeout: request.connect_timeout, is_discovered: request.is_discovered() }))
    }

    /// The stream refused `token`: the next call of [`token`](Self::token) fetches a new one. A newer one stays.
    pub(crate) fn discard(&self, token: &Token) {
        self.shelf.with(|shelf| {
            if shelf.cached.as_ref().is_some_and(|cached| cached.token.number == token.number) {
                shelf.cached = None;
            }
        });
    }

    /// The token in the file, which is read again, or none.
    fn given(&self) -> Result<Token> {
        let secret = self.oauth.token()?;
        let header = secret.as_ref().map(|secret| bearer(Secret::expose(secret))).transpose().map_err(|why| {
            Error::config(format!("oauth.token_file: the token in it {why}"))
                .with_hint("write the token alone into this file, without a word such as Bearer")
        })?;
        Ok(Token { header, fresh: false, requested_at: self.clock.steady(), lifetime: None, number: 0 })
    }

    fn fetch(&self, request: &TokenRequest) -> std::result::Result<Granted, TokenFailure> {
        let mut retries = 0;
        loop {
            if self.stop.is_set() {
                return Err(Error::stopped().into());
            }
            let requested_wait = |status, headers: &HeaderMap| self.requested_wait(status, headers);
            let answer = request.send(&self.stop, &requested_wait)?;
            let wait = requested_wait(answer.status, &answer.headers);
            match (answer.granted, wait) {
                (Err(_), Some(wait)) if answer.status == 429 && retries < RETRIES_MAX => {
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

    /// When a token that was requested then expires, in microseconds since 1970-01-01 UTC.
    fn expiry(&self, requested_at: Instant, lifetime: Duration) -> i64 {
        let left = lifetime.saturating_sub(self.clock.steady().saturating_duration_since(requested_at));
        self.clock.unix_micros().saturating_add(i64::try_from(left.as_micros()).unwrap_or(i64::MAX))
    }

    fn requested_wait(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        requested_wait(status, headers, self.clock.unix_micros(), self.wait_min)
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
#[path = "tests/discovery.rs"]
mod discovery_tests;
#[cfg(test)]
#[path = "tests/flows.rs"]
mod flow_tests;
#[cfg(test)]
#[path = "tests/token.rs"]
mod tests;

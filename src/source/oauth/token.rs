//! The OAuth 2.0 token: fetched on demand, kept until shortly before its expiry. Or a token in a file that another program renews, read for
//! each connection; or none.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use ureq::http::{HeaderMap, HeaderValue, header};

use crate::config::{Config, Grant, OauthConfig, Secret};
use crate::error::{Error, Result};
use crate::source::net::retry_after::requested_wait;
use crate::source::net::route::Route;
use crate::source::oauth::refusals::Refusals;
use crate::source::oauth::request::TokenRequest;
use crate::source::oauth::response::{BEARER, Granted, TokenFailure, bearer};
use crate::source::{Observer, SourceEvent};
use crate::threads::stop_signal::StopSignal;
use crate::threads::sync;
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

/// A token to use now, or the knowledge that there is none.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// `Bearer …`, marked sensitive: `Debug` does not show it. `None`: the stream needs no token.
    pub(crate) header: Option<HeaderValue>,
    /// Whether it was fetched just now: if the stream refuses it, its age is not the reason.
    pub(crate) fresh: bool,
    /// When the request for it was sent. The server issued it later, so expiry counted from here errs on the early side.
    pub(crate) requested_at: Instant,
    /// How long it may be used, counted from `requested_at`; `None`: unknown.
    pub(crate) lifetime: Option<Duration>,
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

/// Where tokens come from.
pub(crate) struct TokenRoute {
    pub(crate) route: Arc<Route>,
    pub(crate) connect_timeout: Duration,
    /// Whether an issuer has named it.
    pub(crate) is_discovered: bool,
}

impl Token {
    fn granted(granted: Granted, requested_at: Instant, number: u64) -> Self {
        Self { header: Some(granted.header), fresh: true, requested_at, lifetime: Some(granted.lifetime), number }
    }

    /// The token itself, for the query and for messages; errors find and hide it by this. Empty if there is none.
    pub(crate) fn secret(&self) -> &str {
        let header = self.header.as_ref().and_then(|header| header.to_str().ok());
        header.and_then(|header| header.strip_prefix(BEARER)).unwrap_or_default()
    }

    /// What must happen after the stream has refused it and it was discarded.
    pub(crate) fn renewal_hint(&self) -> &'static str {
        match (&self.header, self.lifetime) {
            (Some(_), Some(_)) => "wait: the token was dropped, and the next try uses a new one",
            (Some(_), None) => {
                "wait: the next try reads oauth.token_file again; if this goes on, renew the token in it"
            }
            (None, _) => {
                "set oauth.grant or oauth.token_file, or check stream.headers: the stream refuses a client without a token"
            }
        }
    }
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
            cache: Mutex::default(),
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
        let mut cache = sync::lock(&self.cache);
        let Some(request) = &self.request else {
            let given = self.given().map_err(|error| cache.refusals.judge(error.into(), self.clock.steady()));
            return given.inspect(|_| cache.refusals.end());
        };
        if let Some(CachedToken { token, renew_at }) = &cache.token
            && self.clock.steady() < *renew_at
            && replaced.is_none_or(|replaced| replaced.number != token.number)
        {
            return Ok(Token { fresh: false, ..token.clone() });
        }
        self.wait_until(cache.not_before.take())?;
        let requested_at = self.clock.steady();
        let granted = match self.fetch(request) {
            Ok(granted) => granted,
            Err(failure) => {
                request.forget_route();
                let now = self.clock.steady();
                cache.not_before = failure.wait.and_then(|wait| now.checked_add(wait));
                return Err(cache.refusals.judge(failure, now));
            }
        };
        cache.refusals.end();
        cache.fetched += 1;
        let lifetime = granted.lifetime;
        let token = Token::granted(granted, requested_at, cache.fetched);
        // A token that lives shorter than twice `refresh_early` would otherwise be fetched again for each connection.
        let early = self.oauth.refresh_early.min(lifetime / 2);
        cache.token = requested_at
            .checked_add(lifetime.saturating_sub(early))
            .map(|renew_at| CachedToken { token: token.clone(), renew_at });
        log::info!("got a token, valid for {} s", lifetime.as_secs());
        (self.observer)(SourceEvent::TokenFetched {
            renewal: token.number > 1,
            expires_at: self.expiry(requested_at, lifetime),
        });
        Ok(token)
    }

    /// Gets a token for `check`: past the cache, and without a retry after a 429.
    pub(crate) fn fetch_once(&self) -> Result<FetchedToken> {
        let Some(request) = &self.request else {
            return Ok(FetchedToken { token: self.given()?, date: None, took: Duration::ZERO });
        };
        let requested_at = self.clock.steady();
        let answer = request.send(&self.stop, &|_, _| None).map_err(|failure| failure.error)?;
        let took = self.clock.steady().saturating_duration_since(requested_at);
        let granted = answer.granted.map_err(|failure| failure.error)?;
        let date = answer.headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        Ok(FetchedToken { token: Token::granted(granted, requested_at, 1), date, took })
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
        let mut cache = sync::lock(&self.cache);
        if cache.token.as_ref().is_some_and(|cached| cached.token.number == token.number) {
            cache.token = None;
        }
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

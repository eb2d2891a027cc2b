//! Where tokens are kept: for one sink, or for all sinks of one configuration whose tokens would be the same.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ureq::http::HeaderValue;

use crate::config::{Config, have_equal_sections};
use crate::source::oauth::refusals::Refusals;
use crate::source::oauth::response::BEARER;
use crate::source::oauth::single_flight::SingleFlight;
use crate::threads::sync;

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
    pub(super) number: u64,
}

/// The tokens of one client at one endpoint.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) cached: Option<CachedToken>,
    /// How many tokens have been fetched; the number of the latest.
    pub(super) fetched: u64,
    pub(super) refusals: Refusals,
    /// The endpoint requested no request before this.
    pub(super) not_before: Option<Instant>,
}

#[derive(Clone)]
pub(super) struct CachedToken {
    pub(super) token: Token,
    pub(super) renew_at: Instant,
    /// In microseconds since 1970-01-01 UTC.
    pub(super) expires_at: i64,
}

pub(super) type Shelf = SingleFlight<Tokens>;

impl Token {
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

impl Tokens {
    /// The token to use at this time. A `replaced` one counts as expired.
    pub(super) fn token_at(&self, now: Instant, replaced: Option<&Token>) -> Option<CachedToken> {
        let is_good = |cached: &&CachedToken| {
            now < cached.renew_at && replaced.is_none_or(|replaced| replaced.number != cached.token.number)
        };
        self.cached.as_ref().filter(is_good).cloned()
    }
}

/// The shelves of the sinks of one configuration, each with what its tokens depend on.
#[derive(Default)]
struct Shelves(Mutex<Vec<(Config, Arc<Shelf>)>>);

/// The sections that decide which token there is, and how it is fetched.
const SECTIONS: [&str; 3] = ["oauth", "tls", "proxy"];

/// The shelf for the tokens of this configuration.
pub(super) fn shelf_of(config: &Config) -> Arc<Shelf> {
    let Some(shared) = &config.shared else { return Arc::default() };
    let shelves = shared.get::<Shelves>();
    let mut shelves = sync::lock(&shelves.0);
    let mut equal = shelves.iter().filter(|(other, _)| have_equal_sections(config, other, &SECTIONS));
    if let Some((_, shelf)) = equal.next() {
        return Arc::clone(shelf);
    }
    let shelf = Arc::<Shelf>::default();
    // Only what is compared: the whole one would keep what the sinks share.
    let mut compared = Config::default();
    compared.oauth.clone_from(&config.oauth);
    compared.tls.clone_from(&config.tls);
    compared.proxy.clone_from(&config.proxy);
    shelves.push((compared, Arc::clone(&shelf)));
    shelf
}

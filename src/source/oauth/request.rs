//! One request for a token: where it goes, and what its response means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::HeaderMap;

use crate::config::{Config, OauthConfig};
use crate::error::Result;
use crate::source::net::address::Purpose;
use crate::source::net::route::Route;
use crate::source::oauth::call::{Limits, TOKEN};
use crate::source::oauth::credentials::Credentials;
use crate::source::oauth::discovery::Discovery;
use crate::source::oauth::hints::Hints;
use crate::source::oauth::message::Message;
use crate::source::oauth::response::{self, Granted, RequestedWait, TokenFailure};
use crate::source::oauth::status;
use crate::threads::stop_signal::StopSignal;

/// The request for a token.
pub(super) struct TokenRequest {
    oauth: OauthConfig,
    hints: Hints,
    endpoint: Endpoint,
    pub(super) connect_timeout: Duration,
}

enum Endpoint {
    Known(Arc<Route>),
    Discovered(Box<Discovery>),
}

/// A response, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The token in it, or the error that it means.
    pub(super) granted: std::result::Result<Granted, TokenFailure>,
}

impl TokenRequest {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let oauth = config.oauth.clone();
        let endpoint = match &oauth.discovery {
            Some(issuer) => Endpoint::Discovered(Box::new(Discovery::new(issuer, config)?)),
            None => Endpoint::Known(Arc::new(Route::new(Purpose::Token, &oauth.url, config)?)),
        };
        let request = Self {
            hints: Hints::new(&oauth),
            endpoint,
            connect_timeout: config.stream.connect_timeout.min(oauth.request_timeout),
            oauth,
        };
        // To fail early.
        let credentials = Credentials::read(&request.oauth)?;
        if let Endpoint::Known(route) = &request.endpoint {
            Message::new(&request.oauth, &credentials).request(&route.address, &credentials)?;
        }
        Ok(request)
    }

    /// Whether an issuer names the endpoint.
    pub(super) fn is_discovered(&self) -> bool {
        matches!(self.endpoint, Endpoint::Discovered(_))
    }

    /// The route to the endpoint; fetches the issuer's document if it is not known.
    pub(super) fn route(
        &self,
        stop: &StopSignal,
        wait: RequestedWait<'_>,
    ) -> std::result::Result<Arc<Route>, TokenFailure> {
        self.find_route(self.limits(stop), wait)
    }

    /// The next request fetches the issuer's document again.
    pub(super) fn forget_route(&self) {
        if let Endpoint::Discovered(discovery) = &self.endpoint {
            discovery.forget();
        }
    }

    /// Sends the request; ends early, with an error, when `stop` is set.
    pub(super) fn send(&self, stop: &StopSignal, wait: RequestedWait<'_>) -> std::result::Result<Answer, TokenFailure> {
        let limits = self.limits(stop);
        let credentials = Credentials::read(&self.oauth)?;
        let message = Message::new(&self.oauth, &credentials);
        let route = self.find_route(limits, wait)?;
        let request = message.request(&route.address, &credentials)?;
        let response = TOKEN.call(&route, request, limits)?;
        let masks = message.masks(&self.oauth, &credentials);
        let granted = if response.status.is_success() {
            response::granted(&response, &self.oauth, &self.hints, masks)
        } else {
            Err(status::refused(&response, &self.hints, &masks))
        };
        let granted =
            granted.map_err(|failure| TokenFailure { error: TOKEN.in_context(&route, failure.error), ..failure });
        Ok(Answer { status: response.status.as_u16(), headers: response.headers, granted })
    }

    fn limits<'a>(&self, stop: &'a StopSignal) -> Limits<'a> {
        let timeout = self.oauth.request_timeout;
        Limits { deadline: Instant::now() + timeout, timeout, connect_timeout: self.connect_timeout, stop }
    }

    fn find_route(&self, limits: Limits<'_>, wait: RequestedWait<'_>) -> std::result::Result<Arc<Route>, TokenFailure> {
        match &self.endpoint {
            Endpoint::Known(route) => Ok(Arc::clone(route)),
            Endpoint::Discovered(discovery) => discovery.endpoint(limits, wait),
        }
    }
}

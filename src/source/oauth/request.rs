//! One request to the token endpoint.

use std::io;
use std::time::{Duration, Instant};

use crate::config::Secret;
use ureq::http::{Request, header};

use crate::config::percent::encode_in_form;
use crate::config::{Config, OauthConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::net::tls;
use crate::threads::stop_signal::StopSignal;

use crate::source::net::address::Purpose;
use crate::source::net::failure::not_http;
use crate::source::net::http::Fault;
use crate::source::net::route::{Connected, Route};
use crate::source::oauth::exchange;
use crate::source::oauth::hidden::Hidden;
use crate::source::oauth::response::{self, Granted, TokenFailure, TokenResponse};

/// The request for a token.
pub(crate) struct TokenRequest {
    oauth: OauthConfig,
    client_id: String,
    pub(crate) route: Route,
    pub(crate) connect_timeout: Duration,
}

impl TokenRequest {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let client_id = config.oauth.client_id.clone().ok_or_else(|| {
            Error::config("oauth.client_id is missing").with_hint("set oauth.client_id or CXONE_CLIENT_ID")
        })?;
        let request = Self {
            route: Route::new(Purpose::Token, &config.oauth.url, config)?,
            client_id,
            connect_timeout: config.stream.connect_timeout.min(config.oauth.request_timeout),
            oauth: config.oauth.clone(),
        };
        // To fail early.
        request.http_request(&request.secret()?)?;
        Ok(request)
    }

    /// The client's secret; a file is read again each time, so that the secret can be rotated.
    pub(crate) fn secret(&self) -> Result<Secret> {
        self.oauth.client_secret()
    }

    /// Sends the request; ends early, with an error, when `stop` is set.
    pub(crate) fn send(&self, secret: &Secret, stop: &StopSignal) -> Result<TokenResponse> {
        let response = self.exchange(secret, stop);
        // After a stop, every other error is its consequence.
        if stop.is_set() { Err(Error::stopped()) } else { response.map_err(|error| self.in_context(error)) }
    }

    fn exchange(&self, secret: &Secret, stop: &StopSignal) -> Result<TokenResponse> {
        let deadline = Instant::now() + self.oauth.request_timeout;
        let failed = |fault| self.failed(fault);
        let (request, hidden) = self.http_request(secret)?;
        let Connected { mut transport, interrupt: _interrupt } = self.route.open(self.connect_timeout, stop)?;
        transport.wait_until(deadline).map_err(|error| failed(error.into()))?;
        let exchanged = exchange::exchange(transport, request, hidden).map_err(failed)?;
        match exchanged.end {
            // A token must be complete; of an error, the status is enough.
            Err(fault) if exchanged.status.is_success() => Err(failed(fault)),
            _ => Ok(exchanged.into()),
        }
    }

    /// RFC 6749 section 4.4.2, with the credentials in the body (section 2.3.1). The request holds neither the secret nor the URL's query,
    /// which may be one.
    fn http_request(&self, secret: &Secret) -> Result<(Request<String>, Vec<Hidden>)> {
        let secret = secret.expose();
        let mut hidden = vec![Hidden::new("client_secret=", encode_in_form(secret), secret)];
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &self.client_id);
        form.append_pair("client_secret", &hidden[0].placeholder());
        if !self.oauth.scope.trim().is_empty() {
            form.append_pair("scope", &self.oauth.scope);
        }
        let mut url = self.route.address.to_string();
        if let Some(query) = self.route.address.query() {
            let query = Hidden::new("?", query, query);
            url = format!("{url}?{}", query.placeholder());
            hidden.push(query);
        }
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::CONNECTION, "close")
            .body(form.finish())
            .map_err(|error| Error::config(format!("oauth.url: not a URL: {error}")))?;
        Ok((request, hidden))
    }

    /// The token in a response, or the error that the response means.
    pub(crate) fn granted(
        &self,
        response: &TokenResponse,
        secret: &Secret,
    ) -> std::result::Result<Granted, TokenFailure> {
        let secrets = [secret.expose(), &self.client_id];
        let granted = if response.is_success() {
            response::granted(response, &self.oauth.scope, &secrets)
        } else {
            Err(response::refused(response, &secrets))
        };
        granted.map_err(|failure| TokenFailure { error: self.in_context(failure.error), ..failure })
    }

    fn in_context(&self, error: Error) -> Error {
        error.while_doing(format_args!("getting a token from {}", self.route.address))
    }

    /// There is no response although there was a connection.
    fn failed(&self, fault: Fault) -> Error {
        let (peer, timeout) = (self.route.address.host_and_port(), self.oauth.request_timeout);
        let connect = |why: String| Error::new(ErrorKind::Connect, why).with_hint(CHECK_PATH);
        let cut = || connect(format!("{peer} closed the connection before its response was complete"));
        match fault {
            Fault::Ended => cut(),
            Fault::NoHttp { why, beginning } => {
                Error::new(ErrorKind::Protocol, format!("{peer} did not answer in {}", not_http(&why, &beginning)))
                    .with_class(Class::Transient)
                    .with_hint("check oauth.url: this does not look like a token endpoint")
            }
            Fault::Io(error) if tls::inside(&error).is_some() => self.route.failed("TLS", &error, timeout),
            Fault::Io(error) => match error.kind() {
                io::ErrorKind::WouldBlock => connect(format!("{peer} did not answer within {timeout:?}")),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => cut(),
                _ => connect(format!("the request to {peer}: {error}")),
            },
        }
    }
}

const CHECK_PATH: &str = "check oauth.url, and that no firewall or proxy is in between";

//! One request to the token endpoint.

use std::io;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use ureq::http::{HeaderMap, HeaderName, Request, header};

use crate::config::{Config, OauthConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::threads::stop_signal::StopSignal;
use crate::tls;

use crate::source::net::address::Purpose;
use crate::source::net::failure::{form_encoded, shown};
use crate::source::net::http::Fault;
use crate::source::net::route::{Reached, Way};
use crate::source::oauth::exchange::{self, BODY_BYTES_MAX, Exchanged, Hidden};
use crate::source::oauth::response;
use crate::source::oauth::response::Granted;

/// What to ask, and where.
pub(crate) struct TokenRequest {
    oauth: OauthConfig,
    client_id: String,
    pub(crate) way: Way,
    pub(crate) connect_timeout: Duration,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(crate) struct TokenResponse {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// What time the server says it is.
    pub(crate) date: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl TokenRequest {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let client_id = config.oauth.client_id.clone().ok_or_else(|| {
            Error::config("oauth.client_id is missing").with_hint("set oauth.client_id or CXONE_CLIENT_ID")
        })?;
        // Read here only to fail early.
        config.oauth.client_secret()?;
        Ok(Self {
            way: Way::new(Purpose::Token, &config.oauth.url, config)?,
            client_id,
            connect_timeout: config.stream.connect_timeout.min(config.oauth.request_timeout),
            oauth: config.oauth.clone(),
        })
    }

    /// The client's secret, read anew so that it can be rotated.
    pub(crate) fn secret(&self) -> Result<SecretString> {
        self.oauth.client_secret()
    }

    /// Sends the request; ends early, with an error, when `stop` is set.
    pub(crate) fn send(&self, secret: &SecretString, stop: &StopSignal) -> Result<TokenResponse> {
        let answer = self.exchange(secret, stop);
        // Whatever else was found then, the stop is the reason.
        if stop.is_set() { Err(Error::stopped()) } else { answer.map_err(|error| self.in_context(error)) }
    }

    fn exchange(&self, secret: &SecretString, stop: &StopSignal) -> Result<TokenResponse> {
        let deadline = Instant::now() + self.oauth.request_timeout;
        let failed = |fault| self.failed(fault, secret);
        let (request, hidden) = self.http_request(secret)?;
        let Reached { mut transport, interrupt: _interrupt } = self.way.open(self.connect_timeout, stop)?;
        transport.wait_until(deadline).map_err(|error| failed(error.into()))?;
        let exchanged = exchange::exchange(transport, request, hidden).map_err(failed)?;
        match exchanged.end {
            // Of an error the status says enough; a token must be complete.
            Err(fault) if exchanged.status.is_success() => Err(failed(fault)),
            _ => Ok(TokenResponse::new(exchanged)),
        }
    }

    /// RFC 6749 section 4.4.2, with the credentials in the body (section 2.3.1). The request holds neither the secret nor the URL's query,
    /// which may be one.
    fn http_request(&self, secret: &SecretString) -> Result<(Request<String>, Vec<Hidden>)> {
        let secret = secret.expose_secret();
        let mut hidden = vec![Hidden::new("client_secret=", form_encoded(secret), secret)];
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.append_pair("client_id", &self.client_id);
        form.append_pair("client_secret", &hidden[0].placeholder());
        if !self.oauth.scope.trim().is_empty() {
            form.append_pair("scope", &self.oauth.scope);
        }
        let mut url = self.way.address.to_string();
        if let Some(query) = self.way.address.query() {
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

    /// Turns an answer into a token or into the error it means.
    pub(crate) fn judge(&self, answer: &TokenResponse, secret: &SecretString) -> Result<Granted> {
        let judged = if (200..300).contains(&answer.status) {
            response::granted(answer, &self.oauth.scope)
        } else {
            Err(response::refused(answer, &[secret.expose_secret(), &self.client_id]))
        };
        judged.map_err(|error| self.in_context(error))
    }

    fn in_context(&self, error: Error) -> Error {
        error.while_doing(format_args!("getting a token from {}", self.way.address))
    }

    /// There is no answer although there was a connection.
    fn failed(&self, fault: Fault, secret: &SecretString) -> Error {
        let (peer, timeout) = (self.way.address.host_and_port(), self.oauth.request_timeout);
        let connect = |why: String| Error::new(ErrorKind::Connect, why).with_hint(CHECK_PATH);
        let cut = || connect(format!("{peer} ended the connection before its answer was complete"));
        match fault {
            Fault::Ended => cut(),
            Fault::NoHttp { why, beginning } => {
                let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let line = shown(line, &[secret.expose_secret(), &self.client_id], 60);
                Error::new(ErrorKind::Protocol, format!("{peer} did not answer in HTTP/1.1 ({why}): {line}"))
                    .with_class(Class::Transient)
                    .with_hint("check oauth.url: this does not look like a token endpoint")
            }
            Fault::Io(error) if tls::inside(&error).is_some() => self.way.failed("TLS", &error, timeout),
            Fault::Io(error) => match error.kind() {
                io::ErrorKind::WouldBlock => connect(format!("{peer} did not answer within {timeout:?}")),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => cut(),
                _ => connect(format!("asking {peer}: {error}")),
            },
        }
    }
}

const CHECK_PATH: &str = "check oauth.url, and that no firewall or proxy is in between";

impl TokenResponse {
    fn new(Exchanged { status, headers, body, .. }: Exchanged) -> Self {
        let text = |name| header_text(&headers, name);
        Self {
            status: status.as_u16(),
            retry_after: text(header::RETRY_AFTER),
            date: text(header::DATE),
            location: text(header::LOCATION),
            content_type: text(header::CONTENT_TYPE),
            body,
        }
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.body.len() > BODY_BYTES_MAX
    }
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

//! One request to the token endpoint.

use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tungstenite::http::header;

use crate::config::{Config, OauthConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::threads::stop_signal::StopSignal;
use crate::tls;

use crate::source::net::address::Purpose;
use crate::source::net::failure::{percent_encoded, shown};
use crate::source::net::http;
use crate::source::net::http::{Fault, Head, USER_AGENT};
use crate::source::net::route::{Reached, Way};
use crate::source::oauth::response;
use crate::source::oauth::response::Granted;

/// A token answer has a few hundred bytes; error pages of proxies have some thousands.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What to ask, and where.
pub(crate) struct Request {
    oauth: OauthConfig,
    client_id: String,
    pub(crate) way: Way,
    pub(crate) connect_timeout: Duration,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// What time the server says it is.
    pub(crate) date: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
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
    pub(crate) fn send(&self, secret: &SecretString, stop: &StopSignal) -> Result<Answer> {
        let answer = self.exchange(secret, stop);
        // Whatever else was found then, the stop is the reason.
        if stop.is_set() { Err(Error::stopped()) } else { answer.map_err(|error| self.in_context(error)) }
    }

    fn exchange(&self, secret: &SecretString, stop: &StopSignal) -> Result<Answer> {
        let deadline = Instant::now() + self.oauth.request_timeout;
        let Reached { mut transport, interrupt: _interrupt } = self.way.open(self.connect_timeout, stop)?;
        let failed = |fault| self.failed(fault, secret);
        transport.wait_until(deadline).map_err(|error| failed(error.into()))?;
        let request = self.text(secret);
        http::send_all(&mut transport, request.expose_secret().as_bytes()).map_err(|error| failed(error.into()))?;
        let (head, mut body) = http::read_head(&mut transport).map_err(failed)?;
        let read = http::read_body(&mut transport, &head, &mut body, BODY_BYTES_MAX);
        match read {
            // Of an error the status says enough; a token must be complete.
            Err(fault) if (200..300).contains(&head.status) => Err(failed(fault)),
            _ => Ok(Answer::new(&head, body)),
        }
    }

    fn text(&self, secret: &SecretString) -> SecretString {
        let form = self.form(secret);
        format!(
            "POST {target} HTTP/1.1\r\n\
             Host: {host}\r\n\
             Connection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {length}\r\n\
             Accept: application/json\r\n\
             User-Agent: {USER_AGENT}\r\n\
             \r\n\
             {form}",
            target = self.way.address.target,
            host = self.way.address.host_header(),
            length = form.expose_secret().len(),
            form = form.expose_secret(),
        )
        .into()
    }

    /// RFC 6749 section 4.4.2, with the credentials in the body (section 2.3.1).
    fn form(&self, secret: &SecretString) -> SecretString {
        let mut form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            percent_encoded(&self.client_id),
            percent_encoded(secret.expose_secret())
        );
        if !self.oauth.scope.trim().is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(form, "&scope={}", percent_encoded(&self.oauth.scope));
        }
        form.into()
    }

    /// Turns an answer into a token or into the error it means.
    pub(crate) fn judge(&self, answer: &Answer, secret: &SecretString) -> Result<Granted> {
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

impl Answer {
    fn new(head: &Head, body: Vec<u8>) -> Self {
        let text = |name| {
            let value: Option<&tungstenite::http::HeaderValue> = head.headers.get(name);
            value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            status: head.status,
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

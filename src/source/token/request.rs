//! One request to the token endpoint.
//!
//! ureq can end a request in flight, but neither a name resolution nor a connect; so it works on a thread of its own and
//! the caller leaves it there when the sink stops. Its timeouts end it soon after.

use std::error::Error as _;
use std::io::{self, Read as _};
use std::sync::mpsc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use ureq::Agent;
use ureq::http::{HeaderMap, header};

use crate::config::{Config, OauthConfig};
use crate::error::{Class, Error, ErrorKind, Result};
use crate::log_scope;
use crate::stop_signal::StopSignal;

use super::super::address::{Address, Purpose};
use super::super::answer::shown;
use super::super::{dial, tls};
use super::answer::{self, Granted};

/// A token answer has a few hundred bytes; error pages of proxies have some thousands.
const BODY_BYTES_MAX: u64 = 64 << 10;
/// ureq's own timeouts end the request; this is the last resort if they do not.
const GRACE: Duration = Duration::from_secs(2);
const USER_AGENT: &str = concat!("cxsink/", env!("CARGO_PKG_VERSION"));

/// What to ask, and where.
pub(super) struct Request {
    oauth: OauthConfig,
    client_id: String,
    address: Address,
    roots: tls::Roots,
    connect_timeout: Duration,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) location: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let client_id = config.oauth.client_id.clone().ok_or_else(|| {
            Error::config("oauth.client_id is missing").with_hint("set oauth.client_id or CXONE_CLIENT_ID")
        })?;
        // Read here only to fail early.
        config.oauth.client_secret()?;
        Ok(Self {
            address: Address::parse(Purpose::Token, &config.oauth.url)?,
            client_id,
            roots: tls::Roots::default(),
            connect_timeout: config.stream.connect_timeout.min(config.oauth.request_timeout),
            oauth: config.oauth.clone(),
        })
    }

    /// The client's secret, read anew so that it can be rotated.
    pub(super) fn secret(&self) -> Result<SecretString> {
        self.oauth.client_secret()
    }

    /// Sends the request; ends early, with an error, when `stop` is set.
    pub(super) fn send(&self, secret: &SecretString, stop: &StopSignal) -> Result<Answer> {
        let agent = self.agent()?;
        let (sender, receiver) = mpsc::channel();
        let (stopped, in_flight) = (sender.clone(), agent.clone());
        let _guard = stop.on_set(move || {
            // Nobody may be waiting any more.
            drop(stopped.send(None));
            in_flight.shutdown();
        });
        let form = self.form(secret);
        let url = self.oauth.url.clone();
        log_scope::spawn("cxsink-token", move || drop(sender.send(Some(post(&agent, &url, &form)))))
            .map_err(|error| dial::no_thread(&error))?;
        match receiver.recv_timeout(self.oauth.request_timeout + GRACE) {
            Ok(Some(answer)) if !stop.is_set() => answer.map_err(|error| self.explain(&error)),
            Ok(_) => Err(Error::stopped()),
            Err(_) => Err(self.timed_out("the request did not end")),
        }
    }

    fn agent(&self) -> Result<Agent> {
        let timeout = Some(self.oauth.request_timeout);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could lead the secret anywhere.
            .max_redirects(0)
            .proxy(None)
            .user_agent(USER_AGENT)
            .accept("application/json")
            // Asked once an hour: a kept connection would be dead by then.
            .max_idle_connections(0)
            .max_response_header_size(64 << 10)
            .timeout_global(timeout)
            .timeout_per_call(timeout)
            .timeout_resolve(Some(self.connect_timeout))
            .timeout_connect(Some(self.connect_timeout))
            .timeout_send_request(timeout)
            .timeout_send_body(timeout)
            .timeout_recv_response(timeout)
            .timeout_recv_body(timeout);
        if self.address.tls {
            config = config.https_only(true).tls_config(tls::ureq_config(&self.roots)?);
        }
        Ok(config.build().new_agent())
    }

    /// RFC 6749 section 4.4.2, with the credentials in the body (section 2.3.1).
    fn form(&self, secret: &SecretString) -> Vec<(&'static str, SecretString)> {
        let mut form = vec![
            ("grant_type", "client_credentials".into()),
            ("client_id", self.client_id.as_str().into()),
            ("client_secret", secret.clone()),
        ];
        if !self.oauth.scope.trim().is_empty() {
            form.push(("scope", self.oauth.scope.as_str().into()));
        }
        form
    }

    /// Turns an answer into a token or into the error it means.
    pub(super) fn judge(&self, answer: &Answer, secret: &SecretString) -> Result<Granted> {
        let judged = if (200..300).contains(&answer.status) {
            answer::granted(answer, &self.oauth.scope)
        } else {
            Err(answer::refused(answer, &[secret.expose_secret(), &self.client_id]))
        };
        judged.map_err(|error| self.in_context(error))
    }

    fn in_context(&self, error: Error) -> Error {
        error.while_doing(format_args!("getting a token from {}", self.address))
    }

    fn explain(&self, error: &ureq::Error) -> Error {
        self.in_context(self.why(error))
    }

    fn why(&self, error: &ureq::Error) -> Error {
        let peer = self.address.host_and_port();
        let connect = |why: String| Error::new(ErrorKind::Connect, why);
        let protocol =
            |why: String| Error::new(ErrorKind::Protocol, why).with_class(Class::Outage).with_hint(NOT_OAUTH);
        match error {
            ureq::Error::Timeout(ureq::Timeout::Resolve) => {
                dial::unresolved(&self.address, "no answer before the deadline")
            }
            ureq::Error::HostNotFound => dial::unresolved(&self.address, "the name has no address"),
            ureq::Error::Timeout(ureq::Timeout::Connect) => {
                connect(format!("connecting to {peer}: no answer within {:?}", self.connect_timeout))
                    .with_hint(CHECK_PATH)
            }
            ureq::Error::Timeout(phase) => self.timed_out(&phase.to_string()),
            ureq::Error::Rustls(error) => crate::tls::refused(&self.address.host_and_port(), error),
            ureq::Error::Io(error) => match (crate::tls::inside(error), error.kind()) {
                (Some(error), _) => crate::tls::refused(&self.address.host_and_port(), error),
                // The standard library gives a failed name resolution no kind of its own.
                (None, _) if error.to_string().contains("failed to lookup address") => {
                    dial::unresolved(&self.address, &error.to_string())
                }
                (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                    connect(format!("{peer} ended the connection before its answer was complete")).with_hint(CHECK_PATH)
                }
                _ => connect(format!("connecting to {peer}: {error}")).with_hint(CHECK_PATH),
            },
            ureq::Error::Protocol(error) => {
                // It may quote what the peer sent.
                protocol(format!(
                    "{peer} did not answer in HTTP/1.1: {}",
                    shown(error.to_string().as_bytes(), &[], 100)
                ))
            }
            ureq::Error::LargeResponseHeader(..) => protocol(format!("{peer} answered with a huge header")),
            error => {
                let cause = error.source().map_or_else(String::new, |source| format!(": {source}"));
                connect(format!("asking {peer}: {error}{cause}")).with_hint(CHECK_PATH)
            }
        }
    }

    fn timed_out(&self, phase: &str) -> Error {
        let (peer, timeout) = (self.address.host_and_port(), self.oauth.request_timeout);
        Error::new(ErrorKind::Connect, format!("{peer} did not answer within {timeout:?} ({phase})"))
            .with_hint(CHECK_PATH)
    }
}

const CHECK_PATH: &str = "check oauth.url, and that no firewall or proxy is in between";
const NOT_OAUTH: &str = "check oauth.url: this does not look like a token endpoint";

fn post(agent: &Agent, url: &str, form: &[(&str, SecretString)]) -> std::result::Result<Answer, ureq::Error> {
    let form = form.iter().map(|(name, value)| (*name, value.expose_secret()));
    let mut response = agent.post(url).send_form(form)?;
    let text = |headers: &HeaderMap, name| {
        headers.get(name).map(|value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers = response.headers();
    let mut answer = Answer {
        status: response.status().as_u16(),
        retry_after: text(headers, header::RETRY_AFTER),
        location: text(headers, header::LOCATION),
        content_type: text(headers, header::CONTENT_TYPE),
        body: Vec::new(),
    };
    // One more than allowed, to tell that it was too long.
    let read = response.body_mut().as_reader().take(BODY_BYTES_MAX + 1).read_to_end(&mut answer.body);
    match read {
        // Of an error the status says enough; a token must be complete.
        Err(error) if (200..300).contains(&answer.status) => Err(error.into()),
        _ => Ok(answer),
    }
}

impl Answer {
    pub(super) fn is_too_long(&self) -> bool {
        self.body.len() as u64 > BODY_BYTES_MAX
    }
}

#[cfg(test)]
impl Request {
    pub(super) fn trust(&mut self, roots: tls::Roots) {
        self.roots = roots;
    }
}

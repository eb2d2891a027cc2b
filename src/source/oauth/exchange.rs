//! One request by ureq, over a connection of our own.
//!
//! At log level `trace`, ureq-proto writes every head and every byte of a response's body to the log of the application. So no secret
//! gets into the library's hands:
//! - The request holds asterisks in place of a secret ([`Hidden`]). The connection puts the secret in as the bytes go out.
//! - The library reads heads only, with asterisks in place of a secret that the server sends back. The body, which holds the token,
//!   is read from the connection here, after the library is done with it.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{HeaderMap, Request, StatusCode, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout};

use crate::source::net::http::{self, Fault, HEAD_BYTES_MAX, USER_AGENT};
use crate::source::net::http_body::read_body;
use crate::source::net::server_text::spellings;
use crate::source::net::transport::Transport;
use crate::threads::sync;

/// A token response has a few hundred bytes; an error page of a proxy has some thousands.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 10;
/// A longer request is refused by ureq. The token's has a few hundred bytes.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// A shorter secret would be found in a head by chance.
const ECHO_BYTES_MIN: usize = 8;

/// A secret in a request.
pub(crate) struct Hidden {
    /// The text in front of it, by which its place in the request is found.
    before: &'static str,
    secret: SecretString,
    /// The texts by which a server may send it back.
    echoes: Vec<SecretString>,
    is_sent: bool,
}

impl Hidden {
    /// `secret` is as the request holds it, `plain` as it was before it was encoded for that.
    pub(crate) fn new(before: &'static str, secret: impl Into<SecretString>, plain: &str) -> Self {
        let secret = secret.into();
        let mut echoes: Vec<_> = spellings(plain).into_iter().map(SecretString::from).collect();
        echoes.push(secret.clone());
        let is_telling = |echo: &str| echo.len() >= ECHO_BYTES_MIN && echo.bytes().any(|byte| byte != b'*');
        echoes.retain(|echo| is_telling(echo.expose_secret()));
        Self { before, secret, echoes, is_sent: false }
    }

    /// Stands in the request in place of the secret.
    pub(crate) fn placeholder(&self) -> String {
        "*".repeat(self.secret.expose_secret().len())
    }

    /// Puts the secret into `request` if its placeholder is there.
    fn reveal_in(&mut self, request: &mut [u8]) {
        let secret = self.secret.expose_secret().as_bytes();
        let placeholder = format!("{}{}", self.before, self.placeholder());
        if let Some(place) = find(placeholder.as_bytes(), request) {
            request[place + self.before.len()..][..secret.len()].copy_from_slice(secret);
            self.is_sent = true;
        }
    }

    /// Puts asterisks in place of the secret.
    fn conceal_in(&self, head: &mut [u8]) {
        for echo in &self.echoes {
            let echo = echo.expose_secret().as_bytes();
            while let Some(place) = find(echo, head) {
                head[place..][..echo.len()].fill(b'*');
            }
        }
    }
}

fn find(wanted: &[u8], bytes: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A response, whatever its status. Its head shows nothing that was [`Hidden`].
pub(crate) struct Exchanged {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Longer than [`BODY_BYTES_MAX`] if it is too long; the rest of it is not read.
    pub(crate) body: Vec<u8>,
    /// Whether the body is complete.
    pub(crate) end: Result<(), Fault>,
}

/// Sends `request`, with what is `hidden` in it, and receives the response.
pub(crate) fn exchange(
    transport: Transport,
    request: Request<String>,
    hidden: Vec<Hidden>,
) -> Result<Exchanged, Fault> {
    let line = Line { transport, hidden, received: Vec::new(), head: Vec::new(), fault: None };
    let line = SharedLine(Arc::new(Mutex::new(line)));
    let agent = Agent::with_parts(settings(), line.clone(), NoResolver);
    // This drops the response's body unread.
    let outcome = agent.run(request).map(|response| response.into_parts().0);
    let mut line = line.lock();
    let head = outcome.map_err(|error| line.fault(&error))?;
    let mut body = mem::take(&mut line.received);
    let end = read_body(&mut line.transport, head.status.as_u16(), &head.headers, &mut body, BODY_BYTES_MAX);
    Ok(Exchanged { status: head.status, headers: head.headers, body, end })
}

/// Route, deadline, TLS and proxy are the connection's; a redirect would be followed with a secret.
fn settings() -> Config {
    Config::builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(2 * HEAD_BYTES_MAX)
        .user_agent(USER_AGENT)
        .accept("application/json")
        .build()
}

/// The connection below ureq, and what it keeps from it.
struct Line {
    transport: Transport,
    hidden: Vec<Hidden>,
    /// Received and not handed to ureq.
    received: Vec<u8>,
    /// The latest head, as ureq has it.
    head: Vec<u8>,
    /// Why a call of ureq's failed.
    fault: Option<Fault>,
}

impl Line {
    fn send(&mut self, request: &[u8]) -> Result<(), Fault> {
        let mut request = request.to_vec();
        for hidden in self.hidden.iter_mut().filter(|hidden| !hidden.is_sent) {
            hidden.reveal_in(&mut request);
        }
        let request = SecretSlice::from(request);
        Ok(http::send_all(&mut self.transport, request.expose_secret())?)
    }

    fn receive_head(&mut self) -> Result<(), Fault> {
        debug_assert!(self.hidden.iter().all(|hidden| hidden.is_sent), "a placeholder was sent as it is");
        self.head = http::read_head_bytes(&mut self.transport, &mut self.received)?;
        for hidden in &self.hidden {
            hidden.conceal_in(&mut self.head);
        }
        Ok(())
    }

    /// The reason of ureq's error: ours, or else a head that ureq does not understand.
    fn fault(&mut self, error: &ureq::Error) -> Fault {
        let beginning = mem::take(&mut self.head);
        self.fault.take().unwrap_or_else(|| Fault::NoHttp { why: error.to_string(), beginning })
    }
}

#[derive(Clone)]
struct SharedLine(Arc<Mutex<Line>>);

impl SharedLine {
    fn lock(&self) -> MutexGuard<'_, Line> {
        sync::lock(&self.0)
    }

    /// Does `step`, and keeps the reason if it fails.
    fn attempt(&self, step: impl FnOnce(&mut Line) -> Result<(), Fault>) -> Result<(), ureq::Error> {
        let mut line = self.lock();
        step(&mut line).map_err(|fault| {
            line.fault = Some(fault);
            ureq::Error::ConnectionFailed
        })
    }
}

impl fmt::Debug for SharedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLine").finish_non_exhaustive()
    }
}

impl Connector for SharedLine {
    type Out = Wire;

    /// The connection is open already.
    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Wire>, ureq::Error> {
        Ok(Some(Wire { line: self.clone(), buffers: LazyBuffers::new(2 * HEAD_BYTES_MAX, REQUEST_BYTES_MAX) }))
    }
}

/// The connection as ureq sees it.
#[derive(Debug)]
struct Wire {
    line: SharedLine,
    buffers: LazyBuffers,
}

impl ureq::unversioned::transport::Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let output = &self.buffers.output()[..amount];
        self.line.attempt(|line| line.send(output))
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.line.attempt(Line::receive_head)?;
        let line = self.line.lock();
        self.buffers.input_append_buf()[..line.head.len()].copy_from_slice(&line.head);
        self.buffers.input_appended(line.head.len());
        Ok(true)
    }

    /// Never used for a second request.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.line.lock().transport.is_encrypted()
    }
}

/// ureq resolves no name: the connection is open already.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

#[cfg(test)]
#[path = "tests/exchange.rs"]
mod tests;

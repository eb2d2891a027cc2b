//! One request by ureq, over a connection of our own.
//!
//! At log level `trace`, ureq-proto writes every head and every byte of a response's body to the log of the application. So no secret
//! gets into the library's hands:
//! - The request holds asterisks in place of a secret ([`Hidden`]). The connection puts the secret in as the bytes go out.
//! - The library reads heads only, with asterisks in place of a secret that the server sends back. The body, which holds the token,
//!   is read from the connection here, after the library is done with it.

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};

use secrecy::{ExposeSecret, SecretSlice};
use serde_json::{Map, Value};
use ureq::Agent;
use ureq::config::Config;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout};

use crate::net::server_text::shown;
use crate::source::net::http::{self, Fault, HEAD_BYTES_MAX, USER_AGENT};
use crate::source::net::http_body::read_body;
use crate::source::net::transport::Transport;
use crate::source::oauth::hidden::Hidden;
use crate::threads::sync;

/// A token response has a few hundred bytes; an error page of a proxy has some thousands.
pub(crate) const BODY_BYTES_MAX: usize = 64 << 10;
/// The longest line of a request's head.
const LINE_BYTES_MAX: usize = 64 << 10;

/// A response, whatever its status. Its head shows nothing that was [`Hidden`].
pub(crate) struct Exchanged {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Longer than [`BODY_BYTES_MAX`] if it is too long; the rest of it is not read.
    pub(crate) body: Vec<u8>,
    /// Whether the body is complete.
    pub(crate) end: Result<(), Fault>,
}

impl Exchanged {
    pub(crate) fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    /// The body as JSON; some servers begin it with a byte order mark.
    pub(crate) fn json(&self) -> serde_json::Result<Value> {
        // To a Value first: its errors name the place, never the content.
        serde_json::from_slice(self.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.body))
    }

    /// The members of the body, or the reason why there are none.
    pub(crate) fn json_object(&self) -> Result<Map<String, Value>, String> {
        if self.body.len() > BODY_BYTES_MAX {
            return Err(format!("is too long (more than {BODY_BYTES_MAX} bytes)"));
        }
        match self.json() {
            Ok(Value::Object(members)) => Ok(members),
            Ok(_) => Err("is not a JSON object".into()),
            Err(error) => {
                let field = |name| self.header(name).map(|value| shown(value, &[], 60));
                let content_type = field(header::CONTENT_TYPE).unwrap_or_else(|| "no content type".into());
                // No compression was requested.
                let coding = field(header::CONTENT_ENCODING).map_or_else(String::new, |coding| format!(", {coding}"));
                Err(format!("is not JSON ({content_type}{coding}, {} bytes): {error}", self.body.len()))
            }
        }
    }
}

/// Sends `request`, with the `hidden` secrets in it, and receives the response.
pub(crate) fn exchange(
    transport: Transport,
    request: Request<String>,
    hidden: Vec<Hidden>,
) -> Result<Exchanged, Fault> {
    // A body is never cut in two, nor a placeholder in it.
    let output_bytes = request.body().len().max(LINE_BYTES_MAX);
    let exchange = Exchange { transport, hidden, output_bytes, received: Vec::new(), head: Vec::new(), fault: None };
    let exchange = SharedExchange(Arc::new(Mutex::new(exchange)));
    let agent = Agent::with_parts(settings(), exchange.clone(), NoResolver);
    // This drops the response with its body unread.
    let outcome = if *request.method() == Method::GET { agent.run(request.map(drop)) } else { agent.run(request) };
    let outcome = outcome.map(|response| response.into_parts().0);
    let mut exchange = exchange.lock();
    let head = outcome.map_err(|error| exchange.fault(&error))?;
    let mut body = mem::take(&mut exchange.received);
    let end = read_body(&mut exchange.transport, head.status.as_u16(), &head.headers, &mut body, BODY_BYTES_MAX);
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

/// The connection below ureq, and the bytes that it keeps from ureq.
struct Exchange {
    transport: Transport,
    hidden: Vec<Hidden>,
    /// The size of ureq's buffer for output.
    output_bytes: usize,
    /// Received, and not for ureq: the body begins here.
    received: Vec<u8>,
    /// The latest head, as ureq has it.
    head: Vec<u8>,
    /// The reason why ureq failed, if it is the connection's.
    fault: Option<Fault>,
}

impl Exchange {
    fn send(&mut self, request: &[u8]) -> Result<(), Fault> {
        let mut request = request.to_vec();
        for hidden in &mut self.hidden {
            hidden.reveal_in(&mut request);
        }
        let request = SecretSlice::from(request);
        Ok(http::send_all(&mut self.transport, request.expose_secret())?)
    }

    fn receive_head(&mut self) -> Result<(), Fault> {
        if !self.hidden.iter().all(Hidden::is_sent) {
            return Err(io::Error::other("the request has no place for a secret").into());
        }
        self.head = http::read_head_bytes(&mut self.transport, &mut self.received)?;
        for hidden in &self.hidden {
            hidden.conceal_in(&mut self.head);
        }
        Ok(())
    }

    /// The reason of ureq's error: the connection's, or else a head that ureq does not understand.
    fn fault(&mut self, error: &ureq::Error) -> Fault {
        let beginning = mem::take(&mut self.head);
        // Other texts of ureq quote the head.
        let why = error.to_string();
        let is_harmless = why.starts_with("protocol: http parse");
        let why = if is_harmless { why } else { "ureq does not understand its head".into() };
        self.fault.take().unwrap_or(Fault::NoHttp { why, beginning })
    }
}

#[derive(Clone)]
struct SharedExchange(Arc<Mutex<Exchange>>);

impl SharedExchange {
    fn lock(&self) -> MutexGuard<'_, Exchange> {
        sync::lock(&self.0)
    }

    /// Runs `step`; keeps the reason if it fails.
    fn attempt(&self, step: impl FnOnce(&mut Exchange) -> Result<(), Fault>) -> Result<(), ureq::Error> {
        let mut exchange = self.lock();
        step(&mut exchange).map_err(|fault| {
            exchange.fault = Some(fault);
            ureq::Error::ConnectionFailed
        })
    }
}

impl fmt::Debug for SharedExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedExchange").finish_non_exhaustive()
    }
}

impl Connector for SharedExchange {
    type Out = UreqTransport;

    /// The connection is open already.
    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<UreqTransport>, ureq::Error> {
        let buffers = LazyBuffers::new(2 * HEAD_BYTES_MAX, self.lock().output_bytes);
        Ok(Some(UreqTransport { exchange: self.clone(), buffers }))
    }
}

/// The connection as ureq sees it.
#[derive(Debug)]
struct UreqTransport {
    exchange: SharedExchange,
    buffers: LazyBuffers,
}

impl ureq::unversioned::transport::Transport for UreqTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let output = &self.buffers.output()[..amount];
        self.exchange.attempt(|exchange| exchange.send(output))
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.exchange.attempt(Exchange::receive_head)?;
        let exchange = self.exchange.lock();
        self.buffers.input_append_buf()[..exchange.head.len()].copy_from_slice(&exchange.head);
        self.buffers.input_appended(exchange.head.len());
        Ok(true)
    }

    /// Never used for a second request.
    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.exchange.lock().transport.is_encrypted()
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

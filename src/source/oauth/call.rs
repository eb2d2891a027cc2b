//! One HTTP request of a token: over a connection of its own, before a deadline, ended at once by a stop.

use std::io;
use std::time::{Duration, Instant};

use ureq::http::Request;

use crate::error::{Class, Error, ErrorKind, Result};
use crate::net::tls;
use crate::source::net::failure::not_http;
use crate::source::net::http::Fault;
use crate::source::net::route::{Connected, Route};
use crate::source::oauth::exchange::{Exchanged, exchange};
use crate::source::oauth::hidden::Hidden;
use crate::threads::stop_signal::StopSignal;

/// The time limits of the requests for one token.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    pub(super) deadline: Instant,
    /// The time before it.
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) stop: &'a StopSignal,
}

/// The purpose of a request, for errors.
pub(super) struct Errand {
    doing: &'static str,
    /// The server that is expected at the address.
    server: &'static str,
}

pub(super) const TOKEN: Errand = Errand { doing: "getting a token from", server: "a token endpoint" };
pub(super) const DISCOVERY: Errand = Errand { doing: "looking up the token endpoint at", server: "an issuer" };

impl Errand {
    pub(super) fn in_context(&self, route: &Route, error: Error) -> Error {
        error.while_doing(format_args!("{} {}", self.doing, route.address))
    }

    /// Sends a request and receives the response.
    pub(super) fn call(
        &self,
        route: &Route,
        (request, hidden): (Request<String>, Vec<Hidden>),
        limits: Limits<'_>,
    ) -> Result<Exchanged> {
        let response = self.try_call(route, request, hidden, limits);
        // After a stop, every other error is its consequence.
        if limits.stop.is_set() {
            Err(Error::stopped())
        } else {
            response.map_err(|error| self.in_context(route, error))
        }
    }

    fn try_call(
        &self,
        route: &Route,
        request: Request<String>,
        hidden: Vec<Hidden>,
        limits: Limits<'_>,
    ) -> Result<Exchanged> {
        let failed = |fault| failed(route, self.server, fault, limits.timeout);
        let connected = route.open(limits.connect_timeout.min(limits.left()), limits.stop)?;
        let Connected { mut transport, interrupt: _interrupt } = connected;
        transport.wait_until(limits.deadline).map_err(|error| failed(error.into()))?;
        let mut exchanged = exchange(transport, request, hidden).map_err(failed)?;
        match std::mem::replace(&mut exchanged.end, Ok(())) {
            // A token must be complete; of an error, the status is enough.
            Err(fault) if exchanged.status.is_success() => Err(failed(fault)),
            _ => Ok(exchanged),
        }
    }
}

impl Limits<'_> {
    /// The time until the deadline, in whole milliseconds for errors.
    fn left(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        Duration::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
    }
}

/// There is no response although there was a connection.
fn failed(route: &Route, server: &str, fault: Fault, timeout: Duration) -> Error {
    let (peer, key) = (route.address.host_and_port(), route.address.key());
    let connect = |why: String| {
        Error::new(ErrorKind::Connect, why)
            .with_hint(format!("check {key}, and that no firewall or proxy is in between"))
    };
    let cut = || connect(format!("{peer} closed the connection before its response was complete"));
    match fault {
        Fault::Ended => cut(),
        Fault::NoHttp { why, beginning } => {
            Error::new(ErrorKind::Protocol, format!("{peer} did not answer in {}", not_http(&why, &beginning)))
                .with_class(Class::Transient)
                .with_hint(format!("check {key}: this does not look like {server}"))
        }
        Fault::Io(error) if tls::inside(&error).is_some() => route.failed("TLS", &error, timeout),
        Fault::Io(error) => match error.kind() {
            io::ErrorKind::WouldBlock => connect(format!("{peer} did not answer within {timeout:?}")),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => cut(),
            _ => connect(format!("the request to {peer}: {error}")),
        },
    }
}

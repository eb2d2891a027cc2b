//! The steps to CXone one by one, for `check`: name, TCP, proxy and TLS of the token endpoint and of the stream, a token, and the stream
//! itself, opened and closed again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::net::resolve::resolve;
use crate::report::finding::Finding;
use crate::source::net::route::{Connected, Route, about_proxy};
use crate::source::oauth::token::{FetchedToken, TokenRoute};
use crate::source::websocket::connector::{OpenStream, StreamConnector};
use crate::source::{Probe, ProbeStep, Server};
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::SystemClock;

/// How long the server may take for its Close.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// See the [module documentation](self).
pub(crate) struct WebsocketProbe {
    connector: StreamConnector,
    scope: Option<String>,
    /// `None` before the first step, and if no request gets the token.
    token_route: Option<TokenRoute>,
    /// The connection that the next step continues.
    connected: Option<Connected>,
    fetched: Option<FetchedToken>,
}

impl Probe for WebsocketProbe {
    fn examine(&mut self, step: ProbeStep) -> Result<Option<Finding>> {
        match step {
            ProbeStep::Discovery => self.discovery(),
            ProbeStep::Names(server) => self.names(server),
            ProbeStep::Tcp(server) => self.tcp(server),
            ProbeStep::Proxy(server) => self.proxy(server),
            ProbeStep::Tls(server) => self.tls(server),
            ProbeStep::Token => self.token(),
            ProbeStep::Clock => Ok(self.clock()),
            ProbeStep::Handshake => self.handshake().map(Some),
        }
    }
}

impl WebsocketProbe {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let connector = StreamConnector::new(config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ()))?;
        let scope = config.oauth.requested_scope().map(|scope| scope.trim().to_owned());
        Ok(Self { connector, scope, token_route: None, connected: None, fetched: None })
    }

    /// `None` if no request gets the token.
    fn route(&self, server: Server) -> Option<(&Route, Duration)> {
        match server {
            Server::TokenEndpoint => self.token_route.as_ref().map(|found| (&*found.route, found.connect_timeout)),
            Server::Stream => Some((&self.connector.route, self.connector.settings.connect_timeout)),
        }
    }

    /// `None` if no issuer has to be asked.
    fn discovery(&mut self) -> Result<Option<Finding>> {
        self.token_route = self.connector.tokens.route()?;
        let found = self.token_route.as_ref().filter(|found| found.is_discovered);
        Ok(found.map(|found| Finding::good(format!("the token endpoint is {}", found.route.address))))
    }

    /// `None` if the host is an address.
    fn names(&mut self, server: Server) -> Result<Option<Finding>> {
        self.connected = None;
        let Some((route, timeout)) = self.route(server) else { return Ok(None) };
        let proxy = route.proxy()?;
        let (host, port) = route.first_hop(proxy.as_ref());
        if host.parse::<IpAddr>().is_ok() {
            return Ok(None);
        }
        let found = resolve(host, port, Instant::now() + timeout, &self.connector.stop, &route.resolver)
            .map_err(|error| about_proxy(proxy.as_ref(), error))?;
        let addresses: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
        let whose = if proxy.is_some() { "the proxy " } else { "" };
        Ok(Some(Finding::good(format!("{whose}{host} is {}", addresses.join(", ")))))
    }

    fn tcp(&mut self, server: Server) -> Result<Option<Finding>> {
        let Some((route, timeout)) = self.route(server) else { return Ok(None) };
        let proxy = route.proxy()?;
        let connected = route.connect_tcp(proxy.as_ref(), timeout, &self.connector.stop)?;
        let message = match &proxy {
            Some(proxy) => format!("the proxy {}", proxy.name()),
            None => route.address.host_and_port(),
        };
        self.connected = Some(connected);
        Ok(Some(Finding::good(message)))
    }

    /// `None` if the route has no proxy.
    fn proxy(&mut self, server: Server) -> Result<Option<Finding>> {
        let connected = self.connected.take();
        let Some((route, timeout)) = self.route(server) else { return Ok(None) };
        let mut connected = connected.ok_or_else(no_earlier_step)?;
        let Some(proxy) = route.proxy()? else {
            self.connected = Some(connected);
            return Ok(None);
        };
        route.pass_proxy(&proxy, &mut connected, timeout)?;
        let finding = Finding::good(format!("{} connects to {}", proxy.name(), route.address.host_and_port()));
        self.connected = Some(connected);
        Ok(Some(finding))
    }

    /// Ends the connection: later steps make their own.
    fn tls(&mut self, server: Server) -> Result<Option<Finding>> {
        let connected = self.connected.take();
        let Some((route, timeout)) = self.route(server) else { return Ok(None) };
        let mut connected = connected.ok_or_else(no_earlier_step)?;
        route.start_tls(&mut connected, timeout)?;
        Ok(Some(match connected.transport.encryption() {
            Some(encryption) => encryption.finding("certificate and host name verified", &SystemClock),
            // Only a server on this machine may be without TLS.
            None => Finding::good("none: the connection does not leave this machine"),
        }))
    }

    /// `None` if there is none and need not be.
    fn token(&mut self) -> Result<Option<Finding>> {
        let token = &self.fetched.insert(self.connector.tokens.fetch_once()?).token;
        let scope = self.scope.as_ref().map_or("without a scope".into(), |scope| format!("with the scope {scope}"));
        let found = match token.lifetime {
            Some(lifetime) => format!("a token for {} s, {scope}", lifetime.as_secs()),
            None if token.header.is_none() => return Ok(None),
            None => format!("a token of {} characters in oauth.token_file", token.secret().len()),
        };
        Ok(Some(Finding::good(found)))
    }

    /// `None` if the token endpoint sends no date.
    fn clock(&self) -> Option<Finding> {
        let fetched = self.fetched.as_ref()?;
        let theirs = fetched.date?;
        // The header has whole seconds, and was written at some time between request and response.
        let uncertainty = 0.5 + fetched.took.as_secs_f64();
        let ahead = match theirs.duration_since(SystemTime::now()) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        };
        Some(Finding::clock("the token endpoint's clock", ahead + 0.5, uncertainty))
    }

    /// Opens the stream and closes it at once. Events that the server sends before its Close are lost.
    fn handshake(&mut self) -> Result<Finding> {
        let token = &self.fetched.as_ref().ok_or_else(no_earlier_step)?.token;
        let address = &self.connector.route.address;
        let mut early = Burst::default();
        let open = self.connector.open_stream(token, &mut early);
        let mut open =
            open.map_err(|failure| failure.error.while_doing(format_args!("opening the stream {address}")))?;
        let events = early.events() + self.close(&mut open);
        let message = format!("{address} opens, and is closed again");
        Ok(match events {
            0 => Finding::good(message),
            count => Finding::warning(
                format!("{message}; {count} events arrived in between and were not kept"),
                "check while no events are sent, or leave out the area `stream`: no other connection gets these events",
            ),
        })
    }

    /// The number of events before the end.
    fn close(&self, open: &mut OpenStream) -> usize {
        let (clock, stop) = (&*self.connector.clock, &self.connector.stop);
        open.connection.send_close();
        let until = Instant::now() + CLOSE_WAIT;
        let mut events = 0;
        while Instant::now() < until {
            let mut burst = Burst::default();
            let read = open.connection.read(&mut burst, Some(until), clock, stop);
            events += burst.events();
            if read.is_err() {
                break;
            }
        }
        events
    }
}

fn no_earlier_step() -> Error {
    Error::new(ErrorKind::Internal, "a step of the check ran before the one that it needs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::test_server::{TestServer, frame};

    #[test]
    fn events_before_the_close_are_counted() {
        let check = |events: usize, says: &str| {
            let server = TestServer::stream(move |_, peer| {
                peer.open(&frame(1, true, b"{}").repeat(events));
                peer.finish();
            });
            let mut probe = WebsocketProbe::new(&server.config()).unwrap();
            probe.token().unwrap();
            let finding = probe.handshake().unwrap();
            assert!(finding.message.ends_with(says), "{finding:?}");
            assert_eq!(finding.hint.is_some(), events > 0, "{finding:?}");
        };
        check(0, "opens, and is closed again");
        check(3, "3 events arrived in between and were not kept");
    }
}

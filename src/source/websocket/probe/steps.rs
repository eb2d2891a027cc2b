//! The steps to the stream one by one, for `check`: name, TCP, proxy and TLS of the token endpoint and of the stream, a token, the
//! handshake, the opening messages and a heartbeat. Then the stream is closed again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::net::resolve::resolve;
use crate::report::finding::Finding;
use crate::source::net::route::{Connected, Route, about_proxy};
use crate::source::oauth::shelf::Token;
use crate::source::oauth::token::{FetchedToken, TokenRoute};
use crate::source::websocket::connector::StreamConnector;
use crate::source::websocket::conversation::fill;
use crate::source::websocket::probe::conversation::ProbedStream;
use crate::source::{Probe, ProbeStep, Server};
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::SystemClock;

/// See the [module documentation](self).
pub(crate) struct WebsocketProbe {
    connector: StreamConnector,
    scope: Option<String>,
    /// `None` before the first step, and if no request gets the token.
    token_route: Option<TokenRoute>,
    /// The connection that the next step continues.
    connected: Option<Connected>,
    fetched: Option<FetchedToken>,
    /// The stream, from its handshake on.
    open: Option<ProbedStream>,
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
            ProbeStep::Opening => self.opening(),
            ProbeStep::Heartbeat => self.heartbeat(),
        }
    }
}

impl WebsocketProbe {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let connector = StreamConnector::new(config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ()))?;
        let scope = config.oauth.requested_scope().map(|scope| scope.trim().to_owned());
        Ok(Self { connector, scope, token_route: None, connected: None, fetched: None, open: None })
    }

    /// `None` if no request gets the token.
    fn route(&self, server: Server) -> Option<(&Route, Duration)> {
        match server {
            Server::TokenEndpoint => self.token_route.as_ref().map(|found| (&*found.route, found.connect_timeout)),
            Server::Stream => Some((&self.connector.route, self.connector.settings.connect_timeout)),
        }
    }

    /// `None` without `oauth.discovery`.
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

    /// Opens the stream. Events that the server sends until it is closed are lost.
    fn handshake(&mut self) -> Result<Finding> {
        let stream = ProbedStream::open(&self.connector, self.fetched_token()?)?;
        let address = &self.connector.route.address;
        if self.has_opening() || self.has_heartbeat() {
            self.open = Some(stream);
            return Ok(Finding::good(format!("{address} opens")));
        }
        Ok(stream.close(Finding::good(format!("{address} opens, and is closed again")), &self.connector))
    }

    /// `None` without opening messages and their answer.
    fn opening(&mut self) -> Result<Option<Finding>> {
        if !self.has_opening() {
            return Ok(None);
        }
        let mut stream = self.open.take().ok_or_else(no_earlier_step)?;
        let found = stream.opening(&self.connector, self.fetched_token()?)?;
        if self.has_heartbeat() {
            self.open = Some(stream);
            return Ok(Some(found));
        }
        Ok(Some(stream.close(found, &self.connector)))
    }

    /// `None` without a heartbeat.
    fn heartbeat(&mut self) -> Result<Option<Finding>> {
        let settings = &self.connector.settings;
        let Some(template) = &settings.heartbeat else { return Ok(None) };
        let token = self.fetched_token()?.secret();
        let message = fill(template, token, settings.id.as_deref().unwrap_or_default());
        let mut stream = self.open.take().ok_or_else(no_earlier_step)?;
        let found = stream.heartbeat(&message, &self.connector)?;
        Ok(Some(stream.close(found, &self.connector)))
    }

    fn fetched_token(&self) -> Result<&Token> {
        self.fetched.as_ref().map(|fetched| &fetched.token).ok_or_else(no_earlier_step)
    }

    fn has_opening(&self) -> bool {
        !self.connector.settings.open.is_empty() || self.connector.settings.open_answer.is_some()
    }

    fn has_heartbeat(&self) -> bool {
        self.connector.settings.heartbeat.is_some()
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

//! The steps to CXone one by one, for `check`: name, TCP, proxy and TLS of the token endpoint and of the stream, a token, and the
//! stream itself, opened and closed again.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::report::finding::Finding;
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::SystemClock;

use crate::source::net::connect;
use crate::source::net::route::{Reached, Way, in_context};
use crate::source::oauth::token::{Asked, Token};
use crate::source::websocket::connector::{Open, Opener};
use crate::source::{Probe, ProbeStep, Server};

/// How long the server may take to answer our goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// See the [module documentation](self).
pub(crate) struct WebsocketProbe {
    opener: Opener,
    scope: String,
    /// The connection that the next step goes on with.
    reached: Option<Reached>,
    asked: Option<Asked>,
}

impl Probe for WebsocketProbe {
    fn examine(&mut self, step: ProbeStep) -> Result<Option<Finding>> {
        match step {
            ProbeStep::Names(server) => self.names(server),
            ProbeStep::Tcp(server) => self.tcp(server).map(Some),
            ProbeStep::Proxy(server) => self.proxy(server),
            ProbeStep::Tls(server) => self.tls(server).map(Some),
            ProbeStep::Token => self.token().map(Some),
            ProbeStep::Clock => Ok(self.clock()),
            ProbeStep::Handshake => self.handshake().map(Some),
        }
    }
}

impl WebsocketProbe {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let opener = Opener::new(config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ()))?;
        Ok(Self { opener, scope: config.oauth.scope.clone(), reached: None, asked: None })
    }

    fn way(&self, server: Server) -> (&Way, Duration) {
        match server {
            Server::TokenEndpoint => self.opener.tokens.way(),
            Server::Stream => (&self.opener.way, self.opener.settings.connect_timeout),
        }
    }

    /// `None` if it is an address already.
    fn names(&mut self, server: Server) -> Result<Option<Finding>> {
        self.reached = None;
        let (way, timeout) = self.way(server);
        let proxy = way.proxy()?;
        let (host, port) = way.first_stop(proxy.as_ref());
        if host.parse::<std::net::IpAddr>().is_ok() {
            return Ok(None);
        }
        let found = connect::look_up(host, port, Instant::now() + timeout, &self.opener.stop)
            .map_err(|error| in_context(proxy.as_ref(), error))?;
        let addresses: Vec<String> = found.iter().map(|address| address.ip().to_string()).collect();
        let whose = if proxy.is_some() { "the proxy " } else { "" };
        Ok(Some(Finding::good(format!("{whose}{host} is {}", addresses.join(", ")))))
    }

    fn tcp(&mut self, server: Server) -> Result<Finding> {
        let (way, timeout) = self.way(server);
        let proxy = way.proxy()?;
        let reached = way.dial(proxy.as_ref(), timeout, &self.opener.stop)?;
        let message = match &proxy {
            Some(proxy) => format!("the proxy {}", proxy.name()),
            None => way.address.host_and_port(),
        };
        self.reached = Some(reached);
        Ok(Finding::good(message))
    }

    /// `None` if there is no proxy on the way.
    fn proxy(&mut self, server: Server) -> Result<Option<Finding>> {
        let mut reached = self.reached.take().ok_or_else(not_reached)?;
        let (way, timeout) = self.way(server);
        let Some(proxy) = way.proxy()? else {
            self.reached = Some(reached);
            return Ok(None);
        };
        way.pass(&proxy, &mut reached, timeout)?;
        let finding = Finding::good(format!("{} connects to {}", proxy.name(), way.address.host_and_port()));
        self.reached = Some(reached);
        Ok(Some(finding))
    }

    /// Ends the connection: what comes next makes its own.
    fn tls(&mut self, server: Server) -> Result<Finding> {
        let mut reached = self.reached.take().ok_or_else(not_reached)?;
        let (way, timeout) = self.way(server);
        way.encrypt(&mut reached, timeout)?;
        Ok(match reached.transport.encryption() {
            Some(encryption) => encryption.finding("certificate and host name verified", &SystemClock),
            // Only an address of this machine may be reached in the clear.
            None => Finding::good("none: the connection does not leave this machine"),
        })
    }

    fn token(&mut self) -> Result<Finding> {
        let asked = self.asked.insert(self.opener.tokens.ask()?);
        let scope = if self.scope.trim().is_empty() {
            "without a scope".into()
        } else {
            format!("with the scope {}", self.scope.trim())
        };
        Ok(Finding::good(format!("a token for {} s, {scope}", asked.token.lifetime.as_secs())))
    }

    /// `None` if the token endpoint does not tell the time.
    fn clock(&self) -> Option<Finding> {
        let asked = self.asked.as_ref()?;
        let theirs = asked.date?;
        // The header has whole seconds, and was written somewhen between question and answer.
        let uncertainty = 0.5 + asked.took.as_secs_f64();
        let ahead = match theirs.duration_since(SystemTime::now()) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        };
        Some(Finding::clock("the token endpoint's clock", ahead + 0.5, uncertainty))
    }

    /// Opens the stream and says goodbye at once. What the server has sent by then cannot be given back.
    fn handshake(&mut self) -> Result<Finding> {
        let token: &Token = &self.asked.as_ref().ok_or_else(not_reached)?.token;
        let address = &self.opener.way.address;
        let open = self.opener.open_stream(token);
        let mut open =
            open.map_err(|verdict| verdict.error.while_doing(format_args!("opening the stream {address}")))?;
        let events = self.leave(&mut open);
        let message = format!("{address} opens, and is closed again");
        Ok(match events {
            0 => Finding::good(message),
            count => Finding::warning(
                format!("{message}; {count} events had come by then, and were not kept"),
                "check while no events are sent, or without the stream (--only): what one connection was given no other one gets",
            ),
        })
    }

    /// How many events came before the end.
    fn leave(&self, open: &mut Open) -> usize {
        let (clock, stop) = (&*self.opener.clock, &self.opener.stop);
        open.connection.say_goodbye();
        let until = Instant::now() + GOODBYE;
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

fn not_reached() -> Error {
    Error::new(ErrorKind::Internal, "a step of the check was tried before the one that it needs")
}

#[cfg(test)]
mod tests {
    use super::super::super::test_server::{TestServer, frame};
    use super::*;

    #[test]
    fn events_that_come_meanwhile_are_told() {
        let check = |events: usize, says: &str| {
            let server = TestServer::stream(move |_, peer| {
                peer.open(&frame(1, true, b"{}").repeat(events));
                peer.finish();
            });
            let mut probe = WebsocketProbe::new(&server.config()).unwrap();
            probe.token().unwrap();
            let finding = probe.handshake().unwrap();
            assert!(finding.message.ends_with(says), "{finding:?}");
            assert_eq!(finding.advice.is_some(), events > 0, "{finding:?}");
        };
        check(0, "opens, and is closed again");
        check(3, "3 events had come by then, and were not kept");
    }
}

//! The route to a server: name, TCP, proxy, TLS, before one deadline and ended at once by a stop.
//!
//! Token endpoint and stream have the same kind of route, so what works for one works for the other.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, ProxyConfig, TlsConfig};
use crate::error::{Error, Result};
use crate::net::connect::connect;
use crate::net::resolve::{Resolver, system_resolver};
use crate::net::tls;
use crate::source::net::address::{Purpose, ServerAddress};
use crate::source::net::failure::step_failed;
use crate::source::net::proxy::Proxy;
use crate::source::net::transport::Transport;
use crate::threads::stop_signal::{InterruptGuard, StopSignal};

/// See the [module documentation](self).
pub(crate) struct Route {
    pub(crate) address: ServerAddress,
    pub(crate) resolver: Resolver,
    tls: TlsConfig,
    proxy: ProxyConfig,
}

/// A connection that a stop ends, as long as this lives.
pub(crate) struct Connected {
    pub(crate) transport: Transport,
    pub(crate) interrupt: InterruptGuard,
}

impl Route {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(purpose: Purpose, url: &str, config: &Config) -> Result<Self> {
        let address = ServerAddress::parse(purpose, url)?;
        if address.url.tls {
            // To fail early: each connection makes its own session.
            tls::session(&config.tls, &address.url.host)?;
        }
        let (tls, proxy) = (config.tls.clone(), config.proxy.clone());
        let route = Self { address, resolver: system_resolver(), tls, proxy };
        route.proxy()?;
        Ok(route)
    }

    /// The route to another server, with the same settings.
    pub(crate) fn to(&self, purpose: Purpose, url: &str) -> Result<Self> {
        let address = ServerAddress::parse(purpose, url)?;
        let (tls, proxy) = (self.tls.clone(), self.proxy.clone());
        Ok(Self { address, resolver: Arc::clone(&self.resolver), tls, proxy })
    }

    /// Opens a connection. `timeout` starts now; it is also the deadline of what the caller does on the transport next.
    pub(crate) fn open(&self, timeout: Duration, stop: &StopSignal) -> Result<Connected> {
        let proxy = self.proxy()?;
        let mut connected = self.connect_tcp(proxy.as_ref(), timeout, stop)?;
        if let Some(proxy) = &proxy {
            self.pass_proxy(proxy, &mut connected, timeout)?;
        }
        self.start_tls(&mut connected, timeout)?;
        Ok(connected)
    }

    /// The first step: TCP, to the server or to its proxy.
    pub(crate) fn connect_tcp(&self, proxy: Option<&Proxy>, timeout: Duration, stop: &StopSignal) -> Result<Connected> {
        let deadline = Instant::now() + timeout;
        let (host, port) = self.first_hop(proxy);
        let tcp = connect(host, port, deadline, stop, &self.resolver).map_err(|error| about_proxy(proxy, error))?;
        let transport = Transport::new(tcp, deadline).map_err(|error| self.failed("TCP", &error, timeout))?;
        let interrupt = transport.interrupt().map_err(|error| self.failed("TCP", &error, timeout))?;
        Ok(Connected { transport, interrupt: stop.on_set(interrupt) })
    }

    /// The second step, where there is a proxy.
    pub(crate) fn pass_proxy(&self, proxy: &Proxy, connected: &mut Connected, timeout: Duration) -> Result<()> {
        proxy.connect(&mut connected.transport, &self.address, &self.tls, timeout)
    }

    /// The third step, where the server speaks TLS.
    pub(crate) fn start_tls(&self, connected: &mut Connected, timeout: Duration) -> Result<()> {
        if self.address.url.tls {
            let session = tls::session(&self.tls, &self.address.url.host)?;
            connected.transport.start_tls(session).map_err(|error| self.failed("TLS", &error, timeout))?;
        }
        Ok(())
    }

    /// Host and port of the TCP connection.
    pub(crate) fn first_hop<'a>(&'a self, proxy: Option<&'a Proxy>) -> (&'a str, u16) {
        proxy.map_or((&self.address.url.host, self.address.url.port), Proxy::host_and_port)
    }

    pub(crate) fn proxy(&self) -> Result<Option<Proxy>> {
        Proxy::for_server(&self.proxy, &self.address)
    }

    /// The error of a step, or of a read after the last step: a server refuses a client's certificate only then.
    pub(crate) fn failed(&self, step: &str, error: &io::Error, timeout: Duration) -> Error {
        let hint = format!("check {}, and that no firewall or proxy is in between", self.address.key());
        step_failed(step, &self.address.host_and_port(), error, timeout, &hint)
    }
}

/// Makes an error say that it is about the proxy, if there is one.
pub(crate) fn about_proxy(proxy: Option<&Proxy>, error: Error) -> Error {
    match proxy {
        Some(proxy) => proxy.in_context(error),
        None => error,
    }
}

//! The way to a server: its name, TCP, the proxy, TLS, all before one deadline and ended at once by a stop.
//!
//! Token endpoint and stream are reached in the same way, so what works for one works for the other.

use std::io;
use std::time::{Duration, Instant};

use crate::config::{Config, ProxyConfig, TlsConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::threads::stop_signal::{InterruptGuard, StopSignal};
use crate::tls;

use crate::source::net::address::{Address, Purpose};
use crate::source::net::connect;
use crate::source::net::connect::Resolve;
use crate::source::net::proxy::Proxy;
use crate::source::net::transport::Transport;

/// How one server is reached. See the [module documentation](self).
pub(crate) struct Way {
    pub(crate) address: Address,
    tls: TlsConfig,
    proxy: ProxyConfig,
    resolve: Resolve,
}

/// A connection that a stop ends, as long as this lives.
pub(crate) struct Reached {
    pub(crate) transport: Transport,
    pub(crate) interrupt: InterruptGuard,
}

impl Way {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(purpose: Purpose, url: &str, config: &Config) -> Result<Self> {
        let address = Address::parse(purpose, url)?;
        if address.tls {
            // Made anew for each connection; here only to fail early.
            tls::session(&config.tls, &address.host)?;
        }
        let (tls, proxy) = (config.tls.clone(), config.proxy.clone());
        let way = Self { address, tls, proxy, resolve: connect::system_resolver() };
        way.proxy()?;
        Ok(way)
    }

    /// Opens a connection; `timeout` is counted from now, and is also the deadline for what is done on the transport next.
    pub(crate) fn open(&self, timeout: Duration, stop: &StopSignal) -> Result<Reached> {
        let proxy = self.proxy()?;
        let mut reached = self.dial(proxy.as_ref(), timeout, stop)?;
        if let Some(proxy) = &proxy {
            self.pass(proxy, &mut reached, timeout)?;
        }
        self.encrypt(&mut reached, timeout)?;
        Ok(reached)
    }

    /// The first step: TCP, to the server or to the proxy on the way to it.
    pub(crate) fn dial(&self, proxy: Option<&Proxy>, timeout: Duration, stop: &StopSignal) -> Result<Reached> {
        let deadline = Instant::now() + timeout;
        let (host, port) = self.first_stop(proxy);
        let tcp = connect::dial(host, port, deadline, stop, &self.resolve).map_err(|error| in_context(proxy, error))?;
        let transport = Transport::new(tcp, deadline).map_err(|error| self.failed("TCP", &error, timeout))?;
        let interrupt = transport.interrupt().map_err(|error| self.failed("TCP", &error, timeout))?;
        Ok(Reached { transport, interrupt: stop.on_set(interrupt) })
    }

    /// The second one, where there is a proxy.
    pub(crate) fn pass(&self, proxy: &Proxy, reached: &mut Reached, timeout: Duration) -> Result<()> {
        proxy.connect(&mut reached.transport, &self.address, &self.tls, timeout)
    }

    /// The third one, where the server speaks TLS.
    pub(crate) fn encrypt(&self, reached: &mut Reached, timeout: Duration) -> Result<()> {
        if self.address.tls {
            let session = tls::session(&self.tls, &self.address.host)?;
            reached.transport.start_tls(session).map_err(|error| self.failed("TLS", &error, timeout))?;
        }
        Ok(())
    }

    /// The host that TCP leads to, with its port.
    pub(crate) fn first_stop<'a>(&'a self, proxy: Option<&'a Proxy>) -> (&'a str, u16) {
        proxy.map_or((&self.address.host, self.address.port), Proxy::host_and_port)
    }

    pub(crate) fn proxy(&self) -> Result<Option<Proxy>> {
        Proxy::towards(&self.proxy, &self.address)
    }

    /// A step of the way failed, or of what came after it: a server that refuses the client's certificate says so only then.
    pub(crate) fn failed(&self, step: &str, error: &io::Error, timeout: Duration) -> Error {
        let peer = self.address.host_and_port();
        let place = format!("check {}, and that no firewall or proxy is in between", self.address.key());
        step_failed(step, &peer, error, timeout, &place)
    }
}

/// Says so if it was about the proxy.
pub(crate) fn in_context(proxy: Option<&Proxy>, error: Error) -> Error {
    match proxy {
        Some(proxy) => proxy.in_context(error),
        None => error,
    }
}

/// What an I/O error in a step with `peer` means.
pub(crate) fn step_failed(step: &str, peer: &str, error: &io::Error, timeout: Duration, hint: &str) -> Error {
    if let Some(error) = tls::inside(error) {
        return tls::refused(peer, error);
    }
    let why = match error.kind() {
        io::ErrorKind::WouldBlock => format!("no answer within {timeout:?}"),
        io::ErrorKind::UnexpectedEof => "the other end closed the connection".into(),
        _ => error.to_string(),
    };
    Error::new(ErrorKind::Connect, format!("{step} with {peer}: {why}")).with_hint(hint)
}

#[cfg(test)]
impl Way {
    pub(crate) fn resolve_with(
        &mut self,
        resolve: impl Fn(&str, u16) -> io::Result<Vec<std::net::SocketAddr>> + Send + Sync + 'static,
    ) {
        self.resolve = std::sync::Arc::new(resolve);
    }
}

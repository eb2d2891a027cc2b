//! The way to a server: its name, TCP, the proxy, TLS, all before one deadline and ended at once by a stop.
//!
//! Token endpoint and stream are reached in the same way, so what works for one works for the other.

use std::io;
use std::time::{Duration, Instant};

use crate::config::{Config, ProxyConfig, TlsConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::stop_signal::{InterruptGuard, StopSignal};
use crate::tls;

use super::address::{Address, Purpose};
use super::dial;
use super::proxy::Proxy;
use super::transport::Transport;

/// How one server is reached. See the [module documentation](self).
pub(super) struct Way {
    pub(super) address: Address,
    tls: TlsConfig,
    proxy: ProxyConfig,
}

/// A connection that a stop ends, as long as this lives.
pub(super) struct Reached {
    pub(super) transport: Transport,
    pub(super) interrupt: InterruptGuard,
}

impl Way {
    /// Checks the configuration; connects to nothing.
    pub(super) fn new(purpose: Purpose, url: &str, config: &Config) -> Result<Self> {
        let address = Address::parse(purpose, url)?;
        if address.tls {
            // Made anew for each connection; here only to fail early.
            tls::session(&config.tls, &address.host)?;
        }
        let way = Self { address, tls: config.tls.clone(), proxy: config.proxy.clone() };
        way.proxy()?;
        Ok(way)
    }

    /// Opens a connection; `timeout` is counted from now, and is also the deadline for what is done on the transport next.
    pub(super) fn open(&self, timeout: Duration, stop: &StopSignal) -> Result<Reached> {
        let deadline = Instant::now() + timeout;
        let proxy = self.proxy()?;
        let (host, port) = proxy.as_ref().map_or((&self.address.host, self.address.port), Proxy::host_and_port);
        let tcp = dial::dial(host, port, deadline, stop).map_err(|error| match &proxy {
            Some(proxy) => proxy.in_context(error),
            None => error,
        })?;
        let mut transport = Transport::new(tcp, deadline).map_err(|error| self.failed("TCP", &error, timeout))?;
        let interrupt = transport.interrupt().map_err(|error| self.failed("TCP", &error, timeout))?;
        let interrupt = stop.on_set(interrupt);
        if let Some(proxy) = &proxy {
            proxy.connect(&mut transport, &self.address, &self.tls, timeout)?;
        }
        if self.address.tls {
            let session = tls::session(&self.tls, &self.address.host)?;
            transport.start_tls(session).map_err(|error| self.failed("TLS", &error, timeout))?;
        }
        Ok(Reached { transport, interrupt })
    }

    fn proxy(&self) -> Result<Option<Proxy>> {
        Proxy::towards(&self.proxy, &self.address)
    }

    /// A step of the way failed, or of what came after it: a server that refuses the client's certificate says so only then.
    pub(super) fn failed(&self, step: &str, error: &io::Error, timeout: Duration) -> Error {
        let peer = self.address.host_and_port();
        let place = format!("check {}, and that no firewall or proxy is in between", self.address.key());
        step_failed(step, &peer, error, timeout, &place)
    }
}

/// What an I/O error in a step with `peer` means.
pub(super) fn step_failed(step: &str, peer: &str, error: &io::Error, timeout: Duration, hint: &str) -> Error {
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

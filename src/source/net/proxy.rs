//! An HTTP proxy in between (RFC 9110 section 9.3.6, CONNECT): it passes on bytes that it cannot read, because TLS with the server
//! comes after it.
//!
//! So an address without TLS, which is one of this machine, is never reached through a proxy: it would see the token.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{ProxyAddress, ProxyConfig, TlsConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::tls;

use crate::source::net::address::{Address, host_and_port};
use crate::source::net::failure::shown;
use crate::source::net::http;
use crate::source::net::http::{Fault, Head, USER_AGENT};
use crate::source::net::route::step_failed;
use crate::source::net::transport::Transport;

const HINT: &str = "check proxy.url (or HTTPS_PROXY, ALL_PROXY), and that the proxy runs; proxy.no_proxy (NO_PROXY) lists what is reached without it";

/// The proxy of one connection.
pub(crate) struct Proxy {
    address: ProxyAddress,
    /// `USER:PASSWORD` in Base64 (RFC 7617).
    basic: Option<SecretString>,
}

impl Proxy {
    /// The proxy on the way to `server`, if there is one.
    pub(crate) fn towards(config: &ProxyConfig, server: &Address) -> Result<Option<Self>> {
        let Some(address) = config.address()? else { return Ok(None) };
        if !server.tls || config.is_excepted(&server.host, server.port) {
            return Ok(None);
        }
        let basic = match &address.user {
            None => None,
            Some(user) => {
                let password = config.password(&address)?;
                let password = password.as_ref().map_or("", ExposeSecret::expose_secret);
                Some(BASE64.encode(format!("{user}:{password}")).into())
            }
        };
        Ok(Some(Self { address, basic }))
    }

    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        (&self.address.host, self.address.port)
    }

    pub(crate) fn name(&self) -> String {
        host_and_port(&self.address.host, self.address.port)
    }

    /// Makes an error say that it is about the proxy.
    pub(crate) fn in_context(&self, error: Error) -> Error {
        error.while_doing(format_args!("the proxy {}", self.name())).with_hint(HINT)
    }

    /// Has the proxy connect to `server`; from then on `transport` leads there.
    pub(crate) fn connect(
        &self,
        transport: &mut Transport,
        server: &Address,
        tls: &TlsConfig,
        timeout: Duration,
    ) -> Result<()> {
        if self.address.tls {
            // The server's name is not the proxy's.
            let tls = TlsConfig { server_name: None, ..tls.clone() };
            let session = tls::session(&tls, &self.address.host)?;
            transport
                .start_tls(session)
                .map_err(|error| step_failed("TLS", &format!("the proxy {}", self.name()), &error, timeout, HINT))?;
        }
        let target = server.host_and_port();
        let failed = |fault| self.failed(&target, fault, timeout);
        let request = self.request(&target);
        http::send_all(transport, request.expose_secret().as_bytes()).map_err(|error| failed(error.into()))?;
        let (head, rest) = http::read_head(transport).map_err(failed)?;
        if head.status / 100 != 2 {
            return Err(self.refused(&target, &head));
        }
        // TLS begins with the client: who speaks before it is not the server.
        if !rest.is_empty() {
            let why = "it went on speaking after its answer".into();
            return Err(failed(Fault::NoHttp { why, beginning: rest }));
        }
        log::debug!("the proxy {} connects to {target}", self.name());
        Ok(())
    }

    fn request(&self, target: &str) -> SecretString {
        let authorization = self
            .basic
            .as_ref()
            .map_or_else(String::new, |basic| format!("Proxy-Authorization: Basic {}\r\n", basic.expose_secret()));
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n{authorization}\r\n").into()
    }

    fn failed(&self, target: &str, fault: Fault, timeout: Duration) -> Error {
        let step = format!("connecting to {target} through the proxy");
        let proxy = self.name();
        match fault {
            Fault::Io(error) => step_failed(&step, &proxy, &error, timeout, HINT),
            Fault::Ended => {
                Error::new(ErrorKind::Connect, format!("{step} {proxy}: it ended the connection without an answer"))
                    .with_hint(HINT)
            }
            Fault::NoHttp { why, beginning } => {
                let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let line = self.shown(line, 60);
                Error::new(ErrorKind::Connect, format!("{step} {proxy}: its answer is not HTTP/1.1 ({why}): {line}"))
                    .with_hint(HINT)
            }
        }
    }

    /// What the proxy said, without the credentials if it says them back.
    fn shown(&self, text: &[u8], chars_max: usize) -> String {
        let basic = self.basic.as_ref().map_or("", ExposeSecret::expose_secret);
        shown(text, &[basic], chars_max)
    }

    /// An outage in any case: what a proxy refuses now, it may allow after its own configuration or directory is repaired.
    fn refused(&self, target: &str, head: &Head) -> Error {
        const CREDENTIALS: &str = "give proxy.url a user, and the password there or in proxy.password_file; if both are there, they may be wrong, or the proxy may ask for another scheme than Basic";
        let hint = match head.status {
            // tinyproxy says 401 to wrong credentials.
            401 | 407 => CREDENTIALS,
            403 | 405 => "ask who runs the proxy to allow connections to this host and port",
            300..=399 => {
                "check proxy.url: what answers there is no proxy, or asks for a sign-in; redirects are not followed"
            }
            502..=504 => "check the host in the configuration, and that the proxy can look its name up and reach it",
            _ => HINT,
        };
        let reason = self.shown(head.reason.as_bytes(), 100);
        let message = format!(
            "connecting to {target} through the proxy {}: it refused with status {} {reason}",
            self.name(),
            head.status
        );
        Error::new(ErrorKind::Connect, message.trim_end()).with_status(head.status).with_hint(hint)
    }
}

#[cfg(test)]
#[path = "tests/proxy.rs"]
mod tests;

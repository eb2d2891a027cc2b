//! An HTTP proxy (RFC 9110 section 9.3.6, CONNECT): it passes on bytes that it cannot read, because TLS with the server comes after it.
//!
//! A server without TLS is on this machine, and is never reached through a proxy: the proxy would see the token.

use std::time::Duration;

use crate::config::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::config::{ProxyAddress, ProxyConfig, TlsConfig};
use crate::error::{Error, ErrorKind, Result};
use crate::net::tls;

use crate::net::host::host_and_port;
use crate::net::server_text::shown;
use crate::source::net::address::ServerAddress;
use crate::source::net::failure::step_failed;
use crate::source::net::http::{self, Fault, Head, USER_AGENT};
use crate::source::net::transport::Transport;

const HINT: &str = "check proxy.url (or HTTPS_PROXY, ALL_PROXY), and that the proxy runs; proxy.no_proxy (NO_PROXY) lists the hosts that need no proxy";

/// The proxy of one connection.
pub(crate) struct Proxy {
    address: ProxyAddress,
    /// `USER:PASSWORD` in Base64 (RFC 7617).
    basic: Option<Secret>,
}

impl Proxy {
    /// The proxy in front of `server`, if there is one.
    pub(crate) fn for_server(config: &ProxyConfig, server: &ServerAddress) -> Result<Option<Self>> {
        let Some(address) = config.address()? else { return Ok(None) };
        if !server.url.tls || config.is_excepted(&server.url.host, server.url.port) {
            return Ok(None);
        }
        let basic = match &address.user {
            None => None,
            Some(user) => {
                let password = config.password(&address)?;
                let password = password.as_ref().map_or("", Secret::expose);
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
        server: &ServerAddress,
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
        http::send_all(transport, request.expose().as_bytes()).map_err(|error| failed(error.into()))?;
        let (head, rest) = http::read_head(transport).map_err(failed)?;
        if head.status / 100 != 2 {
            return Err(self.refused(&target, &head));
        }
        // TLS begins with the client: bytes before that are not the server's.
        if !rest.is_empty() {
            let why = "it sent more after its response".into();
            return Err(failed(Fault::NoHttp { why, beginning: rest }));
        }
        log::debug!("the proxy {} connects to {target}", self.name());
        Ok(())
    }

    fn request(&self, target: &str) -> Secret {
        let authorization = self
            .basic
            .as_ref()
            .map_or_else(String::new, |basic| format!("Proxy-Authorization: Basic {}\r\n", basic.expose()));
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n{authorization}\r\n").into()
    }

    fn failed(&self, target: &str, fault: Fault, timeout: Duration) -> Error {
        let step = format!("connecting to {target} through the proxy");
        let proxy = self.name();
        match fault {
            Fault::Io(error) => step_failed(&step, &proxy, &error, timeout, HINT),
            Fault::Ended => {
                Error::new(ErrorKind::Connect, format!("{step} {proxy}: it closed the connection without a response"))
                    .with_hint(HINT)
            }
            Fault::NoHttp { why, beginning } => {
                let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let line = self.shown(line, 60);
                Error::new(ErrorKind::Connect, format!("{step} {proxy}: its response is not HTTP/1.1 ({why}): {line}"))
                    .with_hint(HINT)
            }
        }
    }

    /// Text of the proxy, without the credentials if it sends them back.
    fn shown(&self, text: &[u8], chars_max: usize) -> String {
        let basic = self.basic.as_ref().map_or("", Secret::expose);
        shown(text, &[basic], chars_max)
    }

    /// Transient in any case: a proxy that refuses now may connect once its configuration or its directory is repaired.
    fn refused(&self, target: &str, head: &Head) -> Error {
        const CREDENTIALS: &str = "set a user in proxy.url, and a password there or in proxy.password_file; if both are set, check them, and that the proxy accepts Basic authentication";
        let hint = match head.status {
            // tinyproxy answers wrong credentials with 401.
            401 | 407 => CREDENTIALS,
            403 | 405 => "have the operator of the proxy allow connections to this host and port",
            300..=399 => {
                "check proxy.url: the server there is no proxy, or requires a sign-in; redirects are not followed"
            }
            502..=504 => {
                "check the host in the configuration, and that the proxy can resolve its name and connect to it"
            }
            _ => HINT,
        };
        let reason = self.shown(head.reason.as_bytes(), 100);
        let message = format!(
            "connecting to {target} through the proxy {}: it refused with status {} {reason}",
            self.name(),
            head.status
        );
        Error::new(ErrorKind::Connect, message.trim_end()).with_http_status(head.status).with_hint(hint)
    }
}

#[cfg(test)]
#[path = "tests/proxy.rs"]
mod tests;

//! Where to connect: a URL taken apart once, and refused here if a secret would travel over it in the clear.

use std::fmt;
use std::net::IpAddr;

use tungstenite::http::Uri;

use crate::error::{Error, Result};

/// What a URL is for: decides its schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `oauth.url`: `https://…`
    Token,
    /// `stream.url`: `wss://…`
    Stream,
}

impl Purpose {
    /// The key of the configuration.
    fn key(self) -> &'static str {
        match self {
            Self::Token => "oauth.url",
            Self::Stream => "stream.url",
        }
    }

    /// The scheme without and with TLS.
    fn schemes(self) -> (&'static str, &'static str) {
        match self {
            Self::Token => ("http", "https"),
            Self::Stream => ("ws", "wss"),
        }
    }
}

/// A URL's parts. `Display` shows it without its query, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tls: bool,
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query, at least `/`.
    pub(crate) target: String,
    scheme: &'static str,
    purpose: Purpose,
}

impl Address {
    /// Parses the value of `purpose`'s key. The URL itself is not repeated in errors: a user may have put secrets into it.
    pub(crate) fn parse(purpose: Purpose, url: &str) -> Result<Self> {
        let key = purpose.key();
        let (plain, secure) = purpose.schemes();
        let bad = |why: String| {
            Error::config(format!("{key}: {why}")).with_hint(format!("give a URL such as {secure}://host/path"))
        };
        let uri: Uri = url.parse().map_err(|error| bad(format!("not a URL: {error}")))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let tls = scheme.eq_ignore_ascii_case(secure);
        if !tls && !scheme.eq_ignore_ascii_case(plain) {
            return Err(bad(format!("the scheme must be {secure}://, not `{scheme}`")));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(bad("credentials do not belong into the URL".into()));
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad("the host is missing".into()));
        }
        let port = match uri.port() {
            Some(port) => port.as_u16(),
            None if authority.ends_with(':') || has_port(authority) => {
                return Err(bad("the port is not a number".into()));
            }
            None => default_port(tls),
        };
        if port == 0 {
            return Err(bad("port 0 cannot be connected to".into()));
        }
        if !tls && !is_loopback(&host) {
            return Err(Error::config(format!(
                "{key}: {plain}:// would send a secret in the clear to {host}; only loopback addresses may be reached without TLS"
            ))
            .with_hint(format!("use {secure}://")));
        }
        let mut target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        if !target.starts_with('/') {
            target.insert(0, '/');
        }
        Ok(Self { tls, host, port, target, scheme: if tls { secure } else { plain }, purpose })
    }

    /// The key of the configuration that holds it.
    pub(crate) fn key(&self) -> &'static str {
        self.purpose.key()
    }

    /// Host and port for errors and for the `Host` header; the port is left out where it is the scheme's own.
    pub(crate) fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }

    /// The query, without the question mark.
    pub(crate) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Host and port, always both.
    pub(crate) fn host_and_port(&self) -> String {
        host_and_port(&self.host, self.port)
    }
}

/// An IPv6 address stands in brackets.
pub(crate) fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.scheme, self.host_header())
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// Whether something follows the host (`[::1]` holds colons itself).
fn has_port(authority: &str) -> bool {
    authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'))
}

/// `localhost` is loopback by RFC 6761 section 6.3; other names are not trusted to be.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let check = |purpose, url, shown: &str, host_and_port: &str, target: &str| {
            let address = Address::parse(purpose, url).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.host_and_port(), host_and_port);
            assert_eq!(address.target, target);
        };
        let stream = "wss://api.cxp.cxone.com/data-actions/v1/stream/s-1";
        check(Purpose::Stream, stream, stream, "api.cxp.cxone.com:443", "/data-actions/v1/stream/s-1");
        check(Purpose::Stream, "WSS://h:8443?k=secret", "wss://h:8443/", "h:8443", "/?k=secret");
        check(Purpose::Stream, "ws://[::1]:9/x", "ws://[::1]:9/x", "[::1]:9", "/x");
        check(Purpose::Token, "https://[2001:db8::1]/t", "https://[2001:db8::1]/t", "[2001:db8::1]:443", "/t");
        check(Purpose::Token, "http://127.3.2.1/t", "http://127.3.2.1/t", "127.3.2.1:80", "/t");
        check(Purpose::Token, "http://LOCALHOST:1/t", "http://LOCALHOST:1/t", "LOCALHOST:1", "/t");
    }

    #[test]
    fn bad_urls_are_refused_without_showing_them() {
        let check = |purpose, url: &str, why: &str| {
            let error = Address::parse(purpose, url).unwrap_err();
            assert!(error.message().contains(why), "{url}: {error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        };
        check(Purpose::Stream, "ws://example.com/hunter2", "in the clear to example.com");
        check(Purpose::Stream, "ws://127.0.0.1.example.com/", "in the clear");
        check(Purpose::Stream, "ws://10.0.0.1/", "in the clear");
        check(Purpose::Token, "http://example.com/", "in the clear");
        check(Purpose::Token, "wss://example.com/", "must be https://, not `wss`");
        check(Purpose::Stream, "https://example.com/", "must be wss://");
        check(Purpose::Stream, "example.com/stream", "stream.url: ");
        check(Purpose::Stream, "", "stream.url: not a URL");
        check(Purpose::Stream, "wss://user:hunter2@example.com/", "credentials");
        check(Purpose::Stream, "wss://example.com:99999/", "stream.url: ");
        check(Purpose::Stream, "wss://example.com:0/", "port 0");
        check(Purpose::Stream, "wss://example.com:/", "port is not a number");
        check(Purpose::Stream, "wss://exa mple.com/", "not a URL");
    }
}

//! URLs of the token endpoint and of the stream: their syntax, and the one rule of what may be sent where.
//!
//! The rule: credentials leave this machine over TLS only. [`EndpointUrl::parse`] enforces it, for the configuration and for
//! every connection.
//!
//! The syntax is deliberately narrower than RFC 3986. Two parsers that find different hosts in one URL would send a token to the
//! wrong server, so user info, backslashes and control characters are refused.

use std::net::{IpAddr, Ipv6Addr};

use crate::error::{Error, Result};

/// The two schemes of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schemes {
    pub(crate) encrypted: &'static str,
    /// For this machine only.
    pub(crate) plain: &'static str,
}

impl Schemes {
    pub(crate) const HTTP: Self = Self { encrypted: "https", plain: "http" };
    pub(crate) const WEBSOCKET: Self = Self { encrypted: "wss", plain: "ws" };
}

/// A URL that credentials are sent to, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndpointUrl {
    pub(crate) scheme: &'static str,
    pub(crate) tls: bool,
    /// A name or an IP address, without brackets.
    pub(crate) host: String,
    /// The scheme's default if the URL names none.
    pub(crate) port: u16,
    /// Path and query, at least `/`.
    pub(crate) target: String,
}

impl EndpointUrl {
    /// Splits `url`. Errors quote no more of it than the host: it may contain secrets.
    ///
    /// # Errors
    /// `Config`, without the name of the key: the URL is malformed, or credentials would be sent unencrypted to another machine.
    pub(crate) fn parse(url: &str, schemes: Schemes) -> Result<Self> {
        let Schemes { encrypted, plain } = schemes;
        let bad =
            |reason: &str| Error::config(reason).with_hint(format!("write a URL such as {encrypted}://HOST/PATH"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("not a URL"))?;
        let scheme = [encrypted, plain]
            .into_iter()
            .find(|known| *known == scheme)
            .ok_or_else(|| bad(&format!("the scheme must be {encrypted}://")))?;
        if let Some(c) = url.chars().find(|c| !is_allowed(*c)) {
            return Err(bad(&format!("a URL must not hold the character {c:?}")));
        }
        if url.contains('#') {
            return Err(bad("a fragment (#…) is never sent"));
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(bad("credentials do not belong into the URL")
                .with_hint("remove them, and set oauth.client_id and oauth.client_secret"));
        }
        let (host, port) = split_authority(authority).ok_or_else(|| bad("the host is missing or malformed"))?;
        let tls = scheme == encrypted;
        if !tls && !is_this_machine(host) {
            return Err(Error::config(format!("credentials would be sent unencrypted to {host:?}")).with_hint(
                format!("use {encrypted}://; {plain}:// is for this machine only (localhost, 127.0.0.1, [::1])"),
            ));
        }
        let port = match port {
            None => default_port(tls),
            Some(port) => parse_port(port).ok_or_else(|| bad("the port must be 1 to 65535"))?,
        };
        let root = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { scheme, tls, host: host.into(), port, target: format!("{root}{target}") })
    }
}

/// The characters of RFC 3986, section 2, and the braces of `{stream_id}`.
fn is_allowed(c: char) -> bool {
    c.is_ascii_graphic() && !"\"<>\\^`|".contains(c)
}

/// The port of a URL that names none.
pub(crate) fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// Host and port, as in `host:port`, `[::1]:port` or `host`; the host without brackets.
pub(super) fn split_authority(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(address, _)| address.parse::<Ipv6Addr>().is_ok())?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
    (!host.is_empty()).then_some((host, port))
}

/// A port that can be connected to: digits alone, 1 to 65535.
pub(super) fn parse_port(text: &str) -> Option<u16> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_digits && *port > 0)
}

/// Whether `host` is this machine: `localhost` (RFC 6761, section 6.3) or a loopback address. Other names may resolve anywhere.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_into_their_parts() {
        let check = |url: &str, schemes, scheme: &str, host: &str, port: u16, target: &str| {
            let found = EndpointUrl::parse(url, schemes).unwrap();
            assert_eq!((found.scheme, &*found.host, found.port, &*found.target), (scheme, host, port, target));
            assert_eq!(found.tls, scheme == schemes.encrypted);
        };
        check("https://api.example/oauth/token", Schemes::HTTP, "https", "api.example", 443, "/oauth/token");
        check("http://127.3.2.1/t", Schemes::HTTP, "http", "127.3.2.1", 80, "/t");
        check("wss://h:8443?k=v", Schemes::WEBSOCKET, "wss", "h", 8443, "/?k=v");
        check("ws://[::1]:9/x?y=/z", Schemes::WEBSOCKET, "ws", "::1", 9, "/x?y=/z");
        check("wss://[2001:db8::1]", Schemes::WEBSOCKET, "wss", "2001:db8::1", 443, "/");
    }

    #[test]
    fn encrypted_urls_and_plain_ones_to_this_machine_are_accepted() {
        for url in [
            "wss://api.cxp.cxone.com/data-actions/v1/stream/{stream_id}",
            "wss://10.0.0.1:8443",
            "wss://[2001:db8::1]:8443/x?y=z",
            "ws://localhost:1234/{stream_id}",
            "ws://LOCALHOST/",
            "ws://127.0.0.1:80",
            "ws://127.8.9.10",
            "ws://[::1]:9/",
        ] {
            EndpointUrl::parse(url, Schemes::WEBSOCKET).unwrap_or_else(|error| panic!("{url}: {error}"));
        }
    }

    #[test]
    fn plain_urls_to_other_machines_are_refused() {
        for url in [
            "ws://api.cxp.cxone.com/",
            "ws://localhost.example.com/",
            "ws://127.0.0.1.example.com/",
            "ws://127.0.0.1example/",
            "ws://{stream_id}/",
            "ws://0.0.0.0/",
            "ws://[::]/",
            "ws://10.0.0.1/",
            "ws://[::ffff:10.0.0.1]/",
        ] {
            let error = EndpointUrl::parse(url, Schemes::WEBSOCKET).unwrap_err();
            assert!(error.message().contains("unencrypted"), "{url}: {error:?}");
            assert!(error.hint().unwrap().contains("wss://"), "{url}");
        }
    }

    #[test]
    fn malformed_and_ambiguous_urls_are_refused() {
        for url in [
            "",
            "wss",
            "wss:/x",
            "wss:///x",
            "wss://:80/",
            "wss://host:port/",
            "wss://host:99999/",
            "wss://host:0/",
            "wss://host:+80/",
            "wss://host:/",
            "wss://[host]/",
            "wss://[::1/",
            "wss://[::1]x/",
            "WSS://host/",
            "http://host/",
            "ws://localhost@example.com/",
            "ws://localhost\\@example.com/",
            "wss://me@host/",
            "wss://host\\x/",
            "wss://host/a b",
            "wss://host/\n",
            "wss://h\u{f6}st/",
            "wss://host/#x",
            "wss://host/<x>",
        ] {
            assert!(EndpointUrl::parse(url, Schemes::WEBSOCKET).is_err(), "{url}");
        }
    }

    #[test]
    fn messages_hold_no_credentials() {
        for url in
            ["https://me:hunter2@host/", "hunter2://host/", "https://host:hunter2/", "https://host/hunter2#", "hunter2"]
        {
            let error = EndpointUrl::parse(url, Schemes::HTTP).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}

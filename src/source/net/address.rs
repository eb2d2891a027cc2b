//! The address of a server of the source.

use std::fmt;

use crate::config::url::{EndpointUrl, Schemes, default_port};
use crate::error::Result;
use crate::net::host::host_and_port;

/// A server of the source; decides the key of its URL and the schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `oauth.url`: `https://…`
    Token,
    /// `oauth.discovery`, and the token endpoint that its issuer names: `https://…`
    Discovery,
    /// `stream.url`: `wss://…`
    Stream,
}

impl Purpose {
    /// The key of the configuration.
    fn key(self) -> &'static str {
        match self {
            Self::Token => "oauth.url",
            Self::Discovery => "oauth.discovery",
            Self::Stream => "stream.url",
        }
    }

    fn schemes(self) -> Schemes {
        match self {
            Self::Token | Self::Discovery => Schemes::HTTP,
            Self::Stream => Schemes::WEBSOCKET,
        }
    }
}

/// A URL that may get a secret. `Display` shows it without its query, which may hold another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerAddress {
    pub(crate) url: EndpointUrl,
    purpose: Purpose,
}

impl ServerAddress {
    /// Parses the value of `purpose`'s key. Errors do not repeat the URL.
    pub(crate) fn parse(purpose: Purpose, url: &str) -> Result<Self> {
        let url = EndpointUrl::parse(url, purpose.schemes()).map_err(|error| error.while_doing(purpose.key()))?;
        Ok(Self { url, purpose })
    }

    /// The key of the configuration that holds it.
    pub(crate) fn key(&self) -> &'static str {
        self.purpose.key()
    }

    /// Host and port for errors and for the `Host` header; without the port where it is the scheme's own.
    pub(crate) fn host_header(&self) -> String {
        let with_port = self.host_and_port();
        if self.url.port != default_port(self.url.tls) {
            return with_port;
        }
        with_port.rsplit_once(':').map_or_else(String::new, |(host, _)| host.into())
    }

    /// Host and port, always both.
    pub(crate) fn host_and_port(&self) -> String {
        host_and_port(&self.url.host, self.url.port)
    }

    /// The query, without the question mark.
    pub(crate) fn query(&self) -> Option<&str> {
        self.url.target.split_once('?').map(|(_, query)| query)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.target.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.url.scheme, self.host_header())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_query_and_its_usual_port() {
        let check = |purpose, url, shown: &str, host_and_port: &str, query: Option<&str>| {
            let address = ServerAddress::parse(purpose, url).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.host_and_port(), host_and_port);
            assert_eq!(address.query(), query);
        };
        let stream = "wss://api.cxp.cxone.com/data-actions/v1/stream/s-1";
        check(Purpose::Stream, stream, stream, "api.cxp.cxone.com:443", None);
        check(Purpose::Stream, "wss://h:8443?k=secret", "wss://h:8443/", "h:8443", Some("k=secret"));
        check(Purpose::Stream, "ws://[::1]:9/x", "ws://[::1]:9/x", "[::1]:9", None);
        check(Purpose::Token, "https://[2001:db8::1]/t", "https://[2001:db8::1]/t", "[2001:db8::1]:443", None);
        check(Purpose::Token, "http://127.3.2.1/t", "http://127.3.2.1/t", "127.3.2.1:80", None);
        check(Purpose::Token, "http://LOCALHOST:1/t", "http://LOCALHOST:1/t", "LOCALHOST:1", None);
    }

    #[test]
    fn a_bad_url_is_refused_with_its_key_and_without_its_text() {
        let check = |purpose, url: &str, why: &str| {
            let error = ServerAddress::parse(purpose, url).unwrap_err();
            assert!(error.message().starts_with(&format!("{}: ", purpose.key())), "{error}");
            assert!(error.message().contains(why), "{url}: {error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        };
        check(Purpose::Stream, "ws://example.com/hunter2", "unencrypted to \"example.com\"");
        check(Purpose::Stream, "ws://127.0.0.1.example.com/", "unencrypted");
        check(Purpose::Stream, "ws://10.0.0.1/", "unencrypted");
        check(Purpose::Token, "http://example.com/", "unencrypted");
        check(Purpose::Token, "wss://example.com/", "must be https://");
        check(Purpose::Discovery, "http://example.com/", "unencrypted");
        check(Purpose::Stream, "https://example.com/", "must be wss://");
        check(Purpose::Stream, "example.com/stream", "not a URL");
        check(Purpose::Stream, "", "not a URL");
        check(Purpose::Stream, "wss://user:hunter2@example.com/", "credentials");
        check(Purpose::Stream, "wss://example.com:99999/", "port");
        check(Purpose::Stream, "wss://example.com:0/", "port");
        check(Purpose::Stream, "wss://example.com:/", "port");
        check(Purpose::Stream, "wss://exa mple.com/", "character");
    }
}

//! The request of the opening handshake (RFC 6455 section 4.1), as bytes.

use tungstenite::http::HeaderValue;

use crate::config::percent::{RESERVED, encode};
use crate::config::{Secret, StreamConfig, TokenIn};
use crate::source::net::address::ServerAddress;
use crate::source::net::http::USER_AGENT;
use crate::source::websocket::extension::PERMESSAGE_DEFLATE;

/// The values of one request. They hold secrets: nothing shows them.
pub(super) struct Request<'a> {
    pub(super) address: &'a ServerAddress,
    /// `Bearer …`, if the token is sent in a header.
    pub(super) authorization: Option<&'a HeaderValue>,
    /// The token and the name of the query's member that holds it.
    pub(super) query_token: Option<(&'a str, &'a str)>,
    pub(super) subprotocol: Option<&'a str>,
    pub(super) offers_compression: bool,
    /// Further headers.
    pub(super) headers: &'a [(String, Secret)],
}

impl<'a> Request<'a> {
    /// `token`: its header and itself, if there is one.
    pub(super) fn new(
        address: &'a ServerAddress,
        settings: &'a StreamConfig,
        token: Option<(&'a HeaderValue, &'a str)>,
        headers: &'a [(String, Secret)],
    ) -> Self {
        let (authorization, query_token) = match (&settings.token_in, token) {
            (TokenIn::Header, Some((header, _))) => (Some(header), None),
            (TokenIn::Query(name), Some((_, token))) => (None, Some((name.as_str(), token))),
            _ => (None, None),
        };
        Self {
            address,
            authorization,
            query_token,
            subprotocol: settings.subprotocol.as_deref(),
            offers_compression: settings.compression,
            headers,
        }
    }

    pub(super) fn bytes(&self, key: &str) -> Vec<u8> {
        let mut request = format!(
            "GET {target} HTTP/1.1\r\n\
             Host: {host}\r\n\
             Connection: Upgrade\r\n\
             Upgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {key}\r\n",
            target = self.target(),
            host = self.address.host_header(),
        )
        .into_bytes();
        let mut add = |name: &str, value: &[u8]| {
            request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        };
        for (name, value) in [("Accept", "application/json"), ("User-Agent", USER_AGENT)] {
            if !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                add(name, value.as_bytes());
            }
        }
        if let Some(subprotocol) = self.subprotocol {
            add("Sec-WebSocket-Protocol", subprotocol.as_bytes());
        }
        for (name, value) in self.headers {
            add(name, value.expose().as_bytes());
        }
        if let Some(authorization) = self.authorization {
            add("Authorization", authorization.as_bytes());
        }
        if self.offers_compression {
            add("Sec-WebSocket-Extensions", PERMESSAGE_DEFLATE.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request
    }

    /// Path and query, with the token if it belongs there.
    fn target(&self) -> String {
        let target = &self.address.url.target;
        let Some((name, token)) = self.query_token else { return target.clone() };
        let separator = match target.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{target}{separator}{}={}", encode(name, RESERVED), encode(token, RESERVED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::net::address::Purpose;

    fn bytes(url: &str, set: impl FnOnce(&mut StreamConfig), headers: &[(&str, &str)]) -> String {
        let address = ServerAddress::parse(Purpose::Stream, url).unwrap();
        let mut settings = StreamConfig::default();
        set(&mut settings);
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::from(*value))).collect();
        let authorization = HeaderValue::from_static("Bearer t0k+en/=&\u{20}x");
        let token = Some((&authorization, "t0k+en/=& x\u{fc}"));
        String::from_utf8(Request::new(&address, &settings, token, &headers).bytes("KEY")).unwrap()
    }

    /// To the letter what was sent before there were other places for the token.
    #[test]
    fn the_default_request_stays_as_it_is() {
        let expected = concat!(
            "GET /data-actions/v1/stream/s-1 HTTP/1.1\r\n",
            "Host: api.cxp.cxone.com\r\n",
            "Connection: Upgrade\r\n",
            "Upgrade: websocket\r\n",
            "Sec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Key: KEY\r\n",
            "Accept: application/json\r\n",
            "User-Agent: cxsink/",
            env!("CARGO_PKG_VERSION"),
            "\r\n",
            "Authorization: Bearer t0k+en/=& x\r\n",
            "\r\n",
        );
        assert_eq!(bytes("wss://api.cxp.cxone.com/data-actions/v1/stream/s-1", |_| (), &[]), expected);
    }

    #[test]
    fn a_token_in_the_query_is_percent_encoded_and_added_to_what_is_there() {
        let check = |url: &str, expected: &str| {
            let request = bytes(url, |settings| settings.token_in = TokenIn::Query("a t".into()), &[]);
            let line = request.lines().next().unwrap();
            assert_eq!(line, format!("GET {expected} HTTP/1.1"));
            assert!(!request.contains("Authorization"), "{request}");
        };
        let member = "a%20t=t0k%2Ben%2F%3D%26%20x%C3%BC";
        check("wss://h/p", &format!("/p?{member}"));
        check("wss://h", &format!("/?{member}"));
        check("wss://h/p?", &format!("/p?{member}"));
        check("wss://h/p?v=1", &format!("/p?v=1&{member}"));
        check("wss://h?v=1&", &format!("/?v=1&{member}"));
    }

    #[test]
    fn a_token_for_messages_is_in_no_header() {
        for place in [TokenIn::Message, TokenIn::None] {
            let request = bytes("wss://h/p", |settings| settings.token_in = place, &[]);
            assert!(!request.contains("t0k") && !request.contains("Authorization"), "{request}");
        }
    }

    #[test]
    fn further_headers_are_sent_and_replace_those_of_the_same_name() {
        let set = |settings: &mut StreamConfig| settings.subprotocol = Some("v2.bus, v1.bus".into());
        let request = bytes("wss://h/p", set, &[("X-Tenant", "t 1"), ("accept", "*/*"), ("Origin", "https://o")]);
        let (_, rest) = request.split_once("Sec-WebSocket-Key: KEY\r\n").unwrap();
        let user_agent = format!("User-Agent: {USER_AGENT}\r\n");
        let expected =
            "Sec-WebSocket-Protocol: v2.bus, v1.bus\r\nX-Tenant: t 1\r\naccept: */*\r\nOrigin: https://o\r\n";
        assert_eq!(rest, format!("{user_agent}{expected}Authorization: Bearer t0k+en/=& x\r\n\r\n"));
    }
}

//! The opening handshake of the stream (RFC 6455 section 4.2) and its authorization (RFC 6750).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::server::create_response_with_body;
use tungstenite::http::Method;
use tungstenite::http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};

use super::http::{self, Request, Response, refusal, refusal_with};
use super::options::SimulatorOptions;
use super::token::{Tokens, failure_response};

pub(super) const STREAM_PATH: &str = "/data-actions/v1/stream/";

#[derive(Debug, Default)]
pub(super) struct Handshakes {
    tried: AtomicUsize,
}

/// A handshake that opens the stream.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) response: Response,
    /// The expiry of the token that the stream was opened with.
    pub(super) token_expiry: Instant,
}

impl Handshakes {
    pub(super) fn respond(
        &self,
        options: &SimulatorOptions,
        tokens: &Tokens,
        request: &Request,
    ) -> Result<Accepted, Response> {
        let tried = self.tried.fetch_add(1, Ordering::Relaxed);
        if let Some(status) = options.handshake_failures.get(tried) {
            return Err(failure_response(*status, options.retry_after));
        }
        if request.uri().path().strip_prefix(STREAM_PATH) != Some(&options.stream_id) {
            return Err(refusal(404, "not_found", "there is no such stream"));
        }
        if request.method() != Method::GET {
            return Err(refusal_with(405, "invalid_request", "a stream takes GET", (ALLOW, "GET")));
        }
        let token_expiry = authorize(tokens, request)?;
        let accepted = ["application/json", "application/*", "*/*"];
        if !accepted.iter().any(|range| http::lists(request.headers(), &ACCEPT, range)) {
            return Err(refusal(406, "invalid_request", "Accept must allow application/json"));
        }
        let response = create_response_with_body(request, String::new).map_err(|error| not_upgraded(&error))?;
        Ok(Accepted { response: response.into(), token_expiry })
    }
}

fn authorize(tokens: &Tokens, request: &Request) -> Result<Instant, Response> {
    let refuse = |challenge, why| refusal_with(401, "invalid_token", why, (WWW_AUTHENTICATE, challenge));
    let Some((scheme, token)) = http::header(request, &AUTHORIZATION).and_then(|value| value.split_once(' ')) else {
        return Err(refuse("Bearer", "the Authorization header is missing or has no token"));
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refuse("Bearer", "the Authorization must be a Bearer token"));
    }
    let expiry = tokens.expiry(token.trim());
    expiry.ok_or_else(|| refuse("Bearer error=\"invalid_token\"", "the token is unknown or has expired"))
}

fn not_upgraded(error: &Error) -> Response {
    use ProtocolError::{InvalidSecWebSocketKey, MissingSecWebSocketKey};
    if let Error::Protocol(MissingSecWebSocketKey | InvalidSecWebSocketKey) = error {
        return refusal(400, "invalid_request", "Sec-WebSocket-Key is missing or not 16 bytes in base64");
    }
    let mut response =
        refusal_with(426, "invalid_request", "this path serves WebSocket, version 13", (UPGRADE, "websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

//! The opening handshake of the stream (RFC 6455 section 4.2) and its authorization (RFC 6750), where the token is not in a message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::server::create_response_with_body;
use tungstenite::http::Method;
use tungstenite::http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};

use crate::config::percent;

use super::http::{self, Request, Response, refusal, refusal_with};
use super::options::SimulatorOptions;
use super::profile::{TokenPlace, dialect};
use super::token::{Tokens, failure_response};

/// The path of the stream.
pub(super) fn stream_path(options: &SimulatorOptions) -> String {
    dialect(options.profile).path.replace("<stream_id>", &options.stream_id)
}

/// The part of the path that every stream of this platform has.
pub(super) fn streams_path(options: &SimulatorOptions) -> &'static str {
    let path = dialect(options.profile).path;
    path.split("<stream_id>").next().unwrap_or(path)
}

#[derive(Debug, Default)]
pub(super) struct Handshakes {
    tried: AtomicUsize,
}

/// A handshake that opens the stream.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) response: Response,
    /// The expiry of the token that the stream was opened with, if it was in the handshake.
    pub(super) token_expiry: Option<Instant>,
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
        if request.uri().path() != stream_path(options) {
            return Err(refusal(404, "not_found", "there is no such stream"));
        }
        if request.method() != Method::GET {
            return Err(refusal_with(405, "invalid_request", "a stream takes GET", (ALLOW, "GET")));
        }
        let token_place = dialect(options.profile).token_place;
        let token_expiry = match token_place {
            TokenPlace::Header => Some(authorize(tokens, request)?),
            TokenPlace::QueryOnce(name) => Some(authorize_by_query(tokens, request, name)?),
            TokenPlace::Messages | TokenPlace::Nowhere => None,
        };
        let accepted = ["application/json", "application/*", "*/*"];
        if token_place == TokenPlace::Header
            && !accepted.iter().any(|range| http::lists(request.headers(), &ACCEPT, range))
        {
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

fn authorize_by_query(tokens: &Tokens, request: &Request, name: &str) -> Result<Instant, Response> {
    let query = request.uri().query().unwrap_or_default();
    let value = query.split('&').find_map(|member| member.split_once('=').filter(|(found, _)| *found == name));
    let token = value.and_then(|(_, value)| percent::decode(value));
    token.and_then(|token| tokens.spend(&token)).ok_or_else(|| {
        refusal(401, "invalid_token", "the token in the query is missing, unknown, has expired or was used before")
    })
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

//! The opening handshake of the stream (RFC 6455 section 4.2) and who may have it (RFC 6750).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tungstenite::handshake::derive_accept_key;

use super::http::{Request, Response};
use super::options::SimulatorOptions;
use super::token::{Tokens, failure_response};

pub(super) const STREAM_PATH: &str = "/data-actions/v1/stream/";

#[derive(Debug, Default)]
pub(super) struct Handshakes {
    tried: AtomicUsize,
}

/// What a good handshake leads to.
#[derive(Debug)]
pub(super) struct Accepted {
    /// To be sent as it stands.
    pub(super) answer: String,
    /// When the token expires that the stream was opened with.
    pub(super) token_expiry: Instant,
}

impl Handshakes {
    pub(super) fn answer(
        &self,
        options: &SimulatorOptions,
        tokens: &Tokens,
        request: &Request,
    ) -> Result<Accepted, Response> {
        let tried = self.tried.fetch_add(1, Ordering::Relaxed);
        if let Some(status) = options.handshake_failures.get(tried) {
            return Err(failure_response(*status, options.retry_after));
        }
        if request.path.strip_prefix(STREAM_PATH) != Some(&options.stream_id) {
            return Err(Response::error(404, "not_found", "there is no such stream"));
        }
        if request.method != "GET" {
            return Err(Response::error(405, "invalid_request", "a stream takes GET").with_header("Allow", "GET"));
        }
        let token_expiry = authorize(tokens, request)?;
        if !["application/json", "application/*", "*/*"].iter().any(|range| request.lists("accept", range)) {
            return Err(Response::error(406, "invalid_request", "Accept must allow application/json"));
        }
        let key = upgrade_key(request)?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        Ok(Accepted { answer, token_expiry })
    }
}

fn authorize(tokens: &Tokens, request: &Request) -> Result<Instant, Response> {
    let refuse = |challenge: &str, why: &str| {
        Response::error(401, "invalid_token", why).with_header("WWW-Authenticate", challenge)
    };
    let Some((scheme, token)) = request.header("authorization").and_then(|value| value.split_once(' ')) else {
        return Err(refuse("Bearer", "the Authorization header is missing or has no token"));
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refuse("Bearer", "the Authorization must be a Bearer token"));
    }
    let expiry = tokens.expiry(token.trim());
    expiry.ok_or_else(|| refuse("Bearer error=\"invalid_token\"", "the token is unknown or has expired"))
}

fn upgrade_key(request: &Request) -> Result<&str, Response> {
    let is_upgrade = request.lists("upgrade", "websocket") && request.lists("connection", "upgrade");
    if !is_upgrade || !request.is_http_11 || request.header("sec-websocket-version") != Some("13") {
        let response = Response::error(426, "invalid_request", "this is a WebSocket, version 13");
        return Err(response.with_header("Upgrade", "websocket").with_header("Sec-WebSocket-Version", "13"));
    }
    // 16 bytes in base64 (RFC 6455 section 4.1).
    let key = request.header("sec-websocket-key").filter(|key| key.len() == 24 && key.ends_with("=="));
    key.ok_or_else(|| Response::error(400, "invalid_request", "Sec-WebSocket-Key is missing or no key"))
}

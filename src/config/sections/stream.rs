//! `[oauth]`, `[stream]` and `[event]`: the way from a token to an event.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;
use crate::config::choices::{ClientAuth, Grant, OnNormalClose};
use crate::config::conversation::{MessagePattern, TokenIn};

/// `[oauth]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OauthConfig {
    /// How the sink gets its token.
    pub grant: Grant,
    /// The URL of the token endpoint.
    pub url: String,
    /// The issuer, instead of `url`: its openid-configuration names the token endpoint.
    pub discovery: Option<String>,
    /// Where the client's id and secret are in a request.
    pub client_auth: ClientAuth,
    /// The client's id.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<Secret>,
    /// A file that holds the client's secret; read again for each token.
    pub client_secret_file: Option<PathBuf>,
    /// The user's name, or the id of an access key.
    pub username: Option<String>,
    /// The user's password, or the secret of an access key.
    pub password: Option<Secret>,
    /// A file that holds the password; read again for each token.
    pub password_file: Option<PathBuf>,
    /// The scope to request; the token must have it.
    pub scope: String,
    /// Further members of the request: name and value.
    pub params: Vec<(String, Secret)>,
    /// Further members of the request: name, and a file that holds the value; read again for each token.
    pub params_file: Vec<(String, PathBuf)>,
    /// A file that holds the token itself, for [`Grant::None`]; read again for each connection.
    pub token_file: Option<PathBuf>,
    /// The time before its expiry at which a token is renewed.
    pub refresh_early: Duration,
    /// The time limit of one token request.
    pub request_timeout: Duration,
}

/// `[stream]`
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamConfig {
    /// The stream's id; replaces `{stream_id}` in `url` and in messages.
    pub id: Option<String>,
    /// The stream's name in columns whose source is `stream`.
    pub name: String,
    /// The stream's URL.
    pub url: String,
    /// Where the token is sent.
    pub token_in: TokenIn,
    /// Further headers of the handshake: name and value.
    pub headers: Vec<(String, Secret)>,
    /// Further headers of the handshake: name, and a file that holds the value; read again for each connection.
    pub headers_file: Vec<(String, PathBuf)>,
    /// The subprotocol to request.
    pub subprotocol: Option<String>,
    /// Whether to offer compression (permessage-deflate, RFC 7692).
    pub compression: bool,
    /// The messages that open the conversation; `{token}` and `{stream_id}` are replaced.
    pub open: Vec<String>,
    /// The answer to them, before which the connection does not count as open.
    pub open_answer: Option<MessagePattern>,
    /// The time limit of the answer.
    pub open_timeout: Duration,
    /// Answers and close codes with which the server requests a delay.
    pub open_refused: Vec<MessagePattern>,
    /// The delay after the first of them.
    pub open_refused_delay: Duration,
    /// A message to send at intervals; `{token}` and `{stream_id}` are replaced.
    pub heartbeat: Option<String>,
    /// The interval between two of them.
    pub heartbeat_interval: Duration,
    /// The answer to a heartbeat, without which the connection counts as lost after `idle_timeout`.
    pub heartbeat_answer: Option<MessagePattern>,
    /// Messages that hold no event.
    pub ignore: Vec<MessagePattern>,
    /// A message to send once the spool has the events of a message; `{/pointer}` is replaced by the JSON there.
    pub ack: Option<String>,
    /// The interval between two pings.
    pub ping_interval: Duration,
    /// The time without a message or pong after which the connection counts as lost.
    pub idle_timeout: Duration,
    /// The time limit for name resolution, TCP, TLS and the handshake together.
    pub connect_timeout: Duration,
    /// The reaction to close code 1000.
    pub on_normal_close: OnNormalClose,
    /// The time before the token's expiry at which the next connection is opened; zero: not at all.
    pub renew_before_expiry: Duration,
    /// The largest event, in bytes; a larger one becomes a dead letter.
    pub event_bytes_max: u64,
}

/// `[event]`: where an event is in a message of the stream. By default a message is one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventConfig {
    /// The JSON pointer (RFC 6901) of the event in a message. A text there is parsed as JSON.
    pub path: Option<String>,
    /// Whether an array there holds one event in each element.
    pub each: bool,
    /// Whether a message holds JSON Lines: each line is then treated as a message.
    pub lines: bool,
}

impl Default for OauthConfig {
    fn default() -> Self {
        Self {
            grant: Grant::default(),
            url: "https://api.cxp.cxone.com/oauth/token".into(),
            discovery: None,
            client_auth: ClientAuth::default(),
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            username: None,
            password: None,
            password_file: None,
            scope: "data-actions:read".into(),
            params: Vec::new(),
            params_file: Vec::new(),
            token_file: None,
            refresh_early: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            id: None,
            name: "default".into(),
            url: "wss://api.cxp.cxone.com/data-actions/v1/stream/{stream_id}".into(),
            token_in: TokenIn::default(),
            headers: Vec::new(),
            headers_file: Vec::new(),
            subprotocol: None,
            compression: false,
            open: Vec::new(),
            open_answer: None,
            open_timeout: Duration::from_secs(10),
            open_refused: Vec::new(),
            open_refused_delay: Duration::from_secs(30),
            heartbeat: None,
            heartbeat_interval: Duration::from_secs(30),
            heartbeat_answer: None,
            ignore: Vec::new(),
            ack: None,
            ping_interval: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            on_normal_close: OnNormalClose::default(),
            renew_before_expiry: Duration::from_secs(60),
            event_bytes_max: 1 << 20,
        }
    }
}

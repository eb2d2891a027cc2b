//! The meaning of a refused or lost stream: an error, and whether the token is its reason.

use std::time::Duration;

use tungstenite::http::{HeaderMap, HeaderValue, header};

use crate::config::StreamConfig;
use crate::error::{Class, Error, ErrorKind};
use crate::net::server_text::shown;
use crate::net::tls;
use crate::source::net::failure::{not_http, refusal};
use crate::source::net::http::Fault;
use crate::source::net::route::Route;
use crate::source::oauth::token::Token;
use crate::source::websocket::connection::End;
use crate::source::websocket::handshake::Refusal;
use crate::source::websocket::violation::{ProtocolViolation, ViolationCode};

/// How much of an error's body is shown.
const BODY_CHARS_SHOWN: usize = 300;

/// An error, and what must follow from it.
#[derive(Debug)]
pub(super) struct StreamFailure {
    pub(super) error: Error,
    /// The server refuses this token from now on.
    pub(super) discard_token: bool,
    /// The server requests no connection for this long.
    pub(super) wait: Option<Duration>,
}

impl From<Error> for StreamFailure {
    fn from(error: Error) -> Self {
        Self { error, discard_token: false, wait: None }
    }
}

/// The failure of a handshake.
pub(super) fn refused(
    refusal: Refusal,
    route: &Route,
    timeout: Duration,
    token: &Token,
    wait: impl Fn(u16, &HeaderMap) -> Option<Duration>,
) -> StreamFailure {
    match refusal {
        Refusal::Fault(Fault::Io(error)) => {
            // With TLS 1.3 a server refuses a client only after the handshake.
            let step = if tls::inside(&error).is_some() { "TLS" } else { "the WebSocket handshake" };
            route.failed(step, &error, timeout).into()
        }
        Refusal::Fault(Fault::Ended) => {
            protocol("the server closed the connection without a response to the handshake").into()
        }
        Refusal::Fault(Fault::NoHttp { why, beginning }) => {
            protocol(format!("the response is not {}", not_http(&why, &beginning))).into()
        }
        Refusal::BadUpgrade(why) => protocol(format!("the response does not open a WebSocket: {why}")).into(),
        Refusal::BadExtension(why) => {
            let why = shown(why.as_bytes(), &[token.secret()], 200);
            protocol(format!("the response has a `Sec-WebSocket-Extensions` that cannot be accepted: {why}"))
                .with_hint("set stream.compression = false: the server does not follow RFC 7692")
                .into()
        }
        Refusal::Status { head, body } => StreamFailure {
            wait: wait(head.status, &head.headers),
            ..refused_with(head.status, &head.headers, &body, token)
        },
    }
}

fn protocol(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, what)
        .with_class(Class::Transient)
        .with_hint("check stream.url: the server there may not be the event stream")
}

fn refused_with(status: u16, headers: &HeaderMap, body: &[u8], token: &Token) -> StreamFailure {
    let secrets = [token.secret()];
    let what = format!("the server refused it with status {status}");
    let location = headers.get(header::LOCATION).map(HeaderValue::as_bytes);
    let message = refusal(&what, location, body, &secrets, BODY_CHARS_SHOWN);
    let (kind, class, hint) = meaning(status, token);
    let error = Error::new(kind, message).with_class(class).with_http_status(status).with_hint(hint);
    StreamFailure { discard_token: matches!(status, 401 | 403), ..error.into() }
}

/// The meaning of a failure for a sink whose stream was open before. Its configuration was right then, and a gateway in front of the
/// stream answers with any status while the stream is away: an outage.
pub(super) fn after_success(error: Error) -> Error {
    if error.class() != Class::Permanent {
        return error;
    }
    let fix = error.hint().map_or_else(String::new, |hint| format!("; if this goes on, {hint}"));
    error
        .with_class(Class::Transient)
        .with_hint(format!("wait: the stream was open before, and the sink tries again{fix}"))
}

fn meaning(status: u16, token: &Token) -> (ErrorKind, Class, &'static str) {
    use Class::{Permanent, Transient};
    use ErrorKind::{Auth, Config, Connect, Protocol};
    match status {
        401 if token.fresh => {
            (Auth, Transient, "check that oauth.url and stream.url belong together: the stream refuses a new token")
        }
        403 if token.header.is_none() => (Auth, Permanent, token.renewal_hint()),
        401 | 403 if !token.fresh => (Auth, Transient, token.renewal_hint()),
        403 => (
            Auth,
            Permanent,
            "check stream.id (CXONE_STREAM_ID), oauth.scope and the client's permissions in CXone: the client may not read this stream",
        ),
        404 | 410 => (Config, Permanent, "check stream.id (CXONE_STREAM_ID) and stream.url: there is no such stream"),
        301 | 308 => (Config, Permanent, "set stream.url to the new address: redirects are not followed with a token"),
        300..=399 => (Protocol, Transient, "check stream.url: redirects are not followed with a token"),
        429 => (Connect, Transient, "wait: the server limits the rate of connections, and the sink tries again later"),
        500.. => (Connect, Transient, "wait: the server has an internal problem, and the sink tries again later"),
        _ => (Protocol, Transient, "check stream.url: the server there may not be the event stream"),
    }
}

/// The failure that the end of an open stream means; `None` if the server closed it in order.
pub(super) fn lost(end: End, settings: &StreamConfig, token: &Token) -> Option<StreamFailure> {
    let lost = |what: String| Error::new(ErrorKind::Connect, what).with_hint("wait: the sink connects again by itself");
    let error = match end {
        End::Closed(Some(close)) if close.code == 1000 => return None,
        End::Closed(Some(close)) => {
            let reason = shown(&close.reason, &[token.secret()], 125);
            let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
            let message = format!("the server closed it with code {}{reason}", close.code);
            if matches!(close.code, 4001 | 1008) {
                let error = Error::new(ErrorKind::Auth, message)
                    .with_class(Class::Transient)
                    .with_close_code(close.code)
                    .with_hint(token.renewal_hint());
                return Some(StreamFailure { discard_token: true, ..error.into() });
            }
            lost(message).with_close_code(close.code)
        }
        End::Closed(None) => lost("the server closed it without a code".into()),
        End::Cut => lost("the connection ended without a close frame".into()),
        End::Io(error) => match tls::inside(&error) {
            Some(tls) => lost(format!("the TLS connection failed: {tls}")),
            None => lost(format!("the connection failed: {error}")),
        }
        .caused_by_io(&error),
        End::Violation(violation) => violated(&violation),
        End::Silent(silence) => lost(format!(
            "nothing came for {:.1} s, not even a pong (stream.idle_timeout is {:?}): the connection counts as lost",
            silence.as_secs_f64(),
            settings.idle_timeout
        )),
        End::Stopped => Error::stopped(),
    };
    Some(error.into())
}

fn violated(violation: &ProtocolViolation) -> Error {
    let what = shown(violation.what.as_bytes(), &[], 200);
    match violation.code {
        ViolationCode::ProtocolError => protocol(format!("the server broke the WebSocket protocol: {what}")),
        ViolationCode::Corrupt => protocol(what)
            .with_hint("wait: the sink connects again by itself; if this goes on, set stream.compression = false"),
        ViolationCode::TooLarge => protocol(what).with_hint(
            "see its beginning in the dead letters: cxsink dead-letters list; the sink connects again by itself",
        ),
    }
}

pub(super) fn not_open() -> Error {
    Error::new(ErrorKind::Connect, "reading the stream: it is not open")
}

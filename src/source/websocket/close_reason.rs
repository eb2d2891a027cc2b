//! The meaning of a refused or lost stream: an error, and whether the token is its reason.

use std::time::Duration;

use tungstenite::http::{HeaderMap, HeaderValue, header};

use crate::config::{MessagePattern, StreamConfig};
use crate::error::{Class, Error, ErrorKind};
use crate::net::masks::Masks;
use crate::net::server_text::shown;
use crate::net::tls;
use crate::source::net::failure::{later_hint, not_http, refusal};
use crate::source::net::http::Fault;
use crate::source::net::route::Route;
use crate::source::oauth::shelf::Token;
use crate::source::websocket::control::Close;
use crate::source::websocket::end::End;
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
    /// The server requests a delay (`stream.open_refused`).
    pub(super) is_open_refused: bool,
}

impl From<Error> for StreamFailure {
    fn from(error: Error) -> Self {
        Self { error, discard_token: false, wait: None, is_open_refused: false }
    }
}

/// The failure of a handshake.
pub(super) fn refused(
    refusal: Refusal,
    route: &Route,
    timeout: Duration,
    token: &Token,
    masks: &Masks,
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
        Refusal::BadSubprotocol(why) => protocol(format!("the response does not open a WebSocket: {why}"))
            .with_hint("set stream.subprotocol to what this stream speaks, or remove it if it speaks none")
            .into(),
        Refusal::BadExtension(why) => {
            let why = masks.show(why.as_bytes(), 200);
            protocol(format!("the response has a `Sec-WebSocket-Extensions` that cannot be accepted: {why}"))
                .with_hint("set stream.compression = false: the server does not follow RFC 7692")
                .into()
        }
        Refusal::Status { head, body } => StreamFailure {
            wait: wait(head.status, &head.headers),
            ..refused_with(head.status, &head.headers, &body, token, masks)
        },
    }
}

fn protocol(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, what)
        .with_class(Class::Transient)
        .with_hint("check stream.url: the server there may not be the event stream")
}

fn refused_with(status: u16, headers: &HeaderMap, body: &[u8], token: &Token, masks: &Masks) -> StreamFailure {
    let what = format!("the server refused it with status {status}");
    let location = headers.get(header::LOCATION).map(HeaderValue::as_bytes);
    let message = refusal(&what, location, body, masks, BODY_CHARS_SHOWN);
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
        429 | 500.. => (Connect, Transient, later_hint(status)),
        _ => (Protocol, Transient, "check stream.url: the server there may not be the event stream"),
    }
}

/// The failure of a stream whose opening messages were sent and not answered as they should be. `instead` is what came.
pub(super) fn unopened(
    end: End,
    instead: &str,
    settings: &StreamConfig,
    token: &Token,
    masks: &Masks,
) -> StreamFailure {
    let answer = if settings.open.is_empty() { "stream.open_answer" } else { "stream.open_answer to stream.open" };
    let too_late = |what: String| {
        protocol(what).with_hint(
            "check stream.open and stream.open_answer with cxsink peek-stream; list messages without events in stream.ignore",
        )
    };
    let failure = match end {
        End::Unanswered => too_late(format!("no {answer} within {:?}{instead}", settings.open_timeout)).into(),
        End::TooEarly(events) => too_late(format!("{events} events came, and no {answer}{instead}")).into(),
        end => {
            let in_order = || closed("the server closed it with code 1000".into()).with_close_code(1000).into();
            let failure = lost(end, settings, token, masks).unwrap_or_else(in_order);
            let message = format!("waiting for {answer}: {}{instead}", failure.error);
            StreamFailure { error: failure.error.with_message(message), ..failure }
        }
    };
    // A token that is not accepted may be the reason, and not every server says so.
    StreamFailure { discard_token: !failure.is_open_refused, ..failure }
}

/// The failure that the end of an open stream means; `None` if the server closed it in order.
pub(super) fn lost(end: End, settings: &StreamConfig, token: &Token, masks: &Masks) -> Option<StreamFailure> {
    let error = match end {
        End::Closed(close) => return closed_by_server(close, settings, token, masks),
        End::Refused(what) => {
            return Some(open_refused(format!("the server refuses it for now: {what}"), settings));
        }
        End::Cut => closed("the connection ended without a close frame".into()),
        End::Io(error) => match tls::inside(&error) {
            Some(tls) => closed(format!("the TLS connection failed: {tls}")),
            None => closed(format!("the connection failed: {error}")),
        }
        .caused_by_io(&error),
        End::Violation(violation) => violated(&violation),
        End::Silent(silence) => closed(format!(
            "{} for {:.1} s{} (stream.idle_timeout is {:?}): the connection counts as lost",
            if settings.heartbeat_answer.is_some() { "stream.heartbeat_answer did not come" } else { "nothing came" },
            silence.as_secs_f64(),
            if settings.heartbeat_answer.is_some() { "" } else { ", not even a pong" },
            settings.idle_timeout
        )),
        End::Untaken(stuck) => closed(format!(
            "the server took no acknowledgement (stream.ack) for {:.1} s (stream.idle_timeout is {:?})",
            stuck.as_secs_f64(),
            settings.idle_timeout
        )),
        // Both belong to the opening.
        End::Unanswered | End::TooEarly(_) => closed("stream.open_answer did not come".into()),
        End::Stopped => Error::stopped(),
    };
    Some(error.into())
}

fn closed_by_server(
    close: Option<Close>,
    settings: &StreamConfig,
    token: &Token,
    masks: &Masks,
) -> Option<StreamFailure> {
    let Some(Close { code, reason }) = close else {
        return Some(closed("the server closed it without a code".into()).into());
    };
    let reason = masks.show(&reason, 125);
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    let message = format!("the server closed it with code {code}{reason}");
    if settings.open_refused.contains(&MessagePattern::CloseCode(code)) {
        let failure = open_refused(message, settings);
        return Some(StreamFailure { error: failure.error.with_close_code(code), ..failure });
    }
    match code {
        1000 => None,
        4001 | 1008 => {
            let error = Error::new(ErrorKind::Auth, message)
                .with_class(Class::Transient)
                .with_close_code(code)
                .with_hint(token.renewal_hint());
            Some(StreamFailure { discard_token: true, ..error.into() })
        }
        _ => Some(closed(message).with_close_code(code).into()),
    }
}

fn closed(what: String) -> Error {
    Error::new(ErrorKind::Connect, what).with_hint("wait: the sink connects again by itself")
}

fn open_refused(what: String, settings: &StreamConfig) -> StreamFailure {
    let delay = settings.open_refused_delay;
    let hint = format!(
        "wait: the server requests a delay (stream.open_refused), and the sink connects again after {delay:?} or more"
    );
    StreamFailure { is_open_refused: true, ..Error::new(ErrorKind::Connect, what).with_hint(hint).into() }
}

fn violated(violation: &ProtocolViolation) -> Error {
    let what = shown(violation.what.as_bytes(), &[], 200);
    match violation.code {
        ViolationCode::ProtocolError => protocol(format!("the server broke the WebSocket protocol: {what}")),
        ViolationCode::Corrupt => protocol(what)
            .with_hint("wait: the sink connects again by itself; if this goes on, set stream.compression = false"),
        ViolationCode::TooLarge => protocol(what).with_hint(
            "wait: the sink connects again by itself, and keeps the beginning of the message in the dead letters",
        ),
    }
}

pub(super) fn not_open() -> Error {
    Error::new(ErrorKind::Connect, "reading the stream: it is not open")
}

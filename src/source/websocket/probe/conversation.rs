//! The steps of `check` on an open stream: the opening messages with their answer, one heartbeat with its answer, and the end.

use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::report::finding::Finding;
use crate::source::oauth::shelf::Token;
use crate::source::websocket::connector::StreamConnector;
use crate::source::websocket::conversation::{Came, MessageKind, show};
use crate::source::websocket::end::End;
use crate::source::websocket::probe::watched::WatchedStream;

/// Where no answer is expected, a server that does not like a message closes the stream or says so within this time.
const OBJECTION_WAIT: Duration = Duration::from_secs(1);

/// An open stream and the events that came on it.
pub(super) struct ProbedStream {
    stream: WatchedStream,
    events: usize,
}

/// How waiting for an answer ended.
enum Waited {
    /// The answer came, and is fit to be shown.
    Answered(String),
    Ended(End),
}

impl ProbedStream {
    pub(super) fn open(connector: &StreamConnector, token: &Token) -> Result<Self> {
        let address = &connector.route.address;
        let opened = WatchedStream::open(connector, token);
        let stream =
            opened.map_err(|failure| failure.error.while_doing(format_args!("opening the stream {address}")))?;
        Ok(Self { stream, events: 0 })
    }

    /// Sends the opening messages, and waits for their answer.
    pub(super) fn opening(&mut self, connector: &StreamConnector, token: &Token) -> Result<Finding> {
        let messages = connector.opening_messages(token);
        for message in &messages {
            self.stream.say(message, connector);
        }
        let sent = match messages.len() {
            1 => "one message".into(),
            count => format!("{count} messages"),
        };
        let settings = &connector.settings;
        let is_answered = settings.open_answer.is_some();
        let wait = if is_answered { settings.open_timeout } else { OBJECTION_WAIT };
        let mut came = Came::default();
        match self.wait_for(MessageKind::Answer, wait, &mut came, connector) {
            Waited::Answered(answer) => Ok(Finding::good(format!("sent {sent}; the answer is {answer}"))),
            Waited::Ended(End::Unanswered) if !is_answered => {
                Ok(Finding::good(format!("sent {sent}; no answer is expected (stream.open_answer is not set){came}")))
            }
            Waited::Ended(end) => {
                let error = self.stream.unopened(end, &came.to_string(), connector);
                Err(error.while_doing(format_args!("opening the stream {}", connector.route.address)))
            }
        }
    }

    /// Sends a heartbeat, and waits for its answer.
    pub(super) fn heartbeat(&mut self, message: &str, connector: &StreamConnector) -> Result<Finding> {
        self.stream.say(message, connector);
        let settings = &connector.settings;
        let is_answered = settings.heartbeat_answer.is_some();
        let wait = if is_answered { settings.idle_timeout } else { OBJECTION_WAIT };
        let mut came = Came::default();
        match self.wait_for(MessageKind::HeartbeatAnswer, wait, &mut came, connector) {
            Waited::Answered(answer) => Ok(Finding::good(format!("sent one; the answer is {answer}"))),
            Waited::Ended(End::Unanswered) if !is_answered => {
                Ok(Finding::good(format!("sent one; no answer is expected (stream.heartbeat_answer is not set){came}")))
            }
            Waited::Ended(End::Unanswered) => Err(Error::new(
                ErrorKind::Protocol,
                format!("waiting for stream.heartbeat_answer: it did not come within {wait:?} (stream.idle_timeout){came}"),
            )
            .with_hint("check stream.heartbeat and stream.heartbeat_answer with cxsink peek-stream: it shows what the stream answers")),
            Waited::Ended(end) => {
                let closed = || Error::new(ErrorKind::Connect, "the server closed it with code 1000").with_close_code(1000);
                let error = self.stream.lost(end, connector).unwrap_or_else(closed);
                Err(error.while_doing("waiting for the answer to a heartbeat").with_hint(
                    "check stream.heartbeat with cxsink peek-stream: the server closes the stream after it",
                ))
            }
        }
    }

    /// Closes the stream. Events that came on it are lost.
    pub(super) fn close(mut self, found: Finding, connector: &StreamConnector) -> Finding {
        let rest = self.stream.close(connector);
        let events = |message: &Vec<u8>| events_in(message, connector);
        self.events += rest.iter().map(events).sum::<usize>();
        match self.events {
            0 => found,
            count => Finding::warning(
                format!(
                    "{}; {count} event{} arrived in between and {} not kept",
                    found.message,
                    if count == 1 { "" } else { "s" },
                    if count == 1 { "was" } else { "were" }
                ),
                "check while no events are sent, or leave out the area `stream`: no other connection gets these events",
            ),
        }
    }

    fn wait_for(
        &mut self,
        wanted: MessageKind,
        wait: Duration,
        came: &mut Came,
        connector: &StreamConnector,
    ) -> Waited {
        let until = Instant::now() + wait;
        loop {
            let message = match self.stream.next(until, connector) {
                Ok(Some(message)) => message,
                Ok(None) => return Waited::Ended(End::Unanswered),
                Err(end) => return Waited::Ended(end),
            };
            let kind = connector.rules.kind_of(&message, wanted == MessageKind::Answer);
            if kind == wanted {
                return Waited::Answered(show(&message, &self.stream.masks));
            }
            if kind == MessageKind::Refusal {
                return Waited::Ended(End::Refused(show(&message, &self.stream.masks)));
            }
            self.events += events_in(&message, connector);
            came.add(&message, &self.stream.masks);
        }
    }
}

fn events_in(message: &[u8], connector: &StreamConnector) -> usize {
    match connector.rules.kind_of(message, false) {
        MessageKind::Events => connector.rules.unwrap(message, false, &mut Burst::default()),
        _ => 0,
    }
}

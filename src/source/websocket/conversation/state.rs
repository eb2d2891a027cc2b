//! The state of one connection's conversation: a value that is moved by messages and by time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::StreamConfig;
use crate::net::masks::Masks;
use crate::source::websocket::conversation::heartbeat::{Due, Heartbeat};
use crate::source::websocket::conversation::rules::{MessageKind, Rules};
use crate::source::websocket::conversation::shown::{self, Came};
use crate::source::websocket::conversation::template::fill;

/// See the [module documentation](self).
pub(crate) struct Conversation {
    /// `None`: every message is one event.
    rules: Option<Arc<Rules>>,
    stage: Stage,
    heartbeat: Heartbeat,
    /// The heartbeat message and its interval. It may hold the token.
    message: Option<(String, Duration)>,
    /// For what the server sends.
    masks: Arc<Masks>,
}

/// How far the opening is.
enum Stage {
    /// `stream.open_answer` is awaited.
    Opening {
        until: Instant,
        came: Came,
    },
    Open,
}

/// The meaning of a message at this point of the conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It holds events.
    Events,
    /// A message of the conversation, without events.
    Control,
    /// The answer: the stream is open.
    Opened,
    /// The server requests a delay; this is its message, fit to be shown.
    Refused(String),
}

/// The answer did not come in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unanswered;

impl Conversation {
    /// Begins after the handshake. `token` and `masks` are those of the connection.
    pub(crate) fn begin(
        settings: &StreamConfig,
        rules: &Arc<Rules>,
        token: &str,
        masks: Arc<Masks>,
        now: Instant,
    ) -> Self {
        let stream_id = settings.id.as_deref().unwrap_or_default();
        let message = settings.heartbeat.as_deref().map(|template| fill(template, token, stream_id));
        let until = now + settings.open_timeout;
        let mut conversation = Self {
            rules: (!rules.are_trivial()).then(|| Arc::clone(rules)),
            stage: Stage::Opening { until, came: Came::default() },
            heartbeat: Heartbeat::new(settings.ping_interval, settings.idle_timeout, now),
            message: message.map(|message| (message, settings.heartbeat_interval)),
            masks,
        };
        if !rules.has_answer() {
            conversation.open(now);
        }
        conversation
    }

    /// The rules by which messages are looked at; `None`: none is.
    pub(crate) fn rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref()
    }

    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening { .. })
    }

    /// The messages that came instead of the answer, for an error.
    pub(crate) fn came(&mut self) -> Came {
        match &mut self.stage {
            Stage::Opening { came, .. } => std::mem::take(came),
            Stage::Open => Came::default(),
        }
    }

    /// Moves on by a message of the server.
    pub(crate) fn hear(&mut self, message: &[u8], now: Instant) -> Heard {
        let awaits_answer = self.is_opening();
        let kind = self.rules.as_ref().map_or(MessageKind::Events, |rules| rules.kind_of(message, awaits_answer));
        match kind {
            MessageKind::Answer => {
                self.open(now);
                return Heard::Opened;
            }
            MessageKind::Refusal => return Heard::Refused(shown::show(message, &self.masks)),
            MessageKind::HeartbeatAnswer => self.heartbeat.heard(now),
            MessageKind::Ignored | MessageKind::Events => {}
        }
        if let Stage::Opening { came, .. } = &mut self.stage {
            came.add(message, &self.masks);
        }
        if kind == MessageKind::Events { Heard::Events } else { Heard::Control }
    }

    /// The next action.
    ///
    /// # Errors
    /// The time for the answer has passed.
    pub(crate) fn due(&self, now: Instant) -> Result<Due, Unanswered> {
        let due = self.heartbeat.due(now);
        let Stage::Opening { until, .. } = self.stage else { return Ok(due) };
        if now >= until {
            return Err(Unanswered);
        }
        Ok(match due {
            Due::WaitUntil(when) => Due::WaitUntil(when.min(until)),
            due => due,
        })
    }

    /// The heartbeat message, once it is due.
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|(message, _)| message.as_str())
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        self.heartbeat.idle_timeout()
    }

    pub(crate) fn heartbeat(&mut self) -> &mut Heartbeat {
        &mut self.heartbeat
    }

    /// From now on the stream counts as open, and heartbeats are sent.
    fn open(&mut self, now: Instant) {
        self.stage = Stage::Open;
        self.heartbeat.heard(now);
        if let Some((_, interval)) = self.message {
            let is_strict = self.rules.as_ref().is_some_and(|rules| rules.has_heartbeat_answer());
            self.heartbeat.begin_messages(interval, is_strict, now);
        }
    }
}

#[cfg(test)]
#[path = "../tests/conversation.rs"]
mod tests;

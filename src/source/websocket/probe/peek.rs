//! The stream as `peek-stream` sees it: connected as a sink would, and each message as it came, with its meaning.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, MessagePattern};
use crate::error::Result;
use crate::event::Burst;
use crate::net::masks::Masks;
use crate::source::unwrap::Unwrapper;
use crate::source::websocket::close_reason::{StreamFailure, not_open};
use crate::source::websocket::connector::StreamConnector;
use crate::source::websocket::conversation::{MessageKind, Rules, fill};
use crate::source::websocket::probe::watched::WatchedStream;
use crate::source::{Meaning, Peeked, PeekedEvent, StreamPeek};
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::SystemClock;

/// See the [module documentation](self).
pub(crate) struct WebsocketPeek {
    connector: StreamConnector,
    /// Each pattern by itself, to say which one it was.
    refusals: Vec<(MessagePattern, Rules)>,
    ignored: Vec<(MessagePattern, Rules)>,
    unwrapper: Option<Unwrapper>,
    masks: Masks,
    stream: Option<WatchedStream>,
    /// Opening messages that are still to be sent.
    opening: VecDeque<String>,
    heartbeat: Option<Beat>,
    awaits_answer: bool,
}

/// The heartbeat with the token in it, and when it is due.
struct Beat {
    message: String,
    interval: Duration,
    due: Instant,
}

impl WebsocketPeek {
    /// Checks the configuration; connects to nothing.
    pub(crate) fn new(config: &Config, stop: StopSignal) -> Result<Self> {
        let connector = StreamConnector::new(config, stop, Arc::new(SystemClock), Arc::new(|_| ()))?;
        Ok(Self {
            connector,
            refusals: one_by_one(&config.stream.open_refused, |config, pattern| {
                config.stream.open_refused.push(pattern);
            })?,
            ignored: one_by_one(&config.stream.ignore, |config, pattern| config.stream.ignore.push(pattern))?,
            unwrapper: Unwrapper::new(&config.event)?,
            masks: Masks::new(config.all_secrets()),
            stream: None,
            opening: VecDeque::new(),
            heartbeat: None,
            awaits_answer: config.stream.open_answer.is_some(),
        })
    }

    fn send(&mut self, key: &'static str, message: String) -> Result<Peeked> {
        let stream = self.stream.as_mut().ok_or_else(not_open)?;
        stream.say(&message, &self.connector);
        Ok(Peeked::Sent { key, message: message.into_bytes() })
    }

    /// As in a sink, heartbeats begin when the stream is open.
    fn start_heartbeat(&mut self) {
        if let Some(beat) = &mut self.heartbeat {
            beat.due = Instant::now() + beat.interval;
        }
    }

    fn due_beat(&mut self) -> Option<String> {
        let beat = self.heartbeat.as_mut()?;
        let now = Instant::now();
        if now < beat.due {
            return None;
        }
        beat.due = now + beat.interval;
        Some(beat.message.clone())
    }

    fn meaning(&mut self, message: &[u8]) -> Meaning {
        match self.connector.rules.kind_of(message, self.awaits_answer) {
            MessageKind::Answer => {
                self.awaits_answer = false;
                self.start_heartbeat();
                Meaning::OpenAnswer
            }
            MessageKind::HeartbeatAnswer => Meaning::HeartbeatAnswer,
            MessageKind::Refusal => match pattern_of(&self.refusals, message) {
                Some(pattern) => Meaning::Refused(pattern),
                None => Meaning::Events(self.events(message)),
            },
            MessageKind::Ignored => Meaning::Ignored(pattern_of(&self.ignored, message)),
            MessageKind::Events => match self.events(message) {
                events if events.is_empty() => Meaning::Ignored(None),
                events => Meaning::Events(events),
            },
        }
    }

    fn events(&self, message: &[u8]) -> Vec<PeekedEvent> {
        let Some(unwrapper) = &self.unwrapper else {
            return vec![PeekedEvent { bytes: message.to_owned(), problem: None }];
        };
        let mut burst = Burst::default();
        unwrapper.unwrap(message, &mut burst);
        let reason = |part: &[u8]| unwrapper.unwrap_again(part, &mut Burst::default()).err();
        burst
            .marked()
            .map(|event| PeekedEvent {
                bytes: event.bytes.to_owned(),
                problem: if event.is_message { reason(event.bytes).or(Some(UNKNOWN.into())) } else { None },
            })
            .collect()
    }
}

/// In place of a reason that is not found again.
const UNKNOWN: &str = "it cannot be unwrapped";

fn one_by_one(
    patterns: &[MessagePattern],
    set: impl Fn(&mut Config, MessagePattern),
) -> Result<Vec<(MessagePattern, Rules)>> {
    let rules = |pattern: &MessagePattern| {
        let mut alone = Config::default();
        set(&mut alone, pattern.clone());
        Ok((pattern.clone(), Rules::new(&alone)?))
    };
    patterns.iter().map(rules).collect()
}

fn pattern_of(patterns: &[(MessagePattern, Rules)], message: &[u8]) -> Option<MessagePattern> {
    let found = patterns.iter().find(|(_, rules)| rules.kind_of(message, false) != MessageKind::Events);
    found.map(|(pattern, _)| pattern.clone())
}

impl StreamPeek for WebsocketPeek {
    fn open(&mut self) -> Result<String> {
        let token = self.connector.tokens.token(None)?;
        self.masks.add(token.secret());
        let address = self.connector.route.address.to_string();
        let opened = WatchedStream::open(&self.connector, &token);
        let opening = |failure: StreamFailure| failure.error.while_doing(format_args!("opening the stream {address}"));
        self.stream = Some(opened.map_err(opening)?);
        self.opening = self.connector.opening_messages(&token).into();
        let settings = &self.connector.settings;
        // One that is not answered as it should be is not waited for any longer than a sink would.
        let patience = if self.awaits_answer { settings.open_timeout } else { Duration::ZERO };
        self.heartbeat = settings.heartbeat.as_ref().map(|message| Beat {
            message: fill(message, token.secret(), settings.id.as_deref().unwrap_or_default()),
            interval: settings.heartbeat_interval,
            due: Instant::now() + patience + settings.heartbeat_interval,
        });
        Ok(address)
    }

    fn next(&mut self, until: Instant) -> Result<Option<Peeked>> {
        if let Some(message) = self.opening.pop_front() {
            return self.send("stream.open", message).map(Some);
        }
        if let Some(message) = self.due_beat() {
            return self.send("stream.heartbeat", message).map(Some);
        }
        let until = self.heartbeat.as_ref().map_or(until, |beat| beat.due.min(until));
        let stream = self.stream.as_mut().ok_or_else(not_open)?;
        match stream.next(until, &self.connector) {
            Ok(None) => Ok(None),
            Ok(Some(message)) => {
                let meaning = self.meaning(&message);
                Ok(Some(Peeked::Received { message, meaning }))
            }
            Err(end) => match stream.lost(end, &self.connector) {
                None => Ok(Some(Peeked::Closed)),
                Some(error) => {
                    Err(error.while_doing(format_args!("reading the stream {}", self.connector.route.address)))
                }
            },
        }
    }

    fn shown(&self, text: &[u8], chars_max: usize) -> String {
        self.masks.show(text, chars_max)
    }
}

impl fmt::Debug for WebsocketPeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebsocketPeek").field("connector", &self.connector).finish_non_exhaustive()
    }
}

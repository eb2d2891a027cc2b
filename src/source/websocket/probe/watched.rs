//! A stream whose messages come out one by one, as they came: for `check` and `peek-stream`, which hold the conversation themselves and go on
//! where a sink gives up. Pings are sent and answered as on any connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{Config, StreamConfig};
use crate::error::Error;
use crate::event::Burst;
use crate::net::masks::Masks;
use crate::source::oauth::shelf::Token;
use crate::source::websocket::close_reason::{self, StreamFailure};
use crate::source::websocket::connection::Connection;
use crate::source::websocket::connector::{Handshaken, StreamConnector};
use crate::source::websocket::conversation::{Conversation, Rules};
use crate::source::websocket::end::End;
use crate::threads::stop_signal::InterruptGuard;

/// How long the server may take for its Close.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// See the [module documentation](self).
pub(super) struct WatchedStream {
    connection: Connection,
    token: Token,
    pub(super) masks: Arc<Masks>,
    /// Messages that have arrived.
    arrived: VecDeque<Vec<u8>>,
    _interrupt: InterruptGuard,
}

impl WatchedStream {
    /// The handshake alone: nothing is said yet.
    pub(super) fn open(connector: &StreamConnector, token: &Token) -> Result<Self, StreamFailure> {
        let Handshaken { transport, frames, masks, interrupt } = connector.shake_hands(token)?;
        // Without a conversation, every message is one event.
        let settings = StreamConfig { heartbeat: None, heartbeat_answer: None, ..connector.settings.clone() };
        let rules = Arc::new(Rules::new(&Config::default())?);
        let conversation =
            Conversation::begin(&settings, &rules, token.secret(), Arc::clone(&masks), connector.clock.steady());
        let connection = Connection::new(transport, frames, conversation, &[]);
        Ok(Self { connection, token: token.clone(), masks, arrived: VecDeque::new(), _interrupt: interrupt })
    }

    /// Sends a message.
    pub(super) fn say(&mut self, message: &str, connector: &StreamConnector) {
        self.connection.say(message, &*connector.clock);
    }

    /// The next message; `None` if none comes until then.
    pub(super) fn next(&mut self, until: Instant, connector: &StreamConnector) -> Result<Option<Vec<u8>>, End> {
        let (clock, stop) = (&*connector.clock, &connector.stop);
        while self.arrived.is_empty() {
            if clock.steady() >= until {
                return Ok(None);
            }
            let mut burst = Burst::default();
            let read = self.connection.read(&mut burst, Some(until), clock, stop);
            self.arrived.extend(burst.iter().map(<[u8]>::to_vec));
            if self.arrived.is_empty() {
                read?;
            }
        }
        Ok(self.arrived.pop_front())
    }

    /// The error of an opening that ended so; `instead` is what came instead of the answer.
    pub(super) fn unopened(&self, end: End, instead: &str, connector: &StreamConnector) -> Error {
        close_reason::unopened(end, instead, &connector.settings, &self.token, &self.masks).error
    }

    /// The error that an end means; `None` if the server closed the stream in order.
    pub(super) fn lost(&self, end: End, connector: &StreamConnector) -> Option<Error> {
        close_reason::lost(end, &connector.settings, &self.token, &self.masks).map(|failure| failure.error)
    }

    /// Closes it; returns the messages that came before the server's Close.
    pub(super) fn close(mut self, connector: &StreamConnector) -> Vec<Vec<u8>> {
        self.connection.send_close();
        let until = connector.clock.steady() + CLOSE_WAIT;
        let mut messages = Vec::new();
        while let Ok(Some(message)) = self.next(until, connector) {
            messages.push(message);
        }
        messages
    }
}

//! Sends the next events on one connection, and what else is due between them.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::fault::{Fault, first_fault};
use crate::simulator::client_messages::ClientMessages;
use crate::simulator::cursor::{Batch, Fill};
use crate::simulator::frames::{self, CODE_NORMAL, CODE_POLICY, CODE_TOKEN_EXPIRED};
use crate::simulator::http::is_timeout;
use crate::simulator::profile::{Dialect, dialect};
use crate::simulator::shared::Shared;

/// A batch is full at this size. Larger writes are no faster, smaller ones cost a system call for fewer events.
const BATCH_BYTES: usize = 64 * 1024;
/// Interval at which a blocked write checks whether the simulator stops or another connection took over.
pub(super) const WRITE_STEP: Duration = Duration::from_millis(20);
/// Interval at which an idle connection checks whether something is due; a message from the client wakes it at once.
pub(super) const IDLE_STEP: Duration = Duration::from_secs(1);
/// Limit of the opening of the conversation.
const OPEN_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Over,
    /// The socket must be closed without a shutdown.
    Reset,
}

pub(super) struct Sender<'a> {
    pub(super) shared: &'a Shared,
    pub(super) socket: &'a TcpStream,
    pub(super) messages: &'a ClientMessages,
    pub(super) dialect: &'static Dialect,
    /// The connection's number, once its conversation is open.
    pub(super) id: Option<u64>,
    pub(super) batch: Batch,
    pub(super) control: Vec<u8>,
    pub(super) fault: Option<(u64, Fault)>,
    /// When the handshake was over; then, when the conversation was open.
    pub(super) opened: Instant,
    /// `None`: the stream needs no token.
    pub(super) token_expiry: Option<Instant>,
    /// Events sent on this connection.
    pub(super) sent: u64,
    /// Of those, events that the client has read, as far as it has shown.
    pub(super) confirmed: u64,
    pub(super) sent_since_ping: u64,
    pub(super) last_ping: Instant,
    pub(super) last_heartbeat: Instant,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        socket: &'a TcpStream,
        messages: &'a ClientMessages,
        token_expiry: Option<Instant>,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            socket,
            messages,
            dialect: dialect(shared.options.profile),
            id: None,
            batch: Batch::default(),
            control: Vec::new(),
            fault: None,
            opened: now,
            token_expiry,
            sent: 0,
            confirmed: 0,
            sent_since_ping: 0,
            last_ping: now,
            last_heartbeat: now,
        }
    }

    /// Serves until the connection is over. `id`: the connection's number, if its conversation was opened.
    pub(super) fn run(mut self, id: &mut Option<u64>) -> Ending {
        let ending = self.begin().unwrap_or_else(|| {
            loop {
                if let Some(ending) = self.step() {
                    break ending;
                }
            }
        });
        *id = self.id;
        ending
    }

    /// Says what comes first. Where there is no conversation, the stream is open with the handshake.
    pub(super) fn begin(&mut self) -> Option<Ending> {
        if self.dialect.open.is_empty() {
            self.become_open();
        }
        self.say(self.dialect.ignored_first?)
    }

    pub(super) fn become_open(&mut self) {
        let id = self.shared.cursor.open();
        self.id = Some(id);
        self.fault = first_fault(self.shared, id);
        self.opened = Instant::now();
    }

    /// Does the next thing that is due; `Some` when the connection is over.
    pub(super) fn step(&mut self) -> Option<Ending> {
        if self.shared.stop.is_set() {
            return Some(Ending::Over);
        }
        if let Some(unread) = self.messages.take()
            && let Some(ending) = self.reply(&unread)
        {
            return Some(ending);
        }
        if let Some((after, fault)) = self.fault
            && self.sent >= after
        {
            return Some(self.play(fault));
        }
        let now = Instant::now();
        let Some(id) = self.id else {
            return self.wait_for_opening(now);
        };
        if self.shared.options.close_when_expired && self.token_expiry.is_some_and(|expiry| now >= expiry) {
            return Some(self.close(CODE_TOKEN_EXPIRED, "token expired"));
        }
        if let Some(text) = self.own_heartbeat(now)
            && let Some(ending) = self.say(text)
        {
            return Some(ending);
        }
        if self.is_ping_due(now)
            && let Some(ending) = self.ping()
        {
            return Some(ending);
        }
        let events_max = self.events_due(now);
        if events_max == 0 {
            self.wait(now, self.until_next_event(now));
            return None;
        }
        match self.shared.cursor.fill(id, events_max, BATCH_BYTES, &mut self.batch) {
            Fill::Events => self.send_batch(),
            Fill::NotNow => {
                self.wait(now, WRITE_STEP);
                None
            }
            Fill::AtEnd if self.shared.options.close_at_end => Some(self.close(CODE_NORMAL, "end of stream")),
            // The pong to this ping confirms that the client has read everything.
            Fill::AtEnd if self.sent_since_ping > 0 => self.ping(),
            Fill::AtEnd => {
                self.wait(now, IDLE_STEP);
                None
            }
        }
    }

    pub(super) fn send_batch(&mut self) -> Option<Ending> {
        let (written, is_alive) = self.write(&self.batch.bytes, true);
        let (mut sent, partial_end) = self.batch.messages_in(written);
        // A partly written frame must be completed, or the client cannot read the next one. On a dead connection it goes back.
        let unfinished = partial_end.filter(|_| is_alive);
        if unfinished.is_some() {
            sent += 1;
        }
        self.shared.cursor.record_sent(&self.batch, sent);
        let events = self.batch.events_in(sent) as u64;
        self.sent += events;
        self.sent_since_ping += events;
        let is_alive = match unfinished {
            Some(end) => self.write(&self.batch.bytes[written..end], false).1,
            None => is_alive,
        };
        (!is_alive).then_some(Ending::Over)
    }

    /// Writes everything, unless the connection ends or, with `may_yield`, another connection takes over. Returns the number of bytes
    /// written and whether the connection is alive. Blocks while the client does not read: that is the backpressure.
    pub(super) fn write(&self, bytes: &[u8], may_yield: bool) -> (usize, bool) {
        let mut written = 0;
        while written < bytes.len() {
            match (&mut &*self.socket).write(&bytes[written..]) {
                Ok(0) => return (written, false),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) && !self.shared.stop.is_set() => {
                    if may_yield && !self.id.is_some_and(|id| self.shared.cursor.is_active(id)) {
                        return (written, true);
                    }
                }
                Err(_) => return (written, false),
            }
        }
        (written, true)
    }

    pub(super) fn write_control(&mut self, frame: Frame) -> Option<Ending> {
        self.control.clear();
        frames::push_control(&mut self.control, frame);
        let (_, is_alive) = self.write(&self.control, false);
        (!is_alive).then_some(Ending::Over)
    }

    /// Sends a message of the conversation.
    pub(super) fn say(&mut self, text: &str) -> Option<Ending> {
        self.control.clear();
        frames::push_message(&mut self.control, OpCode::Data(Data::Text), text.as_bytes());
        let (_, is_alive) = self.write(&self.control, false);
        (!is_alive).then_some(Ending::Over)
    }

    /// Waits for the messages that open the conversation, up to a limit.
    pub(super) fn wait_for_opening(&mut self, now: Instant) -> Option<Ending> {
        let left = OPEN_MAX.saturating_sub(now.saturating_duration_since(self.opened));
        if left.is_zero() {
            return Some(self.close(CODE_POLICY, "nothing opened the conversation"));
        }
        self.messages.wait(left);
        None
    }

    pub(super) fn ping(&mut self) -> Option<Ending> {
        self.sent_since_ping = 0;
        self.last_ping = Instant::now();
        let payload = self.sent.to_string();
        // Counted first, so that the report has it by the time the client does.
        self.shared.cursor.count(|report| report.pings_sent += 1);
        self.write_control(Frame::ping(payload))
    }
}

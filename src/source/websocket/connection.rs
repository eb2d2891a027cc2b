//! One open stream: reads messages into bursts, holds the conversation, answers pings, sends pings, detects the end.

use std::io;
use std::time::{Duration, Instant};

use crate::event::Burst;
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::Clock;

use super::control::Close;
use super::conversation::{Conversation, Due, Heard};
use super::end::End;
use super::frames::{Frame, Frames};
use super::outbox::Outbox;
use crate::source::ReadOutcome;
use crate::source::net::transport::Transport;

/// Reads for one burst at most, so that a flood of pings or a huge message does not hold it back.
const TOP_UPS_MAX: usize = 64;
/// After a read of so few bytes that emptied the socket, no further read is tried: it would only cost system calls. Under load the
/// server continues to send during a read.
const TRICKLE_BYTES: usize = 4096;
/// How long the server may take to end the connection after its close frame (RFC 6455 section 7.1.1 has the client wait).
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// How often acknowledgements are tried again that the server did not take. It may send nothing until it has them.
const SEND_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Connection {
    transport: Transport,
    frames: Frames,
    conversation: Conversation,
    outbox: Outbox,
    /// A close frame that came after events; it counts once the caller has them.
    closing: Option<Closing>,
    /// The message that is looked at, where messages are.
    inbox: Burst,
}

/// A close frame, with a code or without.
struct Closing(Option<Close>);

/// Why decoding stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoded {
    Everything,
    FullBurst,
    /// The stream is open: what follows belongs to the next read.
    Opened,
}

impl Connection {
    /// `open` are the opening messages.
    pub(super) fn new(transport: Transport, frames: Frames, conversation: Conversation, open: &[String]) -> Self {
        let mut outbox = Outbox::default();
        for message in open {
            outbox.say(message);
        }
        Self { transport, frames, conversation, outbox, closing: None, inbox: Burst::default() }
    }

    /// Sends the opening messages, and waits for the answer if one is expected. Events that come before it go to `early`, also on an
    /// error.
    pub(super) fn open(&mut self, early: &mut Burst, clock: &dyn Clock, stop: &StopSignal) -> Result<(), End> {
        self.outbox.send(&mut self.transport, clock.steady())?;
        while self.conversation.is_opening() {
            if early.is_full() {
                return Err(End::TooEarly(early.events()));
            }
            self.read(early, None, clock, stop)?;
        }
        Ok(())
    }

    /// See [`Source::read`](crate::source::Source::read); [`ReadOutcome::Closed`] is [`End::Closed`] here. With `until` it is
    /// [`ReadOutcome::Idle`] at that time if nothing came before; after that time, no read is tried.
    pub(super) fn read(
        &mut self,
        burst: &mut Burst,
        until: Option<Instant>,
        clock: &dyn Clock,
        stop: &StopSignal,
    ) -> Result<ReadOutcome, End> {
        if !self.wait_for_room(until, clock, stop)? {
            return Ok(ReadOutcome::Idle);
        }
        self.conversation.heartbeat().come_back(clock.steady());
        let before = burst.events();
        let read = self.read_burst(burst, until, clock, stop);
        if self.conversation.rules().is_none() {
            burst.count_messages((burst.events() - before) as u64, 0);
        }
        self.conversation.heartbeat().leave(clock.steady());
        read
    }

    /// Sends a message; for those who hold the conversation themselves.
    pub(super) fn say(&mut self, message: &str, clock: &dyn Clock) {
        self.outbox.say(message);
        // The next read meets the same failure, and reports it.
        drop(self.outbox.send(&mut self.transport, clock.steady()));
    }

    /// The spool has the events that were read; they may be acknowledged.
    pub(super) fn kept(&mut self, clock: &dyn Clock) {
        self.outbox.kept();
        // The next read meets the same failure, and reports it.
        drop(self.outbox.send(&mut self.transport, clock.steady()));
    }

    /// The messages that came instead of the answer to the opening messages, as `; instead came …`.
    pub(super) fn came_instead(&mut self) -> String {
        self.conversation.came().to_string()
    }

    /// Begins the close handshake (code 1000, section 7.4.1). Events that the server sent before its Close can still be read; its Close,
    /// or any other end of the stream, is an [`End`].
    pub(super) fn send_close(&mut self) {
        // If it cannot be sent, no Close comes back, and the caller does not wait forever.
        self.outbox.close(&1000_u16.to_be_bytes(), &mut self.transport);
    }

    /// While too many acknowledgements wait, nothing is read: what is read needs more of them. False at `until`.
    fn wait_for_room(&mut self, until: Option<Instant>, clock: &dyn Clock, stop: &StopSignal) -> Result<bool, End> {
        while self.outbox.is_full() {
            if stop.is_set() {
                return Err(End::Stopped);
            }
            let now = clock.steady();
            self.outbox.send_within(SEND_AGAIN, &mut self.transport, now)?;
            self.check_acknowledgements(now)?;
            if until.is_some_and(|until| until <= now) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn check_acknowledgements(&self, now: Instant) -> Result<(), End> {
        let stuck_for = self.outbox.stuck_for(now);
        if stuck_for >= self.conversation.idle_timeout() { Err(End::Untaken(stuck_for)) } else { Ok(()) }
    }

    fn read_burst(
        &mut self,
        burst: &mut Burst,
        until: Option<Instant>,
        clock: &dyn Clock,
        stop: &StopSignal,
    ) -> Result<ReadOutcome, End> {
        let before = burst.events();
        if burst.is_full() {
            return Ok(ReadOutcome::Events);
        }
        let mut has_read = false;
        let decoded = loop {
            if stop.is_set() {
                return Err(End::Stopped);
            }
            let decoded = self.decode(burst, clock)?;
            if burst.events() > before || decoded == Decoded::Opened {
                break decoded;
            }
            if let Some(Closing(close)) = self.closing.take() {
                return Err(self.finish(close));
            }
            match self.wait(until, clock)? {
                Some(is_more) => has_read = is_more,
                None => return Ok(ReadOutcome::Idle),
            }
        };
        let is_trickle = has_read && self.transport.is_drained() && burst.bytes() < TRICKLE_BYTES;
        if decoded == Decoded::Everything && self.closing.is_none() && !is_trickle {
            self.drain(burst, clock, stop)?;
        }
        // Only now: if the server has closed already, writing causes a reset, which loses unread bytes.
        let now = clock.steady();
        self.outbox.send(&mut self.transport, now)?;
        match self.conversation.due(now)? {
            Due::Lost(silence) if self.conversation.heartbeat().is_given_up() => return Err(End::Silent(silence)),
            Due::Lost(_) | Due::WaitUntil(_) => {}
            due => self.send_due(&due, now)?,
        }
        Ok(if burst.events() > before { ReadOutcome::Events } else { ReadOutcome::Idle })
    }

    /// Does what is due, or waits for bytes; returns whether some came. `None`: the caller should have a turn.
    fn wait(&mut self, until: Option<Instant>, clock: &dyn Clock) -> Result<Option<bool>, End> {
        let now = clock.steady();
        self.outbox.send(&mut self.transport, now)?;
        self.check_acknowledgements(now)?;
        match self.conversation.due(now)? {
            Due::Lost(silence) => {
                // Bytes in the socket mean no silence: this thread may have been kept from running.
                self.transport.wait_never()?;
                if self.conversation.heartbeat().is_given_up() || !self.fill(clock)? {
                    return Err(End::Silent(silence));
                }
                Ok(Some(false))
            }
            due @ (Due::Ping | Due::Message) => self.send_due(&due, now).map(|()| None).map_err(End::from),
            Due::WaitUntil(_) if until.is_some_and(|until| until <= now) => Ok(None),
            Due::WaitUntil(when) => {
                let when = until.map_or(when, |until| until.min(when));
                let mut wait = when.saturating_duration_since(now);
                if self.outbox.has_acks() {
                    wait = wait.min(SEND_AGAIN);
                }
                // The clock may be a test's; the socket knows the machine's only.
                self.transport.wait_until(Instant::now() + wait)?;
                self.fill(clock).map(Some)
            }
        }
    }

    /// Reads all that has arrived, without waiting for more.
    fn drain(&mut self, burst: &mut Burst, clock: &dyn Clock, stop: &StopSignal) -> Result<(), End> {
        self.transport.wait_never()?;
        for _ in 0..TOP_UPS_MAX {
            if stop.is_set() || !self.fill(clock)? {
                break;
            }
            if self.decode(burst, clock)? != Decoded::Everything || self.closing.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Decodes the bytes that were read, until the burst is full, the stream is open, or a close frame comes.
    fn decode(&mut self, burst: &mut Burst, clock: &dyn Clock) -> Result<Decoded, End> {
        let is_plain = self.conversation.rules().is_none();
        while self.closing.is_none() && !burst.is_full() {
            let into = if is_plain { &mut *burst } else { &mut self.inbox };
            match self.frames.next(into) {
                Ok(None) => return Ok(Decoded::Everything),
                Ok(Some(Frame::Message)) if is_plain => {}
                Ok(Some(Frame::Message)) => {
                    if self.take_message(burst, clock.steady())? == Heard::Opened {
                        return Ok(Decoded::Opened);
                    }
                }
                Ok(Some(Frame::Pong)) => {}
                Ok(Some(Frame::Ping(payload))) => self.outbox.pong(payload),
                Ok(Some(Frame::Close(close))) => self.closing = Some(Closing(close)),
                Err(violation) => {
                    // A courtesy to the server.
                    self.outbox.close(&violation.close_payload(), &mut self.transport);
                    // The beginning of a message that is too large to be inflated.
                    self.take_message(burst, clock.steady())?;
                    return Err(violation.into());
                }
            }
        }
        Ok(Decoded::FullBurst)
    }

    /// Takes the message from the inbox, if there is one: into the burst, or into the conversation.
    fn take_message(&mut self, burst: &mut Burst, now: Instant) -> Result<Heard, End> {
        let Some(message) = self.inbox.iter().next() else { return Ok(Heard::Control) };
        let heard = self.conversation.hear(message, now);
        let mut events = 0;
        if let (Heard::Events, Some(rules)) = (&heard, self.conversation.rules()) {
            let is_cut = self.frames.is_cut(message.len());
            events = rules.unwrap(message, is_cut, burst);
            // Of a message that was cut, not everything is kept.
            if events > 0
                && !is_cut
                && let Some(ack) = rules.ack(message)
            {
                self.outbox.acknowledge_later(&ack);
            }
        }
        burst.count_messages(1, u64::from(events == 0));
        self.inbox.clear();
        if let Heard::Refused(what) = heard { Err(End::Refused(what)) } else { Ok(heard) }
    }

    /// Reads once; false when nothing came in time.
    fn fill(&mut self, clock: &dyn Clock) -> Result<bool, End> {
        match self.frames.fill(&mut self.transport) {
            Ok(0) => Err(End::Cut),
            Ok(_) => {
                self.conversation.heartbeat().received(clock.steady());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            // Not an end: the caller checks the time and reads again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the ping or the heartbeat message that is due.
    fn send_due(&mut self, due: &Due, now: Instant) -> io::Result<()> {
        if *due == Due::Ping {
            self.outbox.ping();
            self.conversation.heartbeat().pinged(now);
        } else {
            if let Some(message) = self.conversation.message() {
                self.outbox.beat(message);
            }
            self.conversation.heartbeat().messaged(now);
        }
        self.outbox.send(&mut self.transport, now)
    }

    /// Answers a close frame, and waits a short time for the server to end the connection, as it should.
    fn finish(&mut self, close: Option<Close>) -> End {
        let code = close.as_ref().map(|close| close.code.to_be_bytes());
        let until = Instant::now() + CLOSE_WAIT;
        self.outbox.close(code.as_ref().map_or(&[], |code| code), &mut self.transport);
        let mut discarded = [0; 4096];
        if self.transport.wait_until(until).is_ok() {
            while let Ok(1..) = io::Read::read(&mut self.transport, &mut discarded) {}
        }
        End::Closed(close)
    }
}

impl Drop for Connection {
    /// Code 1001 (section 7.4.1), a courtesy to the server; after a stop or an end the socket does not take it.
    fn drop(&mut self) {
        if !self.outbox.is_blocked() {
            self.outbox.close(&1001_u16.to_be_bytes(), &mut self.transport);
        }
    }
}

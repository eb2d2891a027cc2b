//! One open stream: reads messages into bursts, answers pings, sends pings, detects the end.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::Control;

use crate::event::Burst;
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::Clock;

use super::control::{Close, encode_control};
use super::frames::{Frame, Frames};
use super::heartbeat::{Due, Heartbeat};
use super::violation::ProtocolViolation;
use crate::source::ReadOutcome;
use crate::source::net::transport::Transport;

/// Reads for one burst at most, so that a flood of pings or a huge message does not hold it back.
const TOP_UPS_MAX: usize = 64;
/// After a read of so few bytes that emptied the socket, no further read is tried: it would only cost system calls. Under load the
/// server continues to send during a read.
const TRICKLE_BYTES: usize = 4096;
/// How long the server may take to end the connection after its close frame (RFC 6455 section 7.1.1 has the client wait).
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// The end of a stream.
#[derive(Debug)]
pub(super) enum End {
    /// A close frame came, with a code or without.
    Closed(Option<Close>),
    /// The connection ended without a close frame.
    Cut,
    /// The connection failed.
    Io(io::Error),
    /// The server broke the protocol.
    Violation(ProtocolViolation),
    /// Nothing arrived for this long.
    Silent(Duration),
    /// The stop signal is set.
    Stopped,
}

impl From<ProtocolViolation> for End {
    fn from(violation: ProtocolViolation) -> Self {
        Self::Violation(violation)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) struct Connection {
    transport: Transport,
    frames: Frames,
    heartbeat: Heartbeat,
    /// A close frame that came after events; it counts once the caller has them.
    closing: Option<Closing>,
    /// The latest unanswered ping: older ones need no answer any more (RFC 6455 section 5.5.3).
    ping: Option<Vec<u8>>,
    /// Bytes to send: a few control frames at most.
    out: Vec<u8>,
    /// Nothing can or may be sent any more: a close frame was sent, or sending failed. Earlier bytes of the server may still have to be
    /// read, so this alone is no end.
    mute: bool,
}

/// A close frame, with a code or without.
struct Closing(Option<Close>);

/// Why decoding stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decoded {
    Everything,
    FullBurst,
}

impl Connection {
    pub(super) fn new(transport: Transport, frames: Frames, heartbeat: Heartbeat) -> Self {
        Self { transport, frames, heartbeat, closing: None, ping: None, out: Vec::new(), mute: false }
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
        self.heartbeat.come_back(clock.steady());
        let read = self.read_burst(burst, until, clock, stop);
        self.heartbeat.leave(clock.steady());
        read
    }

    /// Begins the close handshake (code 1000, section 7.4.1). Events that the server sent before its Close can still be read; its Close,
    /// or any other end of the stream, is an [`End`].
    pub(super) fn send_close(&mut self) {
        // Nothing may follow a close frame (section 5.5.1).
        self.ping = None;
        encode_control(Control::Close, &1000_u16.to_be_bytes(), &mut self.out);
        // If it cannot be sent, no Close comes back, and the caller does not wait forever.
        drop(self.send_pending());
        self.mute = true;
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
            let decoded = self.decode(burst)?;
            if burst.events() > before {
                break decoded;
            }
            if let Some(Closing(close)) = self.closing.take() {
                return Err(self.finish(close));
            }
            self.send_pending()?;
            let now = clock.steady();
            match self.heartbeat.due(now) {
                Due::Lost(silence) => {
                    // Bytes in the socket mean no silence: this thread may have been kept from running.
                    self.transport.wait_never()?;
                    if !self.fill(clock)? {
                        return Err(End::Silent(silence));
                    }
                }
                Due::Ping => {
                    self.send_ping()?;
                    self.heartbeat.pinged(now);
                    return Ok(ReadOutcome::Idle);
                }
                Due::WaitUntil(_) if until.is_some_and(|until| until <= now) => return Ok(ReadOutcome::Idle),
                Due::WaitUntil(when) => {
                    let when = until.map_or(when, |until| until.min(when));
                    // The clock may be a test's; the socket knows the machine's only.
                    self.transport.wait_until(Instant::now() + when.saturating_duration_since(now))?;
                    has_read = self.fill(clock)?;
                }
            }
        };
        let is_trickle = has_read && self.transport.is_drained() && burst.bytes() < TRICKLE_BYTES;
        if decoded == Decoded::Everything && self.closing.is_none() && !is_trickle {
            self.drain(burst, clock, stop)?;
        }
        // Only now: if the server has closed already, writing causes a reset, which loses unread bytes.
        self.send_pending()?;
        if self.heartbeat.due(clock.steady()) == Due::Ping {
            self.send_ping()?;
            self.heartbeat.pinged(clock.steady());
        }
        Ok(ReadOutcome::Events)
    }

    /// Reads all that has arrived, without waiting for more.
    fn drain(&mut self, burst: &mut Burst, clock: &dyn Clock, stop: &StopSignal) -> Result<(), End> {
        self.transport.wait_never()?;
        for _ in 0..TOP_UPS_MAX {
            if stop.is_set() || !self.fill(clock)? {
                break;
            }
            if self.decode(burst)? == Decoded::FullBurst || self.closing.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Decodes the bytes that were read, until the burst is full or a close frame comes.
    fn decode(&mut self, burst: &mut Burst) -> Result<Decoded, End> {
        while self.closing.is_none() && !burst.is_full() {
            match self.frames.next(burst) {
                Ok(None) => return Ok(Decoded::Everything),
                Ok(Some(Frame::Message | Frame::Pong)) => {}
                Ok(Some(Frame::Ping(payload))) => self.ping = Some(payload),
                Ok(Some(Frame::Close(close))) => self.closing = Some(Closing(close)),
                Err(violation) => {
                    // A courtesy to the server.
                    encode_control(Control::Close, &violation.close_payload(), &mut self.out);
                    self.send_pending()?;
                    self.mute = true;
                    return Err(violation.into());
                }
            }
        }
        Ok(Decoded::FullBurst)
    }

    /// Reads once; false when nothing came in time.
    fn fill(&mut self, clock: &dyn Clock) -> Result<bool, End> {
        match self.frames.fill(&mut self.transport) {
            Ok(0) => Err(End::Cut),
            Ok(_) => {
                self.heartbeat.heard(clock.steady());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            // Not an end: the caller checks the time and reads again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn send_ping(&mut self) -> io::Result<()> {
        // A server that does not read the waiting bytes would not get a second ping any sooner.
        if self.out.is_empty() {
            encode_control(Control::Ping, b"", &mut self.out);
        }
        self.send_pending()
    }

    /// Sends the waiting bytes, as far as the socket takes them without waiting: a server that does not read must not keep us from
    /// reading.
    fn send_pending(&mut self) -> io::Result<()> {
        if self.mute || (self.out.is_empty() && self.ping.is_none()) {
            return Ok(());
        }
        self.transport.wait_never()?;
        loop {
            if self.out.is_empty() {
                let Some(payload) = self.ping.take() else {
                    break;
                };
                encode_control(Control::Pong, &payload, &mut self.out);
            }
            match self.transport.write(&self.out) {
                Ok(written @ 1..) => drop(self.out.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(0) | Err(_) => {
                    self.mute = true;
                    return Ok(());
                }
            }
        }
        // With TLS a written record may still wait in the session. It goes out with the next read or write at the latest.
        drop(self.transport.flush());
        Ok(())
    }

    /// Answers a close frame, and waits a short time for the server to end the connection, as it should.
    fn finish(&mut self, close: Option<Close>) -> End {
        let code = close.as_ref().map(|close| close.code.to_be_bytes());
        encode_control(Control::Close, code.as_ref().map_or(&[], |code| code), &mut self.out);
        let until = Instant::now() + CLOSE_WAIT;
        let sent = self.send_pending().and_then(|()| self.transport.wait_until(until));
        self.mute = true;
        let mut discarded = [0; 4096];
        if sent.is_ok() {
            while let Ok(1..) = io::Read::read(&mut self.transport, &mut discarded) {}
        }
        End::Closed(close)
    }
}

impl Drop for Connection {
    /// Code 1001 (section 7.4.1), a courtesy to the server; after a stop or an end the socket does not take it.
    fn drop(&mut self) {
        if self.out.is_empty() {
            encode_control(Control::Close, &1001_u16.to_be_bytes(), &mut self.out);
            // Nothing can be done about a failure here.
            drop(self.send_pending());
        }
    }
}

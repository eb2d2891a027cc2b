//! The bytes to send: control frames, messages, acknowledgements. Nothing here waits, except for room.
//!
//! A server that does not read must not keep us from reading, nor fill the memory. So of pongs, pings and heartbeats only the latest waits, and
//! acknowledgements are counted: above [`ACK_BYTES_MAX`] no more events are read, and a server that takes none of them loses the
//! connection.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::control::encode_control;
use crate::source::net::transport::Transport;

/// Acknowledgements above this stop the reading.
const ACK_BYTES_MAX: usize = if cfg!(test) { 64 << 10 } else { 1 << 20 };
/// A buffer that grew larger is not kept.
const BUFFER_BYTES_KEPT: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Outbox {
    /// Bytes that are being sent: whole frames, the first of them perhaps in part.
    bytes: Vec<u8>,
    /// Whether they hold acknowledgements.
    are_acks: bool,
    /// The latest unanswered ping: older ones need no answer any more (RFC 6455 section 5.5.3).
    pong: Option<Vec<u8>>,
    is_ping_due: bool,
    /// The heartbeat message that is due.
    message: Option<String>,
    /// Frames of acknowledgements that may leave.
    acks: Vec<u8>,
    /// Frames of acknowledgements for events that the spool does not have yet.
    unkept: Vec<u8>,
    /// Since when acknowledgements wait and the server takes none.
    stuck_since: Option<Instant>,
    /// Nothing can or may be sent any more: a close frame was sent, or sending failed. Earlier bytes of the server may still have to be
    /// read, so this alone is no end.
    is_mute: bool,
}

impl Outbox {
    /// Sends a message as soon as those before it are sent.
    pub(super) fn say(&mut self, message: &str) {
        encode_text(message, &mut self.bytes);
    }

    pub(super) fn pong(&mut self, payload: Vec<u8>) {
        self.pong = Some(payload);
    }

    /// A server that does not take what waits would not get a second one any sooner.
    pub(super) fn ping(&mut self) {
        self.is_ping_due = true;
    }

    /// As [`ping`](Self::ping), with the heartbeat message.
    pub(super) fn beat(&mut self, message: &str) {
        if self.message.is_none() {
            self.message = Some(message.to_owned());
        }
    }

    /// Acknowledges events once [`kept`](Self::kept) is called.
    pub(super) fn acknowledge_later(&mut self, ack: &str) {
        encode_text(ack, &mut self.unkept);
    }

    /// The spool has the events so far.
    pub(super) fn kept(&mut self) {
        self.acks.append(&mut self.unkept);
        self.unkept.shrink_to(BUFFER_BYTES_KEPT);
    }

    /// Sends a close frame as the last one, as far as the socket takes what waits.
    pub(super) fn close(&mut self, payload: &[u8], transport: &mut Transport) {
        if self.is_mute {
            return;
        }
        // Nothing may follow a close frame (section 5.5.1).
        (self.pong, self.is_ping_due, self.message) = (None, false, None);
        self.bytes.append(&mut self.acks);
        encode_control(Control::Close, payload, &mut self.bytes);
        // If it cannot be sent, nothing can be done about it.
        if transport.wait_never().is_ok() {
            self.write(transport);
        }
        self.is_mute = true;
    }

    /// Sends what waits, as far as the socket takes it without waiting.
    pub(super) fn send(&mut self, transport: &mut Transport, now: Instant) -> io::Result<()> {
        if self.is_mute || !self.has_waiting() {
            return Ok(());
        }
        transport.wait_never()?;
        self.send_in_its_mode(transport, now);
        Ok(())
    }

    /// The same, and waits at most that long for the socket to take all of it.
    pub(super) fn send_within(&mut self, wait: Duration, transport: &mut Transport, now: Instant) -> io::Result<()> {
        transport.wait_until(Instant::now() + wait)?;
        self.send_in_its_mode(transport, now);
        Ok(())
    }

    fn send_in_its_mode(&mut self, transport: &mut Transport, now: Instant) {
        let has_written = self.write(transport);
        if !self.has_acks() {
            self.stuck_since = None;
        } else if has_written || self.stuck_since.is_none() {
            self.stuck_since = Some(now);
        }
    }

    /// Writes until the transport takes no more; returns whether it took anything.
    fn write(&mut self, transport: &mut Transport) -> bool {
        let mut has_written = false;
        while !self.bytes.is_empty() || self.refill() {
            match transport.write(&self.bytes) {
                Ok(written @ 1..) => {
                    has_written = true;
                    drop(self.bytes.drain(..written));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Ok(0) | Err(_) => {
                    self.is_mute = true;
                    return has_written;
                }
            }
        }
        // With TLS a written record may still wait in the session. It goes out with the next read or write at the latest.
        drop(transport.flush());
        has_written
    }

    /// Takes the next frames; false if nothing waits.
    fn refill(&mut self) -> bool {
        self.bytes.shrink_to(BUFFER_BYTES_KEPT);
        self.are_acks = false;
        if let Some(payload) = self.pong.take() {
            encode_control(Control::Pong, &payload, &mut self.bytes);
        }
        if let Some(message) = self.message.take() {
            encode_text(&message, &mut self.bytes);
        }
        if std::mem::take(&mut self.is_ping_due) {
            encode_control(Control::Ping, b"", &mut self.bytes);
        }
        if self.bytes.is_empty() && !self.acks.is_empty() {
            std::mem::swap(&mut self.bytes, &mut self.acks);
            self.are_acks = true;
        }
        !self.bytes.is_empty()
    }

    fn has_waiting(&self) -> bool {
        !self.bytes.is_empty()
            || self.pong.is_some()
            || self.is_ping_due
            || self.message.is_some()
            || !self.acks.is_empty()
    }

    /// Whether acknowledgements wait that may leave.
    pub(super) fn has_acks(&self) -> bool {
        !self.is_mute && (!self.acks.is_empty() || (self.are_acks && !self.bytes.is_empty()))
    }

    /// Whether more than [`ACK_BYTES_MAX`] of them wait: reading on would only add to them.
    pub(super) fn is_full(&self) -> bool {
        let current = if self.are_acks { self.bytes.len() } else { 0 };
        !self.is_mute && self.acks.len() + current > ACK_BYTES_MAX
    }

    /// How long the server has taken none of the acknowledgements.
    pub(super) fn stuck_for(&self, now: Instant) -> Duration {
        self.stuck_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether a frame has left in part only: no other may follow now.
    pub(super) fn is_blocked(&self) -> bool {
        !self.bytes.is_empty()
    }
}

/// Appends a text message in one frame, masked as a client must (section 5.3).
pub(super) fn encode_text(message: &str, out: &mut Vec<u8>) {
    const MASKED: u8 = 0x80;
    let mask = fastrand::u32(..).to_be_bytes();
    out.reserve(message.len() + 14);
    out.push(0x80 | u8::from(OpCode::Data(Data::Text)));
    if let Ok(length @ ..126) = u8::try_from(message.len()) {
        out.push(MASKED | length);
    } else if let Ok(length) = u16::try_from(message.len()) {
        out.push(MASKED | 0x7e);
        out.extend(length.to_be_bytes());
    } else {
        out.push(MASKED | 0x7f);
        out.extend((message.len() as u64).to_be_bytes());
    }
    out.extend(mask);
    out.extend(message.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::source::test_server::PATIENCE;

    fn pair() -> (Transport, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        (Transport::new(client, Instant::now() + PATIENCE).unwrap(), server)
    }

    /// Takes the first frame from the front: opcode and payload.
    fn take_frame(bytes: &mut &[u8]) -> (u8, Vec<u8>) {
        assert_eq!(bytes[1] & 0x80, 0x80, "a client masks");
        let (length, head) = match bytes[1] & 0x7f {
            126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => (usize::try_from(u64::from_be_bytes(bytes[2..10].try_into().unwrap())).unwrap(), 10),
            length => (usize::from(length), 2),
        };
        let (opcode, mask) = (bytes[0], &bytes[head..head + 4]);
        let payload = &bytes[head + 4..head + 4 + length];
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        *bytes = &bytes[head + 4 + length..];
        (opcode, payload)
    }

    #[test]
    fn texts_of_every_length_are_one_masked_frame() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let mut bytes = Vec::new();
            encode_text(&text, &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!(take_frame(&mut rest), (0x81, text.into_bytes()));
            assert_eq!(rest, b"");
        }
    }

    #[test]
    fn of_what_can_be_said_again_one_waits() {
        let mut outbox = Outbox::default();
        for number in 0..3 {
            outbox.ping();
            outbox.beat("beat");
            outbox.pong(vec![number]);
        }
        assert!(outbox.refill());
        let mut bytes = outbox.bytes.as_slice();
        assert_eq!(take_frame(&mut bytes), (0x8a, vec![2]));
        assert_eq!(take_frame(&mut bytes), (0x81, b"beat".to_vec()));
        assert_eq!(take_frame(&mut bytes), (0x89, Vec::new()));
        assert_eq!(bytes, b"");
    }

    #[test]
    fn acknowledgements_wait_for_the_spool_and_then_for_the_server() {
        let (mut transport, mut server) = pair();
        let (mut outbox, start) = (Outbox::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let ack = "x".repeat(10_000);
        outbox.acknowledge_later(&ack);
        outbox.send(&mut transport, start).unwrap();
        server.set_nonblocking(true).unwrap();
        server.peek(&mut [0]).expect_err("the spool does not have the event yet");
        server.set_nonblocking(false).unwrap();

        let mut count = 0;
        while !outbox.is_full() {
            outbox.acknowledge_later(&ack);
            outbox.kept();
            outbox.send(&mut transport, start).unwrap();
            count += 1;
        }
        assert!(outbox.bytes.len() + outbox.acks.len() < ACK_BYTES_MAX + 2 * ack.len());
        outbox.send(&mut transport, after(1)).unwrap();
        outbox.send(&mut transport, after(2)).unwrap();
        assert!(outbox.stuck_for(after(60)) >= Duration::from_secs(59));

        // The server takes all of it.
        let reading = std::thread::spawn(move || {
            let mut bytes = vec![0; (count + 1) * (10_000 + 8)];
            server.read_exact(&mut bytes).unwrap();
            bytes
        });
        while outbox.has_acks() {
            let before = outbox.bytes.len() + outbox.acks.len();
            outbox.send_within(Duration::from_millis(20), &mut transport, after(100)).unwrap();
            if outbox.bytes.len() + outbox.acks.len() < before {
                assert_eq!(outbox.stuck_for(after(100)), Duration::ZERO, "it takes some");
            }
        }
        let bytes = reading.join().unwrap();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            assert_eq!(take_frame(&mut rest), (0x81, ack.clone().into_bytes()));
        }
    }

    #[test]
    fn nothing_follows_a_close_frame() {
        let (mut transport, mut server) = pair();
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.acknowledge_later("unkept");
        outbox.kept();
        outbox.acknowledge_later("late");
        outbox.ping();
        outbox.close(&1000_u16.to_be_bytes(), &mut transport);
        outbox.kept();
        outbox.ping();
        outbox.send(&mut transport, now).unwrap();
        outbox.close(&1001_u16.to_be_bytes(), &mut transport);
        drop(transport);
        let mut bytes = Vec::new();
        server.read_to_end(&mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        assert_eq!(take_frame(&mut rest), (0x81, b"unkept".to_vec()));
        assert_eq!(take_frame(&mut rest), (0x88, 1000_u16.to_be_bytes().to_vec()));
        assert_eq!(rest, b"");
    }
}

//! Messages from the client of one stream: read by one thread, handed to the thread that sends.
//!
//! Only one thread may write to the socket, and it must not wait for the client; so the reading thread puts messages here.
//! However much a client sends, this holds at most one message of each kind: a server may answer only the latest of
//! several pings (RFC 6455 section 5.5.3), and a later pong confirms everything that an earlier one did. Answers of the conversation
//! wait here too, up to a limit.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tungstenite::error::ProtocolError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};

use super::frames::{CODE_NONE, CODE_NOT_UTF8, CODE_POLICY, CODE_PROTOCOL, CODE_TOO_BIG};
use super::profile::Heard;
use crate::threads::sync::{self, Condition};

/// The limit of a message. The client of a stream has no reason to send more.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// The limit of answers that the client does not read.
const ANSWERS_MAX: usize = 64;
const READ_BUFFER_BYTES: usize = 4 * 1024;

#[derive(Debug, Default)]
pub(super) struct ClientMessages {
    unread: Mutex<Unread>,
    changed: Condition,
    /// Spares the sender the lock while nothing has come.
    has_news: AtomicBool,
}

/// Messages that came since the last [`ClientMessages::take`].
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// The latest ping's payload.
    pub(super) ping: Option<Bytes>,
    pub(super) pings: u64,
    /// The latest pong's payload.
    pub(super) pong: Option<Bytes>,
    /// The code of the client's close frame.
    pub(super) close: Option<u16>,
    /// The messages to send to the client, in this order.
    pub(super) answers: Vec<String>,
    /// The conversation has become open.
    pub(super) is_opened: bool,
    /// When the token in its opening expires, if there was one.
    pub(super) token_expiry: Option<Instant>,
    /// The client broke the protocol; the code and the reason to close with.
    pub(super) violation: Option<(u16, &'static str)>,
    /// Nothing more will come. Stays set.
    pub(super) is_ended: bool,
}

impl ClientMessages {
    /// Reads until the connection ends, beginning with `rest`, the bytes that came right behind the handshake. `hear` returns the meaning
    /// of a message of the application.
    pub(super) fn read_from(&self, mut socket: &TcpStream, rest: Vec<u8>, mut hear: impl FnMut(&[u8]) -> Heard) {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let mut messages = WebSocket::from_partially_read(ReadOnly(socket), rest, Role::Server, Some(config));
        loop {
            match messages.read() {
                Ok(Message::Ping(payload)) => self.put(|unread| {
                    unread.ping = Some(payload);
                    unread.pings += 1;
                }),
                Ok(Message::Pong(payload)) => self.put(|unread| unread.pong = Some(payload)),
                Ok(Message::Close(frame)) => {
                    self.put(|unread| unread.close = Some(frame.map_or(CODE_NONE, |frame| frame.code.into())));
                    break;
                }
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    let heard = hear(&message.into_data());
                    if heard != Heard::Nothing {
                        self.put(|unread| unread.note(heard));
                    }
                }
                Ok(Message::Frame(_)) => {}
                Err(error) => {
                    if let Some(code) = violation(&error) {
                        self.put(|unread| unread.violation = Some((code, "protocol error")));
                    }
                    break;
                }
            }
        }
        // Closing a socket with unread bytes resets the connection, and the client loses what it has not read yet.
        let _ = io::copy(&mut socket, &mut io::sink());
        self.put(|unread| unread.is_ended = true);
    }

    fn put(&self, change: impl FnOnce(&mut Unread)) {
        {
            let mut unread = sync::lock(&self.unread);
            change(&mut unread);
            self.has_news.store(true, Ordering::Release);
        }
        self.changed.notify_all();
    }

    /// Returns the messages since the last call, if there are any.
    pub(super) fn take(&self) -> Option<Unread> {
        if !self.has_news.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut unread = sync::lock(&self.unread);
        let is_ended = unread.is_ended;
        Some(std::mem::replace(&mut *unread, Unread { is_ended, ..Unread::default() }))
    }

    /// Waits until a message comes, at most for `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let unread = sync::lock(&self.unread);
        if !self.has_news.load(Ordering::Acquire) {
            drop(self.changed.wait(unread, Some(timeout)));
        }
    }
}

impl Unread {
    fn note(&mut self, heard: Heard) {
        let answer = match heard {
            Heard::Step { answer } | Heard::Heartbeat { answer } => Some(answer),
            Heard::Opened { answer, token_expiry } => {
                (self.is_opened, self.token_expiry) = (true, token_expiry);
                Some(answer)
            }
            Heard::OpeningFailed { answer } => answer,
            Heard::Violation(code, reason) => {
                self.violation = Some((code, reason));
                None
            }
            Heard::Nothing | Heard::Acknowledged { .. } => None,
        };
        self.answers.extend(answer);
        if self.answers.len() > ANSWERS_MAX {
            self.violation = Some((CODE_POLICY, "too many messages"));
        }
    }
}

/// The reading half of a socket. tungstenite's own replies are discarded here: the sending thread replies, between events.
struct ReadOnly<'a>(&'a TcpStream);

impl Read for ReadOnly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for ReadOnly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The code to close with after an error of the client; `None` when the connection itself has ended.
fn violation(error: &Error) -> Option<u16> {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CODE_PROTOCOL),
        Error::Capacity(_) => Some(CODE_TOO_BIG),
        Error::Utf8(_) => Some(CODE_NOT_UTF8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};

    use super::*;

    /// The messages of a client that sends `bytes` and ends the connection.
    fn read(bytes: &[u8]) -> Unread {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let messages = ClientMessages::default();
        std::thread::scope(|scope| {
            scope.spawn(|| messages.read_from(&server, Vec::new(), |_| Heard::Nothing));
            client.write_all(bytes).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        messages.take().unwrap()
    }

    fn frame(first: u8, text: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let masked: Vec<u8> = text.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
        [&[first, 0x80 | u8::try_from(text.len()).unwrap()], &mask[..], &masked].concat()
    }

    #[test]
    fn client_frames_are_unmasked() {
        let ping = read(&[frame(0x89, b"first"), frame(0x81, b"data"), frame(0x89, b"hello")].concat());
        assert_eq!((ping.ping.as_deref(), ping.pings), (Some(&b"hello"[..]), 2));
        assert_eq!(read(&frame(0x8A, b"")).pong.as_deref(), Some(&b""[..]));
        assert_eq!(read(&frame(0x88, b"\x0f\xa1bye")).close, Some(4001));
        assert_eq!(read(&frame(0x88, b"")).close, Some(CODE_NONE));
        assert_eq!(read(&frame(0x88, b"x")).violation, Some((CODE_PROTOCOL, "protocol error")));
    }

    #[test]
    fn a_violation_is_distinguished_from_the_end() {
        let long_ping = [&b"\x89\xFE\x01\x00\x00\x00\x00\x00"[..], &[b'x'; 256]].concat();
        let cases: [(&[u8], Option<u16>); 9] = [
            (b"", None),
            (b"\x89", None),
            (b"\x89\x85\x00\x00\x00\x00abc", None),
            (b"\x89\x05hello", Some(CODE_PROTOCOL)),
            (b"\x09\x80\x00\x00\x00\x00", Some(CODE_PROTOCOL)),
            (b"\xC1\x80\x00\x00\x00\x00", Some(CODE_PROTOCOL)),
            (&long_ping, Some(CODE_PROTOCOL)),
            (b"\x82\xFF\x00\x00\x00\xFF\x00\x00\x00\x00mask", Some(CODE_TOO_BIG)),
            (b"\x81\x81\x00\x00\x00\x00\xFF", Some(CODE_NOT_UTF8)),
        ];
        for (bytes, expected) in cases {
            let unread = read(bytes);
            assert_eq!((unread.violation.map(|(code, _)| code), unread.is_ended), (expected, true), "{bytes:x?}");
        }
    }
}

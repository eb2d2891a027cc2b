//! What the server says at the start of a connection and the `postgres` crate keeps for itself: its process id.
//!
//! A pooler makes up the id that it gives to its clients, as several of them share a server process. So one that is not the
//! server's own word (`pg_backend_pid()`) tells that there is a pooler.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// No message before the end of the start is longer.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The process id that a connection was given; 0 until it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenPid(Arc<AtomicI32>);

impl GivenPid {
    pub(crate) fn get(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }
}

/// Reads along until the message `BackendKeyData` (PostgreSQL manual, "Message Formats").
pub(crate) struct Greeting {
    unread: Vec<u8>,
    pid: GivenPid,
}

impl Greeting {
    pub(crate) fn new(pid: GivenPid) -> Self {
        Self { unread: Vec::new(), pid }
    }

    /// Takes what the server has sent; false when there is nothing more to be heard.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> bool {
        self.unread.extend_from_slice(bytes);
        loop {
            let Some((kind, length)) = self
                .unread
                .split_first()
                .and_then(|(kind, rest)| Some((*kind, u32::from_be_bytes(*rest.first_chunk()?) as usize)))
            else {
                return true;
            };
            if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
                return false;
            }
            if self.unread.len() <= length {
                return true;
            }
            let message: Vec<u8> = self.unread.drain(..=length).collect();
            match (kind, message.get(5..).and_then(<[u8]>::first_chunk)) {
                (b'K', Some(pid)) => {
                    self.pid.0.store(i32::from_be_bytes(*pid), Ordering::Relaxed);
                    return false;
                }
                // ReadyForQuery, or an error: the start is over.
                (b'Z' | b'E', _) => return false,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [u8; 36] = [
        b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'S', 0, 0, 0, 8, b'a', 0, b'b', 0, b'K', 0, 0, 0, 12, 0, 1, 0, 2, 9, 9, 9, 9,
        b'Z', 0, 0, 0, 5,
    ];

    #[test]
    fn the_pid_is_found_however_the_bytes_are_cut() {
        for cut in 0..START.len() {
            let pid = GivenPid::default();
            let mut greeting = Greeting::new(pid.clone());
            let goes_on = greeting.hear(&START[..cut]);
            assert_eq!(goes_on, pid.get().is_none());
            if goes_on {
                assert!(!greeting.hear(&START[cut..]));
            }
            assert_eq!(pid.get(), Some(65538), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_greeting_ends_the_listening() {
        let check = |bytes: &[u8]| {
            let pid = GivenPid::default();
            assert!(!Greeting::new(pid.clone()).hear(bytes));
            assert_eq!(pid.get(), None);
        };
        check(&[b'E', 0, 0, 0, 5, 0]);
        check(&[b'R', 255, 0, 0, 8, 0]);
        check(&[b'R', 0, 0, 0, 0]);
        check(&[b'Z', 0, 0, 0, 5, b'I']);
    }
}

//! The process id in a server's startup messages, which the `postgres` crate does not give out.
//!
//! A pooler invents the id that it reports, because its clients share server processes. So an id that differs from
//! `pg_backend_pid()` reveals a pooler.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// The length of the longest startup message.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The process id that a server reported; 0 until then.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportedPid(Arc<AtomicI32>);

impl ReportedPid {
    pub(crate) fn get(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }
}

/// Parses a copy of the startup messages up to `BackendKeyData` (PostgreSQL manual, "Message Formats").
pub(super) struct StartupParser {
    unread: Vec<u8>,
    pid: ReportedPid,
}

impl StartupParser {
    pub(super) fn new(pid: ReportedPid) -> Self {
        Self { unread: Vec::new(), pid }
    }

    /// Takes bytes that the server sent; false once it needs no more.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
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
                // ReadyForQuery, or an error: the startup is over.
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
    fn the_pid_is_found_however_the_bytes_are_split() {
        for cut in 0..START.len() {
            let pid = ReportedPid::default();
            let mut parser = StartupParser::new(pid.clone());
            let needs_more = parser.push(&START[..cut]);
            assert_eq!(needs_more, pid.get().is_none());
            if needs_more {
                assert!(!parser.push(&START[cut..]));
            }
            assert_eq!(pid.get(), Some(65538), "cut at {cut}");
        }
    }

    #[test]
    fn other_messages_end_the_parsing() {
        let check = |bytes: &[u8]| {
            let pid = ReportedPid::default();
            assert!(!StartupParser::new(pid.clone()).push(bytes));
            assert_eq!(pid.get(), None);
        };
        check(&[b'E', 0, 0, 0, 5, 0]);
        check(&[b'R', 255, 0, 0, 8, 0]);
        check(&[b'R', 0, 0, 0, 0]);
        check(&[b'Z', 0, 0, 0, 5, b'I']);
    }
}

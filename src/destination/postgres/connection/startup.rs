//! The startup messages of a server: the process id in them, which the `postgres` crate does not give out, and their limit.
//!
//! A pooler invents the id that it reports, because its clients share server processes. So an id that differs from
//! `pg_backend_pid()` reveals a pooler.
//!
//! Until the login is complete, the server is a stranger, and the crate keeps what it sends: a message until it is whole, notices and
//! parameters for good. So before that, a server gets no more room than any needs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Far above what servers send: some kilobytes, in all messages up to `ReadyForQuery`.
const STARTUP_BYTES_MAX: usize = 256 << 10;

/// The process id that a server reported; 0 until then.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportedPid(Arc<AtomicI32>);

impl ReportedPid {
    pub(crate) fn get(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }
}

/// Parses a copy of the startup messages up to `ReadyForQuery` (PostgreSQL manual, "Message Formats").
pub(super) struct StartupParser {
    unread: Vec<u8>,
    /// The bytes before `unread`.
    read: usize,
    pid: ReportedPid,
}

impl StartupParser {
    pub(super) fn new(pid: ReportedPid) -> Self {
        Self { unread: Vec::new(), read: 0, pid }
    }

    /// Takes bytes that the server sent; false once it needs no more.
    ///
    /// # Errors
    /// `InvalidData`: these are no startup messages, or more than a server needs.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.unread.extend_from_slice(bytes);
        loop {
            let Some((kind, length)) = self
                .unread
                .split_first()
                .and_then(|(kind, rest)| Some((*kind, u32::from_be_bytes(*rest.first_chunk()?) as usize)))
            else {
                return Ok(true);
            };
            if length < 4 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is not PostgreSQL's"));
            }
            if self.read + length > STARTUP_BYTES_MAX {
                let why = format!("the server sends more than {STARTUP_BYTES_MAX} bytes before the login is complete");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            if self.unread.len() <= length {
                return Ok(true);
            }
            let message: Vec<u8> = self.unread.drain(..=length).collect();
            self.read += message.len();
            match (kind, message.get(5..).and_then(<[u8]>::first_chunk)) {
                (b'K', Some(pid)) => self.pid.0.store(i32::from_be_bytes(*pid), Ordering::Relaxed),
                // ReadyForQuery, or an error: the startup is over.
                (b'Z' | b'E', _) => return Ok(false),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [u8; 37] = [
        b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'S', 0, 0, 0, 8, b'a', 0, b'b', 0, b'K', 0, 0, 0, 12, 0, 1, 0, 2, 9, 9, 9, 9,
        b'Z', 0, 0, 0, 5, b'I',
    ];

    #[test]
    fn the_pid_is_found_however_the_bytes_are_split() {
        for cut in 0..START.len() {
            let pid = ReportedPid::default();
            let mut parser = StartupParser::new(pid.clone());
            assert!(parser.push(&START[..cut]).unwrap());
            assert!(!parser.push(&START[cut..]).unwrap(), "cut at {cut}");
            assert_eq!(pid.get(), Some(65538), "cut at {cut}");
        }
    }

    #[test]
    fn an_error_or_the_end_of_the_startup_ends_the_parsing() {
        let check = |bytes: &[u8]| {
            let pid = ReportedPid::default();
            assert!(!StartupParser::new(pid.clone()).push(bytes).unwrap());
            assert_eq!(pid.get(), None);
        };
        check(&[b'E', 0, 0, 0, 5, 0]);
        check(&[b'Z', 0, 0, 0, 5, b'I']);
    }

    #[test]
    fn a_server_gets_no_more_room_than_it_needs() {
        let check = |bytes: &[u8], why: &str| {
            let mut parser = StartupParser::new(ReportedPid::default());
            let error = loop {
                match parser.push(bytes) {
                    Ok(needs_more) => assert!(needs_more),
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains(why), "{error}");
            assert!(parser.unread.len() + parser.read <= STARTUP_BYTES_MAX + bytes.len());
        };
        // One message of 1.5 GB, notices without end, and parameters without end.
        check(&[b'R', 0x59, 0x68, 0x2f, 0], "more than 262144 bytes");
        check(&[b'E', 255, 0, 0, 8, 0], "more than 262144 bytes");
        check(&[b'N', 0, 0, 0, 5, 0], "more than 262144 bytes");
        check(&[b'S', 0, 0, 0, 8, b'a', 0, b'b', 0], "more than 262144 bytes");
        check(&[b'R', 0, 0, 0, 0], "not PostgreSQL's");
    }
}

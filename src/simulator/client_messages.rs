//! What the client of one stream has said, left by the thread that reads its frames for the thread that sends.
//!
//! Only one thread may write to the socket, and it must not wait for the client's frames; so the reading thread puts them
//! here. However much a client sends, this holds at most one frame of each sort: a server may answer only the latest of
//! several pings (RFC 6455 section 5.5.3), and a later pong confirms what an earlier one did.

use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::simulator::frame;
use crate::simulator::frame::{CODE_NORMAL, ClientFrame, ReadEnd};
use crate::threads::sync;
use crate::threads::sync::Condition;

#[derive(Debug, Default)]
pub(super) struct Inbox {
    mail: Mutex<Mail>,
    changed: Condition,
    /// Spares the sender the lock as long as nothing came.
    has_news: AtomicBool,
}

/// What came since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// The latest ping's payload.
    pub(super) ping: Option<Vec<u8>>,
    pub(super) pings: u64,
    /// The latest pong's payload.
    pub(super) pong: Option<Vec<u8>>,
    /// The client closes with this code.
    pub(super) close: Option<u16>,
    /// The client broke the protocol; the code to close with.
    pub(super) violation: Option<u16>,
    /// Nothing more will come. Stays set.
    pub(super) is_ended: bool,
}

impl Inbox {
    /// Reads until the connection ends. After a close frame a client has nothing more to say, but its end is still of interest.
    pub(super) fn fill_from(&self, mut input: impl Read) {
        loop {
            let end = match frame::read_client_frame(&mut input) {
                Ok(frame) => {
                    self.put(|mail| match frame {
                        ClientFrame::Ping(payload) => {
                            mail.ping = Some(payload);
                            mail.pings += 1;
                        }
                        ClientFrame::Pong(payload) => mail.pong = Some(payload),
                        ClientFrame::Close(code) => mail.close = Some(code),
                        ClientFrame::Data => {}
                    });
                    continue;
                }
                Err(end) => end,
            };
            let ReadEnd::Violation(code) = end else {
                break;
            };
            self.put(|mail| mail.violation = Some(code));
            // What follows cannot be told apart any more; it is only drained, so that closing does not reset the connection.
            let _ = std::io::copy(&mut input, &mut std::io::sink());
            break;
        }
        self.put(|mail| mail.is_ended = true);
    }

    fn put(&self, change: impl FnOnce(&mut Mail)) {
        {
            let mut mail = sync::lock(&self.mail);
            change(&mut mail);
            self.has_news.store(true, Ordering::Release);
        }
        self.changed.notify_all();
    }

    /// What came since the last call, if anything.
    pub(super) fn take(&self) -> Option<Mail> {
        if !self.has_news.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut mail = sync::lock(&self.mail);
        let is_ended = mail.is_ended;
        Some(std::mem::replace(&mut *mail, Mail { is_ended, ..Mail::default() }))
    }

    /// Waits until something comes, at most for `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let mail = sync::lock(&self.mail);
        if !self.has_news.load(Ordering::Acquire) {
            drop(self.changed.wait(mail, Some(timeout)));
        }
    }
}

/// The code to answer a client's close frame with: its own, or a normal one where it may not be sent.
pub(super) fn answer_code(code: u16) -> u16 {
    if matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) { code } else { CODE_NORMAL }
}

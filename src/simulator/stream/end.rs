//! The end of a connection: in order, or by a fault.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::sender::{Ending, IDLE_STEP, Sender};
use crate::simulator::client_messages::Unread;
use crate::simulator::frames::{self, CODE_NONE};
use crate::simulator::options::Cut;

/// Limit of the close handshake: the client must read all events before it sees the close frame.
const CLOSE_MAX: Duration = Duration::from_secs(30);

impl Sender<'_> {
    pub(super) fn play(&mut self, fault: Fault) -> Ending {
        let options = &self.shared.options;
        match fault {
            Fault::Close => self.close(options.close_code, &options.close_reason),
            Fault::Silence => {
                self.shared.cursor.count(|report| report.silences += 1);
                self.stay_silent()
            }
            Fault::Cut => {
                self.shared.cursor.count(|report| report.cuts += 1);
                match options.cut_how {
                    Cut::End => self.end_and_wait(),
                    Cut::Reset => {
                        // Closing a socket that does not linger resets the connection.
                        let _ = socket2::SockRef::from(self.socket).set_linger(Some(Duration::ZERO));
                        Ending::Reset
                    }
                }
            }
        }
    }

    /// Sends a close frame and waits for the client's.
    pub(super) fn close(&mut self, code: u16, reason: &str) -> Ending {
        self.shared.cursor.count(|report| report.closes += 1);
        if let Some(message) = self.dialect.ignored_last
            && let Some(ending) = self.say(message)
        {
            return ending;
        }
        if let Some(ending) = self.write_control(frames::close(code, reason)) {
            return ending;
        }
        self.wait_for(|sender, unread| {
            // A client replies to a close frame with the same code (RFC 6455 section 5.5.1), after it has read all events.
            if unread.close.is_some_and(|reply| reply == code || reply == CODE_NONE) {
                sender.confirm(sender.sent);
            }
            unread.close.is_some()
        })
    }

    /// Sends FIN and waits for the client's: closing earlier would reset the connection and lose events that the client has not
    /// read yet.
    pub(super) fn end_and_wait(&mut self) -> Ending {
        let _ = self.socket.shutdown(Shutdown::Write);
        self.wait_for(|_, _| false)
    }

    pub(super) fn wait_for(&mut self, is_done: impl Fn(&mut Self, &Unread) -> bool) -> Ending {
        let deadline = Instant::now() + CLOSE_MAX;
        loop {
            if let Some(unread) = self.messages.take() {
                self.count(&unread);
                if is_done(self, &unread) || unread.is_ended {
                    return Ending::Over;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.shared.stop.is_set() {
                return Ending::Over;
            }
            self.messages.wait(left);
        }
    }

    /// Keeps the connection, silent, until the client ends it.
    pub(super) fn stay_silent(&mut self) -> Ending {
        loop {
            if let Some(unread) = self.messages.take() {
                self.count(&unread);
                if unread.is_ended {
                    return Ending::Over;
                }
            }
            if self.shared.stop.is_set() {
                return Ending::Over;
            }
            self.messages.wait(IDLE_STEP);
        }
    }
}

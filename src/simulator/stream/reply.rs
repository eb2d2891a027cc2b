//! Replies to what the client has sent.

use tungstenite::protocol::frame::Frame;

use super::sender::{Ending, Sender};
use crate::simulator::client_messages::Unread;
use crate::simulator::frames;

impl Sender<'_> {
    pub(super) fn reply(&mut self, unread: &Unread) -> Option<Ending> {
        self.count(unread);
        if let Some(payload) = &unread.ping
            && let Some(ending) = self.write_control(Frame::pong(payload.clone()))
        {
            return Some(ending);
        }
        for answer in &unread.answers {
            if let Some(ending) = self.say(answer) {
                return Some(ending);
            }
        }
        if unread.is_opened {
            self.token_expiry = unread.token_expiry.or(self.token_expiry);
            self.become_open();
        }
        let reply = unread.close.map(|code| (code, "")).or(unread.violation);
        if let Some((code, reason)) = reply {
            let _ = self.write_control(frames::close(code, reason));
            // The end of the client may have come with its close frame, and comes only once.
            return Some(if unread.is_ended { Ending::Over } else { self.end_and_wait() });
        }
        unread.is_ended.then_some(Ending::Over)
    }

    /// Counts the client's pings, and the events that its pong confirms.
    pub(super) fn count(&mut self, unread: &Unread) {
        if unread.pings > 0 {
            self.shared.cursor.count(|report| report.pings_received += unread.pings);
        }
        // A pong repeats the ping's payload: the number of events sent before it.
        let confirmed = unread.pong.as_deref().and_then(|payload| std::str::from_utf8(payload).ok()?.parse().ok());
        if let Some(confirmed) = confirmed {
            self.confirm(confirmed);
        }
    }

    pub(super) fn confirm(&mut self, confirmed: u64) {
        if confirmed > self.confirmed && confirmed <= self.sent {
            let newly = confirmed - self.confirmed;
            self.confirmed = confirmed;
            self.shared.cursor.count(|report| report.events_confirmed += newly);
        }
    }
}

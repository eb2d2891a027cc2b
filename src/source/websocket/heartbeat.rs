//! When to send a ping, and when a silent connection is lost, as a pure function of time.
//!
//! A half-open connection (cable pulled, NAT entry expired) looks idle. An unanswered ping detects it.

use std::time::{Duration, Instant};

/// The next action.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing arrived for longer than the idle timeout.
    Lost(Duration),
    /// Send a ping.
    Ping,
    /// Nothing until then.
    WaitUntil(Instant),
}

#[derive(Debug)]
pub(super) struct Heartbeat {
    ping_interval: Duration,
    idle_timeout: Duration,
    heard_at: Instant,
    pinged_at: Instant,
    /// Since when no read is running, for example because the spool is full; from the beginning until the first read.
    left_at: Option<Instant>,
}

impl Heartbeat {
    pub(super) fn new(ping_interval: Duration, idle_timeout: Duration, now: Instant) -> Self {
        // Zero would ping without end.
        let ping_interval = ping_interval.max(Duration::from_millis(10));
        Self { ping_interval, idle_timeout, heard_at: now, pinged_at: now, left_at: Some(now) }
    }

    /// Bytes have arrived: an event, a ping, a pong, or a part of one.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    pub(super) fn pinged(&mut self, now: Instant) {
        self.pinged_at = now;
    }

    /// No read is running from now on.
    pub(super) fn leave(&mut self, now: Instant) {
        self.left_at = Some(now);
    }

    /// A read is running again. The silence in between says nothing about the server.
    pub(super) fn come_back(&mut self, now: Instant) {
        if let Some(left_at) = self.left_at.take() {
            self.heard_at += now.saturating_duration_since(left_at);
        }
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        let silence = now.saturating_duration_since(self.heard_at);
        if silence >= self.idle_timeout {
            return Due::Lost(silence);
        }
        if now.saturating_duration_since(self.pinged_at) >= self.ping_interval {
            return Due::Ping;
        }
        Due::WaitUntil((self.heard_at + self.idle_timeout).min(self.pinged_at + self.ping_interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_by_time_and_gives_up_after_silence() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heart = Heartbeat::new(Duration::from_secs(20), Duration::from_secs(60), start);
        assert_eq!(heart.due(start), Due::WaitUntil(at(20)));
        heart.heard(at(19));
        assert_eq!(heart.due(at(20)), Due::Ping, "on a busy stream too: a proxy may time each direction");
        heart.pinged(at(20));
        assert_eq!(heart.due(at(21)), Due::WaitUntil(at(40)));
        heart.pinged(at(70));
        assert_eq!(heart.due(at(71)), Due::WaitUntil(at(79)), "the idle timeout may come before the next ping");
        assert_eq!(heart.due(at(79)), Due::Lost(Duration::from_secs(60)));
    }

    #[test]
    fn a_connection_that_waits_for_its_first_read_is_not_silent() {
        let start = Instant::now();
        let mut heart = Heartbeat::new(Duration::from_secs(20), Duration::from_secs(60), start);
        heart.come_back(start + Duration::from_secs(100));
        assert_eq!(heart.due(start + Duration::from_secs(100)), Due::Ping);
    }

    #[test]
    fn time_without_a_read_is_not_silence() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heart = Heartbeat::new(Duration::from_secs(20), Duration::from_secs(60), start);
        heart.come_back(at(0));
        heart.leave(at(30));
        heart.come_back(at(3600));
        assert_eq!(heart.due(at(3600)), Due::Ping);
        heart.pinged(at(3600));
        assert_eq!(heart.due(at(3600)), Due::WaitUntil(at(3620)));
        heart.pinged(at(3629));
        assert_eq!(heart.due(at(3629)), Due::WaitUntil(at(3630)));
        assert_eq!(heart.due(at(3630)), Due::Lost(Duration::from_secs(60)), "30 s before and 30 s after");
    }
}

//! When to send a ping and a heartbeat, and when a silent connection is lost, as a pure function of time.
//!
//! A half-open connection (cable pulled, NAT entry expired) looks idle. An unanswered ping detects it. Where an answer to the heartbeat
//! message is expected, only that answer is a sign of life: a gateway may answer pings for a server that is gone.

use std::time::{Duration, Instant};

/// More than a socket's buffers hold. Without a limit, a server that sends much and answers nothing would never be lost.
const LATE_READS_MAX: u32 = 256;

/// The next action.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// No sign of life for longer than the idle timeout.
    Lost(Duration),
    /// Send a ping.
    Ping,
    /// Send the heartbeat message.
    Message,
    /// Nothing until then.
    WaitUntil(Instant),
}

#[derive(Debug)]
pub(crate) struct Heartbeat {
    ping_interval: Duration,
    idle_timeout: Duration,
    /// The interval of the heartbeat message, once it is sent at all.
    message_interval: Option<Duration>,
    /// Whether only the answer to the heartbeat message is a sign of life.
    is_strict: bool,
    heard_at: Instant,
    pinged_at: Instant,
    messaged_at: Instant,
    /// Reads since the idle timeout has passed.
    late_reads: u32,
    /// Since when no read is running, for example because the spool is full; from the beginning until the first read.
    left_at: Option<Instant>,
}

impl Heartbeat {
    pub(crate) fn new(ping_interval: Duration, idle_timeout: Duration, now: Instant) -> Self {
        Self {
            ping_interval: positive(ping_interval),
            idle_timeout,
            message_interval: None,
            is_strict: false,
            heard_at: now,
            pinged_at: now,
            messaged_at: now,
            late_reads: 0,
            left_at: Some(now),
        }
    }

    /// From now on there is a message to send; with `is_strict`, its answer is the only sign of life.
    pub(crate) fn begin_messages(&mut self, interval: Duration, is_strict: bool, now: Instant) {
        self.message_interval = Some(positive(interval));
        self.is_strict = is_strict;
        self.messaged_at = now;
    }

    /// Bytes have arrived: an event, a ping, a pong, or a part of one.
    pub(crate) fn received(&mut self, now: Instant) {
        if !self.is_strict {
            self.heard(now);
        } else if self.silence(now) >= self.idle_timeout {
            self.late_reads += 1;
        }
    }

    /// A sign of life, or the answer to the heartbeat message.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.late_reads = 0;
    }

    pub(crate) fn pinged(&mut self, now: Instant) {
        self.pinged_at = now;
    }

    pub(crate) fn messaged(&mut self, now: Instant) {
        self.messaged_at = now;
    }

    /// No read is running from now on.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.left_at = Some(now);
    }

    /// A read is running again. The silence in between says nothing about the server.
    pub(crate) fn come_back(&mut self, now: Instant) {
        if let Some(left_at) = self.left_at.take() {
            self.heard_at += now.saturating_duration_since(left_at);
        }
    }

    pub(crate) fn due(&self, now: Instant) -> Due {
        let silence = self.silence(now);
        if silence >= self.idle_timeout {
            return Due::Lost(silence);
        }
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.message_interval.is_some_and(|interval| since(self.messaged_at) >= interval) {
            return Due::Message;
        }
        if since(self.pinged_at) >= self.ping_interval {
            return Due::Ping;
        }
        let next = (self.heard_at + self.idle_timeout).min(self.pinged_at + self.ping_interval);
        Due::WaitUntil(self.message_interval.map_or(next, |interval| next.min(self.messaged_at + interval)))
    }

    /// Whether a lost connection stays lost though bytes arrive: all that had arrived in time has been read.
    pub(crate) fn is_given_up(&self) -> bool {
        self.late_reads > LATE_READS_MAX
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard_at)
    }
}

/// Zero would send without end.
fn positive(interval: Duration) -> Duration {
    interval.max(Duration::from_millis(10))
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
        heart.received(at(19));
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

    #[test]
    fn a_message_is_sent_by_time_beside_the_pings() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heart = Heartbeat::new(Duration::from_secs(20), Duration::from_secs(60), start);
        heart.begin_messages(Duration::from_secs(30), false, at(5));
        heart.received(at(34));
        heart.pinged(at(34));
        assert_eq!(heart.due(at(34)), Due::WaitUntil(at(35)));
        assert_eq!(heart.due(at(35)), Due::Message);
        heart.messaged(at(36));
        assert_eq!(heart.due(at(36)), Due::WaitUntil(at(54)));
        assert_eq!(heart.due(at(54)), Due::Ping);
        heart.pinged(at(54));
        assert_eq!(heart.due(at(54)), Due::WaitUntil(at(66)), "an interval after the last one");
    }

    #[test]
    fn only_an_answer_is_life_where_one_is_expected() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut heart = Heartbeat::new(Duration::from_secs(1000), Duration::from_secs(60), start);
        heart.begin_messages(Duration::from_secs(30), true, start);
        heart.received(at(59));
        assert_eq!(heart.due(at(60)), Due::Lost(Duration::from_secs(60)), "bytes are no answer");
        heart.heard(at(60));
        assert_eq!(heart.due(at(60)), Due::Message, "a late answer, read in time, is one");
        heart.messaged(at(60));
        heart.heard(at(61));
        heart.heard(at(61));
        assert_eq!(heart.due(at(61)), Due::WaitUntil(at(90)), "a second answer to one message changes nothing");
    }

    #[test]
    fn a_flood_without_an_answer_is_read_for_a_while_only() {
        let start = Instant::now();
        let late = start + Duration::from_secs(60);
        let mut heart = Heartbeat::new(Duration::from_secs(1000), Duration::from_secs(60), start);
        heart.begin_messages(Duration::from_secs(30), true, start);
        for _ in 0..LATE_READS_MAX {
            heart.received(start);
            heart.received(late);
        }
        assert!(!heart.is_given_up());
        heart.received(late);
        assert!(heart.is_given_up());
        heart.heard(late);
        assert!(!heart.is_given_up());
    }
}

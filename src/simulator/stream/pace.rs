//! When the next event, ping or heartbeat is due.

use std::time::{Duration, Instant};

use super::sender::Sender;

/// Shortest wait with a rate: timers are not finer, so a high rate sends several events at once.
const RATE_STEP: Duration = Duration::from_millis(1);

impl Sender<'_> {
    /// The server's own heartbeat, if it is due.
    pub(super) fn own_heartbeat(&mut self, now: Instant) -> Option<&'static str> {
        let text = self.dialect.own_heartbeat?;
        let interval = self.shared.options.heartbeat_interval;
        let is_due = !interval.is_zero() && now.saturating_duration_since(self.last_heartbeat) >= interval;
        if is_due {
            self.last_heartbeat = now;
        }
        is_due.then_some(text)
    }

    pub(super) fn is_ping_due(&self, now: Instant) -> bool {
        let (every, interval) = (self.shared.options.ping_every, self.shared.options.ping_interval);
        let is_due_by_count = every > 0 && self.sent_since_ping >= every;
        is_due_by_count || (!interval.is_zero() && now.saturating_duration_since(self.last_ping) >= interval)
    }

    /// Number of events that may be sent now, before the next fault or ping is due, at the given rate.
    pub(super) fn events_due(&self, now: Instant) -> u64 {
        let options = &self.shared.options;
        let mut due = self.fault.map_or(u64::MAX, |(after, _)| after - self.sent);
        if options.ping_every > 0 {
            due = due.min(options.ping_every - self.sent_since_ping);
        }
        if options.frames_per_write > 0 {
            due = due.min(options.frames_per_write.into());
        }
        if options.rate > 0 {
            let nanos = now.saturating_duration_since(self.opened).as_nanos();
            let scheduled = nanos * u128::from(options.rate) / 1_000_000_000 + 1;
            due = due.min(u64::try_from(scheduled).unwrap_or(u64::MAX).saturating_sub(self.sent));
        }
        due
    }

    pub(super) fn until_next_event(&self, now: Instant) -> Duration {
        let nanos = u128::from(self.sent) * 1_000_000_000 / u128::from(self.shared.options.rate.max(1));
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        due.saturating_sub(now.saturating_duration_since(self.opened)).max(RATE_STEP)
    }

    /// Waits until the client sends something or the next thing is due, at most for `longest`.
    pub(super) fn wait(&self, now: Instant, longest: Duration) {
        let options = &self.shared.options;
        let mut timeout = longest;
        if !options.ping_interval.is_zero() {
            let since_ping = now.saturating_duration_since(self.last_ping);
            timeout = timeout.min(options.ping_interval.saturating_sub(since_ping));
        }
        if let Some(expiry) = self.token_expiry.filter(|_| options.close_when_expired) {
            timeout = timeout.min(expiry.saturating_duration_since(now));
        }
        if self.dialect.own_heartbeat.is_some() && !options.heartbeat_interval.is_zero() {
            let since_heartbeat = now.saturating_duration_since(self.last_heartbeat);
            timeout = timeout.min(options.heartbeat_interval.saturating_sub(since_heartbeat));
        }
        self.messages.wait(timeout);
    }
}

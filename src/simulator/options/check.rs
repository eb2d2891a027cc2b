//! The ranges of the options.

use super::choices::InvalidKind;
use super::simulator_options::SimulatorOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::simulator::profile::Profile;

impl SimulatorOptions {
    /// Checks that every option is in its range. [`Simulator::start`](crate::simulator::Simulator::start) does this first.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the option.
    pub fn check(&self) -> Result<()> {
        let percents = [
            ("redelivery_percent", self.redelivery_percent),
            ("update_percent", self.update_percent),
            ("invalid_percent", self.invalid_percent),
        ];
        for (name, percent) in percents {
            require((0.0..=100.0).contains(&percent), || format!("{name} is {percent}, not from 0 to 100"))?;
        }
        let sum: f64 = percents.iter().map(|(_, percent)| percent).sum();
        require(sum <= 100.0, || {
            format!("redelivery_percent, update_percent and invalid_percent are {sum} together, more than 100")
        })?;
        require(self.invalid_percent == 0.0 || !self.kinds().is_empty(), || {
            "invalid_kinds is empty although invalid_percent is not 0, or has only a kind that this profile lacks"
                .into()
        })?;
        require((1..=REPEAT_WINDOW_MAX).contains(&self.repeat_window), || {
            format!("repeat_window is {}, not from 1 to {REPEAT_WINDOW_MAX}", self.repeat_window)
        })?;
        require((1024..=OVERSIZE_BYTES_MAX).contains(&self.oversize_bytes), || {
            format!("oversize_bytes is {}, not from 1024 to {OVERSIZE_BYTES_MAX}", self.oversize_bytes)
        })?;
        require(self.replay_events <= REPLAY_EVENTS_MAX, || {
            format!("replay_events is {}, more than {REPLAY_EVENTS_MAX}", self.replay_events)
        })?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        require(!self.stream_id.is_empty() && self.stream_id.bytes().all(unreserved), || {
            "stream_id has a character that is not a letter, a digit, '-', '_', '.' or '~', or is empty".into()
        })?;
        require((1..=MESSAGE_EVENTS_MAX).contains(&self.message_events), || {
            format!("message_events is {}, not from 1 to {MESSAGE_EVENTS_MAX}", self.message_events)
        })?;
        require(self.open_failures.len() <= FAILURES_MAX, || format!("open_failures has more than {FAILURES_MAX}"))?;
        require(self.close_reason.len() <= CLOSE_REASON_BYTES_MAX, || {
            format!(
                "close_reason has {} bytes, more than the {CLOSE_REASON_BYTES_MAX} of a close frame",
                self.close_reason.len()
            )
        })?;
        for (name, statuses) in
            [("token_failures", &self.token_failures), ("handshake_failures", &self.handshake_failures)]
        {
            require(statuses.len() <= FAILURES_MAX, || format!("{name} has more than {FAILURES_MAX} statuses"))?;
            let bad = statuses.iter().find(|status| !(300..=599).contains(*status));
            require(bad.is_none(), || format!("{name} has a status that is not from 300 to 599"))?;
        }
        Ok(())
    }

    /// The kinds of invalid events of this profile: other platforms add members without notice, so that an unknown one is valid there.
    pub(in crate::simulator) fn kinds(&self) -> Vec<InvalidKind> {
        let exists = |kind: &InvalidKind| self.profile == Profile::DataActions || *kind != InvalidKind::UnknownKey;
        self.invalid_kinds.iter().copied().filter(exists).collect()
    }
}

/// A close frame holds 125 bytes, two of them the code (RFC 6455 section 5.5).
const CLOSE_REASON_BYTES_MAX: usize = 123;
const REPEAT_WINDOW_MAX: u32 = 1_000_000;
const REPLAY_EVENTS_MAX: u32 = 1_000_000;
const OVERSIZE_BYTES_MAX: u32 = 1 << 30;
const MESSAGE_EVENTS_MAX: u32 = 100_000;
pub(super) const FAILURES_MAX: usize = 1000;

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("checking the simulator's options: {}", otherwise())))
}

//! What the simulator does: plain data.

use std::time::Duration;

use secrecy::SecretString;

use crate::error::{Error, ErrorKind, Result};

/// What a [`Simulator`](super::Simulator) sends and which faults it shows.
///
/// The defaults are a healthy server that sends 10,000 valid events as fast as they are read and then keeps the stream open.
/// Every field can also be set by its name, see [`set`](Self::set).
///
/// ```
/// use cxsink::simulator::SimulatorOptions;
///
/// let mut options = SimulatorOptions::default();
/// options.events = Some(500);
/// options.set("redelivery_percent", "10")?;
/// assert_eq!(options.redelivery_percent, 10.0);
/// # Ok::<(), cxsink::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "switches that a user sets by name, not states")]
pub struct SimulatorOptions {
    /// Decides every byte of every event: the same seed and shares give the same events, whatever faults happen.
    pub seed: u64,
    /// The loopback port to listen on; 0 takes a free one.
    pub port: u16,

    /// How many events the stream has; `None`: it never ends.
    pub events: Option<u64>,
    /// Events a second on each connection; 0: as fast as they are read. A reader that was slow gets what it missed at once.
    pub rate: u64,
    /// Share of events, in percent, that repeat the bytes of an earlier valid event.
    pub redelivery_percent: f64,
    /// Share of events, in percent, that carry an earlier event's key with other attributes and another timestamp; one in eight is
    /// older than the event it updates, and one in eight has another type.
    pub update_percent: f64,
    /// How many valid events back a redelivery or an update reaches at most; at least 1.
    pub repeat_window: u32,
    /// Share of events, in percent, that a sink must refuse.
    pub invalid_percent: f64,
    /// Which kinds of invalid events are sent; a kind that is named twice is sent twice as often. The default is every kind but
    /// [`InvalidKind::Oversize`], which costs a megabyte each time.
    pub invalid_kinds: Vec<InvalidKind>,
    /// How the kinds of invalid events follow each other.
    pub invalid_mix: InvalidMix,
    /// The length of an oversize event in bytes, at least 1024. The default is one more than a sink takes by default.
    pub oversize_bytes: u32,
    /// Stamps events with the wall clock instead of with times that the seed decides. Their bytes then differ from run to run.
    pub wall_clock: bool,

    /// The client's id that the token endpoint knows.
    pub client_id: String,
    /// The client's secret that the token endpoint knows.
    pub client_secret: SecretString,
    /// The only stream there is; made of letters, digits, `-`, `_`, `.` and `~`.
    pub stream_id: String,
    /// The only scope that may be asked for.
    pub scope: String,
    /// The scope in the token answer; `None`: the one that was asked for; empty: the answer has no scope.
    pub granted_scope: Option<String>,
    /// How long a token is good. The handshake refuses it afterwards with 401. `expires_in` is this in whole seconds.
    pub token_lifetime: Duration,
    /// Closes a stream with 4001 when the token expires that it was opened with.
    pub close_when_expired: bool,
    /// The statuses of the first answers of the token endpoint, in order: 401, 403, 429, 500 and so on. At most 1000.
    pub token_failures: Vec<u16>,
    /// Sent in place of each good token answer: not JSON, without its members, with an absurd `expires_in`.
    pub token_answer: Option<String>,
    /// The statuses of the first answers to a handshake, in order: 401, 403, 404, 429, 503 and so on. At most 1000.
    pub handshake_failures: Vec<u16>,
    /// The `Retry-After` of answers with 429 or 503.
    pub retry_after: RetryAfter,

    /// Closes the stream after this many events on a connection; 0: right after the handshake; `None`: never.
    pub close_after: Option<u64>,
    /// The code of that close frame; 1005 sends a frame without a code (RFC 6455 section 7.4.1).
    pub close_code: u16,
    /// The reason in that close frame, at most 123 bytes.
    pub close_reason: String,
    /// How many connections are closed so, counted from the first.
    pub close_connections: u32,
    /// Ends the connection without a close frame after this many events on it; 0: right after the handshake; `None`: never.
    pub cut_after: Option<u64>,
    /// How the connection ends.
    pub cut_how: Cut,
    /// How many connections are cut, counted from the first.
    pub cut_connections: u32,
    /// Falls silent after this many events on a connection: keeps it, but sends nothing and answers no ping; `None`: never.
    pub silence_after: Option<u64>,
    /// How many connections fall silent, counted from the first.
    pub silence_connections: u32,
    /// Sends the last events again, this many, at the start of each further connection. At most 1,000,000.
    pub replay_events: u32,
    /// Closes the stream with 1000 after the last event; otherwise it stays open.
    pub close_at_end: bool,

    /// Sends a ping after this many events; 0: only after the last event.
    pub ping_every: u64,
    /// Sends a ping when this long none was sent; zero: never.
    pub ping_interval: Duration,
    /// Sends binary messages instead of text.
    pub binary: bool,
    /// How many messages go to the socket in one write; 0: as many as fit into 64 KiB.
    pub frames_per_write: u32,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            port: 0,
            events: Some(10_000),
            rate: 0,
            redelivery_percent: 0.0,
            update_percent: 0.0,
            repeat_window: 1000,
            invalid_percent: 0.0,
            invalid_kinds: InvalidKind::ALL.into_iter().filter(|kind| *kind != InvalidKind::Oversize).collect(),
            invalid_mix: InvalidMix::default(),
            oversize_bytes: (1 << 20) + 1,
            wall_clock: false,
            client_id: "simulator-client".into(),
            client_secret: SecretString::from("simulator-secret"),
            stream_id: "simulator-stream".into(),
            scope: "data-actions:read".into(),
            granted_scope: None,
            token_lifetime: Duration::from_secs(3600),
            close_when_expired: false,
            token_failures: Vec::new(),
            token_answer: None,
            handshake_failures: Vec::new(),
            retry_after: RetryAfter::default(),
            close_after: None,
            close_code: 1008,
            close_reason: "simulated".into(),
            close_connections: 1,
            cut_after: None,
            cut_how: Cut::default(),
            cut_connections: 1,
            silence_after: None,
            silence_connections: 1,
            replay_events: 0,
            close_at_end: false,
            ping_every: 0,
            ping_interval: Duration::ZERO,
            binary: false,
            frames_per_write: 0,
        }
    }
}

impl SimulatorOptions {
    /// Whether the options make sense together. [`Simulator::start`](super::Simulator::start) does this first.
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
            require((0.0..=100.0).contains(&percent), || format!("{name} is {percent}; it must be from 0 to 100"))?;
        }
        let sum: f64 = percents.iter().map(|(_, percent)| percent).sum();
        require(sum <= 100.0, || {
            format!(
                "redelivery_percent, update_percent and invalid_percent are {sum} together; that must not exceed 100"
            )
        })?;
        require(self.invalid_percent == 0.0 || !self.invalid_kinds.is_empty(), || {
            "invalid_kinds is empty although invalid_percent is not 0".into()
        })?;
        require((1..=REPEAT_WINDOW_MAX).contains(&self.repeat_window), || {
            format!("repeat_window is {}; it must be from 1 to {REPEAT_WINDOW_MAX}", self.repeat_window)
        })?;
        require((1024..=OVERSIZE_BYTES_MAX).contains(&self.oversize_bytes), || {
            format!("oversize_bytes is {}; it must be from 1024 to {OVERSIZE_BYTES_MAX}", self.oversize_bytes)
        })?;
        require(self.replay_events <= REPLAY_EVENTS_MAX, || {
            format!("replay_events is {}; at most {REPLAY_EVENTS_MAX} are kept", self.replay_events)
        })?;
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        require(!self.stream_id.is_empty() && self.stream_id.bytes().all(unreserved), || {
            "stream_id must be made of letters, digits, '-', '_', '.' and '~'".into()
        })?;
        require(self.close_reason.len() <= CLOSE_REASON_BYTES_MAX, || {
            format!("close_reason has {} bytes; a close frame takes {CLOSE_REASON_BYTES_MAX}", self.close_reason.len())
        })?;
        for (name, statuses) in
            [("token_failures", &self.token_failures), ("handshake_failures", &self.handshake_failures)]
        {
            require(statuses.len() <= FAILURES_MAX, || format!("{name} has more than {FAILURES_MAX} statuses"))?;
            let bad = statuses.iter().find(|status| !(300..=599).contains(*status));
            require(bad.is_none(), || format!("{name} holds a status that is not from 300 to 599"))?;
        }
        Ok(())
    }
}

/// A close frame holds 125 bytes, two of them the code (RFC 6455 section 5.5).
const CLOSE_REASON_BYTES_MAX: usize = 123;
const REPEAT_WINDOW_MAX: u32 = 1_000_000;
const REPLAY_EVENTS_MAX: u32 = 1_000_000;
const OVERSIZE_BYTES_MAX: u32 = 1 << 30;
pub(super) const FAILURES_MAX: usize = 1000;

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("checking the simulator's options: {}", otherwise())))
}

/// Why a sink must refuse an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidKind {
    /// The text ends too early to be JSON.
    NotJson,
    /// One of the four required members is not there.
    MissingField,
    /// There is a member that the schema does not know.
    UnknownKey,
    /// The type is none of the four.
    BadEnum,
    /// The timestamp is no RFC 3339 date and time.
    BadDate,
    /// The idempotency key holds other characters than letters, digits, `_` and `-`, or none.
    BadKeyPattern,
    /// Valid, but of [`SimulatorOptions::oversize_bytes`] length.
    Oversize,
}

impl InvalidKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::NotJson,
        Self::MissingField,
        Self::UnknownKey,
        Self::BadEnum,
        Self::BadDate,
        Self::BadKeyPattern,
        Self::Oversize,
    ];

    /// The name, as [`SimulatorOptions::set`] takes it: `"bad_enum"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::MissingField => "missing_field",
            Self::UnknownKey => "unknown_key",
            Self::BadEnum => "bad_enum",
            Self::BadDate => "bad_date",
            Self::BadKeyPattern => "bad_key_pattern",
            Self::Oversize => "oversize",
        }
    }
}

/// How the kinds of invalid events follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum InvalidMix {
    /// In the order of the list, again and again.
    #[default]
    RoundRobin,
    /// As the seed draws them.
    Random,
}

/// The `Retry-After` of an answer (RFC 9110 section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RetryAfter {
    /// The answer has none.
    #[default]
    Absent,
    /// This many seconds.
    Seconds(u32),
    /// The date this many seconds ahead.
    Date(u32),
}

/// How a connection ends that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Cut {
    /// With a TCP reset: what the reader's machine has not received yet is lost.
    #[default]
    Reset,
    /// With the end of the TCP stream: everything sent before can still be read.
    End,
}

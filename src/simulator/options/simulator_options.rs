//! The options of a simulator, plain data.

use std::path::PathBuf;
use std::time::Duration;

use super::choices::{Cut, InvalidKind, InvalidMix, MessageForm, OpenFailure, RetryAfter};
use crate::config::Secret;
use crate::simulator::profile::Profile;

/// Options of a [`Simulator`](crate::simulator::Simulator): its events and its faults.
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
    /// The platform whose stream is played.
    pub profile: Profile,
    /// Seed of all random numbers: the same seed and shares give the same events, byte by byte, whatever faults happen.
    pub seed: u64,
    /// The loopback port to listen on; 0 takes a free one.
    pub port: u16,

    /// Number of events of the stream; `None`: it never ends.
    pub events: Option<u64>,
    /// Events per second on each connection; 0: as fast as the client reads. A reader that was slow gets the late events at once.
    pub rate: u64,
    /// Share of events, in percent, that repeat the bytes of an earlier valid event.
    pub redelivery_percent: f64,
    /// Share of events, in percent, that have an earlier event's key with other attributes and another timestamp; one in eight is
    /// older than the event that it updates, and one in eight has another type.
    pub update_percent: f64,
    /// Maximum distance, in valid events, between an event and its redelivery or update; at least 1.
    pub repeat_window: u32,
    /// Share of events, in percent, that a sink must reject.
    pub invalid_percent: f64,
    /// Kinds of invalid events; a kind that is listed twice is sent twice as often. The default is every kind except
    /// [`InvalidKind::Oversize`], which takes a megabyte each time.
    pub invalid_kinds: Vec<InvalidKind>,
    /// Order of the kinds of invalid events.
    pub invalid_mix: InvalidMix,
    /// Length of an oversize event in bytes, at least 1024. The default is one byte above a sink's default limit.
    pub oversize_bytes: u32,
    /// Stamps events with the current time instead of times from the seed. Their bytes then differ from run to run.
    pub wall_clock: bool,

    /// The client id that the token endpoint accepts.
    pub client_id: String,
    /// The client secret that the token endpoint accepts.
    pub client_secret: Secret,
    /// The user name, or the id of the access key, that the token endpoint accepts.
    pub username: String,
    /// The password, or the secret of the access key, that the token endpoint accepts.
    pub password: Secret,
    /// File that the simulator writes a valid token into, again and again, for profiles without a token endpoint: it plays the
    /// program that renews this token. Such a profile needs it.
    pub token_file: Option<PathBuf>,
    /// Id of the only stream: letters, digits, `-`, `_`, `.` and `~`.
    pub stream_id: String,
    /// The only scope that a client may request.
    pub scope: String,
    /// Scope in the token response; `None`: the requested one; empty: the response has no scope.
    pub granted_scope: Option<String>,
    /// Lifetime of a token; after it, the handshake responds with 401. `expires_in` is the lifetime in whole seconds.
    pub token_lifetime: Duration,
    /// Closes a stream with 4001 when its token expires.
    pub close_when_expired: bool,
    /// Statuses of the first responses of the token endpoint, in order: 401, 403, 429, 500 and so on. At most 1000.
    pub token_failures: Vec<u16>,
    /// Body in place of each good token response: not JSON, with members missing, with an absurd `expires_in`.
    pub token_answer: Option<String>,
    /// Statuses of the first responses to a handshake, in order: 401, 403, 404, 429, 503 and so on. At most 1000.
    pub handshake_failures: Vec<u16>,
    /// How the first openings of the conversation fail, in order, in profiles that have an opening. At most 1000.
    pub open_failures: Vec<OpenFailure>,
    /// Number of heartbeats without an answer, from the first one on, in profiles that answer them.
    pub heartbeats_unanswered: u32,
    /// Sends the server's own heartbeat when the last one is this old, in profiles that have one; zero: never.
    pub heartbeat_interval: Duration,
    /// `Retry-After` of responses with 429 or 503.
    pub retry_after: RetryAfter,

    /// Closes the stream after this many events on a connection; 0: right after the handshake; `None`: never.
    pub close_after: Option<u64>,
    /// Code of that close frame; 1005 sends a frame without a code (RFC 6455 section 7.4.1).
    pub close_code: u16,
    /// Reason in that close frame, at most 123 bytes.
    pub close_reason: String,
    /// Number of connections that are closed so, from the first one on.
    pub close_connections: u32,
    /// Cuts the connection, without a close frame, after this many events on it; 0: right after the handshake; `None`: never.
    pub cut_after: Option<u64>,
    /// How a cut ends the connection.
    pub cut_how: Cut,
    /// Number of connections that are cut, from the first one on.
    pub cut_connections: u32,
    /// Falls silent after this many events on a connection: keeps it open, but sends nothing, not even a pong; `None`: never.
    pub silence_after: Option<u64>,
    /// Number of connections that fall silent, from the first one on.
    pub silence_connections: u32,
    /// Number of last events that each further connection gets again at its start. At most 1,000,000.
    pub replay_events: u32,
    /// Closes the stream with 1000 after the last event; otherwise it stays open.
    pub close_at_end: bool,

    /// Sends a ping after this many events; 0: only after the last event.
    pub ping_every: u64,
    /// Sends a ping when the last one is this old; zero: never.
    pub ping_interval: Duration,
    /// Sends binary messages instead of text.
    pub binary: bool,
    /// What a message holds in the place of the event.
    pub message_form: MessageForm,
    /// The largest number of events in a message that holds several.
    pub message_events: u32,
    /// Number of messages in one write to the socket; 0: as many as fit into 64 KiB.
    pub frames_per_write: u32,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
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
            client_secret: Secret::from("simulator-secret"),
            username: "simulator-user".into(),
            password: Secret::from("simulator-password"),
            token_file: None,
            stream_id: "simulator-stream".into(),
            scope: "data-actions:read".into(),
            granted_scope: None,
            token_lifetime: Duration::from_secs(3600),
            close_when_expired: false,
            token_failures: Vec::new(),
            token_answer: None,
            handshake_failures: Vec::new(),
            open_failures: Vec::new(),
            heartbeats_unanswered: 0,
            heartbeat_interval: Duration::from_secs(30),
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
            message_form: MessageForm::default(),
            message_events: 10,
            frames_per_write: 0,
        }
    }
}

//! The values of options that are one of a few.

/// The reason for which a sink must reject an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidKind {
    /// The text ends too early to be JSON.
    NotJson,
    /// One of the four required members is missing.
    MissingField,
    /// A member is not in the schema; in the profile `data-actions` only.
    UnknownKey,
    /// The type is not one of the four, or not text.
    BadEnum,
    /// The timestamp is not an RFC 3339 date and time.
    BadDate,
    /// The idempotency key is empty, or has a character that is not a letter, a digit, `_` or `-`.
    BadKeyPattern,
    /// Valid, but of [`SimulatorOptions::oversize_bytes`](crate::simulator::SimulatorOptions::oversize_bytes) length.
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

    /// Returns the name that [`SimulatorOptions::set`](crate::simulator::SimulatorOptions::set) takes: `"bad_enum"`.
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

/// Order of the kinds of invalid events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum InvalidMix {
    /// In the order of the list, again and again.
    #[default]
    RoundRobin,
    /// Random, from the seed.
    Random,
}

/// How the opening of a conversation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenFailure {
    /// With the answer by which this platform requests a delay.
    Refused,
    /// With an answer that is not JSON.
    Garbage,
    /// Without an answer.
    Silent,
}

/// What a message holds in the place of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum MessageForm {
    /// The event.
    #[default]
    Event,
    /// An array of events.
    Array,
    /// The whole message is JSON Lines: each line is what a message would be.
    Lines,
}

/// `Retry-After` of a response (RFC 9110 section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RetryAfter {
    /// The response has none.
    #[default]
    Absent,
    /// This many seconds.
    Seconds(u32),
    /// The date this many seconds ahead.
    Date(u32),
}

/// How a cut ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Cut {
    /// With a TCP reset: bytes that the reader's machine has not received yet are lost.
    #[default]
    Reset,
    /// With a FIN: everything sent before can still be read.
    End,
}

//! The names of the profiles, and their configuration files.

/// A platform whose stream a [`Simulator`](crate::simulator::Simulator) can play, and for which there is a configuration to start from.
///
/// ```
/// use cxsink::simulator::Profile;
///
/// let profile = Profile::named("event-hub").unwrap();
/// assert_eq!(profile, Profile::EventHub);
/// assert!(profile.config_text().contains("open_answer"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// NICE CXone Data Actions: the defaults of every setting.
    #[default]
    DataActions,
    /// NICE CXone digital event hub: the token in the first message, heartbeats that are answered.
    EventHub,
    /// NICE CXone agent assist: topics, the token in each message, events as texts in an envelope.
    AgentAssist,
    /// Genesys Cloud notifications: topics, no token, events in an envelope.
    Genesys,
    /// `RingCentral` WebSocket notifications: a token for one connection in the query, messages that are arrays.
    RingCentral,
    /// 8x8 Contact Center: notifications that are acknowledged.
    EightByEight,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 6] =
        [Self::DataActions, Self::EventHub, Self::AgentAssist, Self::Genesys, Self::RingCentral, Self::EightByEight];

    /// The profile of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Returns the name: `"event-hub"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataActions => "data-actions",
            Self::EventHub => "event-hub",
            Self::AgentAssist => "agent-assist",
            Self::Genesys => "genesys",
            Self::RingCentral => "ringcentral",
            Self::EightByEight => "8x8",
        }
    }

    /// Returns the platform and its stream: `"NICE CXone digital event hub"`.
    pub const fn platform(self) -> &'static str {
        match self {
            Self::DataActions => "NICE CXone Data Actions",
            Self::EventHub => "NICE CXone digital event hub",
            Self::AgentAssist => "NICE CXone agent assist",
            Self::Genesys => "Genesys Cloud notifications",
            Self::RingCentral => "RingCentral WebSocket notifications",
            Self::EightByEight => "8x8 Contact Center",
        }
    }

    /// Returns what is special about its stream, in a few words.
    pub const fn about(self) -> &'static str {
        match self {
            Self::DataActions => "client credentials, token in a header, one event a message",
            Self::EventHub => "access key, token in the first message, heartbeats",
            Self::AgentAssist => "access key, topics, events as texts in an envelope",
            Self::Genesys => "a channel without a token, topics, events in an envelope",
            Self::RingCentral => "one-time token in the query, messages are arrays",
            Self::EightByEight => "token from a file, notifications that are acknowledged",
        }
    }

    /// Returns the configuration file to start from, with comments. Secrets are not in it: they come from variables or files.
    pub const fn config_text(self) -> &'static str {
        match self {
            Self::DataActions => include_str!("../../../examples/config/data-actions.toml"),
            Self::EventHub => include_str!("../../../examples/config/event-hub.toml"),
            Self::AgentAssist => include_str!("../../../examples/config/agent-assist.toml"),
            Self::Genesys => include_str!("../../../examples/config/genesys.toml"),
            Self::RingCentral => include_str!("../../../examples/config/ringcentral.toml"),
            Self::EightByEight => include_str!("../../../examples/config/8x8.toml"),
        }
    }
}

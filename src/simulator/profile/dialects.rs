//! The dialect of each profile.

use super::dialect::{Dialect, Envelope, TokenPlace, TokenRequest};
use super::name::Profile;
use super::{agent_assist, eight_by_eight, event_hub, genesys, ringcentral};

static DATA_ACTIONS: Dialect = Dialect {
    token_request: TokenRequest::ClientCredentials,
    token_place: TokenPlace::Header,
    path: "/data-actions/v1/stream/<stream_id>",
    ignored_first: None,
    open: &[],
    open_refused: "",
    heartbeat: None,
    own_heartbeat: None,
    ignored_last: None,
    ack: None,
    envelope: Envelope::NONE,
    event: None,
};

impl Profile {
    /// Whether the sink reads its token from a file, which the simulator writes
    /// ([`token_file`](crate::simulator::SimulatorOptions::token_file)).
    pub fn needs_token_file(self) -> bool {
        let dialect = dialect(self);
        dialect.token_request == TokenRequest::None && dialect.token_place != TokenPlace::Nowhere
    }
}

/// Returns the dialect that a profile's server speaks.
pub(in crate::simulator) fn dialect(profile: Profile) -> &'static Dialect {
    match profile {
        Profile::DataActions => &DATA_ACTIONS,
        Profile::EventHub => &event_hub::DIALECT,
        Profile::AgentAssist => &agent_assist::DIALECT,
        Profile::Genesys => &genesys::DIALECT,
        Profile::RingCentral => &ringcentral::DIALECT,
        Profile::EightByEight => &eight_by_eight::DIALECT,
    }
}

//! The dialect of each profile.

use super::dialect::{Dialect, Envelope, TokenPlace, TokenRequest};
use super::name::Profile;
use super::{agent_assist, eight_by_eight, event_hub, genesys, ringcentral};

static DATA_ACTIONS: Dialect = Dialect {
    token_request: TokenRequest::ClientCredentials,
    token_place: TokenPlace::Header,
    path: "/data-actions/v1/stream/<stream_id>",
    greeting: None,
    opening: &[],
    refusal: "",
    heartbeat: None,
    own_heartbeat: None,
    farewell: None,
    acknowledgement: None,
    envelope: Envelope::NONE,
    event: None,
};

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

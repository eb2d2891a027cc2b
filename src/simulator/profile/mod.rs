//! Profiles: what the server of a platform says and expects, and what its events look like.
//!
//! A profile has two sides. The sink's side is a configuration file, examples/config/NAME.toml, of settings alone. The server's side is
//! a [`Dialect`]: data as well, written down from the platforms' public descriptions and not from those files, so that a run of one
//! against the other proves something.

mod agent_assist;
mod dialect;
mod dialects;
mod eight_by_eight;
mod event_hub;
mod events;
mod genesys;
mod name;
mod packing;
mod ringcentral;
mod settings;
mod talk;
mod template;

pub(super) use self::dialect::{Dialect, TokenPlace, TokenRequest};
pub(super) use self::dialects::dialect;
pub(super) use self::events::EventWriter;
pub use self::name::Profile;
pub(super) use self::packing::{Packing, Piece};
pub(super) use self::talk::{Heard, Talk};

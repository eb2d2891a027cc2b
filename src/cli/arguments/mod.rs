//! The arguments, and what is made from their definitions: completions, manual pages, the long version.

mod commands;
mod derived;
mod version;

pub(super) use self::commands::*;
pub(super) use self::derived::{completions, manual_pages};
pub(super) use self::version::long_version;

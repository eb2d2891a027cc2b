//! The table of keys: the one place that defines which keys exist.

mod about;
#[cfg(feature = "cli")]
mod changed;
mod key;
mod lookup;
#[cfg(feature = "cli")]
mod secrets;
mod table;

pub(super) use self::about::SECTIONS;
#[cfg(feature = "cli")]
pub(crate) use self::changed::changed_keys;
pub(super) use self::key::Key;
pub use self::lookup::keys;
pub(super) use self::lookup::{find, is_section_alone, nearest, unknown_near, unknown_section};
pub(super) use self::table::KEYS;

//! The table of keys: the one place that defines which keys exist.

mod about;
mod changed;
mod key;
mod lookup;
mod nearest;
mod own;
#[cfg(feature = "cli")]
mod secrets;
mod streams;
mod table;

pub(super) use self::about::SECTIONS;
#[cfg(feature = "cli")]
pub(crate) use self::changed::changed_keys;
pub(crate) use self::changed::have_equal_sections;
pub(super) use self::key::{Key, in_variable};
pub(super) use self::lookup::{find, is_section_alone, unknown_section};
pub use self::lookup::{is_key, keys};
pub(super) use self::nearest::{nearest, unknown_near};
pub(super) use self::own::{OwnKey, STREAMS, own_key, own_name, unknown_own_section};
pub(super) use self::table::KEYS;

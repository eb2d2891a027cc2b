//! The error type: what failed, the reason, and what to do next.
//!
//! It is opaque so that details can grow without breaking callers: [`Error::kind`] is the stable part and equals the
//! status codes of the C library and of the Python package. The threads act on the [`Class`]: wait, try again, set one event
//! aside, or give up. Every text in it, and every other text from outside that is shown, goes through [`foreign_text`].

mod failure;
pub(crate) mod foreign_text;
mod kind;
mod violation;

pub use self::failure::{Error, Result};
pub(crate) use self::kind::Class;
pub use self::kind::ErrorKind;
pub use self::violation::Violation;
pub(crate) use self::violation::violations_json;

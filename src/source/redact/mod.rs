//! Values that must not be stored (`[[redact]]`), removed or replaced before an event is spooled.
//!
//! The event stays the text that it was, apart from these values: no tree is built, and every other byte is copied. What cannot be walked,
//! because it is not JSON or could not be unwrapped, is not kept: its fingerprint is ([`Fingerprint`]).

mod action;
mod fingerprint;
mod redactor;
#[cfg(test)]
mod tests;
mod tree;
mod walk;

pub(crate) use self::fingerprint::Fingerprint;
pub(crate) use self::redactor::{Redacted, Redactor};

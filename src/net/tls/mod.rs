//! TLS for every connection of the sink: rustls settings from the section `[tls]`, and the meaning of a failed handshake.
//!
//! If a handshake fails, [`inside`] finds rustls' error in an I/O error, and [`refused`] explains it. With TLS 1.3 a server
//! refuses the client's certificate only after the handshake, so the first read must check for such an error as well.

#[cfg(test)]
pub(crate) mod authority;
mod encryption;
mod files;
mod problem;
mod provider;
#[cfg(test)]
mod tests;

pub(crate) use encryption::Encryption;
pub(crate) use files::{FileNames, IN_SECTION, trusted};
pub(crate) use problem::{Problem, refused};
pub(crate) use provider::{client_config_with, inside, provider, session};

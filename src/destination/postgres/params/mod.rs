//! Connection parameters as libpq reads them: from the connection string, a service, the environment and files.

mod hosts;
mod known;
mod passfile;
mod service;
mod settings;
mod ssl;
mod target;

pub(super) use hosts::{Address, Host};
pub(super) use passfile::{Lookup, look_up};
pub(super) use ssl::{Roots, SslMode, TlsParameters};
pub(super) use target::{Keepalive, Target};

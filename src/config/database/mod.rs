//! The database's connection string, and libpq's environment variables.

mod conninfo;
pub(crate) mod libpq;
mod uri;
pub(crate) mod url;

pub(crate) use uri::{Components, compose};

//! The database's URL, libpq's connection strings and its environment variables.

pub(crate) mod conninfo;
pub(crate) mod libpq;
pub(crate) mod url;

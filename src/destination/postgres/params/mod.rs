//! Connection parameters as libpq reads them.

pub(crate) mod passfile;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod ssl;
pub(crate) mod target;

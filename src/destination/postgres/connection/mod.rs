//! A connection to PostgreSQL in which every call has a deadline.

pub(crate) mod channel_binding;
pub(crate) mod connect;
pub(crate) mod connector;
pub(crate) mod deadline;
pub(crate) mod deadline_stream;
pub(crate) mod errors;
pub(crate) mod session;
pub(crate) mod startup;
pub(crate) mod tls;

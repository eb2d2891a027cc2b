//! A connection to PostgreSQL in which every call has a deadline.

mod attempts;
mod channel_binding;
mod client_config;
mod connect;
mod connector;
mod deadline;
mod deadline_stream;
mod errors;
mod pooler;
mod server_words;
mod session;
mod sqlstate;
mod startup;
mod stream;
mod tls;
mod unix_socket;

pub(super) use connect::connect;
pub(super) use errors::{PgResult, from_io};
pub(super) use pooler::indicates_pooler;
pub(super) use session::Session;
pub(super) use sqlstate::{INSUFFICIENT_PRIVILEGE, UNDEFINED_COLUMN, UNDEFINED_TABLE, WRONG_OBJECT_TYPE};
pub(super) use tls::client_config;

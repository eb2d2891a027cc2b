//! OAuth 2.0 tokens (RFC 6749): one token for every connection.

mod call;
mod credentials;
mod discovery;
pub(crate) mod exchange;
pub(crate) mod hidden;
mod hints;
mod message;
mod oauth_error;
mod refusals;
mod request;
mod response;
pub(crate) mod shelf;
mod single_flight;
mod status;
pub(crate) mod token;

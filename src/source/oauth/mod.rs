//! OAuth 2.0 client credentials (RFC 6749 section 4.4): one token for every connection.

pub(crate) mod exchange;
pub(crate) mod hidden;
pub(crate) mod oauth_error;
mod refusals;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod token;

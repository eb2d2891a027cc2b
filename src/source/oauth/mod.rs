//! OAuth 2.0 client credentials (RFC 6749 section 4.4): one token for all who need it.

pub(crate) mod exchange;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod token;

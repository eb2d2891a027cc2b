//! The route to a server of the source, and the little HTTP/1.1 on it.

pub(crate) mod address;
pub(crate) mod failure;
pub(crate) mod http;
pub(crate) mod http_body;
pub(crate) mod proxy;
pub(crate) mod retry_after;
pub(crate) mod route;
pub(crate) mod transport;

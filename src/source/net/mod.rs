//! The way to a server of the source: address, name, TCP, proxy, TLS, HTTP/1.1 heads.

pub(crate) mod address;
pub(crate) mod connect;
pub(crate) mod failure;
pub(crate) mod http;
pub(crate) mod http_body;
pub(crate) mod proxy;
pub(crate) mod route;
pub(crate) mod transport;

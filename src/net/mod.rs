//! Names and TCP with one deadline and an immediate end when the sink stops, for every connection of source and destination, and the text
//! that servers send.

pub(crate) mod connect;
pub(crate) mod detached;
pub(crate) mod host;
pub(crate) mod masks;
pub(crate) mod resolve;
pub(crate) mod server_text;
pub(crate) mod tls;

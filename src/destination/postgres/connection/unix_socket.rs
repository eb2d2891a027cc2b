//! Unix sockets under the `postgres` crate.
//!
//! The crate hands no Unix socket to its TLS connector, because TLS does not exist there, and so the connector could set no
//! deadline. Therefore the crate connects to a decoy, a listener of ours on the loopback interface, and the connector opens
//! the Unix socket in place of that connection.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use super::deadline_stream::ByteStream;

/// A Unix socket and its decoy.
#[derive(Clone)]
pub(super) struct UnixSocket {
    /// Lives as long as the connection, because cancel requests go there too.
    decoy: Arc<TcpListener>,
    path: PathBuf,
}

impl UnixSocket {
    pub(super) fn new(path: PathBuf) -> io::Result<Self> {
        let decoy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        decoy.set_nonblocking(true)?;
        Ok(Self { decoy: Arc::new(decoy), path })
    }

    /// The loopback port that the crate connects to.
    pub(super) fn decoy_port(&self) -> io::Result<u16> {
        Ok(self.decoy.local_addr()?.port())
    }

    #[cfg(unix)]
    pub(super) async fn open(&self) -> io::Result<Box<dyn ByteStream>> {
        // Closes every connection to the decoy, the crate's or a stranger's; nothing is read from them.
        while self.decoy.accept().is_ok() {}
        Ok(Box::new(tokio::net::UnixStream::connect(&self.path).await?))
    }

    #[cfg(not(unix))]
    pub(super) async fn open(&self) -> io::Result<Box<dyn ByteStream>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "Unix sockets do not exist here"))
    }
}

//! TLS in front of a server that speaks none: ends it, and passes the bytes on.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::authority::Certified;

/// How long one side is listened to before it is the other's turn.
const TURN: Duration = Duration::from_millis(2);

/// Listens on a loopback port of its own; its threads end with their connections.
pub struct TlsFront {
    pub address: SocketAddr,
}

impl TlsFront {
    pub fn new(server: SocketAddr, certified: &Certified) -> Self {
        let chain = CertificateDer::pem_slice_iter(certified.certificate.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let config = Arc::clone(&config);
                thread::spawn(move || drop(pass(client, server, config)));
            }
        });
        Self { address }
    }
}

fn pass(client: TcpStream, server: SocketAddr, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let mut client = StreamOwned::new(ServerConnection::new(config).map_err(std::io::Error::other)?, client);
    // The handshake first, without a time limit for it.
    client.conn.complete_io(&mut client.sock)?;
    client.sock.set_read_timeout(Some(TURN))?;
    server.set_read_timeout(Some(TURN))?;
    let mut buffer = [0; 16384];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => server.write_all(&buffer[..read])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        match server.read(&mut buffer) {
            Ok(0) => {
                client.conn.send_close_notify();
                return client.flush();
            }
            Ok(read) => client.write_all(&buffer[..read])?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

//! TLS in front of a server that speaks none.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{IoState, RootCertStore, ServerConfig, ServerConnection};

use super::authority::{Authority, Certified};

/// The certificates that a front shows and requires.
pub fn server_config(certified: &Certified, clients: Option<&Authority>, only_1_2: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = if only_1_2 { &[&TLS12] } else { &[&TLS12, &TLS13] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(certified.certificate.as_bytes()).map(|found| found.unwrap());
    let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(chain.collect(), key).unwrap();
    // As many servers do; who takes the first one does not speak with the server behind.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Takes TLS off and passes on the rest. Its threads end with their connections.
pub struct TlsFront {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behind: SocketAddr,
    config: Mutex<Arc<ServerConfig>>,
    open: Mutex<Vec<TcpStream>>,
}

impl TlsFront {
    pub fn new(behind: SocketAddr, certified: &Certified) -> Self {
        Self::with(behind, server_config(certified, None, false))
    }

    pub fn with(behind: SocketAddr, config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { behind, config: Mutex::new(config), open: Mutex::default() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(&client));
            }
        });
        Self { address, shared }
    }

    /// For connections from now on.
    pub fn change(&self, config: Arc<ServerConfig>) {
        *self.shared.config.lock().unwrap() = config;
    }

    pub fn cut_all(&self) {
        for client in self.shared.open.lock().unwrap().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// A plain server's URL as it is reached through this one, by this name: `ws` becomes `wss`.
    pub fn url(&self, plain: &str, host: &str) -> String {
        let (scheme, rest) = plain.split_once("://").unwrap();
        let (_, path) = rest.split_once('/').unwrap();
        format!("{scheme}s://{host}:{}/{path}", self.address.port())
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.cut_all();
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) {
        self.open.lock().unwrap().push(client.try_clone().unwrap());
        let session = ServerConnection::new(Arc::clone(&*self.config.lock().unwrap())).unwrap();
        let Ok(server) = TcpStream::connect(self.behind) else { return };
        for socket in [client, &server] {
            socket.set_nodelay(true).unwrap();
        }
        let session = Arc::new(Mutex::new(session));
        let outwards = {
            let (session, client, server) =
                (Arc::clone(&session), client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || encrypt(&session, &client, server))
        };
        decrypt(&session, client, &server);
        // The rest of the server's bytes passes; the server reads the end.
        let _ = server.shutdown(Shutdown::Write);
        outwards.join().unwrap();
        let _ = client.shutdown(Shutdown::Both);
    }
}

/// The client's records, decrypted, to the server; and what the session itself has to say to the client.
fn decrypt(session: &Mutex<ServerConnection>, mut client: &TcpStream, mut server: &TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let mut records = &buffer[..count];
        let mut plain = Vec::new();
        while !records.is_empty() {
            let mut session = session.lock().unwrap();
            session.read_tls(&mut records).unwrap();
            let processed = session.process_new_packets();
            let read = session.reader().read_to_end(&mut plain);
            while session.wants_write() && session.write_tls(&mut client).is_ok() {}
            let is_over = read.is_ok_and(|_| processed.as_ref().is_ok_and(IoState::peer_has_closed));
            if processed.is_err() || is_over {
                let _ = server.write_all(&plain);
                return;
            }
        }
        if server.write_all(&plain).is_err() {
            return;
        }
    }
}

/// The server's bytes, encrypted, to the client.
fn encrypt(session: &Mutex<ServerConnection>, mut client: &TcpStream, mut server: TcpStream) {
    let mut buffer = [0; 16 << 10];
    loop {
        let read = server.read(&mut buffer).unwrap_or(0);
        let mut session = session.lock().unwrap();
        if read == 0 {
            session.send_close_notify();
        } else {
            session.writer().write_all(&buffer[..read]).unwrap();
        }
        while session.wants_write() {
            if session.write_tls(&mut client).is_err() {
                return;
            }
        }
        if read == 0 {
            // The client's own end is waited for, so that nothing unread makes a reset of this one.
            let _ = client.shutdown(Shutdown::Write);
            return;
        }
    }
}

//! Raw servers for the unit tests: they speak bytes, so that they can speak wrong ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::config::Config;
use crate::net::tls::authority::Authority;
use crate::threads::stop_signal::StopSignal;
use crate::time::clock::{Clock, SystemClock};

/// No step of a test takes longer, and no test asserts it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A WebSocket frame as a server sends it.
pub(super) fn frame(opcode: u8, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode | if is_final { 0x80 } else { 0 }];
    match payload.len() {
        length @ ..126 => frame.push(length.try_into().unwrap()),
        length @ ..65_536 => {
            frame.push(126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// A close frame.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(8, true, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// An HTTP response with its length.
pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A token with the usual fields.
pub(super) fn token_response(token: &str) -> String {
    let body =
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600,"scope":"data-actions:read"}}"#);
    response("200 OK", "Content-Type: application/json\r\n", &body)
}

/// The server's side of one connection.
pub(super) struct Peer {
    pub(super) stream: TcpStream,
    /// The request, head and body.
    pub(super) request: String,
}

impl Peer {
    /// Sends; a client that is gone is not an error.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Answers the handshake as a good server does, with `first_bytes` in the same packet.
    pub(super) fn open(&mut self, first_bytes: &[u8]) {
        let response = self.good_response("Upgrade");
        self.send([response.as_bytes(), first_bytes].concat());
    }

    pub(super) fn good_response(&self, connection: &str) -> String {
        let key = self.request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: {connection}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    }

    /// Waits until the client ends the connection; returns its bytes until then.
    pub(super) fn wait_for_end(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        let _ = self.stream.read_to_end(&mut received);
        received
    }

    /// Receives one short frame, unmasked: opcode and payload.
    pub(super) fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 6];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!(head[0] & 0xf0, 0x80);
        assert_eq!(head[1] & 0x80, 0x80, "a client masks");
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        self.stream.read_exact(&mut payload).unwrap();
        payload.iter_mut().zip(head[2..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        (head[0] & 0x0f, payload)
    }

    /// Whether bytes of the client are here. What it has sent before is: a loopback connection has no delay.
    pub(super) fn has_bytes(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let is_here = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).unwrap();
        is_here
    }

    /// Receives the client's next text message.
    pub(super) fn receive_text(&mut self) -> String {
        loop {
            match self.receive() {
                (1, text) => return String::from_utf8(text).unwrap(),
                (9, _) => {}
                other => panic!("no text: {other:?}"),
            }
        }
    }

    /// Waits for the client's close frame and ends the connection then, as a good server does.
    pub(super) fn finish(&mut self) {
        while self.receive().0 != 8 {}
    }

    /// The value of the request's header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.request.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Listens on a loopback port of its own and runs a script for each connection, on a thread of its own.
pub(super) struct TestServer {
    pub(super) address: SocketAddr,
    /// The requests so far, in order.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    /// The authority that has signed its certificate, if it speaks TLS.
    ca_file: Option<tempfile::TempPath>,
}

/// The server's side of a TLS connection.
pub(super) type TlsPeer = StreamOwned<ServerConnection, TcpStream>;

impl TestServer {
    /// `script` gets each connection before anything is read.
    pub(super) fn raw(script: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::raw_on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// As [`raw`](Self::raw), with a listener of the test's own.
    pub(super) fn raw_on(listener: TcpListener, script: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, script) = (stream.unwrap(), Arc::clone(&script));
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                thread::spawn(move || script(stream));
            }
        });
        Self { address, requests: Arc::default(), ca_file: None }
    }

    /// Speaks TLS, with a certificate for localhost, 127.0.0.1 and api.example; `script` begins before the handshake.
    pub(super) fn tls(script: impl Fn(&mut TlsPeer) + Send + Sync + 'static) -> Self {
        Self::tls_for(&["localhost", "127.0.0.1", "api.example"], script)
    }

    /// As [`tls`](Self::tls), with a certificate for these names.
    pub(super) fn tls_for(names: &[&str], script: impl Fn(&mut TlsPeer) + Send + Sync + 'static) -> Self {
        let authority = Authority::new();
        let certified = authority.server(names);
        let chain = CertificateDer::pem_slice_iter(certified.certificate.as_bytes()).map(|found| found.unwrap());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect(), PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).unwrap());
        let config = Arc::new(config.unwrap());
        let server = Self::raw(move |tcp| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, tcp);
            script(&mut stream);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        });
        let mut ca_file = tempfile::NamedTempFile::new().unwrap();
        ca_file.write_all(authority.pem.as_bytes()).unwrap();
        Self { ca_file: Some(ca_file.into_temp_path()), ..server }
    }

    /// `script` gets each request and its number.
    pub(super) fn http(script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        Self::http_on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    fn http_on(listener: TcpListener, script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&requests);
        let server = Self::raw_on(listener, move |mut stream| {
            let request = read_request(&mut stream);
            let number = {
                let mut log = log.lock().unwrap();
                log.push(request.clone());
                log.len() - 1
            };
            script(number, &mut Peer { stream, request });
        });
        Self { requests, ..server }
    }

    /// Gives tokens `token-0`, `token-1`, … and runs `script` for each request for the stream, with its number.
    pub(super) fn stream(script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        Self::stream_on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// As [`stream`](Self::stream), with a listener of the test's own.
    pub(super) fn stream_on(listener: TcpListener, script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        let (tokens, streams) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self::http_on(listener, move |_, peer| {
            if peer.request.starts_with("POST /token ") {
                let number = tokens.fetch_add(1, Ordering::SeqCst);
                peer.send(token_response(&format!("token-{number}")));
            } else {
                script(streams.fetch_add(1, Ordering::SeqCst), peer);
            }
        })
    }

    /// A configuration for this server.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::default();
        config.oauth.url = format!("http://{}/token", self.address);
        config.oauth.client_id = Some("client-4711".into());
        config.oauth.client_secret = Some("hunter2&co".into());
        config.stream.id = Some("s-1".into());
        config.stream.url = format!("ws://{}/stream/{{stream_id}}", self.address);
        config.stream.connect_timeout = PATIENCE;
        config.oauth.request_timeout = PATIENCE;
        config.tls.ca_file = self.ca_file.as_ref().map(|file| file.to_path_buf());
        config
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap();
    let length = head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// Sets `stop` when `reached` says that the phase in question has begun; the thread returns when that was.
pub(super) fn stop_when(stop: &StopSignal, reached: std::sync::mpsc::Receiver<()>) -> thread::JoinHandle<Instant> {
    let stop = stop.clone();
    thread::spawn(move || {
        reached.recv_timeout(PATIENCE).unwrap();
        let now = Instant::now();
        stop.set();
        now
    })
}

/// A steady clock that a test moves.
#[derive(Debug)]
pub(super) struct HandClock {
    start: Instant,
    elapsed: Mutex<Duration>,
}

impl HandClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), elapsed: Mutex::default() })
    }

    pub(super) fn move_to(&self, elapsed: Duration) {
        *self.elapsed.lock().unwrap() = elapsed;
    }

    pub(super) fn advance(&self, by: Duration) {
        *self.elapsed.lock().unwrap() += by;
    }
}

impl Clock for HandClock {
    fn steady(&self) -> Instant {
        self.start + *self.elapsed.lock().unwrap()
    }

    fn unix_micros(&self) -> i64 {
        SystemClock.unix_micros()
    }
}

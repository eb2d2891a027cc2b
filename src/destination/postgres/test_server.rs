//! A PostgreSQL for tests of the destination, and peers that stall or stay silent.

#[path = "../../../tests/support/postgres.rs"]
pub(super) mod postgres;
#[path = "../../../tests/support/server.rs"]
pub(super) mod server;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

pub(super) use postgres::{PATIENCE, TestDatabase};
pub(super) use server::PrivateServer;

use super::PostgresDestination;
use crate::config::{DestinationConfig, TlsConfig};
use crate::threads::stop_signal::StopSignal;

impl TestDatabase {
    pub(super) fn config(&self, table: &str) -> DestinationConfig {
        config(&self.url(), table)
    }

    pub(super) fn destination(&self, table: &str) -> PostgresDestination {
        PostgresDestination::new(&self.config(table), &TlsConfig::default(), StopSignal::new()).unwrap()
    }
}

pub(super) fn config(url: &str, table: &str) -> DestinationConfig {
    DestinationConfig {
        url: Some(url.into()),
        table: table.into(),
        connect_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        ..DestinationConfig::default()
    }
}

/// A listener whose connections are made by the kernel and never answered.
pub(super) fn silent_server() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server that refuses TLS, requests the password in clear text, and then sends `answer`.
pub(super) fn scripted_server(answer: Vec<u8>) -> SocketAddr {
    let (listener, address) = silent_server();
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        // SSLRequest and startup have no type byte, the password has.
        drop(read_message(&mut stream, 0).and_then(|()| stream.write_all(b"N")));
        let request_password = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];
        drop(read_message(&mut stream, 0).and_then(|()| stream.write_all(&request_password)));
        drop(read_message(&mut stream, 1).and_then(|()| stream.write_all(&answer)));
        drop(stream.shutdown(Shutdown::Write));
        drop(stream.read(&mut [0]));
    });
    address
}

fn read_message(stream: &mut TcpStream, type_bytes: usize) -> std::io::Result<()> {
    let mut head = [0; 5];
    let head = &mut head[..4 + type_bytes];
    stream.read_exact(head)?;
    let length: [u8; 4] = head[type_bytes..].try_into().unwrap();
    stream.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize - 4])
}

/// `ErrorResponse` with severity, code and message.
pub(super) fn error_response(sqlstate: &str, message: &str) -> Vec<u8> {
    let body = format!("SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0");
    let mut response = vec![b'E'];
    response.extend_from_slice(&(u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
    response.extend_from_slice(body.as_bytes());
    response
}

/// A TCP proxy that can withhold the server's answers while it keeps the connections open.
pub(super) struct StallProxy {
    pub(super) address: SocketAddr,
    stalled: Arc<(Mutex<bool>, Condvar)>,
}

impl StallProxy {
    pub(super) fn new(server: SocketAddr) -> Self {
        let (listener, address) = silent_server();
        let stalled = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = Arc::clone(&stalled);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(server).unwrap();
                let (client_reader, server_reader) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                thread::spawn(move || forward(client_reader, server, || {}));
                thread::spawn(move || {
                    forward(server_reader, client, || {
                        let mut stalled = shared.0.lock().unwrap();
                        while *stalled {
                            stalled = shared.1.wait(stalled).unwrap();
                        }
                    });
                });
            }
        });
        Self { address, stalled }
    }

    pub(super) fn stall(&self, stalled: bool) {
        *self.stalled.0.lock().unwrap() = stalled;
        self.stalled.1.notify_all();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, gate: impl Fn()) {
    let mut buffer = [0; 16384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        gate();
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}

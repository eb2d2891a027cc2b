//! A PostgreSQL for tests: each test gets a database of its own on the server that `CXSINK_TEST_POSTGRES` names, the URL of
//! an administrator's connection (`scripts/with-postgres` starts a private server and sets it).

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use super::PostgresDestination;
use crate::config::DestinationConfig;
use crate::stop_signal::StopSignal;

const VARIABLE: &str = "CXSINK_TEST_POSTGRES";
/// No test waits longer than this for something that has to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A database that goes with its test.
pub(super) struct TestDatabase {
    admin_url: String,
    name: String,
}

impl TestDatabase {
    /// `None`, having said so, if there is no server and this is not a run that must be complete.
    #[expect(clippy::print_stderr, reason = "a skipped test says that it was skipped")]
    pub(super) fn new() -> Option<Self> {
        let Ok(admin_url) = std::env::var(VARIABLE) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "{VARIABLE} is not set: run the tests with scripts/with-postgres"
            );
            eprintln!("skipped: {VARIABLE} is not set; scripts/with-postgres COMMAND… starts a server and sets it");
            return None;
        };
        let suffix: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(12).collect();
        let database = Self { admin_url, name: format!("cxsink_test_{suffix}") };
        database.admin().batch_execute(&format!("CREATE DATABASE {} TEMPLATE template0", database.name)).unwrap();
        Some(database)
    }

    fn admin(&self) -> Client {
        Client::connect(&self.admin_url, NoTls).unwrap()
    }

    /// The URL of this database: the administrator's with another database.
    pub(super) fn url(&self) -> String {
        let (base, query) = self.admin_url.split_once('?').map_or((self.admin_url.as_str(), ""), |(b, q)| (b, q));
        let (server, _) = base.rsplit_once('/').unwrap();
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        format!("{server}/{}{query}", self.name)
    }

    /// The same through another TCP port of the loopback interface.
    pub(super) fn url_through(&self, address: SocketAddr) -> String {
        self.url().replacen(&self.address().to_string(), &address.to_string(), 1)
    }

    pub(super) fn address(&self) -> SocketAddr {
        let config: postgres::Config = self.admin_url.parse().unwrap();
        match &config.get_hosts()[0] {
            postgres::config::Host::Tcp(host) => SocketAddr::new(host.parse().unwrap(), config.get_ports()[0]),
            other @ postgres::config::Host::Unix(_) => {
                panic!("{VARIABLE} must name a TCP address for this test, not {other:?}")
            }
        }
    }

    /// A connection of the test's own, to prepare and to look.
    pub(super) fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }

    pub(super) fn execute(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    /// Every row of a query, its columns as text joined by `|`, null as `∅`.
    pub(super) fn query(&self, sql: &str) -> Vec<String> {
        let messages = self.client().simple_query(sql).unwrap();
        let rows = messages.iter().filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => {
                let columns: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("∅")).collect();
                Some(columns.join("|"))
            }
            _ => None,
        });
        rows.collect()
    }

    pub(super) fn config(&self, table: &str) -> DestinationConfig {
        config(&self.url(), table)
    }

    pub(super) fn destination(&self, table: &str) -> PostgresDestination {
        PostgresDestination::new(&self.config(table), StopSignal::new()).unwrap()
    }

    /// Waits until the query answers with `expected`.
    pub(super) fn wait_for(&self, sql: &str, expected: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.query(sql);
            if found == [expected] {
                return;
            }
            assert!(Instant::now() < until, "{sql} still says {found:?}, not {expected}");
            thread::yield_now();
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Not while a failed test unwinds: a second panic would hide the first.
        if !thread::panicking() {
            self.admin().batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).unwrap();
        }
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

/// A server that refuses TLS, asks for the password in clear text, and then answers what it is told to.
pub(super) fn scripted_server(answer: Vec<u8>) -> SocketAddr {
    let (listener, address) = silent_server();
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        // SSLRequest and startup have no type byte, the password has.
        drop(read_message(&mut stream, 0).and_then(|()| stream.write_all(b"N")));
        let ask_for_password = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];
        drop(read_message(&mut stream, 0).and_then(|()| stream.write_all(&ask_for_password)));
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

/// A TCP proxy that can stop passing on what the server answers, keeping the connections open.
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
                thread::spawn(move || pass(client_reader, server, || {}));
                thread::spawn(move || {
                    pass(server_reader, client, || {
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

fn pass(mut from: TcpStream, mut to: TcpStream, gate: impl Fn()) {
    let mut buffer = [0; 16384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        gate();
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}

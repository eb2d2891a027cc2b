//! A PgBouncer of a test's own, before a PostgreSQL of its own. `scripts/need` gets the program if it is not there.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

use super::server::{PrivateServer, hand_over, unprivileged};

const START: Duration = Duration::from_secs(60);

/// Ended with its test, by process id.
pub struct PgBouncer {
    folder: tempfile::TempDir,
    program: PathBuf,
    url: String,
    port: u16,
    process: Option<Child>,
}

impl PgBouncer {
    /// `pool_mode` is session or transaction. Two connections to the server, and nothing that cleans up between clients.
    pub fn start_new(program: PathBuf, server: &PrivateServer, pool_mode: &str, more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("cxsink-pool-").tempdir_in("/tmp").unwrap();
        let mut pooler = Self { folder, program, url: server.url(), port: 0, process: None };
        let until = Instant::now() + START;
        while pooler.process.is_none() {
            assert!(Instant::now() < until, "PgBouncer does not start: {}", pooler.log());
            // Free now, perhaps not any more when it is bound: then another one is tried.
            pooler.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            pooler.configure(server, pool_mode, more);
            pooler.try_start();
        }
        pooler
    }

    fn configure(&self, server: &PrivateServer, pool_mode: &str, more: &str) {
        let folder = self.folder.path();
        let users = format!("\"postgres\" \"{}\"\n", server.password());
        let settings = format!(
            "[databases]
* = host=127.0.0.1 port={}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {}/users
pool_mode = {pool_mode}
default_pool_size = 2
reserve_pool_size = 0
max_client_conn = 50
server_reset_query =
{more}
",
            server.address().port(),
            self.port,
            folder.display()
        );
        fs::write(folder.join("users"), users).unwrap();
        fs::write(folder.join("settings"), settings).unwrap();
        hand_over(folder);
    }

    fn try_start(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        // It refuses to run as root, as PostgreSQL does.
        let mut command = unprivileged(&self.program, "QUIT");
        command.arg(self.folder.path().join("settings")).current_dir(self.folder.path());
        let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            // It listens before it logs this, and then serves every client that has connected.
            if self.log().contains("process up") {
                self.process = Some(child);
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Starts it again, where it was.
    pub fn start(&mut self) {
        let until = Instant::now() + START;
        while self.process.is_none() {
            assert!(Instant::now() < until, "PgBouncer does not start again: {}", self.log());
            self.try_start();
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The server's URL, through the pooler.
    pub fn url(&self) -> String {
        self.url_through(self.address())
    }

    /// The same through another TCP port of the loopback interface.
    pub fn url_through(&self, address: SocketAddr) -> String {
        let (credentials, rest) = self.url.rsplit_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{credentials}@{address}/{database}")
    }

    /// A connection through the pooler.
    pub fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

//! A PostgreSQL database that lives as long as its test, on the server that `CXSINK_TEST_POSTGRES` names
//! (`scripts/with-postgres` starts a private one and sets it).
#![allow(unreachable_pub, reason = "unit tests and integration tests share this file")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls, SimpleQueryMessage};

const VARIABLE: &str = "CXSINK_TEST_POSTGRES";
/// No test waits longer than this for something that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A database that goes with its test.
pub struct TestDatabase {
    admin_url: String,
    name: String,
}

impl TestDatabase {
    /// Fails where there is no server.
    pub fn new() -> Self {
        let admin_url = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} is not set: run this test with scripts/with-postgres, which starts a server")
        });
        let suffix: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(12).collect();
        let database = Self { admin_url, name: format!("cxsink_test_{suffix}") };
        database.admin().batch_execute(&format!("CREATE DATABASE {} TEMPLATE template0", database.name)).unwrap();
        database
    }

    fn admin(&self) -> Client {
        Client::connect(&self.admin_url, NoTls).unwrap()
    }

    /// The URL of this database: the administrator's with another database.
    pub fn url(&self) -> String {
        let (base, query) = self.admin_url.split_once('?').map_or((self.admin_url.as_str(), ""), |(b, q)| (b, q));
        let (server, _) = base.rsplit_once('/').unwrap();
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        format!("{server}/{}{query}", self.name)
    }

    /// The same through another TCP port of the loopback interface.
    #[allow(dead_code, reason = "not every test has a proxy")]
    pub fn url_through(&self, address: SocketAddr) -> String {
        self.url().replacen(&self.address().to_string(), &address.to_string(), 1)
    }

    /// Where the server listens.
    #[allow(dead_code, reason = "not every test has a proxy")]
    pub fn address(&self) -> SocketAddr {
        let config: postgres::Config = self.admin_url.parse().unwrap();
        match &config.get_hosts()[0] {
            postgres::config::Host::Tcp(host) => SocketAddr::new(host.parse().unwrap(), config.get_ports()[0]),
            other @ postgres::config::Host::Unix(_) => panic!("{VARIABLE} must name a TCP address, not {other:?}"),
        }
    }

    /// A connection of the test's own, to prepare and to look.
    pub fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }

    pub fn execute(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    /// Every row of a query, its columns as text joined by `|`, null as `∅`.
    pub fn query(&self, sql: &str) -> Vec<String> {
        rows(&mut self.client(), sql)
    }

    /// Waits until the query answers with `expected`.
    #[allow(dead_code, reason = "not every test has to wait")]
    pub fn wait_for(&self, sql: &str, expected: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.query(sql);
            if found == [expected] {
                return;
            }
            assert!(Instant::now() < until, "{sql} still says {found:?}, not {expected}");
            std::thread::yield_now();
        }
    }
}

/// Every row of a query, its columns as text joined by `|`, null as `∅`.
pub fn rows(client: &mut Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).unwrap();
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let columns: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("∅")).collect();
            Some(columns.join("|"))
        }
        _ => None,
    });
    rows.collect()
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Not while a failed test unwinds: a second panic would hide the first.
        if !std::thread::panicking() {
            self.admin().batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).unwrap();
        }
    }
}

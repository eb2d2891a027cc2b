//! A PostgreSQL of a test's own, which it may kill, freeze and start again. `CXSINK_TEST_PG_BIN` names the folder of its
//! programs (`scripts/with-postgres` sets it).

#![allow(
    dead_code,
    unreachable_pub,
    reason = "unit tests and integration tests share this file, each needs a part of it"
)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

const VARIABLE: &str = "CXSINK_TEST_PG_BIN";
const START: Duration = Duration::from_secs(60);

/// No fsync: processes die here, machines do not. But every commit is handed to the kernel before it is answered, and pages
/// are whole, so a killed server has lost nothing that it promised.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 50
timezone = 'UTC'
fsync = off
synchronous_commit = on
shared_buffers = '16MB'
";

/// Ended with its test, by process id.
pub struct PrivateServer {
    folder: tempfile::TempDir,
    programs: PathBuf,
    password: String,
    port: u16,
    postmaster: Option<Child>,
}

impl PrivateServer {
    /// Fails where there are no programs.
    pub fn start_new() -> Self {
        let programs = std::env::var_os(VARIABLE).unwrap_or_else(|| {
            panic!("{VARIABLE} is not set: run this test with scripts/with-postgres, which sets it")
        });
        // Not $TMPDIR: that may lie where the server's user cannot go.
        let folder = tempfile::Builder::new().prefix("cxsink-pg-").tempdir_in("/tmp").unwrap();
        let password: String = std::iter::repeat_with(fastrand::alphanumeric).take(20).collect();
        let mut server = Self { folder, programs: programs.into(), password, port: 0, postmaster: None };
        server.initialise();
        server.start();
        server
    }

    /// Another server that follows this one by streaming replication, ready for reading. The same users and passwords.
    pub fn start_standby(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("cxsink-pg-").tempdir_in("/tmp").unwrap();
        let mut standby = Self {
            folder,
            programs: self.programs.clone(),
            password: self.password.clone(),
            port: 0,
            postmaster: None,
        };
        hand_over(standby.folder.path());
        let primary = format!(
            "host=127.0.0.1 port={} user=postgres password={} application_name=standby",
            self.port, self.password
        );
        let mut backup = standby.program("pg_basebackup");
        backup.args(["--no-sync", "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"]);
        backup.arg(format!("--dbname={primary}")).arg(format!("--pgdata={}", standby.data().display()));
        let outcome = backup.output().unwrap();
        assert!(outcome.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&outcome.stderr));
        let file = standby.data().join("postgresql.conf");
        let sockets = format!("unix_socket_directories = '{}'\n", standby.folder.path().display());
        fs::write(&file, fs::read_to_string(&file).unwrap() + &sockets).unwrap();
        standby.start();
        self.wait_for_row("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'");
        standby
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        assert_eq!(self.query("SELECT pg_promote()"), ["t"]);
    }

    /// Has the server start as a standby without a primary: read-only, as a primary that came back after a failover.
    pub fn demote(&self) {
        assert!(self.postmaster.is_none(), "it runs");
        self.write("standby.signal", "");
    }

    /// Waits until the standby has applied what the primary has written until now.
    pub fn wait_until_like(&self, primary: &Self) {
        let written = primary.query("SELECT pg_current_wal_lsn()").remove(0);
        self.wait_for_row(&format!("SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{written}'"));
    }

    /// The standby takes nothing from its primary any more, which does not notice.
    pub fn stop_following(&self) {
        self.set("primary_conninfo = ''");
        self.wait_for_row("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_wal_receiver)");
    }

    fn initialise(&self) {
        let secret = self.folder.path().join("password");
        fs::write(&secret, &self.password).unwrap();
        hand_over(self.folder.path());
        let mut initdb = self.program("initdb");
        initdb.args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C"]);
        initdb.arg(format!("--pwfile={}", secret.display())).arg(format!("--pgdata={}", self.data().display()));
        let outcome = initdb.output().unwrap();
        assert!(outcome.status.success(), "initdb: {}", String::from_utf8_lossy(&outcome.stderr));
        let file = self.data().join("postgresql.conf");
        let sockets = format!("unix_socket_directories = '{}'\n", self.folder.path().display());
        fs::write(&file, fs::read_to_string(&file).unwrap() + SETTINGS + &sockets).unwrap();
    }

    /// One of the server's programs, as the user that may run it, away from our environment's PG variables.
    pub fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = unprivileged(&program, "QUIT");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server, on the port that it had. Must be called on the test's own thread.
    pub fn start(&mut self) {
        assert!(self.postmaster.is_none(), "it runs");
        let until = Instant::now() + START;
        loop {
            if self.port == 0 {
                // Free now, perhaps not any more when the server binds it: then another one is tried.
                self.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            }
            if self.try_start(until) {
                return;
            }
            let log = self.log();
            assert!(Instant::now() < until, "PostgreSQL does not start: {log}");
            if log.contains("Address already in use") && self.is_fresh() {
                self.port = 0;
            }
        }
    }

    /// Whether the port was never handed out.
    fn is_fresh(&self) -> bool {
        !self.folder.path().join("used").exists()
    }

    fn try_start(&mut self, until: Instant) -> bool {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        let mut child = postgres.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            // What `pg_ctl --wait` looks at: the first and the eighth line of the file that the server keeps about itself.
            // A standby can be read from before that.
            let about = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let line = |number: usize| about.lines().nth(number).unwrap_or_default().trim().to_owned();
            if line(0) == child.id().to_string() && ["ready", "standby"].contains(&line(7).as_str()) {
                fs::write(self.folder.path().join("used"), "").unwrap();
                self.postmaster = Some(child);
                return true;
            }
            assert!(Instant::now() < until, "PostgreSQL is not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        // Perhaps a child of a killed server still holds the shared memory: a moment, then again.
        std::thread::sleep(Duration::from_millis(50));
        false
    }

    /// The server's log since its start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Writes a file into the data folder, for the server's user alone.
    pub fn write(&self, name: &str, text: &str) {
        let file = self.data().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        hand_over(&file);
    }

    /// Changes settings of the running server: `name = value` lines. Returns when new connections have them.
    pub fn set(&self, settings: &str) {
        let mut client = self.client();
        let loaded = "SELECT pg_conf_load_time()::text";
        let before = super::postgres::rows(&mut client, loaded);
        self.write("postgresql.auto.conf", settings);
        // A reload within the same microsecond would be taken for the last one.
        client.batch_execute("SELECT pg_reload_conf()").unwrap();
        let until = Instant::now() + super::postgres::PATIENCE;
        while super::postgres::rows(&mut self.client(), loaded) == before {
            assert!(Instant::now() < until, "the settings are not loaded: {}", self.log());
        }
    }

    /// SIGKILL for every process of the server, the postmaster first: no client gets a last message.
    pub fn kill(&mut self) {
        let mut postmaster = self.postmaster.take().unwrap();
        let children = children_of(postmaster.id());
        postmaster.kill().unwrap();
        postmaster.wait().unwrap();
        for child in children {
            signal(child, "KILL");
        }
    }

    /// `pg_ctl stop -m immediate`: the server ends at once, telling its clients 57P02.
    pub fn stop_immediately(&mut self) {
        let mut postmaster = self.postmaster.take().unwrap();
        signal(postmaster.id(), "QUIT");
        postmaster.wait().unwrap();
    }

    /// A certificate and its key, as files that the server can read.
    pub fn put(&self, certificate: &str, key: &str) -> (PathBuf, PathBuf) {
        let paths = (self.folder.path().join("server.crt"), self.folder.path().join("server.key"));
        for (path, text) in [(&paths.0, certificate), (&paths.1, key)] {
            fs::write(path, text).unwrap();
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            hand_over(path);
        }
        paths
    }

    /// The password of the superuser `postgres`.
    pub fn password(&self) -> &str {
        &self.password
    }

    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn url(&self) -> String {
        self.url_through(self.address())
    }

    /// The same through another TCP port of the loopback interface.
    pub fn url_through(&self, address: std::net::SocketAddr) -> String {
        format!("postgresql://postgres:{}@{address}/postgres", self.password)
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }

    pub fn execute(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    /// The first column of every row, as text.
    pub fn query(&self, sql: &str) -> Vec<String> {
        super::postgres::rows(&mut self.client(), sql)
    }

    /// Waits until the query answers with one row, and returns it.
    pub fn wait_for_row(&self, sql: &str) -> String {
        let mut client = self.client();
        let until = Instant::now() + super::postgres::PATIENCE;
        loop {
            if let Some(row) = super::postgres::rows(&mut client, sql).pop() {
                return row;
            }
            assert!(Instant::now() < until, "{sql}: no row");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        if self.postmaster.is_some() {
            self.kill();
        }
    }
}

/// Sends a signal by name to a process: by the shell, because a minimal machine has no program `kill`.
pub fn signal(process: u32, name: &str) {
    // It may have ended by itself.
    let kill = format!("kill -{name} {process}");
    let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
}

pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.split_whitespace().eq(["Uid:", "0", "0", "0", "0"]))
}

/// A server's program, as a user that may run it: PostgreSQL refuses to run as root, and others need not. It sees nothing of our
/// environment, and gets `signal` when the thread that started it ends: nothing is left behind when a test is killed.
pub fn unprivileged(program: &Path, signal: &str) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        let user = account();
        command.args(["--reuid", user, "--regid"]).arg(group(user)).args(["--clear-groups", "--pdeathsig", signal]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Makes the user that runs servers the owner of what is at this path.
pub fn hand_over(path: &Path) {
    if is_root() {
        assert!(Command::new("chown").args(["-R", account()]).arg(path).status().unwrap().success());
    }
}

/// The user that runs servers, if the tests run as root.
fn account() -> &'static str {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    if accounts.lines().any(|line| line.starts_with("postgres:")) { "postgres" } else { "nobody" }
}

fn group(user: &str) -> String {
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let line = accounts.lines().find(|line| line.split(':').next() == Some(user)).unwrap();
    line.split(':').nth(3).unwrap().to_owned()
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    processes.filter(|&process| parent_of(process) == Some(parent)).collect()
}

/// The second field after the name, which stands in parentheses (proc(5), `/proc/pid/stat`).
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

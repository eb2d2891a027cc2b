//! docs/deployment.md was run: its blocks are taken from it, and only names, addresses and paths are replaced.
#![cfg(target_os = "linux")]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use cxsink::check::CheckArea;
use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support;
use crate::support::authority::Authority;
use crate::support::postgres::PATIENCE;
use crate::support::process::{Running, output};
use crate::support::server::{PrivateServer, is_root};
use crate::support::tls_front::TlsFront;

const EVENTS: u64 = 1000;
const PASSWORD: &str = "the sink's password";

/// The block of the page that holds this line.
fn block(line: &str) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deployment.md")).unwrap();
    let blocks = page.split("\n```").skip(1).step_by(2);
    let found = blocks.map(|block| block.split_once('\n').unwrap().1.to_owned()).find(|block| block.contains(line));
    found.unwrap_or_else(|| panic!("docs/deployment.md has no block with {line}"))
}

/// Every pair must be there to be replaced.
fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    })
}

/// The machine of the deployment: a folder with /etc/cxsink, /etc/pgbouncer, /var/lib/cxsink and what systemd makes of the secrets.
struct Machine {
    folder: tempfile::TempDir,
    ca: Authority,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("cxsink-deployment-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let machine = Self { folder, ca: Authority::new() };
        for name in ["etc", "pgbouncer", "credentials", "state", "bin"] {
            fs::create_dir(machine.path(name)).unwrap();
        }
        machine.write("etc/ca.pem", &machine.ca.pem, 0o644);
        let program = machine.path("bin/cxsink");
        fs::copy(env!("CARGO_BIN_EXE_cxsink"), &program).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().into()
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// From now on these belong to the service's user alone.
    fn hand_over(&self, names: &[&str]) {
        for name in names {
            let path = self.path(name);
            if is_root() {
                assert!(Command::new("chown").args(["-R", "nobody"]).arg(&path).status().unwrap().success());
            }
            let mode = if path.is_dir() { 0o700 } else { 0o400 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// A command as the service's user: no capability, and no way to a new privilege.
fn as_service(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--no-new-privs", "--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid", "nobody", "--regid", "65534", "--clear-groups"]);
        command.args(["--bounding-set", "-all", "--inh-caps", "-all"]);
    }
    command.arg("--").arg(program).env_clear().current_dir("/");
    command
}

/// A port without a listener at this moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// As the page has it, but for the mode.
fn pgbouncer(machine: &Machine, server: SocketAddr, mode: &str) -> (Running, u16) {
    let program = support::needed("pgbouncer");
    let ca = machine.ca.server(&["localhost", "127.0.0.1"]);
    machine.write("pgbouncer/server.pem", &ca.certificate, 0o600);
    machine.write("pgbouncer/server.key", &ca.key, 0o600);
    machine.write("pgbouncer/ca.pem", &machine.ca.pem, 0o600);
    machine.write("pgbouncer/userlist.txt", &format!("\"cxsink\" \"{PASSWORD}\"\n"), 0o600);
    let until = Instant::now() + PATIENCE;
    loop {
        let port = free_port();
        let pairs = [
            ("host=db.example.com port=5432", &*format!("host=127.0.0.1 port={}", server.port())),
            ("listen_port = 6432", &format!("listen_port = {port}")),
            ("/etc/pgbouncer", &machine.shown("pgbouncer")),
            ("pool_mode = transaction", &format!("pool_mode = {mode}")),
        ];
        machine.write("pgbouncer/pgbouncer.ini", &replaced(&block("[pgbouncer]"), &pairs), 0o600);
        machine.hand_over(&["pgbouncer"]);
        let mut running = Running::start(as_service(&program).arg(machine.path("pgbouncer/pgbouncer.ini")));
        while running.child.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (running, port);
            }
            assert!(Instant::now() < until, "PgBouncer does not listen");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // Somebody was faster with the port; anything else will not change.
        let (_, err) = running.wait();
        assert!(err.contains("Address already in use") && Instant::now() < until, "{err}");
    }
}

fn owner_of_cx(server: &PrivateServer) -> postgres::Client {
    let url = server.url();
    let (server, _) = url.rsplit_once('/').unwrap();
    postgres::Client::connect(&format!("{server}/cx"), postgres::NoTls).unwrap()
}

/// A server with TLS, the default tables made by `cxsink init-db --print`, and the rights that the page grants.
fn database(machine: &Machine) -> PrivateServer {
    let server = PrivateServer::start_new();
    let certified = machine.ca.server(&["127.0.0.1"]);
    let (certificate, key) = server.put(&certified.certificate, &certified.key);
    for setting in [
        format!("ssl_cert_file = '{}'", certificate.display()),
        format!("ssl_key_file = '{}'", key.display()),
        "ssl = on".into(),
    ] {
        server.execute(&format!("ALTER SYSTEM SET {setting}"));
    }
    server.execute("SELECT pg_reload_conf()");
    server.wait_for_row("SELECT 1 FROM pg_settings WHERE name = 'ssl' AND setting = 'on'");
    server.execute("CREATE DATABASE cx");
    let mut owner = owner_of_cx(&server);
    let mut print = Command::new(env!("CARGO_BIN_EXE_cxsink"));
    let (_, sql, _) = output(print.env_clear().args(["init-db", "--print", "--set", "destination.url=postgresql://"]));
    owner.batch_execute(&sql).unwrap();
    owner.batch_execute(&block("CREATE ROLE cxsink")).unwrap();
    owner.batch_execute(&format!("ALTER ROLE cxsink PASSWORD '{}'", PASSWORD.replace('\'', "''"))).unwrap();
    server
}

/// The command of the unit.
fn line_of<'a>(unit: &'a str, key: &str) -> &'a str {
    let value = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap().trim_start_matches('-').trim_start_matches("/usr/local/bin/")
}

/// A line that starts cxsink, as the service's user and with the environment that the unit sets.
fn started(machine: &Machine, unit: &str, line: &str) -> Command {
    let line = replaced(line, &[("/etc/cxsink", &machine.shown("etc"))]);
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("cxsink"));
    let mut command = as_service(&machine.path("bin/cxsink"));
    command.args(words);
    for line in unit.lines().filter(|line| line.starts_with("Environment=")) {
        let (name, path) = line.strip_prefix("Environment=").unwrap().split_once('=').unwrap();
        command.env(name, replaced(path, &[("%d", &machine.shown("credentials"))]));
    }
    command
}

#[test]
fn the_hardened_deployment_runs() {
    let machine = Machine::new();
    let server = database(&machine);
    let (_pgbouncer, port) = pgbouncer(&machine, server.address(), "transaction");

    let mut options = SimulatorOptions::default();
    options.events = Some(EVENTS);
    let simulator = Simulator::start(options).unwrap();
    let front = TlsFront::new(([127, 0, 0, 1], simulator.port()).into(), &machine.ca.server(&["localhost"]));
    let over_tls = |url: String| {
        let url = url.replacen("http://", "https://", 1).replacen("ws://", "wss://", 1);
        replaced(&url, &[(&format!("127.0.0.1:{}", simulator.port()), &format!("localhost:{}", front.address.port()))])
    };

    let configuration = replaced(
        &block("client_id ="),
        &[
            ("your-client-id", simulator.client_id()),
            ("your-stream-id", simulator.stream_id()),
            ("localhost:6432", &format!("localhost:{port}")),
            ("/etc/cxsink", &machine.shown("etc")),
            ("/var/lib/cxsink", &machine.shown("state")),
            // The machine that tests may have less room than a deployment.
            ("\"8GiB\"", "\"64MiB\""),
        ],
    );
    machine.write("etc/cxsink.toml", &configuration, 0o644);
    machine.write("credentials/client_secret", simulator.client_secret(), 0o400);
    machine.write("credentials/db_password", PASSWORD, 0o400);
    machine.hand_over(&["credentials", "state"]);

    let unit = block("[Service]");
    let service = |line: &str| {
        let mut command = started(&machine, &unit, line);
        command.env("CXSINK_OAUTH__URL", over_tls(simulator.oauth_url()));
        command.env("CXSINK_STREAM__URL", over_tls(simulator.stream_url()));
        command.env("CXSINK_TLS__CA_FILE", machine.path("etc/ca.pem"));
        command
    };
    let (code, out, err) = output(&mut service(line_of(&unit, "ExecStartPre")));
    assert_eq!(code, 0, "{out}{err}");
    for line in [
        "a pooler in transaction mode",
        "certificate and host name verified",
        "the upsert into \"public\".\"cxone_events\" is allowed",
    ] {
        assert!(out.contains(line), "{out}");
    }

    let mut running = Running::start(&mut service(line_of(&unit, "ExecStart")));
    let mut client = owner_of_cx(&server);
    let until = Instant::now() + PATIENCE;
    let count = "SELECT count(*) FROM cxone_events";
    while support::postgres::rows(&mut client, count) != [EVENTS.to_string()] {
        assert!(running.child.try_wait().unwrap().is_none(), "{:?}", running.wait());
        assert!(Instant::now() < until, "{:?}", support::postgres::rows(&mut client, count));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'cxsink'";
    assert_eq!(support::postgres::rows(&mut client, encrypted), ["t"]);
    running.signal("TERM");
    let (code, err) = running.wait();
    assert_eq!(code, 0, "{err}");
    // The last events are read, so the check of the stream takes no event from the sink.
    let (code, out, err) = output(&mut service("cxsink check --config /etc/cxsink/cxsink.toml"));
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("✓ stream.handshake") && !out.contains('!') && !out.contains('✗'), "{out}");
    let state: Vec<_> = fs::read_dir(machine.path("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(state.iter().any(|name| name == "spool.db"), "{state:?}");
}

/// PgBouncer does not say what it is: `cxsink check` finds out by process ids.
#[test]
fn the_mode_of_a_pooler_is_found_out() {
    let machine = Machine::new();
    let server = database(&machine);
    let ca = machine.shown("etc/ca.pem");
    let pooler = |port: u16| {
        let mut config = support::config(machine.folder.path(), "sqlite:unused");
        let password = PASSWORD.replace('\'', "%27").replace(' ', "%20");
        let url = format!("postgresql://cxsink:{password}@localhost:{port}/cx?sslmode=verify-full&sslrootcert={ca}");
        config.set("destination.url", &url).unwrap();
        let check = cxsink::check(&config, &[CheckArea::Destination], |_| {});
        assert!(check.is_ok(), "{}", check.to_json());
        check.steps.into_iter().find(|step| step.name == "destination.pooler").unwrap().message
    };
    for mode in ["transaction", "session", "statement"] {
        let (_running, port) = pgbouncer(&machine, server.address(), mode);
        let found = pooler(port);
        assert!(found.starts_with(&format!("a pooler in {mode} mode")), "{mode}: {found}");
    }
}

#[test]
fn the_unit_is_one_that_systemd_reads_and_calls_safe() {
    let program = support::needed("systemd-analyze");
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("cxsink.service");
    let text = replaced(&block("[Service]"), &[("/usr/local/bin/cxsink", env!("CARGO_BIN_EXE_cxsink"))]);
    assert_eq!(line_of(&text, "LimitCORE"), "0", "a core dump would hold secrets and events");
    fs::write(&unit, text).unwrap();
    let (code, out, err) = output(Command::new(&program).args(["verify", "--man=no"]).arg(&unit));
    assert!(code == 0 && err.is_empty(), "{out}{err}");
    let (_, out, err) = output(Command::new(&program).args(["security", "--offline=yes", "--no-pager"]).arg(&unit));
    let (_, level) =
        out.split_once("Overall exposure level for cxsink.service: ").unwrap_or_else(|| panic!("{out}{err}"));
    let level: f64 = level.split_whitespace().next().unwrap().parse().unwrap();
    assert!(level <= 2.0, "{out}");
}

//! `check`: every step fails for its reason, says what to do, and leaves nothing behind.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use cxsink::check::{CheckArea, CheckReport, CheckStatus, CheckStep};
use cxsink::{Config, Sink};

use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support;
use crate::support::authority::{Authority, Certified};
use crate::support::disk::SmallDisk;
use crate::support::issuer::{Answer, document, issuer};
use crate::support::postgres::TestDatabase;
use crate::support::process::{cxsink, output};
use crate::support::tls_front::TlsFront;

/// A database with its tables, and a configuration for it.
struct Deployment {
    database: TestDatabase,
    directory: tempfile::TempDir,
    config: Config,
}

impl Deployment {
    fn new() -> Self {
        let database = TestDatabase::new();
        let directory = tempfile::tempdir().unwrap();
        let mut config = support::config(directory.path(), &database.url());
        config.spool.bytes_max = 1 << 20;
        config.dead_letters.bytes_max = 1 << 20;
        cxsink::init_db(&config).unwrap();
        Self { database, directory, config }
    }

    fn check(&self) -> CheckReport {
        Sink::check(&self.config)
    }

    /// The database and the files, as far as a check could have changed them.
    fn traces(&self) -> (Vec<String>, Vec<(String, Vec<u8>)>) {
        let sql = "SELECT count(*) FROM cxone_events UNION ALL SELECT count(*) FROM cxsink_checkpoint \
                   UNION ALL SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace \
                   UNION ALL SELECT coalesce(last_value, 0) FROM pg_sequences";
        (self.database.query(sql), files(self.directory.path()))
    }
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap_or_default()))
        .collect();
    files.sort();
    files
}

fn step<'a>(check: &'a CheckReport, name: &str) -> &'a CheckStep {
    let found = check.steps.iter().find(|step| step.name == name);
    found.unwrap_or_else(|| panic!("there is no step {name} in {}", check.to_json()))
}

/// The step ended so, and its message and its hint say this.
#[track_caller]
fn says(check: &CheckReport, name: &str, status: CheckStatus, message: &str, hint: &str) {
    let found = step(check, name);
    assert_eq!(found.status, status, "{found:?}");
    assert!(found.message.contains(message), "{found:?} does not say {message}");
    assert!(found.hint.as_deref().unwrap_or_default().contains(hint), "{found:?} does not have the hint {hint}");
}

#[track_caller]
fn fails(check: &CheckReport, name: &str, message: &str, hint: &str) {
    says(check, name, CheckStatus::Failed, message, hint);
    assert!(!check.is_ok());
    assert!(!hint.is_empty(), "a failure without a hint");
}

#[track_caller]
fn warns(check: &CheckReport, name: &str, message: &str, hint: &str) {
    says(check, name, CheckStatus::Warning, message, hint);
}

fn all_passed(check: &CheckReport) {
    for step in &check.steps {
        assert_eq!(step.status, CheckStatus::Passed, "{step:?}");
        assert_eq!(step.hint, None);
        assert!(!step.message.is_empty());
    }
}

#[test]
fn a_good_deployment_passes_and_nothing_is_left_behind() {
    let mut deployment = Deployment::new();
    let before = deployment.traces();
    let mut reported = Vec::new();
    let check = cxsink::check(&deployment.config, &CheckArea::ALL, |step| reported.push(step.clone()));
    assert_eq!(reported, check.steps, "each step is reported when it is done");
    warns(&check, "configuration", "there is no stream", "CXONE_STREAM_ID");
    all_passed_but_configuration(&check);
    let connection = &step(&check, "destination.connection").message;
    let version = deployment.database.query("SHOW server_version").remove(0);
    let version = version.split(' ').next().unwrap();
    assert!(connection.contains(version) && connection.contains("user postgres"), "{connection}");
    assert!(step(&check, "destination.pooler").message.contains("none"), "{check:?}");
    assert_eq!(deployment.traces(), before);

    // Also over a spool that is there, and into a directory that is not.
    drop(Sink::open(&deployment.config).unwrap());
    let before = deployment.traces();
    deployment.check();
    assert_eq!(deployment.traces(), before);
    let nowhere = deployment.directory.path().join("a/b");
    deployment.config.spool.path = nowhere.join("spool.db");
    let check = deployment.check();
    says(&check, "spool.directory", CheckStatus::Passed, "does not exist yet", "");
    assert!(check.is_ok() && !nowhere.parent().unwrap().exists());
}

#[test]
fn an_unreachable_database_fails_its_step() {
    let deployment = Deployment::new();
    let url = deployment.database.url();
    let mut config = deployment.config.clone();
    let mut check = |url: &str, name: &str, message: &str, hint: &str| {
        config.set("destination.url", url).unwrap();
        let check = cxsink::check(&config, &CheckArea::ALL, |_| {});
        fails(&check, name, message, hint);
        says(&check, "destination.privileges", CheckStatus::Skipped, &format!("as {name} failed"), "");
    };
    let with_host = |host: &str| url.replacen("127.0.0.1", host, 1);
    check(&with_host("nowhere.invalid"), "destination.names", "resolving the name nowhere.invalid", "DNS");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = format!(":{}/", deployment.database.address().port());
    let closed = url.replacen(&port, &format!(":{}/", closed.port()), 1);
    check(&closed, "destination.tcp", "Connection refused", "check that PostgreSQL is running there");
    let (_, password) = url.split_once("postgres:").unwrap();
    let (password, _) = password.split_once('@').unwrap();
    let wrong = url.replacen(password, "hunter2", 1);
    check(&wrong, "destination.connection", "password authentication failed", "check user and password");
    let (base, _) = url.rsplit_once('/').unwrap();
    check(&format!("{base}/nowhere"), "destination.connection", "\"nowhere\" does not exist", "create the database");
    check(&format!("{url}?sslmode=require"), "destination.connection", "does not offer TLS", "turn on `ssl`");
}

#[test]
fn a_table_that_does_not_fit_is_reported_with_every_reason() {
    let deployment = Deployment::new();
    let after = |sql: &str| {
        deployment.database.execute("DROP TABLE IF EXISTS cxone_events, cxsink_checkpoint");
        cxsink::init_db(&deployment.config).unwrap();
        deployment.database.execute(sql);
        deployment.check()
    };
    let check = after("DROP TABLE cxone_events");
    fails(&check, "destination.table", "the table cxone_events does not exist", "run `cxsink init-db`");
    says(&check, "destination.checkpoint", CheckStatus::Skipped, "as destination.table failed", "");

    let check = after(
        "ALTER TABLE cxone_events DROP COLUMN agent_id, DROP CONSTRAINT cxone_events_idempotency_key_key; \
                       DROP TABLE cxsink_checkpoint",
    );
    fails(&check, "destination.columns", "has no column \"agent_id\"", "add the column");
    fails(
        &check,
        "destination.key",
        "no unique index over exactly (idempotency_key)",
        "CREATE UNIQUE INDEX ON cxone_events (idempotency_key)",
    );
    warns(&check, "destination.checkpoint", "at-least-once", "run `cxsink init-db`");
    says(&check, "destination.privileges", CheckStatus::Skipped, "not tried", "");

    let check = after(
        "ALTER TABLE cxone_events ALTER disposition TYPE varchar(20), ALTER queue_name SET NOT NULL, ALTER duration TYPE smallint",
    );
    let said = [
        "/attributes/disposition may have any length, and column disposition takes 20 characters",
        "queue_name needs a value",
        "numbers up to 32767",
    ];
    for part in said {
        warns(&check, "destination.fit", part, "becomes a dead letter");
    }
    assert!(check.is_ok(), "a warning is no failure");

    let check = after("ALTER TABLE cxone_events ADD tenant text NOT NULL");
    fails(&check, "destination.columns", "\"tenant\" of table cxone_events is NOT NULL", "give it a default");
    all_passed_but_configuration(&after("SELECT 1"));
}

fn all_passed_but_configuration(check: &CheckReport) {
    let mut rest = check.clone();
    rest.steps.retain(|step| step.name != "configuration");
    all_passed(&rest);
}

/// A user of the test's own, gone with it.
struct Role<'a> {
    database: &'a TestDatabase,
    name: String,
}

impl<'a> Role<'a> {
    fn new(database: &'a TestDatabase) -> Self {
        let name: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(12).collect();
        let name = format!("cxsink_test_{name}");
        database.execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'"));
        Self { database, name }
    }

    fn url(&self) -> String {
        let url = self.database.url();
        let (_, host) = url.split_once('@').unwrap();
        format!("postgresql://{}:secret@{host}", self.name)
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.database.execute(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name));
        }
    }
}

/// The hint is the statement that helps: the test runs it, and the next check finds the next thing.
#[test]
fn a_missing_privilege_is_reported_with_its_grant() {
    let mut deployment = Deployment::new();
    // A serial's sequence needs a privilege of its own, an identity column's does not.
    deployment.database.execute(
        "ALTER TABLE cxone_events ADD number serial; GRANT SELECT, INSERT ON cxsink_checkpoint TO PUBLIC; \
        REVOKE ALL ON cxsink_checkpoint FROM PUBLIC",
    );
    let role = Role::new(&deployment.database);
    deployment.config.set("destination.url", &role.url()).unwrap();
    let grant = |name: &str, message: &str, statement: &str| {
        let check = cxsink::check(&deployment.config, &[CheckArea::Destination], |_| {});
        let statement = format!("GRANT {statement} TO \"{}\"", role.name);
        fails(&check, name, message, &statement);
        deployment.database.execute(step(&check, name).hint.as_ref().unwrap());
    };
    let (table, checkpoint) = ("TABLE \"public\".\"cxone_events\"", "TABLE \"public\".\"cxsink_checkpoint\"");
    let on_table = "permission denied for table cxone_events";
    grant("destination.privileges", on_table, &format!("INSERT, SELECT, UPDATE ON {table}"));
    for privilege in ["INSERT", "UPDATE", "SELECT"] {
        deployment.database.execute(&format!("REVOKE {privilege} ON cxone_events FROM {}", role.name));
        grant("destination.privileges", on_table, &format!("{privilege} ON {table}"));
    }
    grant(
        "destination.privileges",
        "permission denied for sequence cxone_events_number_seq",
        "USAGE ON SEQUENCE cxone_events_number_seq",
    );
    grant(
        "destination.checkpoint",
        "permission denied for table cxsink_checkpoint",
        &format!("INSERT, SELECT, UPDATE ON {checkpoint}"),
    );
    for privilege in ["INSERT", "UPDATE", "SELECT"] {
        deployment.database.execute(&format!("REVOKE {privilege} ON cxsink_checkpoint FROM {}", role.name));
        grant("destination.checkpoint", "permission denied", &format!("{privilege} ON {checkpoint}"));
    }
    let check = cxsink::check(&deployment.config, &[CheckArea::Destination], |_| {});
    assert!(check.is_ok(), "{}", check.to_json());
}

#[test]
fn an_unusable_spool_fails_its_step() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &format!("sqlite:{}/events.db", directory.path().display()));
    cxsink::init_db(&config).unwrap();
    let check = |config: &Config| cxsink::check(config, &[CheckArea::Spool], |_| {});

    let sink = Sink::open(&config).unwrap();
    let found = check(&config);
    fails(
        &found,
        "spool.lock",
        &format!("in use by process {}", std::process::id()),
        "one sink at a time uses a spool",
    );
    says(&found, "spool.file", CheckStatus::Passed, "0 events pending", "");
    drop(sink);
    config.spool.bytes_max = 64 << 40;
    warns(&check(&config), "spool.space", "free for the spool, which may grow by", "lower spool.bytes_max");
    fs::write(&config.spool.path, "something else").unwrap();
    fails(&check(&config), "spool.file", "file is not a database", "is not a cxsink spool");
    fs::remove_file(&config.spool.path).unwrap();
    rusqlite::Connection::open(&config.spool.path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    fails(&check(&config), "spool.file", "another program's database", "a file of its own");
    config.spool.path = directory.path().join("events.db/spool.db");
    fails(&check(&config), "spool.directory", "Not a directory", "to a file in a directory");
    config.spool.path = ":memory:".into();
    warns(&check(&config), "spool.directory", ":memory:", "set spool.path to a file");
    config.spool.path = "/dev/shm/cxsink-check/spool.db".into();
    warns(&check(&config), "spool.directory", "in memory", "a local disk");
    config.spool.path = "/proc/spool.db".into();
    fails(&check(&config), "spool.directory", "writing a file in /proc", "this user may write to");
}

#[test]
fn a_full_disk_fails_its_step() {
    let Some(disk) = SmallDisk::mount() else { return };
    let config = support::config(disk.path(), "sqlite:events.db");
    let filler = disk.fill(0);
    let check = || cxsink::check(&config, &[CheckArea::Spool], |_| {});
    fails(&check(), "spool.directory", "No space left on device", "the disk is full");
    assert_eq!(files(disk.path()).len(), 1, "only the filler");
    fs::remove_file(filler).unwrap();
    let filler = disk.fill(8 << 20);
    fails(&check(), "spool.space", "8.0 MiB free in ", "no event is accepted without the reserve");
    fs::remove_file(filler).unwrap();
    warns(&check(), "spool.space", "24.0 MiB free", "give it room");
}

#[test]
fn the_command_line_prints_lines_or_json_and_sets_its_exit_code() {
    let deployment = Deployment::new();
    let path = deployment.directory.path();
    let run = |arguments: &[&str]| {
        let mut command = cxsink(path);
        command.env("DATABASE_URL", deployment.database.url()).env("CXSINK_SPOOL__BYTES_MAX", "1MiB");
        output(command.env("CXSINK_DEAD_LETTERS__BYTES_MAX", "1MiB").arg("check").args(arguments))
    };
    let (code, out, err) = run(&["--only", "spool,destination"]);
    assert!(code == 0 && err.is_empty(), "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    let (summary, lines) = lines.split_last().unwrap();
    assert!(
        lines.iter().all(|line| line.starts_with("✓ ") && (line.contains(" ms ") || line.contains(" s "))),
        "{out}"
    );
    assert!(summary.contains(&format!("{} passed", lines.len())), "{out}");

    deployment.database.execute("DROP TABLE cxone_events");
    let (code, out, _) = run(&["--only", "destination"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("✗ destination.table"), "{out}");
    assert!(
        out.contains("→ run `cxsink init-db` or call init_db, or set destination.table to an existing table\n"),
        "{out}"
    );
    assert!(out.contains("- destination.columns"), "{out}");

    let (code, out, err) = run(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(code == 1 && json["ok"] == false && err.is_empty(), "{out}{err}");
    let table = json["steps"].as_array().unwrap().iter().find(|step| step["name"] == "destination.table").unwrap();
    assert_eq!(
        (&table["status"], &table["message"]),
        (&"failed".into(), &"the table cxone_events does not exist".into())
    );
    assert!(table["seconds"].as_f64().unwrap() > 0.0 && table["hint"].as_str().unwrap().contains("init-db"), "{table}");

    // A configuration that other commands refuse is a failed step here.
    let (code, out, _) = run(&["--set", "spool.byte_max=1GiB"]);
    assert!(code == 1 && out.contains("✗ configuration") && out.contains("spool.bytes_max"), "{out}");
    let (code, out, _) = run(&["--json", "--set", "retry.delay_min=1h"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["steps"].as_array().unwrap().len()), (1, 1), "{out}");
    let (code, _, err) = run(&["--only", "stars"]);
    assert!(code == 2 && err.contains("destination"), "{err}");
}

/// A simulated CXone, and a configuration that reads from it into an SQLite file.
struct Stream {
    simulator: Simulator,
    directory: tempfile::TempDir,
    config: Config,
}

impl Stream {
    fn new(options: &[(&str, &str)]) -> Self {
        let mut settings = SimulatorOptions::default();
        for (name, value) in [("events", "0")].iter().chain(options) {
            settings.set(name, value).unwrap();
        }
        let simulator = Simulator::start(settings).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut config = support::config(directory.path(), "sqlite:never");
        simulator.apply_to(&mut config);
        Self { simulator, directory, config }
    }

    fn check(&self) -> CheckReport {
        cxsink::check(&self.config, &[CheckArea::Stream], |_| {})
    }
}

#[test]
fn a_good_stream_passes_and_is_left_at_once() {
    let stream = Stream::new(&[]);
    let check = stream.check();
    all_passed(&check);
    let names: Vec<_> = check.steps.iter().map(|step| step.name).collect();
    let expected = [
        "configuration",
        "schema",
        "oauth.tcp",
        "oauth.tls",
        "oauth.token",
        "stream.tcp",
        "stream.tls",
        "stream.handshake",
    ];
    assert_eq!(
        names, expected,
        "an address has no name to look up, there is no proxy, and the simulator does not tell the time"
    );
    says(&check, "oauth.token", CheckStatus::Passed, "3600 s, with the scope data-actions:read", "");
    assert_eq!(stream.simulator.report().connections, 1);
    assert_eq!(files(stream.directory.path()), [], "nothing is left behind");
    assert!(!check.to_json().contains(stream.simulator.client_secret()), "{}", check.to_json());
}

#[test]
fn a_running_sinks_stream_is_left_alone() {
    let mut stream = Stream::new(&[]);
    let url = format!("sqlite:{}", stream.directory.path().join("events.db").display());
    stream.config.set("destination.url", &url).unwrap();
    cxsink::init_db(&stream.config).unwrap();
    let sink = Sink::open(&stream.config).unwrap();
    sink.start().unwrap();
    support::wait_until("the sink reads", || stream.simulator.report().connections == 1);
    let check = stream.check();
    says(&check, "stream.handshake", CheckStatus::Skipped, "in use by process", "");
    assert!(check.is_ok(), "{}", check.to_json());
    assert_eq!(stream.simulator.report().connections, 1);
}

#[test]
fn a_refusal_by_cxone_fails_its_step() {
    let check = |options: &[(&str, &str)], name: &str, message: &str, hint: &str| {
        fails(&Stream::new(options).check(), name, message, hint);
    };
    check(&[("token_failures", "401")], "oauth.token", "status 401", "check oauth.client_id and oauth.client_secret");
    check(&[("token_failures", "429")], "oauth.token", "status 429", "tries again later");
    check(
        &[("granted_scope", "other")],
        "oauth.token",
        "lacks the scope data-actions:read",
        "grant the client the scope in oauth.scope",
    );
    check(
        &[("handshake_failures", "401")],
        "stream.handshake",
        "status 401",
        "oauth.url and stream.url belong together",
    );
    check(&[("handshake_failures", "403")], "stream.handshake", "status 403", "the client may not read this stream");
    check(&[("handshake_failures", "404")], "stream.handshake", "status 404", "there is no such stream");

    let mut stream = Stream::new(&[]);
    stream.config.set("oauth.client_secret", "hunter2").unwrap();
    let found = stream.check();
    fails(&found, "oauth.token", "status 401", "mistyped, revoked, or for another tenant");
    says(&found, "stream.handshake", CheckStatus::Skipped, "there is no token", "");
    assert!(!found.to_json().contains("hunter2"), "{}", found.to_json());
    stream.config.set("stream.url", "ws://127.0.0.1:1/nothing").unwrap();
    fails(&stream.check(), "stream.tcp", "Connection refused", "check host and port");
    stream.config.set("oauth.url", "http://127.0.0.1:1/token").unwrap();
    let found = stream.check();
    fails(&found, "oauth.tcp", "Connection refused", "check host and port");
    says(&found, "oauth.token", CheckStatus::Skipped, "as oauth.tcp failed", "");
    stream.config.set("oauth.url", "https://nowhere.invalid/token").unwrap();
    fails(&stream.check(), "oauth.names", "resolving the name nowhere.invalid", "DNS");
}

#[test]
fn invalid_certificates_fail_their_step() {
    let authority = Authority::new();
    let mut stream = Stream::new(&[]);
    let ca = stream.directory.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    stream.config.set("tls.ca_file", ca.to_str().unwrap()).unwrap();
    let port = stream.simulator.port();
    let plain = (stream.simulator.oauth_url(), stream.simulator.stream_url());
    let mut behind = |certified: &Certified| {
        let front = TlsFront::new(([127, 0, 0, 1], port).into(), certified);
        let over_tls = |url: &str, scheme: &str| {
            let (_, path) = url.split_once(&port.to_string()).unwrap();
            format!("{scheme}://localhost:{}{path}", front.address.port())
        };
        stream.config.set("oauth.url", &over_tls(&plain.0, "https")).unwrap();
        stream.config.set("stream.url", &over_tls(&plain.1, "wss")).unwrap();
        stream.check()
    };
    let check = behind(&authority.server(&["localhost"]));
    all_passed(&check);
    says(&check, "oauth.names", CheckStatus::Passed, "localhost is ", "");
    says(
        &check,
        "stream.tls",
        CheckStatus::Passed,
        "TLS 1.3, certificate and host name verified; 1 certificate, valid for ",
        "",
    );
    fails(
        &behind(&authority.server_valid(&["localhost"], 2020..2021)),
        "oauth.tls",
        "expired on 2021-01-01",
        "certificate renewed",
    );
    fails(
        &behind(&authority.server(&["other.example"])),
        "oauth.tls",
        "not for localhost, but for other.example",
        "tls.server_name",
    );
    fails(
        &behind(&Authority::new().server(&["localhost"])),
        "oauth.tls",
        "an authority that is not trusted",
        "tls.ca_file",
    );
}

#[test]
fn a_proxy_in_between_is_a_step_of_its_own() {
    let mut stream = Stream::new(&[]);
    stream.config.set("oauth.url", "https://api.cxone.example/token").unwrap();
    let (proxy, answering) = refusing_proxy();
    stream.config.set("proxy.url", &proxy).unwrap();
    let check = stream.check();
    answering.join().unwrap();
    says(&check, "oauth.names", CheckStatus::Passed, "the proxy localhost is ", "");
    says(&check, "oauth.tcp", CheckStatus::Passed, "the proxy localhost:", "");
    fails(&check, "oauth.proxy", "it refused with status 407", "proxy.password_file");
    assert!(!check.to_json().contains("hunter2"), "{}", check.to_json());
    fails(&stream.check(), "oauth.tcp", "the proxy localhost:", "check proxy.url");
}

#[test]
fn a_wrong_clock_is_reported() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = Stream::new(&[]);
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    stream.config.set("oauth.url", &url).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut client = client;
            if client.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let body = r#"{"access_token":"a","token_type":"Bearer","expires_in":60}"#;
                let date = httpdate::fmt_http_date(std::time::SystemTime::now() - std::time::Duration::from_secs(3600));
                let head = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = client.write_all(format!("{head}{body}").as_bytes());
            }
        }
    });
    let check = cxsink::check(&stream.config, &[CheckArea::Oauth], |_| {});
    warns(&check, "oauth.clock", "behind this machine's clock", "NTP");
    assert!(step(&check, "oauth.clock").message.contains(" 36"), "{check:?}");
    assert!(check.is_ok() && check.steps.iter().all(|step| !step.name.starts_with("stream.")));
}

/// Every row of the page's table, matched against checks of deployments that are broken in that way.
#[test]
fn the_troubleshooting_page_quotes_what_check_prints() {
    let deployment = Deployment::new();
    let mut found = broken_streams();
    found.extend(super::check_conversation::broken());
    found.extend(broken_destinations(&deployment));
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md")).unwrap();
    let (_, table) = page.split_once("| Step | Output of `cxsink check` |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('`')).collect();
        let (message, hint) = cells[1].split_once("`<br>`").unwrap();
        let is_it = |step: &&CheckStep| {
            step.name == cells[0] && quotes(&step.message, message) && quotes(step.hint.as_ref().unwrap(), hint)
        };
        let of_this_name: Vec<_> = found.iter().filter(|step| step.name == cells[0]).collect();
        assert!(of_this_name.iter().any(is_it), "no check says {row}, but {of_this_name:#?}");
    }
}

/// Whether the text is the quotation, with something in place of each `…`.
fn quotes(text: &str, quotation: &str) -> bool {
    let text = text.replace('`', "");
    let mut parts = quotation.split('…');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.is_empty() || quotation.ends_with('…')
}

fn problems(check: CheckReport) -> impl Iterator<Item = CheckStep> {
    let is_problem = |step: &CheckStep| matches!(step.status, CheckStatus::Failed | CheckStatus::Warning);
    check.steps.into_iter().filter(move |step| is_problem(step) && step.name != "configuration")
}

fn broken_streams() -> Vec<CheckStep> {
    let options = [("token_failures", "401"), ("granted_scope", "other"), ("handshake_failures", "401,403,404")];
    let mut found = Vec::new();
    for option in options {
        let stream = Stream::new(&[option]);
        let tries = option.1.split(',').count();
        found.extend((0..tries).flat_map(|_| problems(stream.check())));
    }
    let mut stream = Stream::new(&[]);
    let sink = Sink::open(&stream.config).unwrap();
    found.extend(problems(cxsink::check(&stream.config, &[CheckArea::Spool], |_| {})));
    drop(sink);
    let authority = Authority::new();
    let ca = stream.directory.path().join("ca.pem");
    fs::write(&ca, &authority.pem).unwrap();
    stream.config.set("tls.ca_file", ca.to_str().unwrap()).unwrap();
    let certificates = [authority.server_valid(&["localhost"], 2020..2021), Authority::new().server(&["localhost"])];
    let behind = ([127, 0, 0, 1], stream.simulator.port()).into();
    let fronts = certificates.map(|certified| TlsFront::new(behind, &certified));
    let mut urls: Vec<String> =
        fronts.iter().map(|front| format!("https://localhost:{}/token", front.address.port())).collect();
    urls.extend(["https://nowhere.invalid/".into(), "http://127.0.0.1:1/".into()]);
    for url in urls {
        stream.config.set("oauth.url", &url).unwrap();
        found.extend(problems(cxsink::check(&stream.config, &[CheckArea::Oauth], |_| {})));
    }
    let answers: [fn(&str) -> Answer; 3] = [
        |_| ("404 Not Found", String::new()),
        |_| document("https://other.example", "https://other.example/token"),
        |here| document(here, "http://other.example/token"),
    ];
    let mut by_issuer = Stream::new(&[]);
    by_issuer.config.oauth.url = Config::default().oauth.url;
    for answer in answers {
        by_issuer.config.oauth.discovery = Some(issuer(answer));
        found.extend(problems(cxsink::check(&by_issuer.config, &[CheckArea::Oauth], |_| {})));
    }
    let mut by_head = Stream::new(&[("token_failures", "401")]);
    by_head.config.set("oauth.client_auth", "basic").unwrap();
    found.extend(problems(cxsink::check(&by_head.config, &[CheckArea::Oauth], |_| {})));
    stream.config.set("oauth.url", "https://api.cxone.example/token").unwrap();
    let (url, answering) = refusing_proxy();
    stream.config.set("proxy.url", &url).unwrap();
    found.extend(problems(cxsink::check(&stream.config, &[CheckArea::Oauth], |_| {})));
    answering.join().unwrap();
    found
}

fn broken_destinations(deployment: &Deployment) -> Vec<CheckStep> {
    let mut config = deployment.config.clone();
    let check = |config: &Config| problems(cxsink::check(config, &[CheckArea::Destination], |_| {}));
    let mut found = Vec::new();
    {
        let role = Role::new(&deployment.database);
        config.set("destination.url", &role.url()).unwrap();
        found.extend(check(&config));
        config.set("destination.url", &role.url().replace(":secret@", ":hunter2@")).unwrap();
        found.extend(check(&config));
    }
    config.set("destination.url", "postgresql://me@127.0.0.1:1/x").unwrap();
    found.extend(check(&config));
    config.set("destination.url", &deployment.database.url()).unwrap();
    let breakages = [
        "ALTER TABLE cxone_events ALTER disposition TYPE varchar(20); DROP TABLE cxsink_checkpoint",
        "ALTER TABLE cxone_events DROP CONSTRAINT cxone_events_idempotency_key_key, DROP COLUMN agent_id",
        "DROP TABLE cxone_events",
    ];
    for breakage in breakages {
        deployment.database.execute(breakage);
        found.extend(check(&config));
    }
    found
}

/// A proxy that wants to know who asks, once; its URL.
fn refusing_proxy() -> (String, std::thread::JoinHandle<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:hunter2@localhost:{}", listener.local_addr().unwrap().port());
    let answering = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4096]);
        client.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    (url, answering)
}

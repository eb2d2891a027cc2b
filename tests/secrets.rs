//! Secrets appear in no output of the command line: every command is run at its most verbose, with known secrets, and all that it
//! says is searched. Payloads of events are searched for as well.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test says best what it expects by failing there")]
#![cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use cxsink::simulator::SimulatorOptions;
use support::authority::Authority;
use support::connect_proxy::{ESTABLISHED, OneWayProxy};
use support::postgres::TestDatabase;
use support::process::{cxsink, output};
use support::secrets::Needles;
use support::tls_bench::Bench;

/// The secrets of a whole deployment.
struct Deployment {
    needles: Needles,
    database_password: String,
    proxy_password: String,
    bench: Bench,
    proxy: OneWayProxy,
}

/// In the events, and nowhere else.
const PAYLOAD: &str = "payload-of-4711-Mustermann";

impl Deployment {
    fn new(events: u64) -> Self {
        let mut needles = Needles::default();
        let mut options = SimulatorOptions::default();
        options.events = Some(events);
        options.invalid_percent = 5.0;
        options.close_at_end = true;
        options.client_secret = needles.invent("client secret").into();
        options.set("token_failures", "429,500").unwrap();
        options.set("retry_after", "0").unwrap();
        options.set("handshake_failures", "401,503").unwrap();
        let database_password = needles.invent("database password");
        let proxy_password = needles.invent("proxy password");
        needles.add_basic("proxy's credentials", "proxy-user", &proxy_password);
        needles.add("payload", PAYLOAD);
        let authority = Authority::new();
        let mut bench = Bench::new(options, &authority.server(&["localhost", "api.example"]), &authority);
        let proxy = OneWayProxy::new(bench.front.address, |number| match number {
            0 => "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n".into(),
            _ => ESTABLISHED.into(),
        });
        bench.config.oauth.url = bench.front.url(&bench.simulator.oauth_url(), "api.example");
        bench.config.stream.url = bench.front.url(&bench.simulator.stream_url(), "api.example");
        let encoded = encode(&proxy_password);
        bench.config.proxy.url = Some(format!("http://proxy-user:{encoded}@{}", proxy.address).into());
        // A key file has no password; the key itself is a secret.
        let client = authority.client("the sink");
        needles.add("client's key", client.key.lines().nth(1).unwrap());
        let key = client.write(&bench.directory.path().join("client.pem"));
        (bench.config.tls.cert_file, bench.config.tls.key_file) = (Some(key.clone()), Some(key));
        Self { needles, database_password, proxy_password, bench, proxy }
    }

    /// The database's URL with a password that is one of ours, and wrong.
    fn wrong(&self, database: &TestDatabase) -> String {
        let url = database.url();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, place) = rest.rsplit_once('@').unwrap();
        format!("{scheme}://postgres:{}@{place}", encode(&self.database_password))
    }
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = if byte.is_ascii_alphanumeric() {
            write!(encoded, "{}", char::from(byte))
        } else {
            write!(encoded, "%{byte:02X}")
        };
        encoded
    })
}

/// The simulator's tokens begin with this word and go on with hexadecimal digits.
#[track_caller]
fn assert_no_token(shown: &[u8], what: &str) {
    let text = String::from_utf8_lossy(shown);
    for (at, word) in text.match_indices("simulated-") {
        let is_token = text[at + word.len()..].starts_with(|c: char| c.is_ascii_hexdigit());
        assert!(!is_token, "{what} shows a token: {}", text[at..].chars().take(200).collect::<String>());
    }
}

/// A command with all secrets in its environment, and everything that it may say switched on.
fn verbose(deployment: &Deployment, destination: &str) -> Command {
    let bench = &deployment.bench;
    let mut command = cxsink(bench.directory.path());
    command
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .env("CXONE_CLIENT_ID", bench.simulator.client_id())
        .env("CXONE_CLIENT_SECRET", bench.simulator.client_secret())
        .env("CXONE_STREAM_ID", bench.simulator.stream_id())
        .env("CXSINK_OAUTH__URL", &bench.config.oauth.url)
        .env("CXSINK_STREAM__URL", &bench.config.stream.url)
        .env("CXSINK_TLS__CA_FILE", bench.config.tls.ca_file.as_ref().unwrap())
        .env("CXSINK_RETRY__DELAY_MIN", "5ms")
        .env("CXSINK_RETRY__DELAY_MAX", "20ms")
        .env(
            "HTTPS_PROXY",
            format!("http://proxy-user:{}@{}", encode(&deployment.proxy_password), deployment.proxy.address),
        )
        .env("PGPASSWORD", &deployment.database_password)
        .env("DATABASE_URL", destination)
        .env("CXSINK_STREAM__ON_NORMAL_CLOSE", "stop");
    command
}

#[test]
fn the_command_line_at_its_most_verbose_shows_no_secret() {
    let Some(database) = TestDatabase::new() else { return };
    let deployment = Deployment::new(500);
    let directory = deployment.bench.directory.path();
    fs::write(directory.join("events.jsonl"), format!("{{\"interactionId\":\"{PAYLOAD}\"}}\n")).unwrap();
    let secret = deployment.bench.simulator.client_secret().to_owned();
    let broken = format!("[oauth]\nclient_secret = \"{}\nurl = 1\n", secret.replace(['"', '\\'], ""));
    fs::write(directory.join("broken.toml"), broken).unwrap();
    let own = database.url();
    let (wrong, unset) = (deployment.wrong(&database), format!("oauth.client_secret:{secret}"));
    let wrong_pair = format!(
        "destination.url=host=127.0.0.1 password={} nonsense=1",
        deployment.database_password.replace(['"', ' '], "")
    );
    let commands: [(&str, i32, &[&str]); 17] = [
        (&own, 0, &["init-db", "--print"]),
        (&own, 0, &["init-db"]),
        (&own, 0, &["run"]),
        (&own, 0, &["check"]),
        (&own, 0, &["check", "--json"]),
        (&wrong, 1, &["check"]),
        (&wrong, 1, &["init-db"]),
        (&wrong, 1, &["run"]),
        ("postgresql://127.0.0.1:1/cx", 1, &["init-db"]),
        (&own, 1, &["validate", "events.jsonl"]),
        (&own, 0, &["import", "events.jsonl"]),
        (&own, 0, &["dead-letters", "list"]),
        (&own, 0, &["gaps", "--json"]),
        (&own, 2, &["run", "--config", "broken.toml"]),
        (&own, 2, &["run", "--set", &unset]),
        (&own, 2, &["run", "--set", &wrong_pair]),
        (&own, 0, &["demo", "--events", "1000"]),
    ];
    for format in ["text", "json"] {
        for (destination, expected, arguments) in commands {
            let mut command = verbose(&deployment, destination);
            let (code, out, err) = output(command.args(["-vv", "--log-format", format]).args(arguments));
            let shown = format!("{out}{err}");
            assert_eq!(code, expected, "{arguments:?}: {shown}");
            let what = format!("{} ({format})", arguments.join(" ").chars().take(25).collect::<String>());
            deployment.needles.assert_none_in(&what, shown.as_bytes());
            assert_no_token(shown.as_bytes(), &what);
        }
    }
    // The passwords did what they are for: the proxy got them.
    assert!(deployment.proxy.requests().iter().any(|request| request.contains("Proxy-Authorization: Basic ")));
}

/// The search itself, on texts that do hold the secret.
#[test]
fn pieces_of_a_secret_are_found() {
    let mut needles = Needles::default();
    let secret = needles.invent("secret");
    needles.add_basic("credentials", "me", &secret);
    needles.assert_none_in("nothing", b"an innocent text");
    let basic = format!("Basic {}", base64_of(&format!("me:{secret}")));
    for text in [format!("x{secret}y"), encode(&secret), secret[..12].into(), secret[15..30].into(), basic] {
        let found = std::panic::catch_unwind(|| needles.assert_none_in("it", text.as_bytes()));
        assert!(found.is_err(), "{text}");
    }
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

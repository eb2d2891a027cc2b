//! Secrets appear in no output: everything is run at its most verbose, with known secrets, and all that comes out is searched.
//! Payloads of events are searched for as well, everywhere but where dead letters are kept and shown.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test says best what it expects by failing there")]
#![cfg(all(feature = "cli", feature = "postgres", feature = "sqlite"))]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cxsink::simulator::SimulatorOptions;
use cxsink::{Config, ErrorKind, Poll, Sink, State};
use secrecy::SecretString;
use support::authority::Authority;
use support::connect_proxy::{ESTABLISHED, OneWayProxy};
use support::echo::echoing_server;
use support::postgres::TestDatabase;
use support::process::{cxsink, output};
use support::secrets::Needles;
use support::tls_bench::Bench;

/// What an application's logger sees that takes every record of every crate.
static LOG: Mutex<String> = Mutex::new(String::new());
/// What the panic hook sees.
static PANICS: Mutex<String> = Mutex::new(String::new());
/// Makes the logger itself panic, in the middle of the sink's work.
static PANIC_AT_TOKEN: AtomicBool = AtomicBool::new(false);

fn locked(text: &'static Mutex<String>) -> MutexGuard<'static, String> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Everything;

impl log::Log for Everything {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(locked(&LOG), "{} {} {}", record.level(), record.target(), record.args());
        let is_it = PANIC_AT_TOKEN.load(Ordering::SeqCst) && record.args().to_string().starts_with("got a token");
        assert!(!is_it, "the logger is broken");
    }

    fn flush(&self) {}
}

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

/// Everything that the library shows of one sink, until it ends.
fn shown_by(config: &Config) -> (String, Option<State>) {
    let mut shown = format!("{config:?}\n");
    for key in cxsink::config::keys() {
        let _ = writeln!(shown, "{key} = {:?}", config.get(key));
    }
    let _ = writeln!(shown, "{:?}\n{}", config.validate(), Sink::check(config).to_json());
    let sink = match Sink::open(config) {
        Ok(sink) => sink,
        Err(error) => return (format!("{shown}{error} {error:?} {}", error.detail_json()), None),
    };
    let event = |key: &str, kind: &str| {
        format!(
            r#"{{"interactionId":"{PAYLOAD}","timestamp":"2026-11-22T16:00:00Z","type":"{kind}","idempotencyKey":"{key}","attributes":{{"agentId":"{PAYLOAD}","duration":1e300}}}}"#
        )
    };
    // Good, invalid, no JSON, and one that does not fit its column.
    for bytes in [
        event("good", "call"),
        event("bad", PAYLOAD),
        format!("{{\"{PAYLOAD}"),
        event("too-long", "chat").replace(PAYLOAD, &PAYLOAD.repeat(20)),
    ] {
        let _ = writeln!(shown, "{:?}", sink.ingest(bytes.as_bytes()));
    }
    let started = sink.start();
    if let Err(error) = &started {
        let _ = writeln!(shown, "{error} {error:?} {}", error.detail_json());
    }
    // An outage lasts for ever: a few errors are enough. A sink that has not started tells its numbers for ever.
    let mut errors = 0;
    while started.is_ok()
        && errors < 8
        && let Poll::Notice(notice) = sink.poll(Some(support::postgres::PATIENCE)).unwrap()
    {
        errors += u32::from(matches!(notice, cxsink::Notice::Error(_)));
        let _ = writeln!(shown, "{notice:?}");
    }
    let _ = sink.close(Some(std::time::Duration::from_secs(10)));
    let stats = sink.stats();
    let _ = writeln!(shown, "{stats:?}\n{}\n{sink:?}\n{:?}\n{:?}", stats.to_json(), sink.connections(), sink.gaps());
    (shown, Some(stats.state))
}

#[test]
fn an_application_that_logs_everything_sees_no_secret() {
    let Some(database) = TestDatabase::new() else { return };
    log::set_boxed_logger(Box::new(Everything)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _ = writeln!(locked(&PANICS), "{info}");
        // Those of the test are for who runs it.
        if !std::thread::current().name().is_some_and(|name| name.starts_with("cxsink")) {
            usual(info);
        }
    }));
    let deployment = Deployment::new(3000);
    let directory = deployment.bench.directory.path();
    let mut all = Vec::new();
    let mut run = |name: &str, expected: &str, change: &dyn Fn(&mut Config)| {
        let mut config = deployment.bench.config.clone();
        config.spool.path = directory.join(format!("{name}.db"));
        config.set("destination.url", &database.url()).unwrap();
        change(&mut config);
        let _ = cxsink::init_db(&config);
        let (shown, _) = shown_by(&config);
        assert!(shown.contains(expected), "{name}: {expected} is not in: {shown}");
        all.push((name.to_owned(), shown));
    };

    run("a good run", "\"state\":\"closed\"", &|_| ());
    run("a wrong client secret", "status 401", &|config| {
        // Ours, with something behind it.
        let secret = format!("{}x", secret_of(config));
        config.oauth.client_secret = Some(secret.into());
    });
    run("a token endpoint that echoes", "status 400", &|config| {
        config.oauth.url = format!("http://{}/token", echoing_server("400 Bad Request"));
    });
    run("a good status with an echo", "is not JSON", &|config| {
        config.oauth.url = format!("http://{}/token", echoing_server("200 OK"));
    });
    run("a stream that echoes", "status 403", &|config| {
        config.stream.url = format!("ws://{}/stream", echoing_server("403 Forbidden"));
    });
    run("a stream that echoes with a good status", "does not open a WebSocket", &|config| {
        config.stream.url = format!("ws://{}/stream", echoing_server("101 Switching Protocols"));
    });
    run("a proxy that echoes", "status 403", &|config| {
        let proxy = echoing_server("403 Forbidden");
        config.proxy.url = Some(format!("http://proxy-user:{}@{proxy}", encode(&deployment.proxy_password)).into());
    });
    run("a proxy that echoes and connects", "went on speaking", &|config| {
        let proxy = echoing_server("200 OK");
        config.proxy.url = Some(format!("http://proxy-user:{}@{proxy}", encode(&deployment.proxy_password)).into());
    });
    run("a wrong database password", "password authentication failed", &|config| {
        config.set("destination.url", &deployment.wrong(&database)).unwrap();
    });
    run("a database that is not there", "refused", &|config| {
        let password = encode(&deployment.database_password);
        config.set("destination.url", &format!("postgresql://me:{password}@127.0.0.1:1/cx")).unwrap();
    });
    run("a key that is none", "tls.key_file", &|config| {
        let path = directory.join("broken.pem");
        let key = fs::read_to_string(config.tls.key_file.as_ref().unwrap()).unwrap();
        fs::write(&path, key.replace("-----END PRIVATE KEY", "-----END")).unwrap();
        config.tls.key_file = Some(path);
    });
    for (name, url) in
        [("a broken database address", "postgresql://me:PASSWORD@[/cx"), ("pairs", "host=[ password=PASSWORD x=y")]
    {
        let mut config = deployment.bench.config.clone();
        let error = config.set("destination.url", &url.replace("PASSWORD", &deployment.database_password));
        all.push((name.into(), format!("{error:?} {config:?}")));
    }

    PANIC_AT_TOKEN.store(true, Ordering::SeqCst);
    let mut config = deployment.bench.config.clone();
    config.spool.path = directory.join("a panic.db");
    config.set("destination.url", &database.url()).unwrap();
    let (shown, state) = shown_by(&config);
    PANIC_AT_TOKEN.store(false, Ordering::SeqCst);
    assert_eq!(state, Some(State::Failed), "{shown}");
    assert!(shown.contains(ErrorKind::Panic.name()), "{shown}");
    all.push(("a panic".into(), shown));

    let log = locked(&LOG).clone();
    let panics = locked(&PANICS).clone();
    // The search is worth something: the log is really everything, and there was a panic and a dead letter.
    for there in
        ["TRACE tungstenite", "DEBUG tokio_postgres", "TRACE tokio_postgres", "got a token", "is a dead letter"]
    {
        assert!(log.contains(there), "{there} is not in the log");
    }
    assert!(panics.contains("the logger is broken"), "{panics}");
    assert!(deployment.proxy.requests().len() >= 5);
    all.extend([("the log".into(), log), ("the panics".into(), panics)]);
    for (name, shown) in &all {
        deployment.needles.assert_none_in(name, shown.as_bytes());
        assert_no_token(shown.as_bytes(), name);
    }
    // Spools keep events; they keep no secrets.
    let mut spools = 0;
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if name.contains(".db") {
            let bytes = fs::read(entry.path()).unwrap();
            assert_no_token(&bytes, &name);
            deployment.needles.but("payload").assert_none_in(&name, &bytes);
            spools += 1;
        }
    }
    assert!(spools > 10, "{spools}");
}

fn secret_of(config: &Config) -> String {
    let secret: &SecretString = config.oauth.client_secret.as_ref().unwrap();
    secrecy::ExposeSecret::expose_secret(secret).to_owned()
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

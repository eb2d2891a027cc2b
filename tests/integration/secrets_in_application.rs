//! Secrets appear in nothing that an application sees, at the most verbose settings: its logger takes every record of every crate,
//! and what the library shows of a sink is printed, in good runs and on every path that fails. Payloads of events are searched
//! for as well, everywhere but in the spool, which keeps them.
//!
//! Runs as a process of its own: the logger and the panic hook are the process's.
#![cfg(unix)]

use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cxsink::config::{ClientAuth, Grant, OnNormalClose};
use cxsink::connections::Connections;
use cxsink::{Config, ErrorKind, Notice, Poll, Sink, State, Validator};

use crate::support;
use crate::support::echo::echoing_server;
use crate::support::postgres::PATIENCE;
use crate::support::process::in_own_process;
use crate::support::secrets::{Deployment, PAYLOAD, all_of, encode};
use crate::support::server::PrivateServer;

/// The records of the application's logger.
static LOG: Mutex<String> = Mutex::new(String::new());
/// The panics that its hook gets.
static PANICS: Mutex<String> = Mutex::new(String::new());
/// Has the logger itself panic, in the middle of the sink's work with a token.
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

fn watch_everything() {
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
}

/// Good, invalid, no JSON, and one that does not fit its column.
fn events() -> [String; 4] {
    let event = |key: &str, kind: &str, duration: &str| {
        format!(
            r#"{{"interactionId":"{PAYLOAD}","timestamp":"2026-11-22T16:00:00Z","type":"{kind}","idempotencyKey":"{key}","attributes":{{"agentId":"{PAYLOAD}","duration":{duration}}}}}"#
        )
    };
    [
        event("good", "call", "5"),
        event("bad", PAYLOAD, "5"),
        format!("{{\"{PAYLOAD}"),
        event("too-long", "chat", "1e300").replace(PAYLOAD, &PAYLOAD.repeat(20)),
    ]
}

/// Everything that the library shows of one sink until it ends, how it ended, and what its files hold while it is open.
fn shown_by(config: &Config) -> (String, State, Vec<u8>) {
    let mut shown = format!("{config:?} {config:#?}\n");
    for key in cxsink::config::keys() {
        let _ = writeln!(shown, "{key} = {:?}", config.get(key));
    }
    let check = Sink::check(config);
    let _ = writeln!(shown, "{check:?} {}", check.to_json());
    for outcome in [config.validate(), cxsink::init_db(config)] {
        outcome.unwrap_or_else(|error| shown += &all_of(&error));
    }
    let sink = Sink::open(config).unwrap();
    for event in events() {
        if let Err(error) = sink.ingest(event.as_bytes()) {
            shown += &all_of(&error);
        }
    }
    // `import` keeps the events that `ingest` refuses.
    sink.import(events().join("\n").as_bytes()).unwrap();
    if let Err(error) = sink.start() {
        shown += &all_of(&error);
    }
    // A transient error lasts forever: a few errors are enough.
    let mut errors = 0;
    while errors < 8 {
        match sink.poll(Some(PATIENCE)).unwrap() {
            Poll::Notice(notice) => {
                let _ = writeln!(shown, "{notice:?} {}", notice.to_json());
                if let Notice::Error(error) = notice {
                    shown += &all_of(&error);
                    errors += 1;
                }
            }
            _ => break,
        }
    }
    let write_ahead_log = config.spool.path.with_extension("db-wal");
    let files = [fs::read(&config.spool.path).unwrap(), fs::read(write_ahead_log).unwrap_or_default()].concat();
    if let Err(error) = sink.close_within(Duration::from_secs(10)) {
        shown += &all_of(&error);
    }
    let stats = sink.stats();
    let _ = writeln!(shown, "{stats:?} {} {sink:?} {:?}", stats.to_json(), sink.failure());
    let _ = writeln!(shown, "{:?} {:?} {:?}", sink.connections(), sink.gaps(), sink.dead_letters(0, 1000));
    (shown, stats.state, files)
}

#[test]
#[allow(clippy::too_many_lines, reason = "a list of everything that can fail")]
fn an_application_that_logs_everything_sees_no_secret() {
    if !in_own_process(|_| ()) {
        return;
    }
    let server = PrivateServer::start_new();
    watch_everything();
    let mut deployment = Deployment::new(3000);
    deployment.secrets.add("database's own password", server.password());
    let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(40).collect();
    deployment.secrets.add("token of the file", &token);
    let certified = deployment.authority.server(&["127.0.0.1"]);
    server.write("server.crt", &certified.certificate);
    server.write("server.key", &certified.key);
    server.set("ssl = on");
    let own = format!("{}?sslmode=verify-full", server.url());
    let directory = deployment.bench.directory.path();
    let mut all = vec![(
        "the simulator".to_owned(),
        format!("{:?} {:?}", deployment.bench.simulator, deployment.bench.simulator.options()),
    )];
    let mut spools = Vec::new();
    let mut run = |name: &str, expected: &str, change: &dyn Fn(&mut Config)| {
        let mut config = deployment.bench.config.clone();
        config.spool.path = directory.join(format!("{name}.db"));
        config.set("destination.url", &own).unwrap();
        change(&mut config);
        let (shown, _, files) = shown_by(&config);
        spools.push((name.to_owned(), files));
        assert!(shown.contains(expected), "{name}: {expected} is not in: {shown}");
        all.push((name.to_owned(), shown));
    };

    run("a good run", "\"state\":\"closed\"", &|_| ());
    run("secrets in files", "\"state\":\"closed\"", &|config| {
        let file = |name: &str, text: &str| support::tls_bench::file(directory, name, text);
        config.oauth.client_secret_file = Some(file("client-secret", deployment.bench.simulator.client_secret()));
        config.oauth.client_secret = None;
        config.proxy.password_file = Some(file("proxy-password", &deployment.proxy_password));
        config.proxy.url = Some(format!("http://proxy-user@{}", deployment.proxy.address).into());
    });
    run("a wrong client secret", "status 401", &|config| {
        // Ours, with something behind it.
        config.oauth.client_secret = Some(format!("{}x", deployment.bench.simulator.client_secret()).into());
    });
    run("a token endpoint that echoes", "status 400", &|config| {
        config.oauth.url = format!("http://{}/token", echoing_server("400 Bad Request"));
    });
    run("a token endpoint that echoes with a good status", "is not JSON", &|config| {
        config.oauth.url = format!("http://{}/token", echoing_server("200 OK"));
    });
    for (name, grant, client_auth) in [
        ("a password", Grant::Password, ClientAuth::Body),
        ("a password beside encoded credentials", Grant::Password, ClientAuth::Basic),
        ("encoded credentials", Grant::ClientCredentials, ClientAuth::Basic),
        ("raw credentials", Grant::ClientCredentials, ClientAuth::BasicRaw),
        ("an access key", Grant::AccessKey, ClientAuth::Body),
        ("an access key beside raw credentials", Grant::AccessKey, ClientAuth::BasicRaw),
    ] {
        for (status, expected) in
            [("401 Unauthorized", "status 401"), ("200 OK", "is not JSON"), ("302 Found", "a redirect")]
        {
            run(&format!("{name}, {expected}"), expected, &|config| {
                deployment.sign_in(config, grant, client_auth);
                config.oauth.url = format!("http://{}/token", echoing_server(status));
            });
        }
    }
    run("every secret of a request in a file", "status 400", &|config| {
        let file = |name: &str, text: &str| support::tls_bench::file(directory, name, text);
        deployment.sign_in(config, Grant::Password, ClientAuth::Basic);
        config.oauth.password_file = Some(file("user-password", &deployment.user_password));
        config.oauth.params_file = vec![("tenant".into(), file("tenant", &deployment.param))];
        (config.oauth.password, config.oauth.params) = (None, Vec::new());
        config.oauth.url = format!("http://{}/token", echoing_server("400 Bad Request"));
    });
    run("a token in a file", "status 401", &|config| {
        deployment.sign_in(config, Grant::None, ClientAuth::Body);
        config.oauth.token_file = Some(support::tls_bench::file(directory, "token", &token));
        config.stream.url = format!("ws://{}/stream", echoing_server("401 Unauthorized"));
    });
    run("a token in a file with more", "characters that no HTTP header may hold", &|config| {
        deployment.sign_in(config, Grant::None, ClientAuth::Body);
        config.oauth.token_file = Some(support::tls_bench::file(directory, "token-2", &format!("Bearer {token}")));
    });
    run("an issuer that echoes", "is not JSON", &|config| {
        deployment.sign_in(config, Grant::Password, ClientAuth::Basic);
        config.oauth.url = Config::default().oauth.url;
        config.oauth.discovery = Some(format!("http://{}", echoing_server("200 OK")));
    });
    run("a stream that echoes", "status 403", &|config| {
        config.stream.url = format!("ws://{}/stream", echoing_server("403 Forbidden"));
    });
    run("a stream that echoes with a good status", "does not open a WebSocket", &|config| {
        config.stream.url = format!("ws://{}/stream", echoing_server("101 Switching Protocols"));
    });
    run("a stream elsewhere", "redirect", &|config| {
        config.stream.url = format!("ws://{}/stream", echoing_server("302 Found"));
    });
    run("a proxy that wants other credentials", "status 407", &|config| {
        let proxy = echoing_server("407 Proxy Authentication Required");
        config.proxy.url = Some(deployment.proxy_url(&proxy.to_string()).into());
    });
    run("a proxy that echoes and connects", "sent more after its response", &|config| {
        config.proxy.url = Some(deployment.proxy_url(&echoing_server("200 OK").to_string()).into());
    });
    run("a proxy that is not there", "refused", &|config| {
        config.proxy.url = Some(deployment.proxy_url("127.0.0.1:1").into());
    });
    run("no client certificate", "tls.cert_file", &|config| {
        (config.tls.cert_file, config.tls.key_file) = (None, None);
    });
    run("a key that is none", "tls.key_file", &|config| {
        let path = directory.join("broken.pem");
        let key = fs::read_to_string(config.tls.key_file.as_ref().unwrap()).unwrap();
        fs::write(&path, key.replace("-----END PRIVATE KEY", "-----END")).unwrap();
        config.tls.key_file = Some(path);
    });
    run("a wrong database password", "password authentication failed", &|config| {
        config.set("destination.url", &format!("{}?sslmode=verify-full", deployment.wrong(&server.url()))).unwrap();
    });
    run("a database that is not there", "refused", &|config| {
        let password = encode(&deployment.database_password);
        config.set("destination.url", &format!("postgresql://me:{password}@127.0.0.1:1/cx")).unwrap();
    });
    for (name, url) in
        [("a broken database address", "postgresql://me:PASSWORD@[/cx"), ("pairs", "host=[ password=PASSWORD x=y")]
    {
        let mut config = deployment.bench.config.clone();
        let set = config.set("destination.url", &url.replace("PASSWORD", &deployment.database_password));
        let error = set.and_then(|()| Sink::open(&config)?.start()).unwrap_err();
        all.push((name.into(), all_of(&error) + &format!("{config:?}")));
    }

    PANIC_AT_TOKEN.store(true, Ordering::SeqCst);
    let mut config = deployment.bench.config.clone();
    config.spool.path = directory.join("a panic.db");
    config.stream.on_normal_close = OnNormalClose::Stop;
    config.set("destination.url", &own).unwrap();
    let (shown, state, _) = shown_by(&config);
    PANIC_AT_TOKEN.store(false, Ordering::SeqCst);
    assert_eq!(state, State::Failed, "{shown}");
    assert!(shown.contains(ErrorKind::Panic.name()), "{shown}");
    all.push(("a panic".into(), shown));

    let validator = Validator::new(&config).unwrap();
    let connections = Connections::open(&config).unwrap();
    let refused = events().map(|event| validator.validate(event.as_bytes()).err());
    let refused: String = refused.iter().flatten().map(all_of).collect();
    all.push(("the rest".into(), format!("{validator:?} {connections:?} {refused}")));

    let (log, panics) = (locked(&LOG).clone(), locked(&PANICS).clone());
    // The search is worth something: the log is really everything, and there was a panic and a dead letter.
    for there in [
        "TRACE ureq_proto",
        "TRACE tungstenite",
        "DEBUG tokio_postgres",
        "TRACE tokio_postgres",
        "got a token",
        "is a dead letter",
    ] {
        assert!(log.contains(there), "{there} is not in the log");
    }
    assert!(panics.contains("the logger is broken"), "{panics}");
    let requests = deployment.proxy.requests();
    assert!(requests.iter().filter(|request| request.contains("Proxy-Authorization: Basic ")).count() >= 5);
    all.extend([("the log".into(), log), ("the panics".into(), panics)]);
    let needles = deployment.secrets_and_payloads();
    for (name, shown) in &all {
        needles.assert_none_in(name, shown.as_bytes());
    }
    // Spools keep events; they keep no secrets. After the end too, with what SQLite leaves beside them.
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        // The reserve is room, without content.
        if name.contains(".db") && !name.ends_with(".reserve") {
            spools.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    for (name, bytes) in &spools {
        deployment.secrets.assert_none_in(name, bytes);
    }
    let payload = PAYLOAD.as_bytes();
    assert!(spools.iter().any(|(_, bytes)| bytes.windows(payload.len()).any(|window| window == payload)));
}

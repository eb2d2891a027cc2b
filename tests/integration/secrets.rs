//! Secrets appear in no output of the command line: every command is run at its most verbose, with known secrets, and all that it
//! says is searched. Payloads of events are searched for as well.

use std::fs;
use std::io::Read as _;
use std::process::Command;

use crate::support::echo::echoing_server;
use crate::support::postgres::TestDatabase;
use crate::support::process::{Running, cxsink, output};
use crate::support::secrets::{Deployment, Needles, PAYLOAD, encode};
use crate::support::wait_until;
use crate::support::watched::{Watched, get};

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
        .env("CXSINK_OAUTH__USERNAME", "somebody")
        .env("CXSINK_OAUTH__PASSWORD", &deployment.user_password)
        .env("CXSINK_OAUTH__PARAMS", toml_table("tenant", &deployment.param))
        .env("CXSINK_STREAM__URL", &bench.config.stream.url)
        .env("CXSINK_TLS__CA_FILE", bench.config.tls.ca_file.as_ref().unwrap())
        .env("CXSINK_TLS__CERT_FILE", bench.config.tls.cert_file.as_ref().unwrap())
        .env("CXSINK_TLS__KEY_FILE", bench.config.tls.key_file.as_ref().unwrap())
        .env("CXSINK_RETRY__DELAY_MIN", "5ms")
        .env("CXSINK_RETRY__DELAY_MAX", "20ms")
        .env("HTTPS_PROXY", deployment.proxy_url(&deployment.proxy.address.to_string()))
        .env("PGPASSWORD", &deployment.database_password)
        .env("DATABASE_URL", destination)
        .env("CXSINK_STREAM__ON_NORMAL_CLOSE", "stop");
    command
}

/// An inline table with one member, as a variable holds it.
fn toml_table(name: &str, value: &str) -> String {
    format!("{{ {name} = \"{}\" }}", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn the_command_line_at_its_most_verbose_shows_no_secret() {
    let database = TestDatabase::new();
    let deployment = Deployment::new(500);
    let needles = deployment.secrets_and_payloads();
    let directory = deployment.bench.directory.path();
    fs::write(directory.join("events.jsonl"), format!("{{\"interactionId\":\"{PAYLOAD}\"}}\n")).unwrap();
    let secret = deployment.bench.simulator.client_secret().to_owned();
    let broken = format!("[oauth]\nclient_secret = \"{}\nurl = 1\n", secret.replace(['"', '\\'], ""));
    fs::write(directory.join("broken.toml"), broken).unwrap();
    let own = database.url();
    let (wrong, unset) = (deployment.wrong(&own), format!("oauth.client_secret:{secret}"));
    let wrong_pair = format!(
        "destination.url=host=127.0.0.1 password={} nonsense=1",
        deployment.database_password.replace(['"', ' '], "")
    );
    let misspelt = format!("--client-sekret={secret}");
    let echo = format!("oauth.url=http://{}/token", echoing_server("401 Unauthorized"));
    fs::write(directory.join("token"), format!("Bearer {}", deployment.user_password)).unwrap();
    let no_table = format!("oauth.params={{ tenant = {}", deployment.param);
    let commands: [(&str, i32, &[&str]); 26] = [
        (&own, 0, &["init-db", "--print"]),
        (&own, 0, &["init-db"]),
        (&own, 0, &["run"]),
        (&own, 0, &["check"]),
        (&own, 0, &["check", "--json"]),
        (&own, 1, &["check", "--set", "oauth.grant=password", "--set", &echo]),
        (&own, 1, &["run", "--set", "oauth.grant=password", "--set", "oauth.client_auth=basic", "--set", &echo]),
        (&own, 1, &["run", "--set", "oauth.client_auth=basic_raw", "--set", &echo]),
        (&own, 1, &["run", "--set", "oauth.grant=access_key", "--set", &echo]),
        (&own, 1, &["check", "--set", "oauth.grant=none", "--set", "oauth.token_file=token"]),
        (&own, 2, &["run", "--set", &no_table]),
        (&wrong, 1, &["check"]),
        (&wrong, 1, &["init-db"]),
        (&wrong, 1, &["run"]),
        ("postgresql://127.0.0.1:1/cx", 1, &["init-db"]),
        (&own, 1, &["validate", "events.jsonl"]),
        // Its only line is a dead letter.
        (&own, 1, &["import", "events.jsonl"]),
        (&own, 0, &["dead-letters", "list"]),
        (&own, 0, &["gaps", "--json"]),
        (&own, 2, &["run", "--config", "broken.toml"]),
        (&own, 2, &["run", "--set", &unset]),
        (&own, 2, &["run", "--set", &wrong_pair]),
        (&own, 0, &["demo", "--events", "1000"]),
        (&own, 0, &["simulate", "--list"]),
        (&own, 2, &["simulate", "--client-secrt", &secret]),
        (&own, 2, &["simulate", &misspelt]),
    ];
    for format in ["text", "json"] {
        for (destination, expected, arguments) in commands {
            let mut command = verbose(&deployment, destination);
            let (code, out, err) = output(command.args(["-vv", "--log-format", format]).args(arguments));
            let shown = format!("{out}{err}");
            assert_eq!(code, expected, "{arguments:?}: {shown}");
            let what = format!("{} ({format})", arguments.join(" ").chars().take(25).collect::<String>());
            needles.assert_none_in(&what, shown.as_bytes());
        }
    }
    // The passwords did what they are for: the proxy got them.
    assert!(deployment.proxy.requests().iter().any(|request| request.contains("Proxy-Authorization: Basic ")));
}

/// While it runs, in trouble, and to whoever asks.
#[test]
fn no_page_of_a_running_sink_shows_a_secret_or_a_payload() {
    let database = TestDatabase::new();
    let deployment = Deployment::new(500);
    let mut needles = deployment.secrets_and_payloads();
    let directory = deployment.bench.directory.path();
    let own = database.url();
    assert_eq!(output(verbose(&deployment, &own).arg("init-db")).0, 0);
    let mut inventions = Needles::default();
    // Letters: it travels in a header.
    let token = inventions.invent("token of the pages").split('&').next().unwrap().to_owned();
    needles.add("token of the pages", &token);
    fs::write(directory.join("http-token"), &token).unwrap();
    let mut command = verbose(&deployment, &own);
    command.env("CXSINK_STREAM__ON_NORMAL_CLOSE", "reconnect").env("CXSINK_HTTP__TOKEN_FILE", "http-token");
    let sink = Watched::start(command.args(["-vv", "run"]), Some(&token));
    let has = |metric: &str| sink.metric(metric) > Some(0.0);
    wait_until("events are stored, rejected, and in trouble", || {
        has("cxsink_events_total{outcome=\"inserted\"}")
            && has("cxsink_dead_letters_total")
            && has("cxsink_errors_total")
    });
    for path in ["/", "/metrics", "/healthz", "/readyz", "/stats.json", "/nowhere"] {
        let (status, body) = sink.get(path);
        assert!([200, 404, 503].contains(&status) && !body.is_empty(), "{path}: {status}");
        needles.assert_none_in(path, body.as_bytes());
        let (status, body) = get(sink.address, path, "Authorization: Bearer wrong\r\n");
        assert_eq!(status, 401, "{path}");
        needles.assert_none_in(path, body.as_bytes());
    }
}

/// It shows events, as it must, but only on the standard output; and no secret anywhere.
#[test]
fn peek_stream_at_its_most_verbose_shows_events_and_no_secret() {
    for form in ["--raw", "--json"] {
        let deployment = Deployment::new(500);
        let needles = deployment.secrets_and_payloads();
        // A database whose password is refused is of no interest here.
        let destination = deployment.wrong("postgresql://postgres@127.0.0.1:1/cx");
        // The proxy, the token endpoint and the stream refuse it first.
        let mut tries = 0..9;
        let has_succeeded = tries.any(|_| {
            let mut command = verbose(&deployment, &destination);
            let (code, out, err) = output(command.args(["-vv", "peek-stream", "--count", "200", form]));
            assert_eq!(out.contains("interactionId"), code == 0, "{out}{err}");
            deployment.secrets.assert_none_in("peek-stream's output", out.as_bytes());
            needles.assert_none_in("peek-stream's log", err.as_bytes());
            code == 0
        });
        assert!(has_succeeded && tries.start > 2, "{form}: {tries:?}");
    }
}

/// The simulator shows its own credentials in the one line that is for them. It shows no others, and none of its requests.
#[test]
fn a_simulator_at_its_most_verbose_shows_its_secret_in_one_line_only() {
    let deployment = Deployment::new(1);
    let directory = deployment.bench.directory.path();
    let mut own = Needles::default();
    let secret = own.invent("simulator's own secret").replace(['"', ' '], "");
    let simulate = ["-vv", "simulate", "--events", "500", "--close-at-end", "true", "--handshake-failures", "401,503"];
    let mut command = verbose(&deployment, "sqlite:table.db");
    let mut simulator = Running::start(command.args(simulate).args(["--client-secret", &secret]));
    let mut log = simulator.child.stderr.take().unwrap();
    let logged = std::thread::spawn(move || {
        let mut text = Vec::new();
        log.read_to_end(&mut text).map(|_| text).unwrap()
    });
    let lines: Vec<String> = (0..5).map(|_| simulator.line()).collect();
    let run = |secret: &str, arguments: &[&str]| {
        let mut command = verbose(&deployment, "sqlite:table.db");
        command.envs(lines.iter().map(|line| line.split_once('=').unwrap())).env("CXONE_CLIENT_SECRET", secret);
        output(command.arg("-vv").args(arguments))
    };
    assert_eq!(run(&secret, &["init-db"]).0, 0);
    // One that is refused is a secret all the same: most likely it is good elsewhere.
    let (code, out, err) = run(deployment.bench.simulator.client_secret(), &["run"]);
    let refused = format!("{out}{err}");
    assert!(code == 1 && refused.contains("status 401"), "{code}: {refused}");
    let (code, out, err) = run(&secret, &["run"]);
    let good = format!("{out}{err}");
    assert_eq!(code, 0, "{good}");
    let report = simulator.line();
    assert!(report.contains("\"events\":500"), "{report}");
    assert!(simulator.child.wait().unwrap().success());

    let log = logged.join().unwrap();
    assert!(log.starts_with(b"simulating CXone"), "{}", String::from_utf8_lossy(&log));
    let (shown, others): (Vec<&String>, Vec<_>) = lines.iter().partition(|line| line.contains(&secret));
    assert_eq!(shown, [&format!("CXONE_CLIENT_SECRET={secret}")]);
    let others = format!("{others:?}{report}");
    let texts = [refused.into_bytes(), good.into_bytes(), log, others.into_bytes()];
    for (what, text) in ["a refused run", "a good run", "the simulator's log", "the rest"].iter().zip(&texts) {
        own.assert_none_in(what, text);
        deployment.secrets.assert_none_in(what, text);
    }
    assert!(directory.join("table.db").exists());
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

//! `check` of each way to a token: an issuer, a token that another program renews, none at all.

use std::fs;

use cxsink::check::{CheckArea, CheckReport, CheckStatus, CheckStep};
use cxsink::config::Grant;
use cxsink::simulator::{Simulator, SimulatorOptions};
use cxsink::{Config, Notice, Sink};

use crate::support;
use crate::support::echo::echoing_server;
use crate::support::issuer::{Answer, document, issuer};

/// A simulated CXone, and a configuration that reads from it.
struct Stream {
    simulator: Simulator,
    directory: tempfile::TempDir,
    config: Config,
}

impl Stream {
    fn new() -> Self {
        let mut options = SimulatorOptions::default();
        options.events = Some(0);
        let simulator = Simulator::start(options).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let destination = format!("sqlite:{}", directory.path().join("events.db").display());
        let mut config = support::config(directory.path(), &destination);
        simulator.apply_to(&mut config);
        Self { simulator, directory, config }
    }

    /// The same by an issuer with this document.
    fn by_issuer(&self, answer: impl Fn(&str) -> Answer + Send + 'static) -> Config {
        let mut config = self.config.clone();
        config.oauth.url = Config::default().oauth.url;
        config.oauth.discovery = Some(issuer(answer));
        config
    }

    /// The same with this token in a file.
    fn by_file(&self, token: &str) -> Config {
        let mut config = self.config.clone();
        let file = self.directory.path().join("token");
        fs::write(&file, token).unwrap();
        (config.oauth.grant, config.oauth.token_file) = (Grant::None, Some(file));
        config
    }
}

fn check(config: &Config) -> CheckReport {
    cxsink::check(config, &[CheckArea::Stream], |_| {})
}

fn names(check: &CheckReport) -> Vec<&str> {
    check.steps.iter().map(|step| step.name).collect()
}

#[track_caller]
fn step<'a>(check: &'a CheckReport, name: &str) -> &'a CheckStep {
    check.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no {name} in {}", check.to_json()))
}

#[track_caller]
fn fails(check: &CheckReport, name: &str, message: &str, hint: &str) {
    let found = step(check, name);
    assert_eq!(found.status, CheckStatus::Failed, "{found:?}");
    assert!(found.message.contains(message), "{found:?} does not say {message}");
    assert!(found.hint.as_ref().unwrap().contains(hint), "{found:?} does not have the hint {hint}");
}

/// What an issuer answers, and what a check says of it: message and hint.
type Case = (fn(&str) -> Answer, &'static str, &'static str);

#[test]
fn the_issuer_is_a_step_of_its_own() {
    let stream = Stream::new();
    let endpoint = stream.simulator.oauth_url();
    let found = check(&stream.by_issuer(move |here| document(here, &endpoint)));
    assert!(found.is_ok(), "{}", found.to_json());
    let expected = ["oauth.discovery", "oauth.tcp", "oauth.tls", "oauth.token", "stream.tcp", "stream.tls"];
    assert_eq!(names(&found)[2..8], expected);
    let endpoint = stream.simulator.oauth_url();
    assert_eq!(step(&found, "oauth.discovery").message, format!("the token endpoint is {endpoint}"));

    let cases: [Case; 5] = [
        (|_| ("404 Not Found", String::new()), "status 404", "no openid-configuration below this address"),
        (|_| document("https://evil.example", "https://evil.example/t"), "another issuer's", "set oauth.discovery"),
        (|here| document(here, "http://token.example/t"), "unencrypted to \"token.example\"", "https://"),
        (|here| document(here, &format!("{here}/.well-known/openid-configuration")), "names itself", "oauth.url"),
        (|_| ("200 OK", "<html>".into()), "is not JSON", "check oauth.discovery"),
    ];
    for (answer, message, hint) in cases {
        let found = check(&stream.by_issuer(answer));
        fails(&found, "oauth.discovery", message, hint);
        let token = step(&found, "oauth.token");
        assert_eq!(token.message, "not tried, as oauth.discovery failed");
        assert_eq!(step(&found, "stream.handshake").message, "not tried, as there is no token");
    }
    // An endpoint that refuses the client.
    let refusing = format!("http://{}/token", echoing_server("404 Not Found"));
    let found = check(&stream.by_issuer(move |here| document(here, &refusing)));
    fails(&found, "oauth.token", "status 404", "check oauth.discovery: there is no token endpoint");
}

#[test]
fn a_token_in_a_file_needs_no_endpoint() {
    let stream = Stream::new();
    let found = check(&stream.by_file("not-a-token"));
    let expected = ["configuration", "schema", "oauth.token", "stream.tcp", "stream.tls", "stream.handshake"];
    assert_eq!(names(&found), expected);
    assert_eq!(step(&found, "oauth.token").message, "a token of 11 characters in oauth.token_file");
    fails(&found, "stream.handshake", "status 401", "renew the token in it");
    assert!(!found.to_json().contains("not-a-token"), "{}", found.to_json());
    let found = check(&stream.by_file("two words"));
    fails(&found, "configuration", "oauth.token_file: the token in it has characters", "without a word such as Bearer");
}

#[test]
fn a_stream_without_a_token_is_tried_without_one() {
    let mut stream = Stream::new();
    stream.config.oauth.grant = Grant::None;
    let found = check(&stream.config);
    assert_eq!(names(&found)[2..], ["stream.tcp", "stream.tls", "stream.handshake"]);
    fails(&found, "stream.handshake", "status 401", "set oauth.grant or oauth.token_file");
}

/// The token of a file is read again after the stream has refused it, and the sink goes on.
#[test]
fn a_renewed_token_file_is_noticed_by_a_running_sink() {
    let stream = Stream::new();
    let config = stream.by_file("not-a-token");
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    let refused = support::wait_for_notice(&sink, "a refusal", |notice| match notice {
        Notice::Error(error) => Some(error),
        _ => None,
    });
    assert_eq!(refused.http_status(), Some(401), "{refused}");
    assert!(refused.hint().unwrap().contains("oauth.token_file"), "{refused:?}");
    fs::write(config.oauth.token_file.as_ref().unwrap(), token_of(&stream)).unwrap();
    support::wait_until("the stream is open", || stream.simulator.report().connections == 1);
    sink.close_within(std::time::Duration::MAX).unwrap();
}

/// A token that the simulator's stream takes.
fn token_of(stream: &Stream) -> String {
    use std::io::{Read, Write};
    let mut tcp = std::net::TcpStream::connect(("127.0.0.1", stream.simulator.port())).unwrap();
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", stream.simulator.client_id())
        .append_pair("client_secret", stream.simulator.client_secret())
        .append_pair("scope", "data-actions:read")
        .finish();
    let url = stream.simulator.oauth_url();
    let path = url.splitn(4, '/').nth(3).unwrap();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    tcp.write_all(format!("{head}{form}").as_bytes()).unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
    body["access_token"].as_str().unwrap().to_owned()
}

//! The log is searched at level `trace`, as an application could write it.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Once;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ureq::http::header;

use crate::config::percent::encode_in_form;
use crate::source::net::address::Purpose;
use crate::source::net::route::Route;
use crate::source::oauth::exchange::*;
use crate::source::test_server::{PATIENCE, TestServer, response};
use crate::threads::stop_signal::StopSignal;

const SECRET: &str = "Hunter2-&ä=%*~ 0123456789";
const TOKEN: &str = "tok-4711-0815-abcdefgh";

thread_local! {
    static LOG: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Takes every record of the threads that want it.
struct Everything;

impl log::Log for Everything {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        LOG.with_borrow(Option::is_some)
    }

    fn log(&self, record: &log::Record<'_>) {
        // ureq calls `enabled` while a record is formatted.
        let line = format!("{} {} {}", record.level(), record.target(), record.args());
        LOG.with_borrow_mut(|log| log.as_mut().map(|log| writeln!(log, "{line}")));
    }

    fn flush(&self) {}
}

/// The result of `call`, and its log on this thread.
fn logged<T>(call: impl FnOnce() -> T) -> (T, String) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Everything).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    LOG.set(Some(String::new()));
    let result = call();
    (result, LOG.take().unwrap())
}

/// The log shows bytes in rows of 16, as hexadecimal digits and as text, so a piece of a secret counts.
#[track_caller]
fn assert_hidden(log: &str, secret: &str) {
    let hexadecimal = |piece: &[u8]| piece.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let squeezed = log.replace(' ', "");
    for piece in secret.as_bytes().windows(6) {
        let text = String::from_utf8_lossy(piece);
        assert!(!log.contains(&*text), "{text} of {secret} is in the log: {log}");
        assert!(!squeezed.contains(&hexadecimal(piece)), "{text} of {secret} is in the log: {log}");
    }
}

fn send(server: &TestServer, request: Request<String>, hidden: Vec<Hidden>) -> Result<Exchanged, Fault> {
    let route = Route::new(Purpose::Token, &format!("http://{}/token", server.address), &server.config()).unwrap();
    let mut connection = route.open(PATIENCE, &StopSignal::new()).unwrap();
    connection.transport.wait_until(Instant::now() + PATIENCE).unwrap();
    exchange(connection.transport, request, hidden)
}

/// Gives a token, and sends the secret back in the head.
fn server() -> TestServer {
    TestServer::http(|_, peer| {
        let echo = peer.request.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization"));
        let echo = echo.map_or_else(String::new, |line| format!("X-Echo: {line}\r\n"));
        let headers = format!("{echo}Location: /?{}\r\nX-Plain: {SECRET}\r\n", encode_in_form(SECRET));
        peer.send(response("200 OK", &headers, TOKEN));
    })
}

fn post(server: &TestServer, query: &str) -> ureq::http::request::Builder {
    Request::post(format!("http://{}/token{query}", server.address))
}

#[test]
fn a_secret_in_the_form_is_sent_and_never_logged() {
    let server = server();
    let hidden = Hidden::new("client_secret=", encode_in_form(SECRET), &[SECRET]);
    let form = format!("client_id=me&client_secret={}&scope=x", hidden.placeholder());
    let request = post(&server, "").body(form).unwrap();
    let (response, log) = logged(|| send(&server, request, vec![hidden]).unwrap());
    assert!(response.end.is_ok() && response.body == TOKEN.as_bytes());
    let sent = server.requests.lock().unwrap()[0].clone();
    let expected = format!("client_id=me&client_secret={}&scope=x", encode_in_form(SECRET));
    assert!(sent.ends_with(&format!("\r\n\r\n{expected}")), "{sent}");
    assert!(sent.to_ascii_lowercase().contains(&format!("content-length: {}\r\n", expected.len())), "{sent}");
    assert!(log.contains("TRACE ureq_proto"), "the log is everything: {log}");
    for secret in [SECRET, &encode_in_form(SECRET), TOKEN] {
        assert_hidden(&log, secret);
    }
}

#[test]
fn a_secret_in_a_head_is_sent_and_never_logged() {
    let server = server();
    let credentials = BASE64.encode(format!("me:{}", encode_in_form(SECRET)));
    let hidden = Hidden::new("Basic ", credentials.clone(), &[SECRET]);
    let query = Hidden::new("?", "key=another-secret", &["another-secret"]);
    let request = post(&server, &format!("?{}", query.placeholder()))
        .header(header::AUTHORIZATION, format!("Basic {}", hidden.placeholder()))
        .body("grant_type=client_credentials".to_owned())
        .unwrap();
    let (response, log) = logged(|| send(&server, request, vec![hidden, query]).unwrap());
    let sent = server.requests.lock().unwrap()[0].clone();
    assert!(sent.starts_with("POST /token?key=another-secret HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains(&format!("authorization: Basic {credentials}\r\n")), "{sent}");
    // Sent back by the server.
    assert_eq!(response.headers["x-echo"], format!("authorization: Basic {}", "*".repeat(credentials.len())));
    assert!(log.contains("TRACE ureq_proto"), "the log is everything: {log}");
    for secret in [SECRET, &encode_in_form(SECRET), &credentials, "another-secret", TOKEN] {
        assert_hidden(&log, secret);
    }
}

#[test]
fn a_redirect_is_returned_and_not_followed() {
    let server = TestServer::http(|_, peer| peer.send(response("307 Elsewhere", "Location: /other\r\n", "")));
    let response = send(&server, post(&server, "").body("form".into()).unwrap(), Vec::new()).unwrap();
    assert_eq!(response.status, 307);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let server = TestServer::http(|_, peer| {
        peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
        std::thread::sleep(Duration::from_millis(20));
        peer.send(response("200 OK", "", "final"));
    });
    let response = send(&server, post(&server, "").body("form".into()).unwrap(), Vec::new()).unwrap();
    assert_eq!((response.status.as_u16(), &*response.body), (200, &b"final"[..]));
}

#[test]
fn a_request_without_the_place_of_a_secret_is_an_error() {
    let hidden = Hidden::new("client_secret=", SECRET.to_owned(), &[SECRET]);
    let server = server();
    let error = send(&server, post(&server, "").body("client_id=me".into()).unwrap(), vec![hidden]).err().unwrap();
    assert!(matches!(error, Fault::Io(error) if error.to_string().contains("no place")));
}

#[test]
fn a_long_form_is_sent_whole_and_with_its_secret() {
    let server = server();
    let hidden = Hidden::new("client_secret=", "hunter2".to_owned(), &["hunter2"]);
    let scope = "x".repeat(300_000);
    let form = format!("scope={scope}&client_secret={}", hidden.placeholder());
    send(&server, post(&server, "").body(form).unwrap(), vec![hidden]).unwrap();
    assert!(server.requests.lock().unwrap()[0].ends_with(&format!("\r\n\r\nscope={scope}&client_secret=hunter2")));
}

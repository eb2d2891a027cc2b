//! The opening of the conversation: its messages, the answer, what comes instead, refusals.

use super::tests::*;
use super::*;
use crate::error::{Class, ErrorKind};
use crate::event::BURST_EVENTS_MAX;
use crate::source::test_server::{PATIENCE, Peer, TestServer, close, frame, stop_when};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The settings of a conversation on top of the server's.
pub(super) fn with(server: &TestServer, settings: &[(&str, &str)]) -> Config {
    let mut config = server.config();
    for (key, value) in settings {
        config.set(key, value).unwrap();
    }
    config
}

pub(super) fn text(text: &str) -> Vec<u8> {
    frame(1, true, text.as_bytes())
}

const OPEN: (&str, &str) = ("stream.open", r#"['{"token":"{token}"}', '{"subscribe":"{stream_id}"}']"#);
const ANSWER: (&str, &str) = ("stream.open_answer", "\"authorized\"");

/// Receives the opening messages; returns the token in them.
fn opening(peer: &mut Peer) -> String {
    let first = peer.receive_text();
    assert_eq!(peer.receive_text(), r#"{"subscribe":"s-1"}"#);
    let token = first.strip_prefix("{\"token\":\"").and_then(|rest| rest.strip_suffix("\"}"));
    token.unwrap_or_else(|| panic!("{first}")).to_owned()
}

#[test]
fn the_stream_is_open_once_the_answer_has_come() {
    let server = TestServer::stream(|_, peer| {
        peer.open(&text("before"));
        assert_eq!(opening(peer), "token-0");
        peer.send([text("between"), text("\"authorized\""), text("after"), text("\"authorized\"")].concat());
        peer.wait_for_end();
    });
    let mut source = source(&with(&server, &[OPEN, ANSWER]));
    let mut early = Burst::default();
    source.connect(&mut early).unwrap();
    assert_eq!(events(&early), [b"before".to_vec(), b"between".to_vec()]);
    assert_eq!((early.messages(), early.ignored()), (3, 1));
    let mut burst = Burst::default();
    while burst.events() < 2 {
        source.read(&mut burst).unwrap();
    }
    assert_eq!(events(&burst), [b"after".to_vec(), b"\"authorized\"".to_vec()], "later it is a message as any other");
    assert_eq!((burst.messages(), burst.ignored()), (2, 0));
}

#[test]
fn without_an_expected_answer_the_messages_are_sent_and_the_stream_is_open() {
    let server = TestServer::stream(|_, peer| {
        peer.open(b"");
        opening(peer);
        peer.send([text("event"), close(1000, "")].concat());
        peer.finish();
    });
    let mut source = source(&with(&server, &[OPEN]));
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!((all, end.unwrap()), (vec![b"event".to_vec()], ReadOutcome::Closed));
}

/// Fails to open once, with the script `fail` on the server, and opens then. Returns the error, the events before it, and the token of
/// the second connection.
fn fails_once(settings: &[(&str, &str)], fail: impl Fn(&mut Peer) + Send + Sync + 'static) -> (Error, Burst, String) {
    let (sender, tokens) = mpsc::channel();
    let server = TestServer::stream(move |number, peer| {
        peer.open(b"");
        let token = opening(peer);
        if number == 0 {
            fail(peer);
        } else {
            sender.send(token).unwrap();
            peer.send(text("\"authorized\""));
        }
        peer.wait_for_end();
    });
    let mut source = source(&with(&server, &[&[OPEN, ANSWER], settings].concat()));
    let mut early = Burst::default();
    let error = source.connect(&mut early).unwrap_err();
    assert!(error.message().starts_with("opening the stream ws://127.0.0.1:"), "{error}");
    assert_eq!(error.class(), Class::Transient);
    assert_clean(&error);
    source.connect(&mut Burst::default()).unwrap();
    (error, early, tokens.recv_timeout(PATIENCE).unwrap())
}

#[test]
fn an_opening_without_its_answer_costs_the_token_and_no_event() {
    let check = |came: &[&[u8]], shown: &str| {
        let frames: Vec<u8> = came.iter().flat_map(|message| frame(1, true, message)).collect();
        let (error, early, token) = fails_once(&[("stream.open_timeout", "100ms")], move |peer| peer.send(&frames));
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let expected = format!(": no stream.open_answer to stream.open within 100ms{shown}");
        assert!(error.message().ends_with(&expected), "{error}");
        assert!(error.hint().unwrap().contains("peek-stream"), "{error:?}");
        assert!(early.iter().eq(came.iter().copied()));
        assert_eq!(token, "token-1");
    };
    check(&[], "");
    check(&[b"unauthorized: token-0"], "; instead came unauthorized: ***");
    check(&[br#"{"error":"token-0"}"#], r#"; instead came {"error":"***"}"#);
    let event = br#"{"agentId":"hunter2"}"#;
    check(&[event, b"\xff\x00"], "; instead came an object with agentId (21 bytes), then 2 bytes that are no text");
}

#[test]
fn a_flood_before_the_answer_is_kept_and_ends_the_opening() {
    let events: Vec<u8> = (0..BURST_EVENTS_MAX).flat_map(|number| text(&format!("{{\"n\":{number}}}"))).collect();
    let (error, early, token) = fails_once(&[("stream.open_timeout", "10m")], move |peer| peer.send(&events));
    assert_eq!(early.events(), BURST_EVENTS_MAX);
    assert!(error.message().contains("2000 events came, and no stream.open_answer"), "{error}");
    assert_eq!(token, "token-1");
}

#[test]
fn an_end_before_the_answer_is_an_error_whatever_it_says() {
    let check = |end: Vec<u8>, why: &str, code| {
        let (error, early, token) = fails_once(&[], move |peer| {
            peer.send([&text("no token-0"), end.as_slice()].concat());
            let _ = peer.stream.shutdown(std::net::Shutdown::Write);
        });
        assert!(error.message().contains("waiting for stream.open_answer to stream.open: "), "{error}");
        assert!(error.message().contains(why) && error.message().ends_with("; instead came no ***"), "{error}");
        assert_eq!(error.close_code(), code);
        assert_eq!((events(&early), token.as_str()), (vec![b"no token-0".to_vec()], "token-1"));
    };
    check(close(1000, "bye token-0"), "code 1000", Some(1000));
    check(close(4001, "token-0"), "code 4001: ***", Some(4001));
    check(close(1011, ""), "code 1011", Some(1011));
    check(Vec::new(), "without a close frame", None);
    check(vec![0xc1, 0], "reserved bits", None);
}

#[test]
fn a_server_that_requests_a_delay_gets_the_same_token_again() {
    let refused = ("stream.open_refused", r#"["\"RATE_LIMIT\"", { close_code = 4429 }]"#);
    for (says, shown, code) in
        [(text("\"RATE_LIMIT\""), "\"RATE_LIMIT\"", None), (close(4429, "slow"), "slow", Some(4429))]
    {
        let settings = [refused, ("stream.open_refused_delay", "1ms")];
        let (error, early, token) = fails_once(&settings, move |peer| peer.send(&says));
        assert!(error.message().contains(shown), "{error}");
        assert!(error.hint().unwrap().contains("stream.open_refused"), "{error:?}");
        assert_eq!((error.close_code(), early.events(), token.as_str()), (code, 0, "token-0"));
    }
}

#[test]
fn the_delay_is_kept_also_with_a_stream_that_was_open() {
    let server = TestServer::stream(|_, peer| {
        peer.open(&[text("event"), text("\"RATE_LIMIT\"")].concat());
        peer.wait_for_end();
    });
    let settings = [("stream.open_refused", r#"["\"RATE_LIMIT\""]"#), ("stream.open_refused_delay", "200ms")];
    let mut source = source(&with(&server, &settings));
    for wait in [0, 200, 400, 800, 800].map(Duration::from_millis) {
        let begun = Instant::now();
        source.connect(&mut Burst::default()).unwrap();
        assert!(begun.elapsed() >= wait.mul_f64(0.9), "{:?} instead of {wait:?}", begun.elapsed());
        let (all, end) = read_all(&mut source);
        assert_eq!(all, [b"event"]);
        assert!(end.unwrap_err().message().contains("refuses it for now: \"RATE_LIMIT\""));
    }
    assert_eq!(server.requests.lock().unwrap().len(), 6, "one token and five handshakes");
}

#[test]
fn a_stop_ends_the_opening_at_once() {
    let (sender, reached) = mpsc::channel();
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        opening(peer);
        sender.send(()).unwrap();
        peer.wait_for_end();
    });
    let stop = StopSignal::new();
    let mut source = source_with(&with(&server, &[OPEN, ANSWER, ("stream.open_timeout", "10m")]), &stop);
    let stopping = stop_when(&stop, reached);
    assert_eq!(source.connect(&mut Burst::default()).unwrap_err().kind(), ErrorKind::State);
    assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
}

#[test]
fn messages_without_events_are_counted_and_not_kept() {
    let server = TestServer::stream(|_, peer| {
        let messages = ["a", "\"pong\"", r#"{"command":"ACK"}"#, r#"{"command":"MESSAGE"}"#];
        peer.open(&messages.iter().flat_map(|message| text(message)).chain(close(1000, "")).collect::<Vec<u8>>());
        peer.finish();
    });
    let ignore = ("stream.ignore", r#"['"pong"', { pointer = "/command", equals = "ACK" }]"#);
    let mut source = source(&with(&server, &[ignore]));
    source.connect(&mut Burst::default()).unwrap();
    let mut burst = Burst::default();
    while source.read(&mut burst).unwrap() != ReadOutcome::Closed {}
    assert_eq!(events(&burst), [b"a".to_vec(), br#"{"command":"MESSAGE"}"#.to_vec()]);
    assert_eq!((burst.messages(), burst.ignored()), (4, 2));
}

//! The change to a next connection whose opening has to be answered.

use super::opening_tests::{text, with};
use super::rotation_tests::{Steps, event, read, server};
use super::tests::source;
use super::*;
use crate::source::test_server::{TestServer, close};

fn opened(server: &TestServer, more: &[(&str, &str)]) -> WebsocketSource {
    let settings = [
        ("stream.open_answer", "hello"),
        ("stream.open_timeout", "10m"),
        ("retry.delay_min", "5ms"),
        ("retry.delay_max", "10ms"),
        // So that the old token is still good for a new connection when the next one is due.
        ("oauth.refresh_early", "0s"),
    ];
    let mut source = source(&with(server, &[&settings, more].concat()));
    source.connect(&mut Burst::default()).unwrap();
    source
}

#[test]
fn the_old_connection_is_left_once_the_next_has_its_answer() {
    let steps = Arc::new(Steps::default());
    let on_server = Arc::clone(&steps);
    let server = server(
        |_, _| (),
        move |number, peer| {
            if number == 0 {
                peer.open(&[text("hello"), event("a")].concat());
                on_server.wait_for("after the handshake");
                peer.send(event("b"));
                peer.finish();
                if !on_server.has("answers") {
                    on_server.take("left early");
                }
                peer.send(close(1000, ""));
            } else {
                peer.open(&event("c"));
                on_server.take("after the handshake");
                on_server.wait_for("b was read, and the old connection is idle");
                on_server.take("answers");
                peer.send([text("hello"), event("d")].concat());
            }
            peer.wait_for_end();
        },
    );
    let mut source = opened(&server, &[]);
    assert_eq!(read(&mut source, 2), ["a", "b"]);
    // An idle read would be the end of the old connection if the next one were open.
    for _ in 0..5 {
        assert_eq!(source.read(&mut Burst::default()).unwrap(), ReadOutcome::Idle);
    }
    steps.take("b was read, and the old connection is idle");
    assert_eq!(read(&mut source, 2), ["c", "d"]);
    assert!(!steps.has("left early"));
}

#[test]
fn a_next_connection_that_does_not_open_costs_no_event() {
    let steps = Arc::new(Steps::default());
    let on_server = Arc::clone(&steps);
    let server = server(
        |_, _| (),
        move |number, peer| {
            match number {
                0 => {
                    peer.open(&[text("hello"), event("a")].concat());
                    on_server.wait_for("b was read");
                    peer.send(event("c"));
                    peer.finish();
                }
                1 => peer.send([peer.good_response("Upgrade").as_bytes(), &event("b"), &close(1011, "")].concat()),
                _ => {
                    on_server.wait_for("c was read");
                    peer.open(&[event("d"), text("hello"), event("e")].concat());
                }
            }
            peer.wait_for_end();
        },
    );
    let mut source = opened(&server, &[]);
    assert_eq!(read(&mut source, 2), ["a", "b"]);
    steps.take("b was read");
    assert_eq!(read(&mut source, 1), ["c"]);
    steps.take("c was read");
    assert_eq!(read(&mut source, 2), ["d", "e"]);
    let requests = server.requests.lock().unwrap().clone();
    assert!(requests.iter().any(|request| request.contains("Bearer token-2")), "the token was dropped");
}

/// The spool gets events that came on the next connection before its answer only once they are read.
#[test]
fn early_events_of_the_next_connection_are_acknowledged_once_they_are_read() {
    let steps = Arc::new(Steps::default());
    let on_server = Arc::clone(&steps);
    let server = server(
        |_, _| (),
        move |number, peer| {
            if number == 0 {
                peer.open(&text("hello"));
                on_server.wait_for("next is open");
                peer.finish();
                peer.send([event("a"), close(1000, "")].concat());
            } else {
                peer.open(&[event("b"), text("hello")].concat());
                on_server.take("next is open");
                on_server.wait_for("a is kept");
                if peer.has_bytes() {
                    on_server.take("acknowledged early");
                }
                on_server.take("has looked");
                assert_eq!(peer.receive_text(), "ack");
                on_server.take("acknowledged");
            }
            peer.wait_for_end();
        },
    );
    let mut source = opened(&server, &[("stream.ack", "ack")]);
    let mut burst = Burst::default();
    while source.read(&mut burst).unwrap() != ReadOutcome::Rotated {}
    assert!(burst.iter().eq([b"a"]));
    source.kept();
    steps.take("a is kept");
    steps.wait_for("has looked");
    assert_eq!(read(&mut source, 1), ["b"]);
    source.kept();
    steps.wait_for("acknowledged");
    assert!(!steps.has("acknowledged early"));
}

//! Acknowledgements: when they leave, where they leave, and what they cost if the server takes none.

use super::opening_tests::{text, with};
use super::tests::*;
use super::*;
#[cfg(feature = "simulator")]
use crate::source::test_server::Peer;
use crate::source::test_server::{PATIENCE, TestServer, close, response};
#[cfg(feature = "simulator")]
use crate::time::clock::SystemClock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
#[cfg(feature = "simulator")]
use std::time::{Duration, Instant};

const ACK: (&str, &str) = ("stream.ack", r#"{"ack":{/id}}"#);

/// Reads until this many events have come.
fn read(source: &mut WebsocketSource, count: usize) -> Burst {
    let mut burst = Burst::default();
    while burst.events() < count {
        source.read(&mut burst).unwrap();
    }
    burst
}

#[test]
fn acknowledgements_leave_once_the_spool_has_the_events() {
    let (reads, is_read) = mpsc::channel();
    let (looks, has_looked) = mpsc::channel();
    let is_read = std::sync::Mutex::new(is_read);
    let server = TestServer::stream(move |_, peer| {
        let events = [text(r#"{"id":"a\u002d1"}"#), text(r#"{"no":"id"}"#), text("no JSON"), text(r#"{"id":[2]}"#)];
        peer.open(&events.concat());
        is_read.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        looks.send(peer.has_bytes()).unwrap();
        assert_eq!(peer.receive_text(), r#"{"ack":"a\u002d1"}"#);
        assert_eq!(peer.receive_text(), r#"{"ack":[2]}"#);
        peer.send(close(1000, ""));
        peer.finish();
    });
    let mut source = source(&with(&server, &[ACK]));
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(read(&mut source, 4).events(), 4);
    reads.send(()).unwrap();
    assert!(!has_looked.recv_timeout(PATIENCE).unwrap(), "the spool does not have them yet");
    source.kept();
    assert_eq!(read_all(&mut source).1.unwrap(), ReadOutcome::Closed);
}

#[test]
fn events_before_the_answer_are_acknowledged_and_others_are_not() {
    let server = TestServer::stream(|_, peer| {
        peer.open(&[text(r#"{"id":1}"#), text(r#"{"id":"hello"}"#), text(r#"{"id":"quiet"}"#)].concat());
        assert_eq!(peer.receive_text(), r#"{"ack":1}"#);
        peer.send([text(r#"{"id":2}"#), close(1000, "")].concat());
        assert_eq!(peer.receive_text(), r#"{"ack":2}"#, "in answer to what came before the close frame");
        peer.finish();
    });
    let answer = ("stream.open_answer", r#"{ pointer = "/id", equals = "hello" }"#);
    let mut source = source(&with(&server, &[ACK, answer, ("stream.ignore", r#"['{"id":"quiet"}']"#)]));
    let mut early = Burst::default();
    source.connect(&mut early).unwrap();
    assert_eq!(events(&early), [br#"{"id":1}"#]);
    source.kept();
    read(&mut source, 1);
    source.kept();
    assert_eq!(read_all(&mut source).1.unwrap(), ReadOutcome::Closed);
}

#[test]
fn a_message_of_which_only_the_beginning_is_kept_is_not_acknowledged() {
    let (sender, received) = mpsc::channel();
    let server = TestServer::stream(move |_, peer| {
        let line = format!("{{\"id\":\"{}\"}}\n", "x".repeat(1 << 20));
        peer.open(&[text(&line.repeat(65)), text(r#"{"id":1}"#), close(1000, "")].concat());
        let mut texts = 0;
        loop {
            match peer.receive().0 {
                1 => texts += 1,
                8 => break,
                _ => {}
            }
        }
        sender.send(texts).unwrap();
    });
    let lines = [("event.lines", "true"), ("stream.ack", "ok")];
    let mut source = source(&with(&server, &lines));
    source.connect(&mut Burst::default()).unwrap();
    let mut seen = 0;
    while seen < 2 {
        seen += read(&mut source, 1).messages();
        source.kept();
    }
    assert_eq!(read_all(&mut source).1.unwrap(), ReadOutcome::Closed);
    assert_eq!(received.recv_timeout(PATIENCE).unwrap(), 1, "for the second message alone");
}

/// A server whose sockets hold little.
#[cfg(feature = "simulator")]
fn narrow(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> TestServer {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener).set_recv_buffer_size(4 << 10).unwrap();
    TestServer::stream_on(listener, move |_, peer| script(peer))
}

#[cfg(feature = "simulator")]
#[test]
fn a_server_that_takes_no_acknowledgement_loses_the_connection() {
    let server = narrow(|peer| {
        peer.open(b"");
        let event = text(&format!("{{\"id\":\"{}\"}}", "x".repeat(10_000)));
        // Until the client is gone.
        while std::io::Write::write_all(&mut peer.stream, &event).is_ok() {}
    });
    let times = [("stream.ping_interval", "100ms"), ("stream.idle_timeout", "300ms")];
    let mut source = source(&with(&server, &[&[ACK][..], &times].concat()));
    source.connect(&mut Burst::default()).unwrap();
    let error = loop {
        let mut burst = Burst::default();
        match source.read(&mut burst) {
            Ok(_) => source.kept(),
            Err(error) => break error,
        }
    };
    assert!(error.message().contains("the server took no acknowledgement (stream.ack) for "), "{error}");
    assert!(error.is_retryable());
}

#[cfg(feature = "simulator")]
#[test]
fn acknowledgements_that_wait_stop_the_reading_and_leave_in_order() {
    const EVENTS: usize = 1000;
    let (taken, is_taken) = mpsc::channel();
    let (pause, is_over) = mpsc::channel();
    let is_over = std::sync::Mutex::new(is_over);
    let id = |number: usize| format!("{number:05}{}", "x".repeat(10_000));
    let server = narrow(move |peer| {
        peer.open(b"");
        let mut writer = peer.stream.try_clone().unwrap();
        std::thread::spawn(move || {
            for number in 0..EVENTS {
                std::io::Write::write_all(&mut writer, &text(&format!("{{\"id\":\"{}\"}}", id(number)))).unwrap();
            }
        });
        is_over.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        for number in 0..EVENTS {
            assert_eq!(receive_long(peer), format!("{{\"ack\":\"{}\"}}", id(number)));
        }
        taken.send(()).unwrap();
        peer.wait_for_end();
    });
    let mut source = source(&with(&server, &[ACK]));
    source.connect(&mut Burst::default()).unwrap();
    let (mut read, begun) = (0, Instant::now());
    let mut is_paused = false;
    while is_taken.try_recv() != Ok(()) {
        assert!(begun.elapsed() < PATIENCE, "only {read} events");
        let mut burst = Burst::default();
        if let Some(open) = &mut source.open {
            let until = Instant::now() + Duration::from_millis(50);
            open.connection.read(&mut burst, Some(until), &SystemClock, &StopSignal::new()).unwrap();
            read += burst.events();
        }
        source.kept();
        if burst.is_empty() && !is_paused {
            assert!(read < EVENTS, "it read on without room for acknowledgements");
            is_paused = true;
            pause.send(()).unwrap();
        }
    }
    assert!(is_paused);
    assert_eq!(read, EVENTS);
}

/// A text of more than 65,535 bytes or fewer.
#[cfg(feature = "simulator")]
fn receive_long(peer: &mut Peer) -> String {
    use std::io::Read as _;
    let mut head = [0; 8];
    peer.stream.read_exact(&mut head).unwrap();
    assert_eq!(head[..2], [0x81, 0xfe]);
    let mut payload = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
    peer.stream.read_exact(&mut payload).unwrap();
    payload.iter_mut().zip(head[4..].iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    String::from_utf8(payload).unwrap()
}

/// On the connection of their events, and after our Close on none.
#[test]
fn acknowledgements_leave_on_the_connection_of_their_events() {
    let (sender, finished) = mpsc::channel();
    let (tokens, streams) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let server = TestServer::http(move |_, peer| {
        let next = |count: &AtomicUsize| count.fetch_add(1, Ordering::SeqCst);
        if peer.request.starts_with("POST /token ") {
            // The first token lives one second, and so does the first connection.
            let (number, lifetime) = match next(&tokens) {
                0 => (0, 1),
                number => (number, 3600),
            };
            let body = format!(r#"{{"access_token":"token-{number}","expires_in":{lifetime}}}"#);
            return peer.send(response("200 OK", "", &body));
        }
        if next(&streams) == 0 {
            peer.open(&[text("\"hello\""), text(r#"{"id":"old"}"#)].concat());
            assert_eq!(peer.receive_text(), r#"{"ack":"old"}"#);
            peer.finish();
            peer.send([text(r#"{"id":"after Close"}"#), close(1000, "")].concat());
            assert_eq!(peer.wait_for_end(), b"", "nothing follows a close frame");
        } else {
            peer.open(&[text(r#"{"id":"early"}"#), text("\"hello\"")].concat());
            assert_eq!(peer.receive_text(), r#"{"ack":"early"}"#);
            peer.send(text(r#"{"id":"new"}"#));
            assert_eq!(peer.receive_text(), r#"{"ack":"new"}"#);
        }
        sender.send(()).unwrap();
    });
    let settings = [ACK, ("stream.open_answer", "\"hello\""), ("oauth.refresh_early", "0s")];
    let mut source = source(&with(&server, &settings));
    source.connect(&mut Burst::default()).unwrap();
    let mut all = Vec::new();
    while all.len() < 4 {
        let mut burst = Burst::default();
        source.read(&mut burst).unwrap();
        all.extend(events(&burst));
        source.kept();
    }
    for _ in 0..2 {
        finished.recv_timeout(PATIENCE).unwrap();
    }
    let ids = ["old", "after Close", "early", "new"].map(|id| format!("{{\"id\":\"{id}\"}}").into_bytes());
    assert_eq!(all, ids);
}

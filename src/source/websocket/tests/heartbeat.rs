//! Pings, pongs and silence.

use super::tests::*;
use super::*;
use crate::error::{Class, ErrorKind};
use crate::source::test_server::{HandClock, PATIENCE, TestServer, close, frame};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn pings_are_answered_also_when_no_event_comes() {
    let (sender, receiver) = mpsc::channel();
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        peer.send(frame(9, true, b"first"));
        sender.send(peer.receive()).unwrap();
        // A flood: only the latest must be answered, and events come through.
        for number in 0..20_000_u32 {
            peer.send(frame(9, true, &number.to_be_bytes()));
        }
        loop {
            let (opcode, payload) = peer.receive();
            assert_eq!(opcode, 10);
            if payload == 19_999_u32.to_be_bytes() {
                break;
            }
        }
        peer.send([frame(1, true, b"after"), close(1000, "")].concat());
        peer.finish();
    });
    let mut source = source(&server.config());
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(all, [b"after"]);
    assert_eq!(end.unwrap(), ReadOutcome::Closed);
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (10, b"first".to_vec()));
}

#[test]
fn pings_are_sent_and_a_pong_keeps_the_connection() {
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        for _ in 0..5 {
            assert_eq!(peer.receive(), (9, Vec::new()));
            peer.send(frame(10, true, b""));
        }
        peer.send(close(1000, ""));
        peer.finish();
    });
    let mut config = server.config();
    config.stream.ping_interval = Duration::from_millis(20);
    let mut source = source(&config);
    source.connect(&mut Burst::default()).unwrap();
    let mut burst = Burst::default();
    for _ in 0..5 {
        assert_eq!(source.read(&mut burst).unwrap(), ReadOutcome::Idle, "an idle tick with each ping");
    }
    loop {
        match source.read(&mut burst).unwrap() {
            ReadOutcome::Idle => {}
            read => {
                assert_eq!(read, ReadOutcome::Closed);
                break;
            }
        }
    }
    assert!(burst.is_empty());
}

#[test]
fn any_bytes_keep_the_connection() {
    let clock = HandClock::new();
    let hand = Arc::clone(&clock);
    let server = TestServer::stream(move |_, peer| {
        peer.open(&frame(9, true, b""));
        // Now the client has begun to count.
        assert_eq!(peer.receive().0, 10);
        for _ in 0..5 {
            // Half of the idle timeout, and more than the ping interval.
            hand.advance(Duration::from_secs(30));
            peer.send(frame(9, true, b""));
            // Its own pings come in between; whether one is due depends on where the reader is when the hand moves.
            while peer.receive().0 != 10 {}
        }
        peer.send(close(1000, ""));
        peer.finish();
    });
    let config = server.config();
    let mut source = WebsocketSource::new(&config, StopSignal::new(), clock, Arc::new(|_| ())).unwrap();
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(read_all(&mut source).1.unwrap(), ReadOutcome::Closed);
}

#[test]
fn silence_is_a_lost_connection() {
    let server = TestServer::stream(move |_, peer| {
        peer.open(&frame(1, true, b"last words"));
        peer.wait_for_end();
    });
    let mut config = server.config();
    config.stream.idle_timeout = Duration::from_millis(200);
    config.stream.ping_interval = Duration::from_millis(50);
    let mut source = source(&config);
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(all, [b"last words"]);
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
    assert!(error.message().contains("nothing came for 0.2 s"), "{error}");
    let error = source.read(&mut Burst::default()).unwrap_err();
    assert!(error.message().contains("not open") && error.is_retryable(), "{error}");
}

#[test]
fn single_bytes_are_no_silence_and_none_is_lost() {
    let server = TestServer::stream(|_, peer| {
        let bytes =
            [peer.good_response("keep-alive, Upgrade").as_bytes(), &frame(1, true, b"slow"), &close(1000, "")].concat();
        for byte in bytes {
            peer.send([byte]);
            // The client reads with its own rhythm; this only keeps the bytes apart.
            thread::sleep(Duration::from_millis(1));
        }
        peer.finish();
    });
    let mut config = server.config();
    config.stream.ping_interval = Duration::from_millis(10);
    let mut source = source(&config);
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(all, [b"slow"]);
    assert_eq!(end.unwrap(), ReadOutcome::Closed);
}

#[test]
fn heartbeat_messages_are_sent_and_their_answers_counted() {
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        for _ in 0..5 {
            assert_eq!(peer.receive_text(), r#"{"beat":"token-0","of":"s-1"}"#);
            peer.send([frame(1, true, b"\"pong\""), frame(1, true, b"\"pong\"")].concat());
        }
        peer.send([frame(1, true, b"event"), close(1000, "")].concat());
        peer.finish();
    });
    let mut config = server.config();
    config.set("stream.heartbeat", r#"{"beat":"{token}","of":"{stream_id}"}"#).unwrap();
    config.set("stream.heartbeat_interval", "20ms").unwrap();
    config.set("stream.heartbeat_answer", "\"pong\"").unwrap();
    let mut source = source(&config);
    source.connect(&mut Burst::default()).unwrap();
    let mut burst = Burst::default();
    while source.read(&mut burst).unwrap() != ReadOutcome::Closed {}
    assert_eq!(events(&burst), [b"event"]);
    assert_eq!((burst.messages(), burst.ignored()), (11, 10));
}

#[test]
fn a_flood_of_events_is_no_answer_to_a_heartbeat() {
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        let events = frame(1, true, &[b'x'; 1000]).repeat(100);
        // Until the client is gone.
        while std::io::Write::write_all(&mut peer.stream, &events).is_ok() {}
    });
    let mut config = server.config();
    config.set("stream.heartbeat", "beat").unwrap();
    config.set("stream.heartbeat_interval", "50ms").unwrap();
    config.set("stream.heartbeat_answer", "\"pong\"").unwrap();
    config.stream.ping_interval = Duration::from_millis(100);
    config.stream.idle_timeout = Duration::from_millis(200);
    let mut source = source(&config);
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert!(!all.is_empty());
    let error = end.unwrap_err();
    assert!(error.message().contains("stream.heartbeat_answer did not come for 0."), "{error}");
    assert!(error.is_retryable());
}

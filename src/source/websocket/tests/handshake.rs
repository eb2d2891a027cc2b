//! Handshakes that open no stream.

use super::tests::*;
use super::*;
use crate::error::{Class, ErrorKind};
use crate::source::test_server::{HandClock, PATIENCE, Peer, TestServer, close, frame, response};
use crate::time::clock::SystemClock;
use std::io::Write as _;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Connects once to a server that answers the handshake with `text` and keeps the connection open.
fn refused_by(text: impl AsRef<[u8]>) -> Error {
    let text = text.as_ref().to_vec();
    let server = TestServer::stream(move |_, peer| {
        peer.send(&text);
        peer.wait_for_end();
    });
    let error = source(&server.config()).connect(&mut Burst::default()).unwrap_err();
    assert!(error.message().contains("opening the stream ws://127.0.0.1:"), "{error}");
    assert!(error.hint().is_some(), "{error:?}");
    assert_clean(&error);
    error
}

#[test]
fn a_refusal_quotes_the_server() {
    use Class::{Permanent, Transient};
    use ErrorKind::{Auth, Config, Connect, Protocol};
    let check = |status: &str, headers: &str, kind, class, hint: &str| {
        let error = refused_by(response(status, headers, "why\r\nBearer token-0"));
        assert_eq!((error.kind(), error.class()), (kind, class), "{error}");
        assert_eq!(error.http_status(), Some(status[..3].parse().unwrap()));
        assert!(error.message().contains(&format!("status {}", &status[..3])), "{error}");
        assert!(error.message().ends_with(": why\\r\\nBearer ***"), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        error
    };
    check("200 OK", "", Protocol, Transient, "stream.url");
    check("400 Bad Request", "", Protocol, Transient, "stream.url");
    check("401 Unauthorized", "", Auth, Transient, "belong together");
    check("403 Forbidden", "", Auth, Permanent, "CXONE_STREAM_ID");
    check("404 Not Found", "", Config, Permanent, "CXONE_STREAM_ID");
    check("429 Slow Down", "", Connect, Transient, "later");
    check("500 Oops", "", Connect, Transient, "later");
    check("301 Moved", "Location: wss://elsewhere/s\r\n", Config, Permanent, "stream.url");
    let error = check("302 Found", "Location: https://elsewhere/s?hunter2\r\n", Protocol, Transient, "redirects");
    assert!(error.message().contains("a redirect to https://elsewhere/s:"), "{error}");

    let error = refused_by("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwhy\r\n0\r\n\r\n");
    assert!(error.message().contains("status 500: why"), "{error}");
    let error = refused_by("HTTP/1.0 403 Forbidden\r\n\r\n");
    assert_eq!((error.kind(), error.http_status()), (Auth, Some(403)));
}

#[test]
fn a_response_that_opens_no_websocket_is_named() {
    let check = |text: &[u8], why: &str| {
        let error = refused_by(text);
        assert_eq!((error.kind(), error.class()), (ErrorKind::Protocol, Class::Transient), "{error}");
        assert!(error.message().contains(why), "{why}: {error}");
    };
    check(b"SSH-2.0-OpenSSH_9.6\r\n", "looks like SSH");
    check(&frame(1, true, br#"{"agentId":"hunter2"}"#), "not HTTP/1.1");
    check(b"\x15\x03\x01\x00\x02\x02", "not HTTP/1.1");
    check(b"GET /stream/s-1 HTTP/1.1\r\nAuthorization: Bearer token-0\r\n", "not HTTP/1.1");
    check(b"HTTP/1.1 abc\r\n\r\n", "not HTTP/1.1");
    check(b"HTTP/2 200\r\n\r\n", "not HTTP/1.1");
    check(b"HTTP/1.0 101 Switching Protocols\r\n\r\n", "HTTP/1.0");
    check(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "no `Upgrade: websocket`");
    check(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "no `Connection: Upgrade`");
    check(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "Sec-WebSocket-Accept");
    check(
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: bm90IG91cnM=\r\n\r\n",
        "Sec-WebSocket-Accept",
    );
    check(&[b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'x'; 70_000]].concat(), "longer than 65536");
    let many = "X: y\r\n".repeat(500);
    check(format!("HTTP/1.1 101 X\r\n{many}\r\n").as_bytes(), "not HTTP/1.1");

    let server = TestServer::stream(|_, peer| {
        let extended = peer
            .good_response("Upgrade")
            .replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        peer.send(extended);
        peer.wait_for_end();
    });
    let error = source(&server.config()).connect(&mut Burst::default()).unwrap_err();
    assert!(error.message().contains("an extension that was not requested"), "{error}");

    let server = TestServer::stream(|_, _| ());
    let error = source(&server.config()).connect(&mut Burst::default()).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Protocol, Class::Transient), "{error}");
    assert!(error.message().contains("without a response"), "{error}");
}

#[test]
fn a_refused_token_is_replaced() {
    let check = |refuse: fn(&mut Peer), http_status, close_code| {
        let server = TestServer::stream(move |number, peer| {
            if number == 1 {
                refuse(peer);
            } else {
                peer.open(&frame(1, true, peer.header("Authorization").unwrap().as_bytes()));
                peer.wait_for_end();
            }
        });
        let mut source = source(&server.config());
        let mut burst = Burst::default();
        source.connect(&mut Burst::default()).unwrap();
        source.read(&mut burst).unwrap();
        // The second connection uses the cached token, which is refused.
        let refused = source.connect(&mut Burst::default()).and_then(|()| source.read(&mut burst)).unwrap_err();
        assert_eq!((refused.kind(), refused.class()), (ErrorKind::Auth, Class::Transient), "{refused}");
        assert_eq!((refused.http_status(), refused.close_code()), (http_status, close_code));
        assert!(refused.hint().unwrap().contains("the next try uses a new one"), "{refused:?}");
        source.connect(&mut Burst::default()).unwrap();
        source.read(&mut burst).unwrap();
        assert_eq!(events(&burst), [b"Bearer token-0", b"Bearer token-1"]);
    };
    check(|peer| peer.send(response("401 Unauthorized", "", "")), Some(401), None);
    check(|peer| peer.send(response("403 Forbidden", "", "")), Some(403), None);
    check(|peer| peer.open(&close(4001, "token expired")), None, Some(4001));
    check(|peer| peer.open(&close(1008, "policy")), None, Some(1008));
}

#[test]
fn another_loss_keeps_the_token() {
    let server = TestServer::stream(|_, peer| peer.open(&close(1012, "restart")));
    let mut source = source(&server.config());
    for _ in 0..2 {
        source.connect(&mut Burst::default()).unwrap();
        source.read(&mut Burst::default()).unwrap_err();
    }
    let tokens = server.requests.lock().unwrap().iter().filter(|request| request.starts_with("POST")).count();
    assert_eq!(tokens, 1);
}

#[test]
fn a_handshake_that_stalls_ends_with_the_deadline() {
    let check = |beginning: &'static [u8]| {
        let server = TestServer::stream(move |_, peer| {
            peer.send(beginning);
            peer.wait_for_end();
        });
        let mut config = server.config();
        config.stream.connect_timeout = Duration::from_millis(300);
        let error = source(&config).connect(&mut Burst::default()).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
        assert!(error.message().contains("handshake"), "{error}");
        assert!(error.message().contains("no answer within 300ms"), "{error}");
    };
    check(b"");
    check(b"HTTP/1.1 101 Switch");
}

#[test]
fn single_bytes_do_not_stretch_the_deadline() {
    let (sender, receiver) = mpsc::channel();
    let server = TestServer::stream(move |_, peer| {
        peer.send("HTTP/1.1 101 Switching Protocols\r\nX: ");
        while peer.stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
        sender.send(()).unwrap();
    });
    let mut config = server.config();
    config.stream.connect_timeout = Duration::from_millis(300);
    let error = source(&config).connect(&mut Burst::default()).unwrap_err();
    assert!(error.message().contains("no answer within 300ms"), "{error}");
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn every_status_can_request_a_wait() {
    let check = |status: &'static str| {
        let server = TestServer::stream(move |number, peer| match number {
            0 => peer.send(response(status, "Retry-After: 60\r\n", "")),
            _ => peer.open(&[]),
        });
        let clock = HandClock::new();
        let mut source =
            WebsocketSource::new(&server.config(), StopSignal::new(), Arc::clone(&clock) as _, Arc::new(|_| ()))
                .unwrap();
        let refused = source.connect(&mut Burst::default()).unwrap_err();
        assert_eq!(refused.http_status(), Some(status[..3].parse().unwrap()));
        // The last of it is real time.
        let rest = Duration::from_millis(100);
        clock.move_to(Duration::from_millis(59_900));
        let begin = Instant::now();
        source.connect(&mut Burst::default()).unwrap();
        assert!(begin.elapsed() >= rest, "{status}");
    };
    check("429 Slow Down");
    check("502 Bad Gateway");
    check("418 Teapot");
}

#[test]
fn a_stop_ends_the_wait_that_the_server_requests() {
    let server = TestServer::stream(|_, peer| peer.send(response("429 Slow Down", "Retry-After: 60\r\n", "")));
    let stop = StopSignal::new();
    let mut source = source_with(&server.config(), &stop);
    assert_eq!(source.connect(&mut Burst::default()).unwrap_err().http_status(), Some(429));
    stop.set();
    let begin = Instant::now();
    assert_eq!(source.connect(&mut Burst::default()).unwrap_err().kind(), ErrorKind::State);
    assert!(begin.elapsed() < PATIENCE);
    assert_eq!(server.requests.lock().unwrap().len(), 2, "one token and one handshake");
}

#[test]
fn after_an_open_stream_no_status_is_permanent() {
    let check = |status: &'static str, headers: &'static str| {
        let server = TestServer::stream(move |number, peer| {
            if number == 1 {
                peer.send(response(status, headers, "default backend - 404"));
            } else {
                peer.open(&frame(1, true, b"{}"));
                peer.wait_for_end();
            }
        });
        let mut source = source(&server.config());
        source.connect(&mut Burst::default()).unwrap();
        let error = source.connect(&mut Burst::default()).unwrap_err();
        assert_eq!((error.class(), error.http_status()), (Class::Transient, Some(status[..3].parse().unwrap())));
        assert!(error.hint().unwrap().starts_with("wait: "), "{error:?}");
        source.connect(&mut Burst::default()).unwrap();
    };
    check("404 Not Found", "");
    check("410 Gone", "");
    check("403 Forbidden", "");
    check("301 Moved", "Location: wss://elsewhere/s\r\n");
    check("308 Moved", "Location: wss://elsewhere/s\r\n");
}

#[test]
fn a_closed_port_is_named_and_tried_again_later() {
    let server = TestServer::stream(|_, _| ());
    let mut config = server.config();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    config.stream.url = format!("ws://{closed}/");
    let error = source(&config).connect(&mut Burst::default()).unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
    assert!(error.message().contains(&closed.to_string()) && error.message().contains("refused"), "{error}");
}

#[test]
fn a_token_is_not_sent_unencrypted() {
    let mut config = TestServer::stream(|_, _| ()).config();
    config.stream.url = "ws://example.com/stream/{stream_id}".into();
    let error = WebsocketSource::new(&config, StopSignal::new(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("unencrypted"), "{error}");
}

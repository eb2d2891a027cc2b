use super::*;
use crate::error::{Class, ErrorKind};
use crate::event::{BURST_BYTES_MAX, BURST_EVENTS_MAX};
use crate::source::test_server::HandClock;
use crate::source::test_server::{
    PATIENCE, Peer, TestServer, TlsPeer, close, frame, response, stop_when, token_response,
};
use crate::time::clock::SystemClock;
use std::io::{Read as _, Write as _};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn source(config: &Config) -> WebsocketSource {
    source_with(config, &StopSignal::new())
}

fn source_with(config: &Config, stop: &StopSignal) -> WebsocketSource {
    WebsocketSource::new(config, stop.clone(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap()
}

fn events(burst: &Burst) -> Vec<Vec<u8>> {
    burst.iter().map(<[u8]>::to_vec).collect()
}

/// Reads until something other than events comes; returns all events and that.
fn read_all(source: &mut WebsocketSource) -> (Vec<Vec<u8>>, Result<ReadOutcome>) {
    let mut all = Vec::new();
    loop {
        let mut burst = Burst::default();
        let read = source.read(&mut burst);
        all.extend(events(&burst));
        match read {
            Ok(ReadOutcome::Events) => assert!(!burst.is_empty()),
            Ok(ReadOutcome::Idle) => assert!(burst.is_empty()),
            end => return (all, end),
        }
    }
}

/// Opens a stream on which the server sends `bytes` and ends the connection.
fn stream_of(bytes: Vec<u8>) -> (Vec<Vec<u8>>, Result<ReadOutcome>) {
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        peer.send(&bytes);
        // Closing with unread bytes causes a reset, which discards bytes in flight to the client.
        let _ = peer.stream.shutdown(std::net::Shutdown::Write);
        peer.wait_for_end();
    });
    let mut source = source(&server.config());
    source.connect().unwrap();
    read_all(&mut source)
}

/// Nothing that is shown may hold a secret.
#[track_caller]
fn assert_clean(error: &Error) {
    let all = format!("{error:?} {error} {}", error.detail_json());
    for secret in ["hunter2", "token-0", "token-1"] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn the_request_carries_the_token_and_names_the_stream() {
    let server = TestServer::stream(|_, peer| {
        peer.open(b"");
        peer.wait_for_end();
    });
    source(&server.config()).connect().unwrap();
    let requests = server.requests.lock().unwrap();
    let peer = |name: &str| {
        let found = requests[1].lines().find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name));
        found.map(|(_, value)| value.to_owned())
    };
    assert!(requests[1].starts_with("GET /stream/s-1 HTTP/1.1\r\n"), "{}", requests[1]);
    assert_eq!(peer("Authorization").as_deref(), Some("Bearer token-0"));
    assert_eq!(peer("Accept").as_deref(), Some("application/json"));
    assert_eq!(peer("Host"), Some(server.address.to_string()));
    assert_eq!(peer("User-Agent").as_deref(), Some(concat!("cxsink/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(peer("Sec-WebSocket-Version").as_deref(), Some("13"));
    assert_eq!(peer("Upgrade").as_deref(), Some("websocket"));
}

#[test]
fn messages_of_every_kind_arrive_in_order() {
    let large = vec![b'l'; 3 << 20];
    let bytes = [
        frame(1, true, b"{\"text\":1}"),
        frame(2, true, b"{\"binary\":1}"),
        frame(1, true, b""),
        frame(1, true, &[b'"', 0xff, 0xfe, b'"']),
        frame(1, false, b"{\"frag"),
        frame(9, true, b"p"),
        frame(0, true, b"mented\":1}"),
        frame(1, true, &large),
        frame(1, true, b"last"),
        close(1000, "done"),
    ]
    .concat();
    let (all, end) = stream_of(bytes);
    let expected: [&[u8]; 7] =
        [b"{\"text\":1}", b"{\"binary\":1}", b"", &[b'"', 0xff, 0xfe, b'"'], b"{\"fragmented\":1}", &large, b"last"];
    assert!(all.iter().map(Vec::as_slice).eq(expected));
    assert_eq!(end.unwrap(), ReadOutcome::Closed);
}

#[test]
fn messages_in_the_packet_of_the_handshake_are_not_lost() {
    let server = TestServer::stream(|_, peer| {
        let tail = [frame(1, true, b"a"), frame(1, true, b"b"), close(1000, "")].concat();
        peer.open(&tail);
        peer.finish();
    });
    let mut source = source(&server.config());
    source.connect().unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(all, [b"a", b"b"]);
    assert_eq!(end.unwrap(), ReadOutcome::Closed);
}

#[test]
fn a_flood_comes_in_bursts_within_the_limits_and_whole() {
    let count = 3 * BURST_EVENTS_MAX + 17;
    let mut bytes: Vec<u8> = (0..count).flat_map(|number| frame(1, true, number.to_string().as_bytes())).collect();
    let big = vec![b'b'; BURST_BYTES_MAX / 4 * 3];
    for _ in 0..3 {
        bytes.extend(frame(1, true, &big));
    }
    bytes.extend(close(1000, ""));
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        peer.send(&bytes);
        peer.finish();
    });
    let mut source = source(&server.config());
    source.connect().unwrap();
    let mut all = Vec::new();
    loop {
        let mut burst = Burst::default();
        let read = source.read(&mut burst).unwrap();
        assert!(burst.events() <= BURST_EVENTS_MAX);
        assert!(burst.bytes() < BURST_BYTES_MAX + big.len(), "full at the first event over the limit");
        all.extend(events(&burst));
        if read == ReadOutcome::Closed {
            break;
        }
    }
    assert_eq!(all.len(), count + 3);
    for (number, event) in all[..count].iter().enumerate() {
        assert_eq!(event, number.to_string().as_bytes());
    }
    assert!(all[count..].iter().all(|event| *event == big));
}

#[test]
fn a_burst_takes_all_that_is_there() {
    let (sender, sent) = mpsc::channel();
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        // More than one system call reads, and less than the client's socket holds.
        (0..20).for_each(|_| peer.send(frame(1, true, &[b'x'; 1000])));
        sender.send(()).unwrap();
        peer.wait_for_end();
    });
    let mut source = source(&server.config());
    source.connect().unwrap();
    sent.recv_timeout(PATIENCE).unwrap();
    let mut burst = Burst::default();
    assert_eq!(source.read(&mut burst).unwrap(), ReadOutcome::Events);
    assert_eq!(burst.events(), 20);
}

#[test]
fn a_full_burst_is_left_as_it_is() {
    let server = TestServer::stream(|_, peer| {
        peer.open(&frame(1, true, b"x"));
        peer.wait_for_end();
    });
    let mut source = source(&server.config());
    source.connect().unwrap();
    let mut burst = Burst::default();
    (0..BURST_EVENTS_MAX).for_each(|_| burst.push(b"old"));
    assert_eq!(source.read(&mut burst).unwrap(), ReadOutcome::Events);
    assert_eq!(burst.events(), BURST_EVENTS_MAX);
    burst.clear();
    source.read(&mut burst).unwrap();
    assert_eq!(events(&burst), [b"x"]);
}

#[test]
fn every_event_before_the_end_is_kept() {
    let check = |end: &[u8], why: &str, kind| {
        let (all, ended) = stream_of([&frame(1, true, b"one"), &frame(1, true, b"two"), end].concat());
        assert_eq!(all, [b"one", b"two"], "{why}");
        let error = ended.unwrap_err();
        assert!(error.message().contains(why), "{error}");
        assert!(error.message().contains("reading the stream ws://127.0.0.1:"), "{error}");
        assert_eq!((error.kind(), error.class()), (kind, Class::Transient), "{error}");
    };
    let (connect, protocol) = (ErrorKind::Connect, ErrorKind::Protocol);
    check(b"", "without a close frame", connect);
    check(&frame(1, true, b"three")[..5], "without a close frame", connect);
    check(&frame(1, false, b"three"), "without a close frame", connect);
    check(&[0x81, 0xfe, 0], "without a close frame", connect);
    check(&close(1011, "internal")[..3], "without a close frame", connect);
    check(&close(1001, "going \u{1b}[31m away"), "code 1001: going \\u{1b}[31m away", connect);
    check(&close(1011, ""), "code 1011", connect);
    check(&close(4000, "mine"), "code 4000: mine", connect);
    check(&close(4001, "expired"), "code 4001: expired", ErrorKind::Auth);
    check(&close(1008, "policy"), "code 1008: policy", ErrorKind::Auth);
    check(&frame(8, true, b""), "without a code", connect);
    check(&frame(8, true, b"x"), "half a code", protocol);
    check(&[0xff; 20], "broke the WebSocket protocol: Encountered invalid opcode: 15", protocol);
    check(&[0xc1, 0], "reserved bits", protocol);
    check(b"HTTP/1.1 500 Internal Server Error\r\n\r\n", "protocol", protocol);
    check(&[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], "a message of", protocol);
    check(&frame(0, true, b"x"), "continuation", protocol);
    check(&[0x81, 0x81, 0, 0, 0, 0, b'x'], "masked", protocol);
}

#[test]
fn a_close_is_answered_with_its_code() {
    let (sender, receiver) = mpsc::channel();
    let server = TestServer::stream(move |_, peer| {
        peer.open(&close(1000, "bye"));
        sender.send(peer.receive()).unwrap();
        // Ends the connection only now, as RFC 6455 wants it.
    });
    let mut source = source(&server.config());
    source.connect().unwrap();
    assert_eq!(source.read(&mut Burst::default()).unwrap(), ReadOutcome::Closed);
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (8, 1000_u16.to_be_bytes().to_vec()));
}

#[test]
fn the_server_gets_a_close_frame_on_leaving_and_on_broken_rules() {
    let (sender, receiver) = mpsc::channel();
    let server = TestServer::stream(move |number, peer| {
        peer.open(if number == 0 { b"" } else { &[0xc1, 0] });
        sender.send(peer.receive()).unwrap();
    });
    let mut source = source(&server.config());
    source.connect().unwrap();
    source.connect().unwrap();
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (8, 1001_u16.to_be_bytes().to_vec()));
    source.read(&mut Burst::default()).unwrap_err();
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (8, 1002_u16.to_be_bytes().to_vec()));
}

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
    source.connect().unwrap();
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
    source.connect().unwrap();
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
    source.connect().unwrap();
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
    source.connect().unwrap();
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
    source.connect().unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(all, [b"slow"]);
    assert_eq!(end.unwrap(), ReadOutcome::Closed);
}

/// Connects once to a server that answers the handshake with `text` and keeps the connection open.
fn refused_by(text: impl AsRef<[u8]>) -> Error {
    let text = text.as_ref().to_vec();
    let server = TestServer::stream(move |_, peer| {
        peer.send(&text);
        peer.wait_for_end();
    });
    let error = source(&server.config()).connect().unwrap_err();
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
        assert_eq!(error.status(), Some(status[..3].parse().unwrap()));
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
    assert_eq!((error.kind(), error.status()), (Auth, Some(403)));
}

#[test]
fn a_response_that_opens_no_websocket_is_named() {
    let check = |text: &[u8], why: &str| {
        let error = refused_by(text);
        assert_eq!((error.kind(), error.class()), (ErrorKind::Protocol, Class::Transient), "{error}");
        assert!(error.message().contains(why), "{why}: {error}");
    };
    check(b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6");
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
    let error = source(&server.config()).connect().unwrap_err();
    assert!(error.message().contains("an extension that was not requested"), "{error}");

    let server = TestServer::stream(|_, _| ());
    let error = source(&server.config()).connect().unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Protocol, Class::Transient), "{error}");
    assert!(error.message().contains("without a response"), "{error}");
}

#[test]
fn a_refused_token_is_replaced() {
    let check = |refuse: fn(&mut Peer), status| {
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
        source.connect().unwrap();
        source.read(&mut burst).unwrap();
        // The second connection uses the cached token, which is refused.
        let refused = source.connect().and_then(|()| source.read(&mut burst)).unwrap_err();
        assert_eq!((refused.kind(), refused.class()), (ErrorKind::Auth, Class::Transient), "{refused}");
        assert_eq!(refused.status(), Some(status));
        assert!(refused.hint().unwrap().contains("the next try uses a new one"), "{refused:?}");
        source.connect().unwrap();
        source.read(&mut burst).unwrap();
        assert_eq!(events(&burst), [b"Bearer token-0", b"Bearer token-1"]);
    };
    check(|peer| peer.send(response("401 Unauthorized", "", "")), 401);
    check(|peer| peer.send(response("403 Forbidden", "", "")), 403);
    check(|peer| peer.open(&close(4001, "token expired")), 4001);
    check(|peer| peer.open(&close(1008, "policy")), 1008);
}

#[test]
fn another_loss_keeps_the_token() {
    let server = TestServer::stream(|_, peer| peer.open(&close(1012, "restart")));
    let mut source = source(&server.config());
    for _ in 0..2 {
        source.connect().unwrap();
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
        let error = source(&config).connect().unwrap_err();
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
    let error = source(&config).connect().unwrap_err();
    assert!(error.message().contains("no answer within 300ms"), "{error}");
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_server_that_asks_to_wait_gets_no_connection_until_then() {
    let (sender, refused) = mpsc::channel();
    let server = TestServer::stream(move |_, peer| {
        peer.send(response("429 Slow Down", "Retry-After: 60\r\n", ""));
        sender.send(()).unwrap();
    });
    let stop = StopSignal::new();
    let mut source = source_with(&server.config(), &stop);
    assert_eq!(source.connect().unwrap_err().status(), Some(429));
    let stopping = stop_when(&stop, refused);
    // This one waits until the stop.
    assert_eq!(source.connect().unwrap_err().kind(), ErrorKind::State);
    assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
    assert_eq!(server.requests.lock().unwrap().len(), 2, "one token and one handshake");
}

#[test]
fn a_stop_ends_the_handshake_and_a_read() {
    let check = |script: fn(&mut Peer), opens: bool| {
        let (sender, reached) = mpsc::channel();
        let server = TestServer::stream(move |_, peer| {
            script(peer);
            sender.send(()).unwrap();
            peer.wait_for_end();
        });
        let stop = StopSignal::new();
        let mut source = source_with(&server.config(), &stop);
        let stopping = stop_when(&stop, reached);
        let mut result = source.connect();
        if opens && result.is_ok() {
            result = read_all(&mut source).1.map(drop);
        }
        let error = result.unwrap_err();
        assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
        assert_eq!(source.read(&mut Burst::default()).unwrap_err().kind(), ErrorKind::State);
        assert_eq!(source.connect().unwrap_err().kind(), ErrorKind::State);
    };
    check(|_| (), false);
    check(|peer| peer.send("HTTP/1.1 101 Swi"), false);
    check(|peer| peer.send("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n"), false);
    check(|peer| peer.open(b""), true);
    check(|peer| peer.open(&frame(1, true, b"in the middle of")[..9]), true);
    check(|peer| peer.open(&frame(1, true, b"an event")), true);
    check(|peer| peer.open(&close(1000, "")), true);
}

#[test]
fn a_stop_ends_a_read_that_never_runs_dry() {
    let check = |repeated: Vec<u8>| {
        let (sender, reached) = mpsc::channel();
        let server = TestServer::stream(move |_, peer| {
            peer.open(b"");
            let chunk = repeated.repeat(1000);
            let mut sent = 0;
            while peer.stream.write_all(&chunk).is_ok() {
                sent += 1;
                if sent == 20 {
                    sender.send(()).unwrap();
                }
                // The pongs would fill its receive buffer.
                peer.stream.set_nonblocking(true).unwrap();
                let _ = peer.stream.read(&mut [0; 16_384]);
                peer.stream.set_nonblocking(false).unwrap();
            }
        });
        let stop = StopSignal::new();
        let mut source = source_with(&server.config(), &stop);
        let stopping = stop_when(&stop, reached);
        source.connect().unwrap();
        let (_, end) = read_all(&mut source);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::State);
        assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
    };
    check(frame(9, true, b"ping"));
    check(frame(0x01, true, b"event"));
}

#[test]
fn a_closed_port_is_named_and_tried_again_later() {
    let server = TestServer::stream(|_, _| ());
    let mut config = server.config();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    config.stream.url = format!("ws://{closed}/");
    let error = source(&config).connect().unwrap_err();
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

/// A TLS server for the stream, and a configuration that takes its tokens from a plain one.
fn over_tls(script: impl Fn(&mut TlsPeer) + Send + Sync + 'static) -> (Config, [TestServer; 2]) {
    let server = TestServer::tls(script);
    let tokens = TestServer::http(|_, peer| peer.send(token_response("token-0")));
    let mut config = server.config();
    config.oauth.url = tokens.config().oauth.url;
    config.stream.url = format!("wss://localhost:{}/stream/{{stream_id}}", server.address.port());
    (config, [server, tokens])
}

fn open_over_tls(stream: &mut TlsPeer) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let response = format!(
        "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).unwrap();
    stream.flush().unwrap();
}

#[test]
fn tls_carries_a_flood_pings_and_the_close() {
    let count = 2 * BURST_EVENTS_MAX + 5;
    let received = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&received);
    let (config, _servers) = over_tls(move |stream| {
        open_over_tls(stream);
        let mut bytes: Vec<u8> = (0..count).flat_map(|number| frame(1, true, number.to_string().as_bytes())).collect();
        bytes.extend(frame(9, true, b"x"));
        bytes.extend(frame(1, true, &vec![b'l'; 300_000]));
        bytes.extend(close(1000, "bye"));
        stream.write_all(&bytes).unwrap();
        stream.flush().unwrap();
        let mut answer = [0; 7 + 8];
        stream.read_exact(&mut answer).unwrap();
        *log.lock().unwrap() = answer.to_vec();
    });
    let mut source = source(&config);
    source.connect().unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(end.unwrap(), ReadOutcome::Closed);
    assert_eq!(all.len(), count + 1);
    assert!(all[..count].iter().enumerate().all(|(number, event)| event == number.to_string().as_bytes()));
    assert_eq!(all[count].len(), 300_000);
    let received = received.lock().unwrap();
    assert_eq!((received[0], received[7]), (0x8a, 0x88), "a pong and a close");
}

#[test]
fn tls_ends_on_silence_and_on_a_stop() {
    let (sender, reached) = mpsc::channel();
    let (mut config, _servers) = over_tls(move |stream| {
        open_over_tls(stream);
        let _ = sender.send(());
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let stop = StopSignal::new();
    let mut source = source_with(&config, &stop);
    source.connect().unwrap();
    let stopping = stop_when(&stop, reached);
    let (_, end) = read_all(&mut source);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::State);
    assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));

    config.stream.idle_timeout = Duration::from_millis(100);
    let mut source = source_with(&config, &StopSignal::new());
    source.connect().unwrap();
    let (_, end) = read_all(&mut source);
    assert!(end.unwrap_err().message().contains("nothing came for"));
}

#[test]
fn tls_without_close_notify_is_a_cut_connection() {
    let (config, _servers) = over_tls(|stream| {
        open_over_tls(stream);
        stream.write_all(&frame(1, true, b"before")).unwrap();
        stream.flush().unwrap();
        stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = stream.sock.read_to_end(&mut Vec::new());
    });
    let mut source = source(&config);
    source.connect().unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(all, [b"before"]);
    let error = end.unwrap_err();
    assert!(error.message().contains("ended without a close frame"), "{error}");
}

#[test]
fn tls_failures_say_what_to_do() {
    let (config, _servers) = over_tls(open_over_tls);
    let mut other = config.clone();
    let stranger = TestServer::tls(|_| ());
    other.tls = stranger.config().tls;
    let error = source(&other).connect().unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
    assert!(error.message().contains("TLS with localhost:"), "{error}");
    assert!(error.hint().unwrap().contains("authority"), "{error:?}");
    assert_clean(&error);

    // A server that does not speak TLS, and one that says nothing at all.
    let check = |greeting: &'static [u8], why: &str| {
        let plain = TestServer::raw(move |mut stream| {
            let _ = stream.write_all(greeting);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let mut config = config.clone();
        config.stream.url = format!("wss://127.0.0.1:{}/", plain.address.port());
        config.stream.connect_timeout = Duration::from_millis(300);
        let mut source = source_with(&config, &StopSignal::new());
        let error = source.connect().unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
        assert!(format!("{error:?}").contains(why), "{error:?}");
    };
    check(b"SSH-2.0-OpenSSH_9.6\r\n", "does not seem to speak TLS");
    check(b"", "no answer within 300ms");
}

use super::*;
use crate::error::{Class, ErrorKind};
use crate::event::{BURST_BYTES_MAX, BURST_EVENTS_MAX};
use crate::source::test_server::{PATIENCE, Peer, TestServer, close, frame, stop_when};
use crate::time::clock::SystemClock;
use std::io::{Read as _, Write as _};
use std::sync::mpsc;
use std::time::Duration;

pub(super) fn source(config: &Config) -> WebsocketSource {
    source_with(config, &StopSignal::new())
}

pub(super) fn source_with(config: &Config, stop: &StopSignal) -> WebsocketSource {
    WebsocketSource::new(config, stop.clone(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap()
}

pub(super) fn events(burst: &Burst) -> Vec<Vec<u8>> {
    burst.iter().map(<[u8]>::to_vec).collect()
}

/// Reads until something other than events comes; returns all events and that.
pub(super) fn read_all(source: &mut WebsocketSource) -> (Vec<Vec<u8>>, Result<ReadOutcome>) {
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
pub(super) fn stream_of(bytes: Vec<u8>) -> (Vec<Vec<u8>>, Result<ReadOutcome>) {
    let server = TestServer::stream(move |_, peer| {
        peer.open(b"");
        peer.send(&bytes);
        // Closing with unread bytes causes a reset, which discards bytes in flight to the client.
        let _ = peer.stream.shutdown(std::net::Shutdown::Write);
        peer.wait_for_end();
    });
    let mut source = source(&server.config());
    source.connect(&mut Burst::default()).unwrap();
    read_all(&mut source)
}

/// Nothing that is shown may hold a secret.
#[track_caller]
pub(super) fn assert_clean(error: &Error) {
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
    source(&server.config()).connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (8, 1001_u16.to_be_bytes().to_vec()));
    source.read(&mut Burst::default()).unwrap_err();
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (8, 1002_u16.to_be_bytes().to_vec()));
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
        let mut result = source.connect(&mut Burst::default());
        if opens && result.is_ok() {
            result = read_all(&mut source).1.map(drop);
        }
        let error = result.unwrap_err();
        assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
        assert_eq!(source.read(&mut Burst::default()).unwrap_err().kind(), ErrorKind::State);
        assert_eq!(source.connect(&mut Burst::default()).unwrap_err().kind(), ErrorKind::State);
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
        source.connect(&mut Burst::default()).unwrap();
        let (_, end) = read_all(&mut source);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::State);
        assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
    };
    check(frame(9, true, b"ping"));
    check(frame(0x01, true, b"event"));
}

//! Compression from the handshake to the end of a connection.

use std::sync::mpsc;

use flate2::{Compress, Compression, FlushCompress};

use super::tests::*;
use super::*;
use crate::error::{Class, ErrorKind};
use crate::source::test_server::{PATIENCE, Peer, TestServer, close, frame};

/// A compressed text message, with a context of its own.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(message.len() + 100);
    Compress::new(Compression::default(), false).compress_vec(message, &mut payload, FlushCompress::Sync).unwrap();
    payload.truncate(payload.len() - 4);
    frame(0x41, true, &payload)
}

/// Answers the handshake with this header for extensions, and with `bytes` behind it.
fn agree(peer: &mut Peer, extensions: &str, bytes: &[u8]) {
    let response = peer.good_response(&format!("Upgrade\r\nSec-WebSocket-Extensions: {extensions}"));
    peer.send([response.as_bytes(), bytes].concat());
}

fn config(server: &TestServer) -> Config {
    let mut config = server.config();
    config.stream.compression = true;
    config
}

#[test]
fn compression_is_offered_only_if_it_is_set() {
    for is_set in [false, true] {
        let (sender, offer) = mpsc::channel();
        let server = TestServer::stream(move |_, peer| {
            sender.send(peer.header("Sec-WebSocket-Extensions").map(str::to_owned)).unwrap();
            // A server that does not compress is fine.
            peer.open(&[frame(1, true, b"plain"), close(1000, "")].concat());
            peer.finish();
        });
        let mut config = config(&server);
        config.stream.compression = is_set;
        let mut source = source(&config);
        source.connect(&mut Burst::default()).unwrap();
        let (events, end) = read_all(&mut source);
        assert_eq!((events, end.unwrap()), (vec![b"plain".to_vec()], ReadOutcome::Closed));
        assert_eq!(offer.recv_timeout(PATIENCE).unwrap(), is_set.then(|| "permessage-deflate".to_owned()));
    }
}

#[test]
fn compressed_and_plain_messages_are_events() {
    for parameters in ["", "; server_no_context_takeover; client_no_context_takeover", "; server_max_window_bits=9"] {
        let server = TestServer::stream(move |_, peer| {
            let events =
                [compressed(b"{\"a\":1}"), frame(1, true, b"plain"), compressed(&vec![b'x'; 100_000])].concat();
            agree(peer, &format!("permessage-deflate{parameters}"), &events);
            peer.send(close(1000, ""));
            peer.finish();
        });
        let mut source = source(&config(&server));
        source.connect(&mut Burst::default()).unwrap();
        let (events, end) = read_all(&mut source);
        assert_eq!(end.unwrap(), ReadOutcome::Closed, "{parameters}");
        assert_eq!(events, [b"{\"a\":1}".as_slice(), b"plain", &vec![b'x'; 100_000]], "{parameters}");
    }
}

#[test]
fn an_agreement_to_something_else_is_refused_with_its_name() {
    let check = |is_set: bool, extensions: &'static str, says: &str, hint: &str| {
        let server = TestServer::stream(move |_, peer| {
            agree(peer, extensions, b"");
            peer.wait_for_end();
        });
        let mut config = config(&server);
        config.stream.compression = is_set;
        let error = source(&config).connect(&mut Burst::default()).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Protocol, Class::Transient), "{error}");
        assert!(error.message().contains(says), "{says}: {error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
        assert_clean(&error);
    };
    check(false, "permessage-deflate", "an extension that was not requested", "stream.url");
    check(true, "x-own", "cannot be accepted: the extension x-own was not offered", "stream.compression = false");
    check(
        true,
        "permessage-deflate; server_max_window_bits=16",
        "server_max_window_bits=8 to 15",
        "stream.compression",
    );
    check(
        true,
        "permessage-deflate; client_max_window_bits=15",
        "client_max_window_bits was not offered",
        "compression",
    );
    check(true, "permessage-deflate; token-0", "the parameter *** is unknown", "stream.compression");
}

/// The server sends an event, then these bytes, and waits for the client's close frame; then the client connects again.
fn ended_by(bytes: Vec<u8>, unwraps: bool) -> (Vec<Vec<u8>>, Error, (u8, Vec<u8>)) {
    let (sender, received) = mpsc::channel();
    let server = TestServer::stream(move |number, peer| {
        if number == 0 {
            agree(peer, "permessage-deflate", &[compressed(b"before"), bytes.clone(), compressed(b"behind")].concat());
            sender.send(peer.receive()).unwrap();
            peer.wait_for_end();
        } else {
            agree(peer, "permessage-deflate", &[compressed(b"again"), close(1000, "")].concat());
            peer.finish();
        }
    });
    let mut config = config(&server);
    config.event.lines = unwraps;
    let mut source = source(&config);
    source.connect(&mut Burst::default()).unwrap();
    let (events, end) = read_all(&mut source);
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Protocol, Class::Transient), "{error}");
    assert!(error.message().starts_with("reading the stream ws://127.0.0.1:"), "{error}");
    assert_clean(&error);
    // Nothing of the old inflater is left.
    source.connect(&mut Burst::default()).unwrap();
    let (again, end) = read_all(&mut source);
    assert_eq!((again, end.unwrap()), (vec![b"again".to_vec()], ReadOutcome::Closed));
    (events, error, received.recv_timeout(PATIENCE).unwrap())
}

#[test]
fn a_corrupt_message_ends_the_connection_with_1007() {
    let (events, error, close) = ended_by(frame(0x41, true, b"no DEFLATE"), false);
    assert_eq!(events, [b"before"]);
    assert!(error.message().contains("a compressed message is corrupt: "), "{error}");
    assert!(error.hint().unwrap().contains("stream.compression = false"), "{error:?}");
    assert_eq!(close, (8, 1007_u16.to_be_bytes().to_vec()));
}

#[test]
fn a_message_that_inflates_beyond_the_limit_ends_the_connection_with_1009() {
    let limit = 64 << 20;
    let mut payload = Vec::new();
    {
        let mut compress = Compress::new(Compression::best(), false);
        let megabyte = vec![b'b'; 1 << 20];
        for _ in 0..65 {
            payload.reserve(4096);
            compress.compress_vec(&megabyte, &mut payload, FlushCompress::Sync).unwrap();
        }
    }
    payload.truncate(payload.len() - 4);
    for unwraps in [false, true] {
        let (events, error, close) = ended_by(frame(0x41, true, &payload), unwraps);
        assert_eq!(events.len(), 2);
        assert_eq!(events[0], b"before");
        assert!(events[1].len() == limit && events[1].iter().all(|&byte| byte == b'b'), "{} bytes", events[1].len());
        assert!(error.message().contains("a compressed message has more than 67108864 bytes"), "{error}");
        assert!(error.hint().unwrap().contains("dead letters"), "{error:?}");
        assert_eq!(close, (8, 1009_u16.to_be_bytes().to_vec()));
    }
}

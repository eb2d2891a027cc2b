//! The stream over TLS.

use super::tests::*;
use super::*;
use crate::error::{Class, ErrorKind};
use crate::event::BURST_EVENTS_MAX;
use crate::source::test_server::{TestServer, TlsPeer, close, frame, stop_when, token_response};
use std::io::{Read as _, Write as _};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

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
    source.connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
    let stopping = stop_when(&stop, reached);
    let (_, end) = read_all(&mut source);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::State);
    assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));

    config.stream.idle_timeout = Duration::from_millis(100);
    let mut source = source_with(&config, &StopSignal::new());
    source.connect(&mut Burst::default()).unwrap();
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
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(all, [b"before"]);
    let error = end.unwrap_err();
    assert!(error.message().contains("ended without a close frame"), "{error}");
}

#[test]
fn tls_failures_have_a_hint() {
    let (config, _servers) = over_tls(open_over_tls);
    let mut other = config.clone();
    let stranger = TestServer::tls(|_| ());
    other.tls = stranger.config().tls;
    let error = source(&other).connect(&mut Burst::default()).unwrap_err();
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
        let error = source.connect(&mut Burst::default()).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
        assert!(format!("{error:?}").contains(why), "{error:?}");
    };
    check(b"SSH-2.0-OpenSSH_9.6\r\n", "does not seem to speak TLS");
    check(b"", "no answer within 300ms");
}

//! Awkward servers and networks: what a company's wires, gateways and name servers do to a stream.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::error::{Class, ErrorKind};
use crate::source::test_server::{HandClock, PATIENCE, TestServer, close, frame, response, token_response};
use crate::time::clock::SystemClock;

fn source(config: &Config) -> WebsocketSource {
    source_at(config, Arc::new(SystemClock))
}

fn source_at(config: &Config, clock: Arc<dyn Clock>) -> WebsocketSource {
    WebsocketSource::new(config, StopSignal::new(), clock, Arc::new(|_| ())).unwrap()
}

/// Puts a resolver in place of the system's.
fn resolve_with(
    source: &mut WebsocketSource,
    resolver: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
) {
    Arc::get_mut(&mut source.connector).unwrap().route.resolver = Arc::new(resolver);
}

/// Reads until something other than events comes; returns the events and that.
fn read_all(source: &mut WebsocketSource) -> (Vec<Vec<u8>>, Result<ReadOutcome>) {
    let mut all = Vec::new();
    loop {
        let mut burst = Burst::default();
        let read = source.read(&mut burst);
        all.extend(burst.iter().map(<[u8]>::to_vec));
        if !matches!(read, Ok(ReadOutcome::Events | ReadOutcome::Idle)) {
            return (all, read);
        }
    }
}

#[test]
fn a_redirect_is_named_and_not_followed() {
    let elsewhere = TestServer::http(|_, peer| peer.open(b""));
    let location = format!("Location: ws://{}/s\r\n", elsewhere.address);
    for status in
        ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
    {
        let text = response(status, &location, "");
        let server = TestServer::stream(move |_, peer| peer.send(&text));
        let error = source(&server.config()).connect(&mut Burst::default()).unwrap_err();
        assert!(error.message().contains(&format!("a redirect to ws://{}/s", elsewhere.address)), "{error}");
        assert!(error.hint().unwrap().contains("redirects are not followed"), "{error:?}");
    }
    assert!(elsewhere.requests.lock().unwrap().is_empty());
}

#[test]
fn the_upgrade_may_stand_among_others() {
    for connection in ["keep-alive, Upgrade", "Upgrade,keep-alive", "upgrade", "close\r\nConnection: UPGRADE"] {
        let server = TestServer::stream(move |_, peer| {
            let response = peer.good_response(connection);
            peer.send([response.as_bytes(), &frame(1, true, b"x"), &close(1000, "")].concat());
            peer.finish();
        });
        let mut source = source(&server.config());
        source.connect(&mut Burst::default()).unwrap();
        let (all, end) = read_all(&mut source);
        assert_eq!((all, end.unwrap()), (vec![b"x".to_vec()], ReadOutcome::Closed), "{connection}");
    }
}

#[test]
fn a_message_in_many_fragments_among_pings_is_whole() {
    let server = TestServer::stream(|_, peer| {
        peer.open(b"");
        let mut bytes = frame(1, false, b"0");
        for number in 1..20_000 {
            bytes.extend(frame(0, false, &[b'0' + u8::try_from(number % 10).unwrap()]));
            bytes.extend(frame(9, true, b"are you there?"));
        }
        bytes.extend(frame(0, true, b""));
        bytes.extend(close(1000, ""));
        peer.send(bytes);
        peer.finish();
    });
    let mut source = source(&server.config());
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!(end.unwrap(), ReadOutcome::Closed);
    assert_eq!(all, [b"0123456789".repeat(2000)]);
}

/// Pongs fill the sockets until these take no more; reading must go on, and closing too.
#[cfg(feature = "simulator")]
#[test]
fn a_server_that_stops_reading_does_not_stop_us() {
    const ROUNDS: usize = 60_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // So that little fits into it; connections inherit it.
    socket2::SockRef::from(&listener).set_recv_buffer_size(4 << 10).unwrap();
    let (next, is_read) = mpsc::channel();
    let (counted, count) = mpsc::channel();
    let is_read = std::sync::Mutex::new(is_read);
    let server = TestServer::stream_on(listener, move |_, peer| {
        peer.open(b"");
        let round = [frame(9, true, &[b'p'; 125]), frame(1, true, b"event")].concat();
        for _ in 0..ROUNDS {
            peer.send(&round);
            is_read.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        // The client is gone; all that it could send is here.
        let pong_bytes = 6 + 125;
        counted.send(peer.wait_for_end().len() / pong_bytes).unwrap();
    });
    let mut source = source(&server.config());
    source.connect(&mut Burst::default()).unwrap();
    for _ in 0..ROUNDS {
        let mut burst = Burst::default();
        while burst.is_empty() {
            source.read(&mut burst).unwrap();
        }
        assert_eq!(burst.events(), 1);
        next.send(()).unwrap();
    }
    let begun = Instant::now();
    drop(source);
    // It waits for nothing; the bound is for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let pongs = count.recv_timeout(PATIENCE).unwrap();
    assert!(pongs > 0 && pongs < ROUNDS, "the sockets were never full: {pongs} pongs to {ROUNDS} pings");
}

/// By a clock that the test moves: slow is not silent.
#[test]
fn a_byte_a_second_keeps_the_connection() {
    let clock = HandClock::new();
    let hand = Arc::clone(&clock);
    let event = vec![b'e'; 118];
    let bytes = frame(1, true, &event);
    assert_eq!(bytes.len(), 120);
    let server = TestServer::stream(move |_, peer| {
        peer.open(&frame(9, true, b""));
        // Now the client reads, and has begun to count.
        assert_eq!(peer.receive().0, 10);
        for twenty_seconds in bytes.chunks(20) {
            for byte in twenty_seconds {
                hand.advance(Duration::from_secs(1));
                peer.send([*byte]);
            }
            // Its own ping says that it has seen the time go by.
            assert_eq!(peer.receive().0, 9);
        }
        peer.send(close(1000, ""));
        peer.finish();
    });
    let mut config = server.config();
    config.stream.ping_interval = Duration::from_secs(20);
    config.stream.idle_timeout = Duration::from_secs(60);
    let mut source = source_at(&config, clock);
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!((all, end.unwrap()), (vec![event], ReadOutcome::Closed));
}

#[test]
fn a_stream_opens_over_ipv6() {
    // IPv6 on the loopback interface is part of every system of today; a machine that has it switched off fails here.
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = TestServer::stream_on(listener, |_, peer| {
        peer.open(&[frame(1, true, b"six"), close(1000, "")].concat());
        peer.finish();
    });
    let config = server.config();
    assert!(config.stream.url.starts_with("ws://[::1]:"), "{}", config.stream.url);
    let mut source = source(&config);
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(read_all(&mut source).0, [b"six"]);
    assert!(server.requests.lock().unwrap()[1].contains(&format!("\r\nHost: [::1]:{port}\r\n")));
}

/// A name with an IPv6 address without a listener and an IPv4 address with one, in both orders.
#[test]
fn the_address_with_a_listener_is_found() {
    for six_first in [true, false] {
        let server = TestServer::stream(|_, peer| {
            peer.open(&[frame(1, true, b"found"), close(1000, "")].concat());
            peer.finish();
        });
        let dead = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let mut addresses = vec![dead, server.address];
        if !six_first {
            addresses.reverse();
        }
        let mut config = server.config();
        config.stream.url = format!("ws://localhost:{}/", server.address.port());
        let mut source = source(&config);
        resolve_with(&mut source, move |_, _| Ok(addresses.clone()));
        source.connect(&mut Burst::default()).unwrap();
        assert_eq!(read_all(&mut source).0, [b"found"]);
    }
}

#[test]
fn a_name_that_does_not_resolve_is_resolved_again_later() {
    let server = TestServer::stream(|_, peer| {
        peer.open(&[frame(1, true, b"back"), close(1000, "")].concat());
        peer.finish();
    });
    let address = server.address;
    let mut config = server.config();
    config.stream.url = format!("ws://localhost:{}/", address.port());
    let mut source = source(&config);
    let calls = AtomicUsize::new(0);
    let resolver = move |_: &str, _| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Err(io::Error::other("Temporary failure in name resolution")),
        1 => Ok(Vec::new()),
        _ => Ok(vec![address]),
    };
    resolve_with(&mut source, resolver);
    for why in ["Temporary failure in name resolution", "the name has no address"] {
        let error = source.connect(&mut Burst::default()).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, Class::Transient));
        assert!(error.message().contains(&format!("resolving the name localhost: {why}")), "{error}");
    }
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(read_all(&mut source).0, [b"back"]);
}

/// The clock on the wall, set by hand or by NTP; the steady one continues.
#[derive(Debug)]
struct WallClock {
    unix_micros: AtomicI64,
    steady: Arc<HandClock>,
}

impl Clock for WallClock {
    fn steady(&self) -> Instant {
        self.steady.steady()
    }

    fn unix_micros(&self) -> i64 {
        self.unix_micros.load(Ordering::SeqCst)
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

#[test]
fn a_wall_clock_that_jumps_changes_neither_tokens_nor_connections() {
    let server = TestServer::stream(|number, peer| {
        peer.open(&frame(1, true, format!("{number}").as_bytes()));
        peer.wait_for_end();
    });
    let clock = Arc::new(WallClock { unix_micros: AtomicI64::new(20_000 * DAY_MICROS), steady: HandClock::new() });
    let mut source = source_at(&server.config(), Arc::clone(&clock) as _);
    for (number, jump) in [0, 400 * DAY_MICROS, -800 * DAY_MICROS].into_iter().enumerate() {
        source.connect(&mut Burst::default()).unwrap();
        let mut burst = Burst::default();
        clock.unix_micros.fetch_add(jump, Ordering::SeqCst);
        assert_eq!(source.read(&mut burst).unwrap(), ReadOutcome::Events);
        assert_eq!(burst.iter().collect::<Vec<_>>(), [number.to_string().as_bytes()]);
    }
    let tokens = server.requests.lock().unwrap().iter().filter(|request| request.starts_with("POST")).count();
    assert_eq!(tokens, 1, "a token's life is counted by the steady clock");
}

/// A machine that slept, or a virtual one that was paused: the time is gone at once, and with it the token and the connection.
#[test]
fn a_steady_clock_that_jumps_costs_one_reconnect_with_a_new_token() {
    let clock = HandClock::new();
    let hand = Arc::clone(&clock);
    let server = TestServer::stream(move |number, peer| {
        peer.open(&frame(9, true, b""));
        // Now the client reads.
        assert_eq!(peer.receive().0, 10);
        if number == 0 {
            hand.advance(Duration::from_secs(2 * 3600));
        } else {
            let token = peer.header("Authorization").unwrap().to_owned();
            peer.send([frame(1, true, token.as_bytes()), close(1000, "")].concat());
        }
        peer.wait_for_end();
    });
    let mut config = server.config();
    config.stream.renew_before_expiry = Duration::ZERO;
    // It looks at the clock this often, at least.
    config.stream.ping_interval = Duration::from_millis(20);
    let mut source = source_at(&config, clock);
    source.connect(&mut Burst::default()).unwrap();
    let (_, end) = read_all(&mut source);
    let error = end.unwrap_err();
    assert!(error.message().contains("nothing came for 7200.0 s") && error.is_retryable(), "{error}");
    source.connect(&mut Burst::default()).unwrap();
    let (all, end) = read_all(&mut source);
    assert_eq!((all, end.unwrap()), (vec![b"Bearer token-1".to_vec()], ReadOutcome::Closed));
}

#[test]
fn a_token_redirect_is_named_and_not_followed() {
    let elsewhere = TestServer::http(|_, peer| peer.send(token_response("stolen")));
    let text = response("307 Temporary Redirect", &format!("Location: http://{}/t\r\n", elsewhere.address), "");
    let server = TestServer::http(move |_, peer| peer.send(&text));
    let error = source(&server.config()).connect(&mut Burst::default()).unwrap_err();
    assert!(error.message().contains(&format!("a redirect to http://{}/t", elsewhere.address)), "{error}");
    assert!(elsewhere.requests.lock().unwrap().is_empty());
}

/// Addresses are tried one after the other, so a refused one costs no time.
#[test]
fn all_dead_addresses_are_named() {
    let dead: Vec<SocketAddr> =
        (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).collect();
    let server = TestServer::stream(|_, _| ());
    let mut config = server.config();
    config.stream.url = format!("ws://localhost:{}/", dead[0].port());
    let mut source = source(&config);
    let addresses = dead.clone();
    resolve_with(&mut source, move |_, _| Ok(addresses.clone()));
    let error = source.connect(&mut Burst::default()).unwrap_err();
    for address in dead {
        assert!(error.message().contains(&address.to_string()), "{error}");
    }
}

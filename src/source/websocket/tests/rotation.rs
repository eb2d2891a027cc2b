//! The change to the next connection, against a server that decides the order of events.

use super::*;
use crate::error::ErrorKind;
use crate::source::test_server::{PATIENCE, Peer, TestServer, close, frame, response, stop_when};
use crate::time::clock::SystemClock;
use std::sync::{Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Steps that the server's threads take in an order of the test's making.
#[derive(Default)]
pub(super) struct Steps {
    taken: Mutex<Vec<&'static str>>,
    changed: Condvar,
}

impl Steps {
    pub(super) fn take(&self, step: &'static str) {
        self.taken.lock().unwrap().push(step);
        self.changed.notify_all();
    }

    pub(super) fn wait_for(&self, step: &str) {
        let taken = self.taken.lock().unwrap();
        let (_taken, timed_out) =
            self.changed.wait_timeout_while(taken, PATIENCE, |taken| !taken.contains(&step)).unwrap();
        assert!(!timed_out.timed_out(), "never {step}");
    }

    pub(super) fn has(&self, step: &str) -> bool {
        self.taken.lock().unwrap().contains(&step)
    }
}

/// A server whose first token lives one second and later ones an hour. `token` is called for each further token before it is
/// given, with its number; `stream` for each handshake.
pub(super) fn server(
    token: impl Fn(usize, &mut Peer) + Send + Sync + 'static,
    stream: impl Fn(usize, &mut Peer) + Send + Sync + 'static,
) -> TestServer {
    let counts = Mutex::new((0, 0));
    TestServer::http(move |_, peer| {
        let is_token = peer.request.starts_with("POST /token ");
        let number = {
            let mut counts = counts.lock().unwrap();
            let count = if is_token { &mut counts.0 } else { &mut counts.1 };
            *count += 1;
            *count - 1
        };
        if !is_token {
            return stream(number, peer);
        }
        if number > 0 {
            token(number, peer);
        }
        let lifetime = if number == 0 { 1 } else { 3600 };
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":{lifetime}}}"#);
        peer.send(response("200 OK", "", &body));
    })
}

fn source(server: &TestServer, stop: &StopSignal) -> WebsocketSource {
    let mut config = server.config();
    config.retry.delay_min = Duration::from_millis(5);
    config.retry.delay_max = Duration::from_millis(10);
    // So that the old token is still good for a new connection when the next one is due.
    config.oauth.refresh_early = Duration::ZERO;
    WebsocketSource::new(&config, stop.clone(), Arc::new(SystemClock), Arc::new(|_| ())).unwrap()
}

pub(super) fn event(text: &str) -> Vec<u8> {
    frame(1, true, text.as_bytes())
}

/// Reads `count` events; nothing else may come.
pub(super) fn read(source: &mut WebsocketSource, count: usize) -> Vec<String> {
    let (mut all, until) = (Vec::new(), Instant::now() + PATIENCE);
    while all.len() < count {
        let mut burst = Burst::default();
        let read = source.read(&mut burst).unwrap();
        match read {
            ReadOutcome::Events => assert!(!burst.is_empty()),
            ReadOutcome::Idle => assert!(burst.is_empty()),
            // With the last events of the old connection, or without.
            ReadOutcome::Rotated => {}
            ReadOutcome::Closed => panic!("closed after {all:?}"),
        }
        all.extend(burst.iter().map(|event| String::from_utf8(event.to_vec()).unwrap()));
        assert!(Instant::now() < until, "only {all:?}");
    }
    all
}

/// However the old connection ends once the next one is being opened: all it sent comes first, and there is no error.
#[test]
fn the_old_connection_is_read_to_its_end_and_the_next_one_then() {
    let check = |end: fn(&Steps, &mut Peer)| {
        let steps = Arc::new(Steps::default());
        let on_server = Arc::clone(&steps);
        let server = server(
            |_, _| (),
            move |number, peer| {
                if number == 0 {
                    peer.open(&event("a"));
                    end(&on_server, peer);
                    on_server.take("over");
                } else {
                    on_server.take("requested the next");
                    if on_server.has("closes early") {
                        on_server.wait_for("closed");
                    }
                    peer.open(&event("d"));
                    on_server.take("opened the next");
                    peer.wait_for_end();
                }
            },
        );
        let mut source = source(&server, &StopSignal::new());
        source.connect(&mut Burst::default()).unwrap();
        assert_eq!(read(&mut source, 2), ["a", "b"]);
        steps.take("b was read");
        assert_eq!(read(&mut source, 2), ["c", "d"]);
        let requests = server.requests.lock().unwrap().clone();
        assert_eq!(requests.len(), 4, "two tokens, two handshakes");
        assert!(requests[3].contains("Bearer token-1"), "{}", requests[3]);
        steps.wait_for("over");
        assert!(!steps.has("written to after Close"));
    };
    // The usual case: events were in flight when Close came.
    check(|steps, peer| {
        assert_eq!(peer.receive(), (8, 1000_u16.to_be_bytes().to_vec()));
        peer.send(event("b"));
        steps.wait_for("b was read");
        peer.send([event("c"), close(1000, "")].concat());
    });
    // Nothing follows a close frame, not even a pong; and the server ends without a Close of its own.
    check(|steps, peer| {
        peer.finish();
        peer.send([frame(9, true, b"still there?"), event("b")].concat());
        steps.wait_for("b was read");
        peer.send(event("c"));
        let _ = peer.stream.shutdown(std::net::Shutdown::Write);
        if !peer.wait_for_end().is_empty() {
            steps.take("written to after Close");
        }
    });
    // The server never sends Close.
    check(|steps, peer| {
        peer.finish();
        peer.send(event("b"));
        steps.wait_for("b was read");
        peer.send(event("c"));
        peer.wait_for_end();
    });
    // The token expires in the overlap.
    check(|steps, peer| {
        steps.wait_for("opened the next");
        peer.send(event("b"));
        steps.wait_for("b was read");
        peer.send([event("c"), close(4001, "token expired")].concat());
        peer.wait_for_end();
    });
    // It expires while the next connection is being opened.
    check(|steps, peer| {
        steps.take("closes early");
        steps.wait_for("requested the next");
        peer.send(event("b"));
        steps.wait_for("b was read");
        peer.send([event("c"), close(1008, "token expired")].concat());
        steps.take("closed");
        peer.wait_for_end();
    });
}

#[test]
fn without_a_new_token_the_old_connection_is_read_on() {
    let steps = Arc::new(Steps::default());
    let (failing, closing) = (Arc::clone(&steps), Arc::clone(&steps));
    let server = server(
        move |number, peer| match number {
            1 => peer.send(response("500 Oops", "", "")),
            2 => {
                failing.take("failed");
                failing.wait_for("read on");
            }
            _ => {}
        },
        move |number, peer| {
            if number == 0 {
                peer.open(&event("a"));
                closing.wait_for("failed");
                peer.send(event("b"));
                peer.finish();
            } else {
                peer.open(&event("c"));
                peer.wait_for_end();
            }
        },
    );
    let mut source = source(&server, &StopSignal::new());
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(read(&mut source, 2), ["a", "b"]);
    steps.take("read on");
    assert_eq!(read(&mut source, 1), ["c"]);
}

/// The loss is reported, but the next connection, on which the server may send already, is not opened twice.
#[test]
fn a_loss_while_the_next_connection_is_being_opened_is_an_error() {
    let steps = Arc::new(Steps::default());
    let on_server = Arc::clone(&steps);
    let server = server(
        |_, _| (),
        move |number, peer| {
            if number == 0 {
                peer.open(&event("a"));
                on_server.wait_for("requested the next");
            } else {
                on_server.take("requested the next");
                on_server.wait_for("lost");
                peer.open(&event("b"));
                peer.wait_for_end();
            }
        },
    );
    let mut source = source(&server, &StopSignal::new());
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(read(&mut source, 1), ["a"]);
    let mut burst = Burst::default();
    let error = loop {
        if let Err(error) = source.read(&mut burst) {
            break error;
        }
    };
    assert_eq!((error.kind(), burst.is_empty()), (ErrorKind::Connect, true), "{error}");
    steps.take("lost");
    source.connect(&mut Burst::default()).unwrap();
    assert_eq!(read(&mut source, 1), ["b"]);
    assert_eq!(server.requests.lock().unwrap().len(), 4, "two tokens, two handshakes");
}

#[test]
fn a_stop_ends_a_rotation_at_once() {
    // Without a response to the token request or to the handshake; with the old connection open or closed.
    let check = |in_token: bool, is_closed: bool| {
        let steps = Arc::new(Steps::default());
        let (on_token, on_stream) = (Arc::clone(&steps), Arc::clone(&steps));
        let server = server(
            move |_, peer| {
                if in_token {
                    on_token.take("hanging");
                    peer.wait_for_end();
                }
            },
            move |number, peer| {
                if number == 0 {
                    peer.open(b"");
                    on_stream.wait_for("hanging");
                    if is_closed {
                        peer.send(close(4001, ""));
                        peer.finish();
                        // From now on the source has nothing but the rotation to wait for.
                        let _ = peer.stream.shutdown(std::net::Shutdown::Write);
                    }
                    on_stream.take("to be stopped");
                } else {
                    on_stream.take("hanging");
                }
                peer.wait_for_end();
            },
        );
        let stop = StopSignal::new();
        let mut source = source(&server, &stop);
        source.connect(&mut Burst::default()).unwrap();
        let (reached, has_reached) = mpsc::channel();
        let stopper = stop_when(&stop, has_reached);
        let watcher = thread::spawn(move || {
            steps.wait_for("to be stopped");
            reached.send(()).unwrap();
        });
        let error = loop {
            if let Err(error) = source.read(&mut Burst::default()) {
                break error;
            }
        };
        let took = stopper.join().unwrap().elapsed();
        watcher.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
        assert!(took < Duration::from_secs(3), "in_token {in_token}, is_closed {is_closed}: {took:?}");
    };
    for in_token in [false, true] {
        for is_closed in [false, true] {
            check(in_token, is_closed);
        }
    }
}

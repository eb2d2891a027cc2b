//! Takes connections and leads each request to the token endpoint or to the stream.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::handshake::{Handshakes, STREAM_PATH};
use super::http::{self, Next, REQUEST_MAX, Request, Requests, Response};
use super::options::SimulatorOptions;
use super::stream;
use super::token::Tokens;
use crate::simulator::cursor::Feed;
use crate::threads::stop_signal::StopSignal;

pub(super) const TOKEN_PATH: &str = "/oauth/token";

/// More connections at a time are turned away, so that a client in a loop cannot exhaust the machine's threads.
const CONNECTIONS_MAX: usize = 256;

/// What the simulator's threads share.
pub(super) struct Shared {
    pub(super) options: SimulatorOptions,
    pub(super) feed: Feed,
    pub(super) tokens: Tokens,
    pub(super) handshakes: Handshakes,
    pub(super) stop: StopSignal,
}

/// Takes connections until the simulator stops, then waits for the threads that serve them.
pub(super) fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut serving: Vec<JoinHandle<()>> = Vec::new();
    while !shared.stop.is_set() {
        let Ok((socket, _)) = listener.accept() else {
            // Out of file descriptors, most likely: that passes when connections end.
            shared.stop.wait(Duration::from_millis(10));
            continue;
        };
        serving.retain(|thread| !thread.is_finished());
        if serving.len() >= CONNECTIONS_MAX || shared.stop.is_set() {
            let _ = Response::error(503, "temporarily_unavailable", "too many connections").send(&socket, true);
            continue;
        }
        let for_thread = Arc::clone(shared);
        let thread = thread::Builder::new().name("cxsink-sim-out".into());
        // Where no thread can be had, the connection is dropped, and the client comes again.
        serving.extend(thread.spawn(move || serve(&for_thread, socket)));
    }
    for thread in serving {
        let _ = thread.join();
    }
}

fn serve(shared: &Shared, socket: TcpStream) {
    let socket = Arc::new(socket);
    let interrupted = Arc::clone(&socket);
    // Ends whatever read or write the connection blocks in. Dropped before the socket, which a reset needs.
    let _guard = shared.stop.on_set(move || {
        let _ = interrupted.shutdown(Shutdown::Both);
    });
    let mut requests = Requests::new(&socket, REQUEST_MAX);
    loop {
        let request = match requests.next() {
            Next::Request(request) => request,
            Next::Refuse(response) => {
                shared.feed.note(|report| report.requests_refused += 1);
                let _ = response.send(&socket, true);
                return http::end_gently(&socket);
            }
            Next::End => return,
        };
        let response = match answer(shared, &request) {
            Answer::Response(response) => response,
            Answer::Stream(accepted) => {
                use std::io::Write;
                if (&*socket).write_all(accepted.answer.as_bytes()).is_ok() {
                    stream::serve(shared, &socket, &requests.into_rest(), accepted.token_expiry);
                }
                return;
            }
        };
        let closes = request.wants_close();
        if response.send(&socket, closes).is_err() {
            return;
        }
        if closes {
            return http::end_gently(&socket);
        }
    }
}

enum Answer {
    Response(Response),
    Stream(super::handshake::Accepted),
}

fn answer(shared: &Shared, request: &Request) -> Answer {
    if request.path == TOKEN_PATH {
        let response = shared.tokens.answer(&shared.options, request);
        shared.feed.note(|report| match response.status {
            200 => report.tokens_issued += 1,
            _ => report.tokens_refused += 1,
        });
        return Answer::Response(response);
    }
    if !request.path.starts_with(STREAM_PATH) {
        shared.feed.note(|report| report.requests_refused += 1);
        return Answer::Response(Response::error(404, "not_found", "there is only a token endpoint and a stream"));
    }
    match shared.handshakes.answer(&shared.options, &shared.tokens, request) {
        Ok(accepted) => Answer::Stream(accepted),
        Err(response) => {
            shared.feed.note(|report| report.handshakes_refused += 1);
            Answer::Response(response)
        }
    }
}

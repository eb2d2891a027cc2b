//! Accepts connections and routes each request to the token endpoint or to the stream.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::handshake::{Accepted, streams_path};
use super::http::{self, Next, REQUEST_MAX, Request, Requests, Response, refusal};
use super::profile::{TokenRequest, dialect};
use super::shared::Shared;
use super::stream;
use super::token::{DISCOVERY_PATH, discovery};

/// The limit of connections at a time, so that a client in a loop cannot exhaust the machine's threads.
const CONNECTIONS_MAX: usize = 256;

/// Accepts connections until the simulator stops, then joins the threads that serve them.
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
            let _ = http::send(refusal(503, "temporarily_unavailable", "too many connections"), &socket, true);
            continue;
        }
        let for_thread = Arc::clone(shared);
        let thread = thread::Builder::new().name("cxsink-sim-out".into());
        // Where no thread can be started, the connection is dropped, and the client connects again.
        serving.extend(thread.spawn(move || serve(&for_thread, socket)));
    }
    for thread in serving {
        let _ = thread.join();
    }
}

fn serve(shared: &Shared, socket: TcpStream) {
    let socket = Arc::new(socket);
    let interrupted = Arc::clone(&socket);
    // Ends a blocking read or write. Dropped before the socket, because a reset needs the last owner to drop it.
    let _guard = shared.stop.on_set(move || {
        let _ = interrupted.shutdown(Shutdown::Both);
    });
    let mut requests = Requests::new(&socket, REQUEST_MAX);
    loop {
        let request = match requests.next() {
            Next::Request(request) => request,
            Next::Refuse(response) => {
                shared.cursor.count(|report| report.requests_refused += 1);
                let _ = http::send(response, &socket, true);
                return http::end_gently(&socket);
            }
            Next::End => return,
        };
        let response = match route(shared, &request) {
            Routed::Response(response) => response,
            Routed::Stream(accepted) => {
                if http::send_switch(&accepted.response, &socket).is_ok() {
                    stream::serve(shared, &socket, requests.into_rest(), accepted.token_expiry);
                }
                return;
            }
        };
        let closes = http::wants_close(&request);
        if http::send(response, &socket, closes).is_err() {
            return;
        }
        if closes {
            return http::end_gently(&socket);
        }
    }
}

enum Routed {
    Response(Response),
    Stream(Accepted),
}

fn route(shared: &Shared, request: &Request) -> Routed {
    let path = request.uri().path();
    let token_request = dialect(shared.options.profile).token_request;
    if let (TokenRequest::Password, DISCOVERY_PATH, Some(endpoint)) = (token_request, path, token_request.path()) {
        return Routed::Response(discovery(&format!("http://{}", shared.address), endpoint));
    }
    if Some(path) == token_request.path() {
        let response = shared.tokens.respond(&shared.options, request);
        shared.cursor.count(|report| match response.status().as_u16() {
            200 => report.tokens_issued += 1,
            _ => report.tokens_refused += 1,
        });
        return Routed::Response(response);
    }
    if !path.starts_with(streams_path(&shared.options)) {
        shared.cursor.count(|report| report.requests_refused += 1);
        return Routed::Response(refusal(404, "not_found", "there is only a token endpoint and a stream"));
    }
    match shared.handshakes.respond(&shared.options, &shared.tokens, request) {
        Ok(accepted) => Routed::Stream(accepted),
        Err(response) => {
            shared.cursor.count(|report| report.handshakes_refused += 1);
            Routed::Response(response)
        }
    }
}

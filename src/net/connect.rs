//! TCP to a name, with one deadline and an immediate end when the sink stops.
//!
//! Addresses are tried in the resolver's order, the next one a quarter of a second after the last (RFC 8305 section 5) or as soon as
//! one has failed, so that one dead address of two does not cost the whole deadline.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::net::detached::DetachedCalls;
use crate::net::host::host_and_port;
use crate::net::resolve::{Resolver, resolve};
use crate::threads::stop_signal::StopSignal;

/// How long an address has to itself before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);
/// Further addresses of a name are not tried.
const ADDRESSES_MAX: usize = 8;

/// Connects to `port` of `host`, a name or an IP address without brackets, before `deadline`.
pub(crate) fn connect(
    host: &str,
    port: u16,
    deadline: Instant,
    stop: &StopSignal,
    resolver: &Resolver,
) -> Result<TcpStream> {
    let addresses = resolve(host, port, deadline, stop, resolver)?;
    connect_to_one_of(&addresses, deadline, stop, |address, timeout| TcpStream::connect_timeout(&address, timeout))?
        .map_err(|failures| unreachable(host, port, &failures))
}

/// The first connection of several addresses, or the failure of each. `connect` is the system call, or a test's.
fn connect_to_one_of(
    addresses: &[SocketAddr],
    deadline: Instant,
    stop: &StopSignal,
    connect: impl Fn(SocketAddr, Duration) -> io::Result<TcpStream> + Send + Sync + 'static,
) -> Result<std::result::Result<TcpStream, Vec<Failure>>> {
    let calls = DetachedCalls::new(stop);
    let connect = Arc::new(connect);
    let mut untried = addresses.iter().copied().take(ADDRESSES_MAX);
    let mut pending: Vec<SocketAddr> = Vec::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = untried.next() {
            // A zero timeout is refused by the standard library.
            let timeout = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let connect = Arc::clone(&connect);
            calls.start("cxsink-connect", move || (address, connect(address, timeout)))?;
            pending.push(address);
        } else if pending.is_empty() {
            return Ok(Err(failures));
        }
        let has_more = untried.len() > 0;
        let until = if has_more { deadline.min(Instant::now() + HEAD_START) } else { deadline };
        match calls.next(until)? {
            Some((_, Ok(stream))) => return Ok(Ok(stream)),
            Some((address, Err(error))) => {
                pending.retain(|pending| *pending != address);
                failures.push(Failure { address, error });
            }
            None if has_more && Instant::now() < deadline => {}
            None => {
                let silent = |address| Failure { address, error: io::ErrorKind::TimedOut.into() };
                failures.extend(pending.into_iter().map(silent));
                return Ok(Err(failures));
            }
        }
    }
}

/// Why an address was not reached.
#[derive(Debug)]
struct Failure {
    address: SocketAddr,
    error: io::Error,
}

/// The error of all addresses; its cause is the last failure.
fn unreachable(host: &str, port: u16, failures: &[Failure]) -> Error {
    let reasons: Vec<_> =
        failures.iter().map(|failure| format!("{}: {}", failure.address, reason(&failure.error))).collect();
    let message = format!("connecting to {}: {}", host_and_port(host, port), reasons.join("; "));
    let error = Error::new(ErrorKind::Connect, message)
        .with_hint("check host and port in the configuration, and that no firewall is in between");
    match failures.last() {
        Some(last) => error.caused_by_io(&last.error),
        None => error,
    }
}

/// The system's words, and for a timeout ours: it says "connection timed out" for some and nothing for others.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer before the deadline".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::net::resolve::system_resolver;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// A system call that never returns, and reports when it has begun.
    fn black_hole<T>(begun: &mpsc::Sender<()>) -> io::Result<T> {
        begun.send(()).unwrap();
        loop {
            thread::park();
        }
    }

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// A resolver that never answers, or one that finds this address.
    fn resolver(begun: &mpsc::Sender<()>, address: Option<SocketAddr>) -> Resolver {
        let begun = begun.clone();
        Arc::new(move |_, _| address.map_or_else(|| black_hole(&begun), |address| Ok(vec![address])))
    }

    /// As [`connect`], to "localhost", with both system calls given; the second one never returns.
    fn connect_into_black_hole(
        begun: &mpsc::Sender<()>,
        deadline: Instant,
        stop: &StopSignal,
        in_resolve: bool,
    ) -> Error {
        let resolver = resolver(begun, (!in_resolve).then(|| loopback(7)));
        let addresses = match resolve("localhost", 7, deadline, stop, &resolver) {
            Ok(addresses) => addresses,
            Err(error) => return error,
        };
        let begun = begun.clone();
        match connect_to_one_of(&addresses, deadline, stop, move |_, _| black_hole(&begun)) {
            Ok(outcome) => unreachable("localhost", 7, &outcome.unwrap_err()),
            Err(error) => error,
        }
    }

    #[test]
    fn a_listener_is_connected_and_a_closed_port_is_named() {
        let to = |port| connect("127.0.0.1", port, soon(), &StopSignal::new(), &system_resolver());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        assert_eq!(to(open).unwrap().peer_addr().unwrap().port(), open);
        drop(listener);
        // Another program may have taken the port in the meantime.
        let refused = |_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            to(port).err().map(|error| (port, error))
        };
        let (port, error) = (0..100).find_map(refused).unwrap();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.is_retryable());
        assert!(error.message().contains(&format!("connecting to 127.0.0.1:{port}")), "{error}");
        assert!(error.message().contains("refused"), "{error}");
        let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>()).unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_stop_ends_each_phase_at_once() {
        let check = |in_resolve: bool| {
            let (begun, has_begun) = mpsc::channel();
            let stop = StopSignal::new();
            let stopper = stop.clone();
            let stopping = thread::spawn(move || {
                has_begun.recv().unwrap();
                let now = Instant::now();
                stopper.set();
                now
            });
            let error = connect_into_black_hole(&begun, soon(), &stop, in_resolve);
            assert_eq!(error.kind(), ErrorKind::State);
            assert!(stopping.join().unwrap().elapsed() < Duration::from_secs(1));
        };
        check(true);
        check(false);
    }

    #[test]
    fn the_deadline_ends_each_phase() {
        let check = |in_resolve: bool, why: &str| {
            let (begun, _kept) = mpsc::channel();
            let deadline = Instant::now() + Duration::from_millis(50);
            let error = connect_into_black_hole(&begun, deadline, &StopSignal::new(), in_resolve);
            assert!(error.message().contains(why), "{error}");
            assert!(error.message().contains("no answer before the deadline"), "{error}");
            assert!(error.is_retryable());
        };
        check(true, "resolving the name localhost");
        check(false, "127.0.0.1:7");
    }

    #[test]
    fn one_dead_address_does_not_cost_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (begun, _kept) = mpsc::channel();
        let addresses = [SocketAddr::from(([127, 0, 0, 9], 9)), SocketAddr::from(([127, 0, 0, 8], 8)), loopback(port)];
        let connect = move |address: SocketAddr, timeout| match address.port() {
            9 => black_hole(&begun),
            8 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
            _ => TcpStream::connect_timeout(&address, timeout),
        };
        let started_at = Instant::now();
        let deadline = started_at + Duration::from_secs(60);
        let stream = connect_to_one_of(&addresses, deadline, &StopSignal::new(), connect).unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
        assert!(started_at.elapsed() < Duration::from_secs(30), "waited for the dead address");
    }
}

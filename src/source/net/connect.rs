//! Name resolution and TCP, with one deadline over both and an end at once when the sink stops.
//!
//! Neither `getaddrinfo` nor a connect that waits for an answer to its SYN can be interrupted, so each runs on a detached
//! thread of its own and reports over a channel; whoever waits leaves when the deadline or the stop comes first. The thread
//! ends by itself: a connect with the deadline, a resolution with the resolver's own limits.
//!
//! Addresses are tried in the resolver's order, the next one a quarter of a second after the last (RFC 8305 section 5) or as
//! soon as one has failed, so that one dead address of two does not cost the whole deadline.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::threads::spawn;
use crate::threads::stop_signal::{InterruptGuard, StopSignal};

use crate::source::net::address::host_and_port;

/// How long an address has to itself before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);
/// A name with more addresses than this is not tried further.
const ADDRESSES_MAX: usize = 8;

/// What addresses a name has.
pub(crate) type Resolve = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's resolver. It is asked for each connection: a name may move.
pub(crate) fn system_resolver() -> Resolve {
    Arc::new(resolve)
}

fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Connects to `port` of `host`, a name or an IP address without brackets, before `deadline`.
pub(crate) fn dial(
    host: &str,
    port: u16,
    deadline: Instant,
    stop: &StopSignal,
    resolve: &Resolve,
) -> Result<TcpStream> {
    let resolve = Arc::clone(resolve);
    let resolve = move |host: &str, port| resolve(host, port);
    dial_with(host, port, deadline, stop, resolve, |address, timeout| TcpStream::connect_timeout(&address, timeout))
}

/// The addresses of `host`, looked up before `deadline`.
pub(crate) fn look_up(host: &str, port: u16, deadline: Instant, stop: &StopSignal) -> Result<Vec<SocketAddr>> {
    look_up_with(host, port, deadline, &Reports::new(stop), resolve)
}

fn look_up_with(
    host: &str,
    port: u16,
    deadline: Instant,
    reports: &Reports,
    resolve: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>> {
    let (name, sender) = (host.to_owned(), reports.sender.clone());
    spawn("cxsink-resolve", move || drop(sender.send(Report::Resolved(resolve(&name, port)))))?;
    match reports.next(deadline)? {
        Some(Report::Resolved(Ok(addresses))) if addresses.is_empty() => {
            Err(unresolved(host, "the name has no address"))
        }
        Some(Report::Resolved(Ok(addresses))) => Ok(addresses),
        Some(Report::Resolved(Err(error))) => Err(unresolved(host, &error.to_string())),
        _ => Err(unresolved(host, "no answer before the deadline")),
    }
}

/// `dial` with the two system calls given, for tests.
fn dial_with(
    host: &str,
    port: u16,
    deadline: Instant,
    stop: &StopSignal,
    resolve: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
    connect: impl Fn(SocketAddr, Duration) -> io::Result<TcpStream> + Send + Sync + 'static,
) -> Result<TcpStream> {
    let reports = Reports::new(stop);
    let mut addresses = look_up_with(host, port, deadline, &reports, resolve)?.into_iter().take(ADDRESSES_MAX);
    let connect = Arc::new(connect);
    let mut failures = Vec::new();
    let mut pending: Vec<SocketAddr> = Vec::new();
    loop {
        if let Some(next) = addresses.next() {
            start_connect(next, deadline, &connect, &reports.sender)?;
            pending.push(next);
        } else if pending.is_empty() {
            return Err(unreachable(host, port, &failures));
        }
        let more = addresses.len() > 0;
        let until = if more { deadline.min(Instant::now() + HEAD_START) } else { deadline };
        match reports.next(until)? {
            Some(Report::Connected(_, Ok(stream))) => return Ok(stream),
            Some(Report::Connected(tried, Err(error))) => {
                pending.retain(|pending| *pending != tried);
                failures.push(format!("{tried}: {}", said(&error)));
            }
            _ if more && Instant::now() < deadline => {}
            _ => {
                failures.extend(pending.iter().map(|tried| format!("{tried}: no answer before the deadline")));
                return Err(unreachable(host, port, &failures));
            }
        }
    }
}

enum Report {
    Stopped,
    Resolved(io::Result<Vec<SocketAddr>>),
    Connected(SocketAddr, io::Result<TcpStream>),
}

/// What the threads report, and the stop.
struct Reports {
    sender: Sender<Report>,
    receiver: Receiver<Report>,
    _guard: InterruptGuard,
}

impl Reports {
    fn new(stop: &StopSignal) -> Self {
        let (sender, receiver) = mpsc::channel();
        let stopped = sender.clone();
        let guard = stop.on_set(move || drop(stopped.send(Report::Stopped)));
        Self { sender, receiver, _guard: guard }
    }

    /// `None` if none comes before `until`.
    fn next(&self, until: Instant) -> Result<Option<Report>> {
        match self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Report::Stopped) => Err(Error::stopped()),
            Ok(report) => Ok(Some(report)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(no_thread(&io::Error::other("it ended without an answer"))),
        }
    }
}

fn start_connect(
    address: SocketAddr,
    deadline: Instant,
    connect: &Arc<impl Fn(SocketAddr, Duration) -> io::Result<TcpStream> + Send + Sync + 'static>,
    reports: &Sender<Report>,
) -> Result<()> {
    let (connect, reports) = (Arc::clone(connect), reports.clone());
    // A zero timeout is refused by the standard library.
    let timeout = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    // A connection that comes too late is closed by the failing send, which drops it.
    spawn("cxsink-connect", move || drop(reports.send(Report::Connected(address, connect(address, timeout)))))
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    match spawn::spawn(name, body) {
        Ok(_detached) => Ok(()),
        Err(error) => Err(no_thread(&error)),
    }
}

pub(crate) fn no_thread(error: &io::Error) -> Error {
    Error::new(ErrorKind::Connect, format!("starting a thread to connect: {error}"))
        .with_hint("check the limits of the process on threads and memory")
}

fn unresolved(host: &str, why: &str) -> Error {
    Error::new(ErrorKind::Connect, format!("looking up the name {host}: {why}"))
        .with_hint("check the host name in the configuration and this machine's name resolution (DNS)")
}

fn unreachable(host: &str, port: u16, failures: &[String]) -> Error {
    Error::new(ErrorKind::Connect, format!("connecting to {}: {}", host_and_port(host, port), failures.join("; ")))
        .with_hint("check host and port in the configuration, and that no firewall is in between")
}

/// The system's words, and for a timeout ours: it says "connection timed out" for some and nothing for others.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer before the deadline".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// A system call that never returns, and says when it has begun.
    fn black_hole<T>(begun: &mpsc::Sender<()>) -> io::Result<T> {
        begun.send(()).unwrap();
        loop {
            thread::park();
        }
    }

    #[test]
    fn a_listener_is_reached_and_a_closed_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = || dial("127.0.0.1", port, soon(), &StopSignal::new(), &system_resolver());
        assert_eq!(to().unwrap().peer_addr().unwrap().port(), port);
        drop(listener);
        let error = to().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.is_retryable());
        assert!(error.message().contains(&format!("connecting to 127.0.0.1:{port}")), "{error}");
        assert!(error.message().contains("refused"), "{error}");
    }

    #[test]
    fn a_name_that_does_not_resolve_is_named() {
        let check = |answer: fn() -> io::Result<Vec<SocketAddr>>, why: &str| {
            let error = dial_with(
                "localhost",
                1,
                soon(),
                &StopSignal::new(),
                move |_, _| answer(),
                |_, _| unreachable!("nothing to connect to"),
            )
            .unwrap_err();
            assert!(error.message().contains("looking up the name localhost"), "{error}");
            assert!(error.message().contains(why), "{error}");
            assert!(error.is_retryable() && error.hint().is_some_and(|hint| hint.contains("DNS")));
        };
        check(|| Err(io::Error::other("failed to lookup address information")), "failed to lookup");
        check(|| Ok(Vec::new()), "no address");
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
            let connecting = begun.clone();
            let resolve = move |_: &str, port| {
                if in_resolve { black_hole(&begun) } else { Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) }
            };
            let error =
                dial_with("localhost", 1, soon(), &stop, resolve, move |_, _| black_hole(&connecting)).unwrap_err();
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
            let connecting = begun.clone();
            let resolve = move |_: &str, port| {
                if in_resolve { black_hole(&begun) } else { Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]) }
            };
            let deadline = Instant::now() + Duration::from_millis(50);
            let error =
                dial_with("localhost", 7, deadline, &StopSignal::new(), resolve, move |_, _| black_hole(&connecting))
                    .unwrap_err();
            assert!(error.message().contains(why), "{error}");
            assert!(error.message().contains("no answer before the deadline"), "{error}");
            assert!(error.is_retryable());
        };
        check(true, "looking up the name localhost");
        check(false, "127.0.0.1:7");
    }

    #[test]
    fn one_dead_address_does_not_cost_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (begun, _kept) = mpsc::channel();
        let addresses = vec![
            SocketAddr::from(([127, 0, 0, 9], 9)),
            SocketAddr::from(([127, 0, 0, 8], 8)),
            SocketAddr::from(([127, 0, 0, 1], port)),
        ];
        let connect = move |address: SocketAddr, timeout| match address.port() {
            9 => black_hole(&begun),
            8 => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
            _ => TcpStream::connect_timeout(&address, timeout),
        };
        let started_at = Instant::now();
        let deadline = started_at + Duration::from_secs(60);
        let stream =
            dial_with("localhost", 1, deadline, &StopSignal::new(), move |_, _| Ok(addresses), connect).unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), port);
        assert!(started_at.elapsed() < Duration::from_secs(30), "waited for the dead address");
    }
}

//! A local stand-in for CXone: token endpoint and stream on one loopback port, with faults on demand.
//!
//! Use it to try an integration without an account, and to see what happens when the server does what servers do: refuse,
//! close, break off, fall silent, send again. What it sends depends on the options alone, and [`generate`] gives the same
//! bytes without a socket, so a test knows exactly what must end up in the table.
//!
//! It checks what it is sent as a real server would (RFC 6749, RFC 6750, RFC 6455), and it is safe against garbage, but it is no
//! server for the open: it listens on 127.0.0.1 only and speaks plain `http` and `ws`.
//!
//! The stream is one sequence of events. A new connection goes on where the last one was; the newest open connection is the one
//! that gets events, so that a client may open the next one before it closes the last.

mod body;
mod client_messages;
mod cursor;
mod frame;
mod handshake;
mod http;
mod keys;
mod options;
mod report;
mod rng;
mod sequence;
mod server;
mod stamp;
mod stream;
mod token;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use self::cursor::Feed;
use self::server::Shared;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::threads::stop_signal::StopSignal;
use crate::threads::sync;

pub use self::keys::OptionKey;
pub use self::options::{Cut, InvalidKind, InvalidMix, RetryAfter, SimulatorOptions};
pub use self::report::SimulatorReport;
pub use self::sequence::{Events, generate};

/// A running stand-in for CXone. Stops when dropped.
///
/// ```
/// use cxsink::Config;
/// use cxsink::simulator::{Simulator, SimulatorOptions};
///
/// let mut options = SimulatorOptions::default();
/// options.set("events", "1000")?;
/// options.set("close_after", "400")?; // once, with 1008
/// let simulator = Simulator::start(options)?;
///
/// let mut config = Config::default();
/// simulator.apply_to(&mut config);
/// assert_eq!(config.stream.url, simulator.stream_url());
/// // … open a sink with `config` …
/// simulator.stop();
/// # Ok::<(), cxsink::Error>(())
/// ```
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Mutex<Option<JoinHandle<()>>>,
    /// A forked child has the memory, but not the threads.
    process: u32,
}

impl Simulator {
    /// Listens on 127.0.0.1 and serves from threads of its own until [`stop`](Self::stop).
    ///
    /// # Errors
    /// `InvalidArgument` for options that make no sense, `Connect` when the port cannot be had.
    pub fn start(options: SimulatorOptions) -> Result<Self> {
        options.check()?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listen = || -> io::Result<_> {
            let listener = TcpListener::bind(wanted)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|error| not_started(wanted, &error))?;
        let shared = Arc::new(Shared {
            feed: Feed::new(&options),
            options,
            tokens: token::Tokens::default(),
            handshakes: handshake::Handshakes::default(),
            stop: StopSignal::new(),
        });
        let for_thread = Arc::clone(&shared);
        let accepting = thread::Builder::new()
            .name("cxsink-sim".into())
            .spawn(move || server::accept(&for_thread, &listener))
            .map_err(|error| not_started(wanted, &error))?;
        Ok(Self { shared, address, accepting: Mutex::new(Some(accepting)), process: std::process::id() })
    }

    /// The token endpoint: `http://127.0.0.1:PORT/oauth/token`.
    pub fn oauth_url(&self) -> String {
        format!("http://{}{}", self.address, server::TOKEN_PATH)
    }

    /// The stream: `ws://127.0.0.1:PORT/data-actions/v1/stream/ID`.
    pub fn stream_url(&self) -> String {
        format!("ws://{}{}{}", self.address, handshake::STREAM_PATH, self.stream_id())
    }

    /// The port that both are on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The client's id that the token endpoint knows.
    pub fn client_id(&self) -> &str {
        &self.shared.options.client_id
    }

    /// The client's secret that the token endpoint knows.
    pub fn client_secret(&self) -> &str {
        self.shared.options.client_secret.expose_secret()
    }

    /// The id of the only stream.
    pub fn stream_id(&self) -> &str {
        &self.shared.options.stream_id
    }

    /// The options that the simulator was started with.
    pub fn options(&self) -> &SimulatorOptions {
        &self.shared.options
    }

    /// Sets the addresses, the credentials, the scope and the stream's id, so that a sink with this configuration reads from here.
    pub fn apply_to(&self, config: &mut Config) {
        config.oauth.url = self.oauth_url();
        config.oauth.client_id = Some(self.client_id().into());
        config.oauth.client_secret = Some(SecretString::from(self.client_secret()));
        config.oauth.client_secret_file = None;
        config.oauth.scope.clone_from(&self.shared.options.scope);
        config.stream.url = self.stream_url();
        config.stream.id = Some(self.stream_id().into());
    }

    /// The events of the stream from its beginning, whatever has been sent so far; see [`generate`].
    pub fn events(&self) -> Events {
        generate(&self.shared.options)
    }

    /// What was sent and refused so far.
    pub fn report(&self) -> SimulatorReport {
        self.shared.feed.report()
    }

    /// Blocks until every event was sent, the simulator was stopped or `timeout` has passed; true when every event was sent. In a
    /// forked child it returns false at once.
    pub fn wait_finished(&self, timeout: Duration) -> bool {
        !self.is_of_the_parent() && self.shared.feed.wait_finished(timeout)
    }

    /// Cuts every connection, frees the port and waits for the threads. Repeating it does nothing; the report stays readable. Nor
    /// does it do anything in a forked child: the simulator is the parent's.
    pub fn stop(&self) {
        if self.is_of_the_parent() {
            return;
        }
        self.shared.stop.set();
        self.shared.feed.stop();
        let Some(accepting) = sync::lock(&self.accepting).take() else {
            return;
        };
        // A thread that waits for a connection is woken by one. It fails only when there are no sockets left for the moment.
        while !accepting.is_finished() && TcpStream::connect_timeout(&self.address, Duration::from_millis(50)).is_err()
        {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = accepting.join();
    }

    fn is_of_the_parent(&self) -> bool {
        std::process::id() != self.process
    }
}

fn not_started(wanted: SocketAddr, error: &io::Error) -> Error {
    let listening = Error::new(ErrorKind::Connect, format!("starting the simulator on {wanted}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => listening.with_hint("another program has this port; use port 0 for a free one"),
        io::ErrorKind::PermissionDenied => listening.with_hint("use a port above 1023, or port 0 for a free one"),
        _ => listening,
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop();
        if self.is_of_the_parent() {
            // The thread does not exist here, and what the system library knew of it may be gone.
            std::mem::forget(self.accepting.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}

//! The handle of a running simulator: start, addresses, report, stop.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::handshake::stream_path;
use super::options::SimulatorOptions;
use super::profile::dialect;
use super::renewal;
use super::report::SimulatorReport;
use super::sequence::{Events, generate};
use super::server;
use super::shared::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::threads::sync;

/// A running local stand-in for CXone. It stops when dropped.
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
    /// The thread that renews the token in a file, for some profiles.
    renewing: Mutex<Option<JoinHandle<()>>>,
    /// Id of the process that has the threads: a forked child has only the memory.
    process: u32,
}

impl Simulator {
    /// Starts to listen on 127.0.0.1 and serves on threads of its own until [`stop`](Self::stop).
    ///
    /// # Errors
    /// `InvalidArgument` for options out of range and for a token file that cannot be written, `Connect` when the port is not free or not allowed.
    pub fn start(options: SimulatorOptions) -> Result<Self> {
        options.check()?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listen = || -> io::Result<_> {
            let listener = TcpListener::bind(wanted)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|error| start_error(wanted, &error))?;
        let shared = Arc::new(Shared::new(options, address));
        let renewing = renewal::start(&shared)?;
        let for_thread = Arc::clone(&shared);
        let accepting = thread::Builder::new()
            .name("cxsink-sim".into())
            .spawn(move || server::accept(&for_thread, &listener))
            .map_err(|error| {
                shared.stop.set();
                start_error(wanted, &error)
            })?;
        let (accepting, renewing) = (Mutex::new(Some(accepting)), Mutex::new(renewing));
        Ok(Self { shared, address, accepting, renewing, process: std::process::id() })
    }

    /// Returns the URL of the token endpoint, `http://127.0.0.1:PORT/oauth/token`; without a path in profiles that have none.
    pub fn oauth_url(&self) -> String {
        let path = dialect(self.options().profile).token_request.path();
        format!("{}{}", self.issuer(), path.unwrap_or_default())
    }

    /// The issuer that the discovery document is for.
    pub(super) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the URL of the stream, `ws://127.0.0.1:PORT/data-actions/v1/stream/ID`.
    pub fn stream_url(&self) -> String {
        format!("ws://{}{}", self.address, stream_path(self.options()))
    }

    /// Returns the port of both.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the client id that the token endpoint accepts.
    pub fn client_id(&self) -> &str {
        &self.shared.options.client_id
    }

    /// Returns the client secret that the token endpoint accepts.
    pub fn client_secret(&self) -> &str {
        self.shared.options.client_secret.expose()
    }

    /// Returns the id of the only stream.
    pub fn stream_id(&self) -> &str {
        &self.shared.options.stream_id
    }

    /// Returns the options that the simulator was started with.
    pub fn options(&self) -> &SimulatorOptions {
        &self.shared.options
    }

    /// Returns all events of the stream from the first one, whether sent or not; see [`generate`].
    pub fn events(&self) -> Events {
        generate(&self.shared.options)
    }

    /// Returns the counters of what was sent and refused so far.
    pub fn report(&self) -> SimulatorReport {
        self.shared.cursor.report()
    }

    /// Blocks until every event was sent, the simulator was stopped or `timeout` has passed; true when every event was sent. Returns
    /// false at once in a forked child.
    pub fn wait_finished(&self, timeout: Duration) -> bool {
        !self.is_in_child() && self.shared.cursor.wait_finished(timeout)
    }

    /// Cuts every connection, frees the port and joins the threads. The report stays readable. A second call does nothing, and
    /// neither does a call in a forked child, because the simulator belongs to the parent.
    pub fn stop(&self) {
        if self.is_in_child() {
            return;
        }
        self.shared.stop.set();
        self.shared.cursor.stop();
        let Some(accepting) = sync::lock(&self.accepting).take() else {
            return;
        };
        // A connection wakes the accepting thread. Connecting fails only while no file descriptor is free.
        while !accepting.is_finished() && TcpStream::connect_timeout(&self.address, Duration::from_millis(50)).is_err()
        {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = accepting.join();
        if let Some(renewing) = sync::lock(&self.renewing).take() {
            let _ = renewing.join();
        }
    }

    fn is_in_child(&self) -> bool {
        std::process::id() != self.process
    }
}

fn start_error(wanted: SocketAddr, error: &io::Error) -> Error {
    let listening = Error::new(ErrorKind::Connect, format!("starting the simulator on {wanted}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            listening.with_hint("use another port, or port 0 for a free one: another program has this one")
        }
        io::ErrorKind::PermissionDenied => listening.with_hint("use a port above 1023, or port 0 for a free one"),
        _ => listening,
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop();
        if self.is_in_child() {
            // The threads do not exist in the child, and the system library may have forgotten it.
            std::mem::forget(self.accepting.get_mut().unwrap_or_else(PoisonError::into_inner).take());
            std::mem::forget(self.renewing.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}

//! The protocol of the service manager (`sd_notify(3)`): datagrams to the socket in `NOTIFY_SOCKET`. Nothing happens without one.
//!
//! A few lines of ours: the crate for this knows no abstract sockets, which containers and older managers use.

use std::time::{Duration, Instant};

use crate::cli::run::sinks::Sinks;
use crate::report::watch::totals;
use crate::{Sink, State, Stats};

/// What the service manager wants to know.
#[derive(Debug)]
pub(super) struct Notifier {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
    /// The manager's limit between two signs of life.
    watchdog: Option<Duration>,
    hanging_after: Duration,
    /// When the next status and sign of life are due.
    due: Instant,
    status: String,
    is_stopping: bool,
}

/// The longest time until a change is in the status.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);

impl Notifier {
    pub(super) fn new(hanging_after: Duration) -> Self {
        Self {
            #[cfg(unix)]
            socket: socket(),
            watchdog: watchdog(),
            hanging_after,
            due: Instant::now(),
            status: String::new(),
            is_stopping: false,
        }
    }

    /// The sink has started.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// The sink stops.
    pub(super) fn stopping(&mut self) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.send("STOPPING=1");
        }
    }

    /// To be called several times a second: tells what has changed, and that the loops move, as long as they do.
    pub(super) fn tick(&mut self, sinks: &Sinks) {
        if !self.is_wanted() || Instant::now() < self.due {
            return;
        }
        // systemd.service(5) advises half of the limit; a third leaves room for a slow machine.
        let interval = self.watchdog.map_or(STATUS_INTERVAL, |limit| (limit / 3).min(STATUS_INTERVAL));
        self.due = Instant::now() + interval;
        let health = sinks.health(self.hanging_after);
        let status = health.why.clone().unwrap_or_else(|| line(sinks));
        if status != self.status {
            self.send(&format!("STATUS={status}"));
            self.status = status;
        }
        if self.watchdog.is_some() && health.is_good {
            self.send("WATCHDOG=1");
        }
    }

    #[cfg(unix)]
    fn is_wanted(&self) -> bool {
        self.socket.is_some()
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "as on Unix")]
    fn is_wanted(&self) -> bool {
        false
    }

    #[cfg(unix)]
    fn send(&self, message: &str) {
        if let Some(Err(error)) = self.socket.as_ref().map(|socket| socket.send(message.as_bytes())) {
            log::debug!("telling the service manager {message:?}: {error}");
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "as on Unix")]
    fn send(&self, _: &str) {}
}

/// The status in one line.
fn line(sinks: &Sinks) -> String {
    let why = sinks.readiness().why.map_or_else(String::new, |why| format!("; {why}"));
    let numbers = totals(&Stats::sum(sinks.iter().map(Sink::stats))).join(", ");
    let line = format!("{}: {numbers}{why}", states(sinks));
    crate::error::foreign_text::one_line(&line, STATUS_CHARS_MAX).into_owned()
}

/// The state of the one sink, or how many streams are in each: `3 streams, 2 running, 1 failed`.
fn states(sinks: &Sinks) -> String {
    let states: Vec<State> = sinks.iter().map(Sink::state).collect();
    let Some(count) = sinks.count() else { return states.first().copied().unwrap_or_default().to_string() };
    // One that could not be opened has no sink.
    let not_opened = count - states.len();
    let in_state = |state: State| {
        let more = if state == State::Failed { not_opened } else { 0 };
        let count = more + states.iter().filter(|found| **found == state).count();
        (count > 0).then(|| format!(", {count} {state}"))
    };
    let in_states: String = State::ALL.into_iter().filter_map(in_state).collect();
    format!("{count} stream{}{in_states}", if count == 1 { "" } else { "s" })
}

/// A line of `systemctl status`.
const STATUS_CHARS_MAX: usize = 500;

#[cfg(unix)]
fn socket() -> Option<std::os::unix::net::UnixDatagram> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let name = std::env::var_os("NOTIFY_SOCKET")?;
    let connect = || {
        let address = match name.as_bytes() {
            #[cfg(target_os = "linux")]
            [b'@', rest @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(rest)?,
            _ => SocketAddr::from_pathname(&name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A manager that does not read must not stop the sink.
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let connected: std::io::Result<UnixDatagram> = connect();
    connected.inspect_err(|error| log::warn!("connecting to NOTIFY_SOCKET: {error}")).ok()
}

/// `sd_watchdog_enabled(3)`
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_ours = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0).map(Duration::from_micros)
}

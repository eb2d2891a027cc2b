//! Connecting under one deadline, on a thread of its own.
//!
//! The thread (`cxsink-connect`) is needed because neither name resolution nor the TCP handshake of the `postgres` crate can be
//! interrupted. The caller waits for the connection, the deadline or the abort, whichever comes first. A thread that is left
//! behind ends by its own deadlines, which are not longer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::attempts::Attempts;
use super::errors;
use super::session::Session;
use crate::config::TlsConfig;
use crate::destination::postgres::params::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::threads::spawn;
use crate::threads::stop_signal::StopSignal;

/// The caller waits longer than the connecting thread by this, so that the thread's better error is the one shown.
const GRACE: Duration = Duration::from_millis(200);

/// Connects to the first host of `target` that accepts the login.
pub(crate) fn connect(
    target: &Target,
    tls: &TlsConfig,
    password: Option<SecretString>,
    timeout: Duration,
    abort: &StopSignal,
) -> Result<Session> {
    let timeout = target.connect_timeout.unwrap_or(timeout);
    let (sender, receiver) = mpsc::channel();
    let aborted = sender.clone();
    // A failed send only means that the caller has its result already.
    let _interrupt = abort.on_set(move || drop(aborted.send(Err(Error::stopped()))));
    let attempts = Attempts {
        target: target.clone(),
        tls: tls.clone(),
        password,
        until: Instant::now() + timeout,
        abort: abort.clone(),
    };
    let run = move || {
        // The crate panics when the process is out of file descriptors.
        let result = catch_unwind(AssertUnwindSafe(|| attempts.connect()))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Connect, "no event loop: out of file descriptors?")));
        drop(sender.send(result));
    };
    spawn::spawn("cxsink-connect", run)
        .map_err(|error| Error::new(ErrorKind::Connect, format!("no thread to connect with: {error}")))?;
    let result = receiver.recv_timeout(timeout + GRACE).unwrap_or_else(|_| {
        Err(errors::timed_out().with_hint("check the network's DNS: the host's name was not resolved in time"))
    });
    if abort.is_set() {
        return Err(Error::stopped());
    }
    result.map_err(|error| error.while_doing(format_args!("connecting to PostgreSQL at {target}")))
}

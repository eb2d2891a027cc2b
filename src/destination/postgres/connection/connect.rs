//! Connecting under one deadline, on a thread of its own.
//!
//! The TCP handshake of the `postgres` crate cannot be interrupted. So a thread that is left behind makes the attempts
//! (`cxsink-connect`); it ends by its own deadlines, which are not longer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::config::Secret;

use super::attempts::Attempts;
use super::errors;
use super::session::Session;
use crate::config::TlsConfig;
use crate::destination::postgres::params::Target;
use crate::error::{Error, ErrorKind, Result};
use crate::net::detached::DetachedCalls;
use crate::threads::stop_signal::StopSignal;

/// The caller waits longer than the connecting thread by this, so that the thread's better error is the one shown.
const GRACE: Duration = Duration::from_millis(200);

/// Connects to the first host of `target` that accepts the login.
pub(crate) fn connect(
    target: &Target,
    tls: &TlsConfig,
    password: Option<Secret>,
    timeout: Duration,
    abort: &StopSignal,
) -> Result<Session> {
    let until = Instant::now() + target.connect_timeout.unwrap_or(timeout);
    let attempts = Attempts { target: target.clone(), tls: tls.clone(), password, until, abort: abort.clone() };
    let calls = DetachedCalls::new(abort);
    calls.start("cxsink-connect", move || {
        // The crate panics when the process is out of file descriptors.
        catch_unwind(AssertUnwindSafe(|| attempts.connect()))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Connect, "no event loop: out of file descriptors?")))
    })?;
    let result = calls.next(until + GRACE)?.unwrap_or_else(|| Err(errors::timed_out()));
    if abort.is_set() {
        return Err(Error::stopped());
    }
    result.map_err(|error| error.while_doing(format_args!("connecting to PostgreSQL at {target}")))
}

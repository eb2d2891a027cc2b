//! SIGINT and SIGTERM: the first one stops gracefully, the second one ends the process. SIGXFSZ does nothing. SIGHUP: see [`note_hangup`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::{Error, ErrorKind, Result, Sink};

/// Makes a write beyond the limit on the size of a file (`ulimit -f`) an error, as on a full disk. SIGXFSZ would end the process.
#[cfg(unix)]
pub(super) fn outlive_file_limit() {
    // Handled instead of ignored: programs that this one starts would inherit the latter.
    let handled = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    if let Err(error) = handled {
        log::debug!("handling SIGXFSZ: {error}");
    }
}

#[cfg(not(unix))]
pub(super) fn outlive_file_limit() {}

/// Has the process open as many files as it may: many streams need more than the usual limit of 1,024.
#[cfg(unix)]
pub(super) fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::debug!("raising the limit of open files: {error}");
    }
}

#[cfg(not(unix))]
pub(super) fn raise_open_files_limit() {}

/// Counts signals from now on. The first one stops the sink, also while it is still starting.
pub(super) fn stop_on_signal(sink: &Sink) -> Result<Arc<AtomicUsize>> {
    let sink = sink.clone();
    watch(move || sink.stop())
}

/// Counts signals from now on and calls `on_signal` for each. The second one ends the process at once.
pub(super) fn watch(on_signal: impl Fn() + Send + 'static) -> Result<Arc<AtomicUsize>> {
    let count = Arc::new(AtomicUsize::new(0));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(unwatched)?;
    let counted = Arc::clone(&count);
    let watch = move || {
        for signal in signals.forever() {
            if counted.fetch_add(1, Ordering::SeqCst) > 0 {
                // There is nothing to clean up: the spool is consistent after every statement.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            on_signal();
        }
    };
    std::thread::Builder::new().name("cxsink-signals".into()).spawn(watch).map_err(unwatched)?;
    Ok(count)
}

/// True after a SIGHUP, which asks a service to read its configuration again. On a terminal it ends the process, as ever: the terminal
/// has gone.
#[cfg(unix)]
pub(super) fn note_hangup() -> Result<Arc<AtomicBool>> {
    use std::io::IsTerminal as _;

    let noted = Arc::<AtomicBool>::default();
    if !std::io::stderr().is_terminal() {
        signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&noted)).map_err(unwatched)?;
    }
    Ok(noted)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(super) fn note_hangup() -> Result<Arc<AtomicBool>> {
    Ok(Arc::default())
}

/// As the first process of a container, this one inherits those whose parents have ended, and must take their exit codes.
#[cfg(unix)]
pub(super) fn reap_orphans() -> Result<()> {
    use rustix::process::{WaitOptions, wait};

    if std::process::id() != 1 {
        return Ok(());
    }
    let mut ended = Signals::new([signal_hook::consts::SIGCHLD]).map_err(unwatched)?;
    let reap = move || {
        // One may have ended before.
        for _ in std::iter::once(signal_hook::consts::SIGCHLD).chain(ended.forever()) {
            while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        }
    };
    std::thread::Builder::new().name("cxsink-reaper".into()).spawn(reap).map(drop).map_err(unwatched)
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(super) fn reap_orphans() -> Result<()> {
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unwatched(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("watching for signals: {error}"))
}

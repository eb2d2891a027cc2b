//! Core files: the memory of a process, as a file that the system makes when a signal ends it.
//!
//! Only the command line forbids its own. A library must not change what a crash leaves behind of the application.

/// Keeps the memory of this process out of core files: it holds secrets, and events before they are redacted.
///
/// On Linux no handler gets it either, and no other process of the user may read it or trace this one; root may.
#[cfg(unix)]
pub(crate) fn forbid() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    // A filter of system calls may refuse one of the two.
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    // A handler that `kernel.core_pattern` names gets the memory whatever that limit (core(5)), but not of such a process (prctl(2)).
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(not(unix))]
pub(crate) fn forbid() {}

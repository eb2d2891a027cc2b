//! Threads: spawning, locks, the stop signal.

pub(crate) mod spawn;
pub(crate) mod stop_signal;
pub(crate) mod sync;

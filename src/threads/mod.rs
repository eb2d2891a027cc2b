//! Threads: spawning, locks, the stop signal, the pulse of a loop.

pub(crate) mod pulse;
pub(crate) mod spawn;
pub(crate) mod stop_signal;
pub(crate) mod sync;

//! Threads: spawning, locks, the stop signal, the pulse of a loop, what sinks share.

pub(crate) mod pulse;
pub(crate) mod shared;
pub(crate) mod spawn;
pub(crate) mod stop_signal;
pub(crate) mod sync;

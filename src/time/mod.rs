//! Time: clocks, backoff, timestamps.

pub(crate) mod backoff;
pub(crate) mod clock;
pub(crate) mod micros;
pub(crate) mod timestamp;

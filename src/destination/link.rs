//! A destination together with its abort signal.

use super::Destination;
use crate::threads::stop_signal::StopSignal;

/// One connection to the destination, and the signal that aborts its running call.
pub(crate) struct Link {
    pub(crate) destination: Box<dyn Destination>,
    pub(crate) abort: StopSignal,
}

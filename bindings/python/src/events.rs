//! Chunks of events from Python objects.

use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::json;

/// Events in one buffer, one after the other.
#[derive(Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    since: Option<Instant>,
}

/// The limits of one transaction of the spool.
const EVENTS_MAX: usize = 2000;
const BYTES_MAX: usize = 512 * 1024;
/// The longest time that an event of a slow iterable waits for the next ones.
const WAIT_MAX: Duration = Duration::from_millis(100);

impl Chunk {
    /// Appends an event: `bytes` or `str` unchanged, anything else as JSON.
    pub(crate) fn push(&mut self, event: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(bytes) = event.cast::<PyBytes>() {
            self.bytes.extend_from_slice(bytes.as_bytes());
        } else if let Ok(text) = event.cast::<PyString>() {
            self.bytes.extend_from_slice(text.to_str()?.as_bytes());
        } else {
            json::encode(event, &mut self.bytes)?;
        }
        self.ends.push(self.bytes.len());
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Whether the chunk is full, or its first event has waited long enough.
    pub(crate) fn is_due(&self) -> bool {
        self.ends.len() >= EVENTS_MAX
            || self.bytes.len() >= BYTES_MAX
            || self.since.is_some_and(|since| since.elapsed() >= WAIT_MAX)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.since = None;
    }

    /// The events from the index `first` on.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = &[u8]> {
        let start = |index: usize| index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let places = self.ends.iter().enumerate().skip(first);
        places.map(move |(index, &end)| self.bytes.get(start(index)..end).unwrap_or_default())
    }

    /// The events as JSON Lines, each on a line of its own.
    pub(crate) fn lines(&self) -> Vec<u8> {
        let mut lines = Vec::with_capacity(self.bytes.len() + self.ends.len());
        for event in self.from(0) {
            lines.extend_from_slice(event);
            lines.push(b'\n');
        }
        lines
    }
}

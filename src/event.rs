//! Events in bursts: the bytes as they arrived, many events at a time.
//!
//! A message of the stream that could not be unwrapped is an event too, marked as what it is: its length has the bit
//! [`WHOLE_MESSAGE`], here and in the spool.

/// A burst with this many events is full.
pub(crate) const BURST_EVENTS_MAX: usize = 2000;
/// A burst with this many bytes is full.
pub(crate) const BURST_BYTES_MAX: usize = 512 * 1024;

/// The bit of a length that marks a whole message. No event is nearly as long.
const WHOLE_MESSAGE: u32 = 1 << 31;

/// One event of a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) bytes: &'a [u8],
    /// A message that could not be unwrapped, whole.
    pub(crate) is_message: bool,
}

impl Event<'_> {
    /// Its length with the mark, as bursts and the spool have it.
    pub(crate) fn marked_length(self) -> u32 {
        debug_assert!(self.bytes.len() < WHOLE_MESSAGE as usize);
        #[expect(clippy::cast_possible_truncation, reason = "the source enforces a far smaller limit")]
        let length = self.bytes.len() as u32;
        if self.is_message { length | WHOLE_MESSAGE } else { length }
    }
}

/// Takes the event with this length from the front of `bytes`; `None` if they are too few.
pub(crate) fn split_first<'a>(bytes: &mut &'a [u8], marked_length: u32) -> Option<Event<'a>> {
    let (event, rest) = bytes.split_at_checked((marked_length & !WHOLE_MESSAGE) as usize)?;
    *bytes = rest;
    Some(Event { bytes: event, is_message: marked_length & WHOLE_MESSAGE != 0 })
}

/// Events that arrived together, in two buffers: many events cost no allocation each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Burst {
    bytes: Vec<u8>,
    /// With the mark of a whole message.
    lengths: Vec<u32>,
    /// Messages of the stream from which the events came, with those that are ignored.
    messages: u64,
    /// Messages that held no event.
    ignored: u64,
}

impl Burst {
    /// Appends one event. Its length must be below 2 GiB; the source enforces a far smaller limit.
    pub(crate) fn push(&mut self, event: &[u8]) {
        self.push_event(Event { bytes: event, is_message: false });
    }

    /// Appends a message that could not be unwrapped, as what it is.
    pub(crate) fn push_message(&mut self, message: &[u8]) {
        self.push_event(Event { bytes: message, is_message: true });
    }

    pub(crate) fn push_event(&mut self, event: Event<'_>) {
        self.bytes.extend_from_slice(event.bytes);
        self.lengths.push(event.marked_length());
    }

    /// Appends copies of the events of another burst.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.lengths.extend_from_slice(&other.lengths);
    }

    /// Makes room for many bytes at once: a buffer that grows by doubling takes twice as much.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Drops the events behind the first `events` of them, which have this many bytes.
    pub(crate) fn truncate(&mut self, events: usize, bytes: usize) {
        self.lengths.truncate(events);
        self.bytes.truncate(bytes);
    }

    /// Empties it. The memory of an event far larger than a burst, or of far more events, is given back.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
        (self.messages, self.ignored) = (0, 0);
        self.bytes.shrink_to(4 * BURST_BYTES_MAX);
        self.lengths.shrink_to(4 * BURST_EVENTS_MAX);
    }

    /// Moves the events and the counts of `other` behind those of this burst.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.bytes.append(&mut other.bytes);
        self.lengths.append(&mut other.lengths);
        self.count_messages(other.messages, other.ignored);
        other.clear();
    }

    /// Counts messages of the stream, `ignored` of them without an event.
    pub(crate) fn count_messages(&mut self, messages: u64, ignored: u64) {
        self.messages += messages;
        self.ignored += ignored;
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    pub(crate) fn ignored(&self) -> u64 {
        self.ignored
    }

    pub(crate) fn events(&self) -> usize {
        self.lengths.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The memory that it has taken.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity() + 4 * self.lengths.capacity()
    }

    /// Whether the burst has reached one of its limits.
    pub(crate) fn is_full(&self) -> bool {
        self.events() >= BURST_EVENTS_MAX || self.bytes() >= BURST_BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The bytes of the events in order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.marked().map(|event| event.bytes)
    }

    /// The events in order of arrival, whole messages marked.
    pub(crate) fn marked(&self) -> impl Iterator<Item = Event<'_>> {
        let mut rest = self.bytes.as_slice();
        // The lengths add up to the bytes.
        self.lengths.iter().map_while(move |&length| split_first(&mut rest, length))
    }
}

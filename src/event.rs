//! Events in bursts: the bytes as they arrived, many events at a time.

/// A burst with this many events is full.
pub(crate) const BURST_EVENTS_MAX: usize = 2000;
/// A burst with this many bytes is full.
pub(crate) const BURST_BYTES_MAX: usize = 512 * 1024;

/// Events that arrived together, in two buffers: many events cost no allocation each.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Burst {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
    /// Messages of the stream from which the events came, with those that are ignored.
    messages: u64,
    /// Messages that held no event.
    ignored: u64,
}

impl Burst {
    /// Appends one event. Its length must be below 4 GiB; the source enforces a far smaller limit.
    pub(crate) fn push(&mut self, event: &[u8]) {
        debug_assert!(u32::try_from(event.len()).is_ok());
        self.bytes.extend_from_slice(event);
        #[expect(clippy::cast_possible_truncation, reason = "the source enforces a far smaller limit")]
        self.lengths.push(event.len() as u32);
    }

    /// Empties it. The memory of an event far larger than a burst is given back.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
        (self.messages, self.ignored) = (0, 0);
        self.bytes.shrink_to(4 * BURST_BYTES_MAX);
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

    /// Whether the burst has reached one of its limits.
    pub(crate) fn is_full(&self) -> bool {
        self.events() >= BURST_EVENTS_MAX || self.bytes() >= BURST_BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The events in order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        self.lengths.iter().map(move |&length| {
            let (event, tail) = rest.split_at(length as usize);
            rest = tail;
            event
        })
    }
}

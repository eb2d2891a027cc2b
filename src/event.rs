//! Events on their way: the bytes as they came, many at a time.

/// Messages that arrived together, kept in two buffers so that a flood costs no allocation per event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Burst {
    bytes: Vec<u8>,
    lengths: Vec<u32>,
}

impl Burst {
    /// Appends one event. Events are at most 4 GiB long; the source enforces a far smaller limit.
    pub(crate) fn push(&mut self, event: &[u8]) {
        debug_assert!(u32::try_from(event.len()).is_ok());
        self.bytes.extend_from_slice(event);
        #[expect(clippy::cast_possible_truncation, reason = "bounded far below by whoever reads events")]
        self.lengths.push(event.len() as u32);
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
    }

    pub(crate) fn events(&self) -> usize {
        self.lengths.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The events in the order of their arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        self.lengths.iter().map(move |&length| {
            let (event, tail) = rest.split_at(length as usize);
            rest = tail;
            event
        })
    }
}

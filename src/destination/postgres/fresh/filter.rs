//! The keys that were written lately: two Bloom filters that take turns.
//!
//! Keys are added to one of them. When it is full, the other one, which has the keys before, is emptied and takes over. So a key is found
//! until at least [`RecentKeys::window`] other keys have been added after it. A filter is divided into blocks (Putze, Sanders, Singler:
//! "Cache-, Hash- and Space-Efficient Bloom Filters"): a key sets one bit in each of the eight words of one block, so that a lookup costs
//! one cache miss a filter.

/// Eight words of 32 bits.
type Block = [u32; 8];

/// Of keys that were not added, at most one in twenty is found nevertheless.
const BITS_PER_KEY: usize = 10;

/// The sizes of a filter that the hash can index.
const BLOCKS_MIN: usize = 32;
const BLOCKS_MAX: usize = 1 << 16;

/// A set of hashes of fixed size that forgets the oldest.
pub(super) struct RecentKeys {
    current: Filter,
    previous: Filter,
}

struct Filter {
    blocks: Vec<Block>,
    keys: usize,
}

impl RecentKeys {
    /// Both filters together have at most `bytes`, within the limits of the hash.
    pub(super) fn new(bytes: usize) -> Self {
        let blocks = (bytes / 2 / size_of::<Block>()).clamp(BLOCKS_MIN, BLOCKS_MAX);
        let blocks = 1 << blocks.ilog2();
        Self { current: Filter::new(blocks), previous: Filter::new(blocks) }
    }

    /// The number of keys for which a key is found at least.
    pub(super) fn window(&self) -> usize {
        self.current.blocks.len() * size_of::<Block>() * 8 / BITS_PER_KEY
    }

    /// Whether the key was added lately. It may say so of a key that was not.
    pub(super) fn contains(&self, hash: u64) -> bool {
        self.current.contains(hash) || self.previous.contains(hash)
    }

    /// The hash must spread over all of its bits.
    pub(super) fn add(&mut self, hash: u64) {
        if self.current.contains(hash) {
            return;
        }
        if self.current.keys >= self.window() {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
        }
        self.current.add(hash);
    }
}

impl Filter {
    /// Zeroed memory of the system: it costs nothing before it is used.
    fn new(blocks: usize) -> Self {
        Self { blocks: vec![[0; 8]; blocks], keys: 0 }
    }

    fn contains(&self, hash: u64) -> bool {
        self.blocks[self.index(hash)].iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0)
    }

    fn add(&mut self, hash: u64) {
        let index = self.index(hash);
        self.blocks[index].iter_mut().zip(bits(hash)).for_each(|(word, bit)| *word |= bit);
        self.keys += 1;
    }

    /// By the highest 16 bits of the hash.
    fn index(&self, hash: u64) -> usize {
        (hash >> 48) as usize & (self.blocks.len() - 1)
    }

    fn clear(&mut self) {
        self.blocks.fill([0; 8]);
        self.keys = 0;
    }
}

/// A bit of each word, by five bits of the hash. The lowest eight are left out: they are much the same for all keys of a partition.
fn bits(hash: u64) -> impl Iterator<Item = u32> {
    (0..8).map(move |word| 1 << ((hash >> (8 + 5 * word)) & 31))
}

#[cfg(test)]
#[path = "tests/filter.rs"]
mod tests;

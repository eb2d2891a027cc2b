//! What a row says of itself, so that a flipped bit shows.
//!
//! SQLite checks its write-ahead log, but not the pages of the file: a bit that flips in an event would reach the table as if the
//! stream had sent it. This is a check against accidents, not against people. Each step maps the state one to one, so a change
//! within eight bytes always shows; of other changes, all but one in 2^64.

/// Odd, with bits well spread: 2^64 divided by the golden ratio.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Of a row of `bursts`.
pub(super) fn of_burst(position: u64, events: u64, received_at: i64, bytes: &[u8]) -> i64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let head = [position, events, received_at.cast_unsigned(), bytes.len() as u64];
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    fold(head.into_iter().chain(words))
}

/// Of the places in the row of `spool`.
pub(super) fn of_places(applied: u64, next: u64) -> i64 {
    fold([applied, next].into_iter())
}

fn fold(words: impl Iterator<Item = u64>) -> i64 {
    words.fold(FACTOR, |state, word| (state ^ word).wrapping_mul(FACTOR).rotate_left(29)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_shows() {
        let bytes: Vec<u8> = (0..29).collect();
        let whole = of_burst(7, 2, -5, &bytes);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of_burst(7, 2, -5, &flipped), whole);
        }
        assert_ne!(of_burst(6, 2, -5, &bytes), whole);
        assert_ne!(of_burst(7, 3, -5, &bytes), whole);
        assert_ne!(of_burst(7, 2, -6, &bytes), whole);
        assert_ne!(of_burst(7, 2, -5, &[bytes.as_slice(), &[0]].concat()), whole);
        assert_ne!(of_places(1, 2), of_places(2, 1));
    }
}

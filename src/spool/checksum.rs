//! Checksums of rows, so that a flipped bit is noticed.
//!
//! SQLite checks its write-ahead log, but not the pages of the file: without this, a bit that flips in an event would reach the
//! table as if the stream had sent it. It protects against accidents, not against attackers.

use crc32fast::Hasher;

/// The checksum of a row of `bursts`.
pub(super) fn of_burst(position: u64, events: u64, received_at: i64, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    for number in [position, events, received_at.cast_unsigned(), bytes.len() as u64] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(bytes);
    hasher.finalize()
}

/// The checksum of the offset in the row of `spool`.
pub(super) fn of_deleted(deleted: u64) -> u32 {
    crc32fast::hash(&deleted.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_changes_the_checksum() {
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
        assert_ne!(of_deleted(1), of_deleted(2));
    }
}

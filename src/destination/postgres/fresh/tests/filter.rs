use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// As many bytes as both filters of the smallest size have.
const SMALLEST: usize = 2 * BLOCKS_MIN * size_of::<Block>();

/// The hash of a number; spreads as the hash of a key does.
fn hash(number: u64) -> u64 {
    let mixed = (number ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is added in which order, with repeats near and far: a key is found as long as its window says.
    #[test]
    fn a_key_is_found_until_a_window_of_others_has_been_added(numbers in proptest::collection::vec(0..4000_u64, 1..6000)) {
        let mut keys = RecentKeys::new(SMALLEST);
        let window = keys.window();
        let mut last = VecDeque::new();
        for number in numbers {
            keys.add(hash(number));
            last.retain(|found| *found != number);
            last.push_back(number);
            if last.len() > window {
                last.pop_front();
            }
            let front = last.iter().take(3).chain(last.iter().rev().take(3));
            for found in front {
                prop_assert!(keys.contains(hash(*found)), "{found} of {}", last.len());
            }
        }
        for found in last {
            prop_assert!(keys.contains(hash(found)));
        }
    }
}

#[test]
fn a_key_is_forgotten_after_two_windows() {
    let mut keys = RecentKeys::new(SMALLEST);
    let window = keys.window() as u64;
    let found = |keys: &RecentKeys, numbers: std::ops::Range<u64>| {
        numbers.filter(|number| keys.contains(hash(*number))).count() as u64
    };
    (0..window).for_each(|number| keys.add(hash(number)));
    assert_eq!(found(&keys, 0..window), window);
    (window..4 * window).for_each(|number| keys.add(hash(number)));
    assert!(found(&keys, 0..window) < window / 10, "{}", found(&keys, 0..window));
}

/// A key that is taken for a known one costs an upsert.
#[test]
fn at_most_one_new_key_in_twenty_is_taken_for_a_known_one() {
    let mut keys = RecentKeys::new(1 << 20);
    let window = keys.window() as u64;
    assert_eq!(window, 419_430);
    // The worst moment: one filter is full, and the other one nearly.
    let added = 4 * window - 1;
    (0..added).for_each(|number| keys.add(hash(number)));
    let wrong = (added..added + 100_000).filter(|number| keys.contains(hash(*number))).count();
    assert!((100..5_000).contains(&wrong), "{wrong} of 100,000");
}

#[test]
fn the_memory_is_what_was_asked_for() {
    for (bytes, window) in [(0, 819), (1 << 16, 26_214), (100_000, 26_214), (1 << 20, 419_430), (1 << 30, 1_677_721)] {
        let keys = RecentKeys::new(bytes);
        assert_eq!(keys.window(), window, "{bytes}");
        let used = 2 * keys.current.blocks.len() * size_of::<Block>();
        assert!(used <= bytes.max(SMALLEST), "{bytes}: {used}");
    }
}

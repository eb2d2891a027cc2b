//! Random numbers that depend only on the seed and on the position they are for.
//!
//! An event's bytes must be the same each time it is sent, whatever faults came before; so there is no shared generator whose
//! state depends on the past. The algorithm is implemented here (`SplitMix64`: Steele, Lea and Flood, "Fast splittable
//! pseudorandom number generators", 2014) because a library may change its sequence with a release.

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Each purpose has numbers of its own, so a new purpose changes none of the others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Whether an event is new, repeated, an update or invalid.
    Plan = 1,
    /// The parts that an event and all its updates have in common.
    Interaction = 2,
    /// The parts in which an event and its updates differ.
    Body = 3,
}

#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn at(seed: u64, purpose: Purpose, number: u64) -> Self {
        Self(mix(mix(seed ^ mix(purpose as u64)) ^ number))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// In `0..limit`; 0 when `limit` is 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(limit);
        (wide >> 64) as u64
    }

    /// True once in `count` calls, on average.
    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.index(choices.len())]
    }

    /// In `0..length`; 0 when `length` is 0.
    pub(super) fn index(&mut self, length: usize) -> usize {
        // The number is below `length`, so it fits.
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // The first outputs for the state 1234567, as published with the reference implementation.
        let mut rng = Rng(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([rng.next(), rng.next(), rng.next()], expected);
    }

    #[test]
    fn numbers_cover_their_range_evenly_and_differ_by_seed_purpose_and_position() {
        let mut counts = [0_u32; 10];
        for number in 0..10_000 {
            counts[Rng::at(1, Purpose::Plan, number).index(10)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");

        let first = |seed, purpose, number| Rng::at(seed, purpose, number).next();
        let here = first(1, Purpose::Plan, 0);
        assert_ne!(here, first(2, Purpose::Plan, 0));
        assert_ne!(here, first(1, Purpose::Body, 0));
        assert_ne!(here, first(1, Purpose::Plan, 1));
    }
}

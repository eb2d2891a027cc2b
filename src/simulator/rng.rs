//! Random numbers that depend on nothing but the seed and the place they are drawn for.
//!
//! An event's bytes must be the same however often, and after whatever fault, it is sent; so nothing is drawn from a shared
//! generator whose state depends on what happened before. The generator is written out here (`SplitMix64`: Steele, Lea and
//! Flood, "Fast splittable pseudorandom number generators", 2014) because a library's may change its sequence with a release.

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// What is drawn for; each purpose has draws of its own, so adding one changes none of the others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// Whether an event is new, repeated, an update or invalid.
    Plan = 1,
    /// What an event and all its updates have in common.
    Interaction = 2,
    /// What differs between an event and its updates.
    Body = 3,
}

#[derive(Debug, Clone)]
pub(super) struct Draws(u64);

impl Draws {
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

    /// True once in `count` draws, on average.
    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of `choices`, which must not be empty.
    pub(super) fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.index(choices.len())]
    }

    /// In `0..length`; 0 when `length` is 0.
    pub(super) fn index(&mut self, length: usize) -> usize {
        // What comes out is below `length`, so it fits again.
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
    fn draws_are_those_of_splitmix64() {
        // The first outputs for the state 1234567, as published with the reference implementation.
        let mut draws = Draws(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([draws.next(), draws.next(), draws.next()], expected);
    }

    #[test]
    fn draws_cover_their_range_evenly_and_differ_by_seed_purpose_and_number() {
        let mut counts = [0_u32; 10];
        for number in 0..10_000 {
            counts[Draws::at(1, Purpose::Plan, number).index(10)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");

        let first = |seed, purpose, number| Draws::at(seed, purpose, number).next();
        let here = first(1, Purpose::Plan, 0);
        assert_ne!(here, first(2, Purpose::Plan, 0));
        assert_ne!(here, first(1, Purpose::Body, 0));
        assert_ne!(here, first(1, Purpose::Plan, 1));
    }
}

use proptest::prelude::*;

use super::*;

fn brake(pause: u32, penalty: u32) -> Brake {
    Brake { pause, penalty }
}

#[test]
fn each_outcome_has_its_next_state() {
    type Step = fn(&mut Brake);
    let success: Step = Brake::note_success;
    let failure: Step = Brake::note_failure;
    let pause: Step = |brake| brake.note_pause(false);
    let proof: Step = |brake| brake.note_pause(true);
    let cases = [
        (brake(0, 1), success, brake(0, 1)),
        (brake(0, 8), success, brake(0, 7)),
        (brake(0, 1), failure, brake(1, 2)),
        (brake(0, 2), failure, brake(2, 4)),
        (brake(0, 33), failure, brake(33, 64)),
        (brake(0, 64), failure, brake(64, 64)),
        (brake(3, 4), pause, brake(2, 4)),
        (brake(1, 4), pause, brake(0, 4)),
        (brake(3, 4), proof, brake(3, 4)),
    ];
    for (mut state, step, expected) in cases {
        let before = state;
        step(&mut state);
        assert_eq!(state, expected, "{before:?}");
        assert_eq!(state.is_on(), expected.pause > 0);
    }
}

/// Runs batches that fail as `fails` says; returns the tries that succeeded and those that failed.
fn run(brake: &mut Brake, batches: usize, mut fails: impl FnMut(usize) -> bool) -> (usize, usize) {
    let (mut succeeded, mut failed) = (0, 0);
    for batch in 0..batches {
        if brake.is_on() {
            brake.note_pause(false);
        } else if fails(batch) {
            failed += 1;
            brake.note_failure();
        } else {
            succeeded += 1;
            brake.note_success();
        }
    }
    (succeeded, failed)
}

#[test]
fn tries_that_always_fail_become_rare() {
    let mut brake = Brake::default();
    assert_eq!(run(&mut brake, 134, |_| true), (0, 7), "while the pauses double");
    assert_eq!(run(&mut brake, 6500, |_| true), (0, 100), "one batch in 65 from then on");
}

#[test]
fn proof_that_a_try_would_fail_keeps_the_brake_on() {
    let mut brake = Brake::default();
    brake.note_failure();
    (0..1_000_000).for_each(|_| brake.note_pause(true));
    assert!(brake.is_on());
    brake.note_pause(false);
    assert!(!brake.is_on());
}

#[test]
fn rare_failures_cost_a_batch_each() {
    let (succeeded, failed) = run(&mut Brake::default(), 10_000, |batch| batch % 10 == 0);
    assert!(succeeded >= 8000 && failed <= 1000, "{succeeded} {failed}");
}

#[test]
fn full_speed_is_back_after_one_longest_pause() {
    let mut brake = Brake::default();
    run(&mut brake, 10_000, |_| true);
    assert!(run(&mut brake, 1000, |_| false).0 >= 1000 - PENALTY_MAX as usize);
    assert_eq!(brake, Brake::default(), "and a failure costs as little as at first");
}

proptest! {
    /// Whatever fails when: a pause is never longer than its maximum, and failures are at most one more than twice the successes plus
    /// what doubling and the longest pauses allow.
    #[test]
    fn failures_are_bounded(outcomes in proptest::collection::vec(any::<bool>(), 1..3000)) {
        let mut brake = Brake::default();
        let (succeeded, failed) = run(&mut brake, outcomes.len(), |batch| outcomes[batch]);
        prop_assert!(brake.pause <= PENALTY_MAX && (1..=PENALTY_MAX).contains(&brake.penalty));
        let longest = outcomes.len() / (PENALTY_MAX as usize + 1);
        prop_assert!(failed <= 8 + longest + succeeded, "{succeeded} {failed}");
    }
}

//! The four offsets of a spool, moved by several partitions.

use crate::spool::offsets::*;

#[test]
fn the_slowest_partition_gives_the_committed_offset() {
    let mut offsets = Offsets::new(0, 0);
    offsets.append(10);
    offsets.repartition(2);
    offsets.take(10);
    offsets.commit(1, 10, 4);
    assert_eq!(
        (offsets.committed(), offsets.committed_of(1), offsets.lag()),
        (0, 10, 6),
        "the first has written nothing"
    );
    offsets.commit(0, 6, 3);
    assert_eq!((offsets.committed(), offsets.lag()), (6, 3));
    offsets.commit(0, 10, 3);
    assert_eq!((offsets.committed(), offsets.lag()), (10, 0));
    offsets.delete(10);
}

#[test]
fn events_that_are_not_committed_are_taken_again_after_a_rewind() {
    let mut offsets = Offsets::new(3, 9);
    offsets.take(9);
    offsets.commit(0, 5, 2);
    offsets.rewind();
    assert_eq!(offsets.taken(), 5);
}

#[test]
fn events_below_the_checkpoint_of_an_earlier_process_are_not_taken() {
    let mut offsets = Offsets::new(3, 9);
    offsets.commit_all(7);
    assert_eq!((offsets.taken(), offsets.lag()), (7, 2));
    offsets.commit_all(5);
    assert_eq!(offsets.committed(), 7, "it never moves back");
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "Offsets")]
fn an_offset_beyond_the_next_one_is_a_bug() {
    Offsets::new(0, 2).take(3);
}

#[test]
fn checkpoints_are_read_as_they_were_written() {
    let checkpoints = Checkpoints([("id/1of2/k".to_owned(), 7), ("id/2of2/k".to_owned(), 0)].into());
    assert_eq!(Checkpoints::parse(&checkpoints.to_text()), checkpoints);
    assert_eq!(Checkpoints::parse(""), Checkpoints::default());
}

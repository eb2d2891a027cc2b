//! An event that takes the process down twice is set aside; one that does not is prepared, however often the process ends.

use super::*;
use crate::report::replay::Selection;

/// The processes that ended while they prepared the event at this offset, as the file has it.
fn ends(spool: &Spool, offset: u64) -> Option<u32> {
    let select = "SELECT max(ends) FROM suspects WHERE offset = ?1";
    spool.writer().query_row(select, [offset], |row| row.get(0)).unwrap()
}

/// Opens the spool as the next process does, and begins at the committed offset.
fn next_process(path: &Path) -> Spool {
    let spool = Spool::open(&config(path)).unwrap();
    spool.begin_preparing(spool.committed(), 100);
    spool
}

fn spool_with_events(path: &Path, events: usize) {
    let spool = Spool::open(&config(path)).unwrap();
    append(&spool, &vec![b"x".as_slice(); events]);
    spool.release().unwrap();
}

#[test]
fn nothing_is_noted_in_the_ordinary_course() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    spool_with_events(&path, 3);
    let spool = next_process(&path);
    let before = log_bytes(&spool);
    for offset in 0..3 {
        assert!(!spool.is_suspect(offset));
    }
    spool.end_preparing();
    assert_eq!(log_bytes(&spool), before, "not a page is written");
}

#[test]
fn after_an_unclean_end_an_event_at_which_two_processes_ended_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    spool_with_events(&path, 3);
    // Ends somewhere.
    drop(next_process(&path));
    for before in [None, Some(1)] {
        let spool = next_process(&path);
        assert!(!spool.is_suspect(0));
        assert_eq!((ends(&spool, 0), ends(&spool, 1)), (Some(1), before));
        assert!(!spool.is_suspect(1));
        assert_eq!((ends(&spool, 0), ends(&spool, 1)), (None, Some(before.unwrap_or(0) + 1)));
    }
    let spool = next_process(&path);
    assert!(!spool.is_suspect(0));
    assert!(spool.is_suspect(1), "also when it is prepared again:");
    assert!(spool.is_suspect(1));
    assert!(!spool.is_suspect(2));
    spool.end_preparing();
    spool.commit_all(3).unwrap();
    spool.release().unwrap();
    let spool = next_process(&path);
    assert_eq!(ends(&spool, 1), None, "it is over");
}

#[test]
fn an_event_that_was_prepared_is_innocent_however_often_processes_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    spool_with_events(&path, 50);
    for end in 0..50 {
        let spool = next_process(&path);
        for offset in 0..=end {
            assert!(!spool.is_suspect(offset), "{offset} after {end} ends");
        }
    }
}

#[test]
fn only_events_that_may_have_been_prepared_are_noted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    spool_with_events(&path, 200);
    drop(next_process(&path));
    let spool = next_process(&path);
    assert!(!spool.is_suspect(99));
    assert_eq!(ends(&spool, 99), Some(1));
    assert!(!spool.is_suspect(100));
    assert_eq!((ends(&spool, 99), ends(&spool, 100)), (None, None));
}

#[test]
fn a_slow_event_is_noted_while_it_is_prepared_and_not_after() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    spool_with_events(&path, 3);
    for expected in [1, 2] {
        let spool = next_process(&path);
        spool.is_suspect(0);
        spool.watch();
        assert_eq!(ends(&spool, 0), (expected == 2).then_some(1), "at once it is not slow");
        spool.is_suspect(1);
        spool.watch();
        spool.watch();
        spool.watch();
        assert_eq!((ends(&spool, 0), ends(&spool, 1)), (None, Some(expected)), "once a process");
    }
    let spool = next_process(&path);
    assert!(spool.is_suspect(1), "the third process sets it aside");
    assert!(!spool.is_suspect(2));
    spool.watch();
    spool.watch();
    assert_eq!(ends(&spool, 2), Some(1));
    spool.end_preparing();
    assert_eq!(ends(&spool, 2), None);
}

/// A panic ends the preparer, and the sink in order.
#[test]
fn a_panic_counts_as_the_end_of_a_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    spool_with_events(&path, 3);
    for _ in 0..2 {
        let spool = next_process(&path);
        assert!(!spool.is_suspect(0) && !spool.is_suspect(1));
        spool.release().unwrap();
    }
    assert!(next_process(&path).is_suspect(1));
}

#[test]
fn an_event_that_was_set_aside_is_replayed_only_by_name_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    spool_with_events(&path, 2);
    let spool = next_process(&path);
    let guarded = DeadLetter::new(0, 1, 2, &Error::new(ErrorKind::Internal, "twice"), b"x");
    spool.keep(&[guarded, letter(1, b"x")]).unwrap();
    spool.commit_all(2).unwrap();
    let offsets = |selection: &Selection| -> Vec<u64> {
        spool.replayable(selection, 0, 2, false).unwrap().dead_letters.iter().map(|letter| letter.offset).collect()
    };
    assert_eq!(offsets(&Selection::All), [1]);
    assert_eq!(offsets(&Selection::Offsets(vec![0, 1])), [0, 1]);
    let requests = Requests::open(&config(&path)).unwrap();
    let named = requests.place(&Selection::Offsets(vec![0]), false).unwrap();
    let all = requests.place(&Selection::All, false).unwrap();
    drop(spool);
    let _spool = next_process(&path);
    assert!(requests.progress(named).unwrap().done.is_some_and(|report| report.skipped == 1));
    assert!(requests.progress(all).unwrap().done.is_none());
}

//! Dead letters become events again, each in one transaction; and the connection log.

use super::*;
use crate::report::replay::{Fate, Selection};

/// A spool with `committed` events, all of them committed, and a dead letter of `size` bytes at each offset.
fn spool_with_dead_letters(path: &Path, committed: u64, size: usize) -> Spool {
    let mut config = config(path);
    config.spool.bytes_max = 64 << 10;
    let spool = Spool::open(&config).unwrap();
    let events = vec![&b"x"[..]; usize::try_from(committed).unwrap()];
    append(&spool, &events);
    let dead_letters: Vec<DeadLetter> = (0..committed).map(|offset| letter(offset, &vec![b'l'; size])).collect();
    spool.keep(&dead_letters).unwrap();
    spool.commit_all(committed).unwrap();
    spool.tidy().unwrap();
    spool
}

fn good(page: &Page) -> Vec<Judged<'_>> {
    page.dead_letters.iter().map(|letter| (letter, Judgement::Accepted)).collect()
}

fn fates_of(replayed: Replayed) -> Vec<(u64, Fate)> {
    match replayed {
        Replayed::Done { fates, .. } => fates,
        full @ Replayed::Full(_) => panic!("{full:?}"),
    }
}

fn replay(spool: &Spool, judged: &[Judged<'_>]) -> Vec<(u64, Fate)> {
    fates_of(spool.replay(judged, 9, false, None).unwrap())
}

#[test]
fn pages_hold_each_dead_letter_once_in_order() {
    let spool = spool_with_dead_letters(Path::new(":memory:"), 2500, 1);
    let odd = Selection::Offsets((0..3000).rev().filter(|offset| offset % 2 == 1).collect());
    for (selection, expected) in
        [(Selection::All, (0..2400).collect::<Vec<u64>>()), (odd, (0..2400).filter(|offset| offset % 2 == 1).collect())]
    {
        let (mut found, mut skipped, mut from, mut pages) = (Vec::new(), Vec::new(), 0, 0);
        loop {
            let page = spool.replayable(&selection, from, 2400, false).unwrap();
            assert!(page.dead_letters.len() + page.skipped.len() <= 1000);
            found.extend(page.dead_letters.iter().map(|letter| letter.offset));
            skipped.extend(page.skipped);
            pages += 1;
            let Some(next) = page.next else { break };
            assert!(next > from);
            from = next;
        }
        assert_eq!(found, expected);
        assert!(pages > 1, "{pages}");
        let not_there: Vec<u64> = (2400..3000).filter(|offset| offset % 2 == 1).collect();
        assert!(skipped.is_empty() || skipped == not_there, "{skipped:?}");
    }
    let large = spool_with_dead_letters(Path::new(":memory:"), 20, 100_000);
    let page = large.replayable(&Selection::All, 0, 20, false).unwrap();
    assert!(
        (5..=7).contains(&page.dead_letters.len()),
        "a page holds no more than a burst: {}",
        page.dead_letters.len()
    );
}

#[test]
fn a_dead_letter_is_marked_with_its_append_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = spool_with_dead_letters(&path, 3, 10);
    append(&spool, &[&vec![0; 60 << 10]]);
    let mut page = spool.replayable(&Selection::All, 0, 3, false).unwrap();
    page.dead_letters[0].event.0 = vec![0; 5 << 10];
    let full = Replayed::Full(space_of_burst(&burst(
        &page.dead_letters.iter().map(|letter| &letter.event.0[..]).collect::<Vec<_>>(),
    )));
    assert_eq!(spool.replay(&good(&page), 9, false, None).unwrap(), full);
    assert!(spool.dead_letters(0, 9).unwrap().iter().all(|letter| letter.replayed_at.is_none()));

    spool.commit_all(4).unwrap();
    spool.tidy().unwrap();
    let page = spool.replayable(&Selection::All, 0, 3, false).unwrap();
    DeadLetters::open(&config(&path)).unwrap().purge(&only_unseen()).unwrap();
    let again = letter(1, b"again");
    spool.keep(std::slice::from_ref(&again)).unwrap();
    let fates = replay(&spool, &good(&page));
    let expected = [(0, Fate::Skipped), (1, Fate::Replayed(Some(4))), (2, Fate::Skipped)];
    assert_eq!(fates, expected, "those deleted in the meantime stay deleted");
    assert_eq!(read(&spool, 4, 10, 1000), [(4, page.dead_letters[1].event.0.clone())]);
    let fates = replay(&spool, &good(&page));
    assert!(fates.iter().all(|(_, fate)| *fate == Fate::Skipped), "each once: {fates:?}");
    assert_eq!(spool.end(), 5);
    spool.end_intake();
    assert_eq!(spool.replay(&[], 9, false, None).unwrap_err().kind(), ErrorKind::State);
}

/// They may be selected, so that one of them would be skipped.
#[test]
fn none_expires_while_a_replay_is_requested_or_going_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = spool_with_dead_letters(&path, 3, 1);
    Requests::open(&config(&path)).unwrap().place(&Selection::All, false).unwrap();
    assert_eq!(spool.expire(0, i64::MAX).unwrap(), Expired::Busy);
    Connection::open(&path).unwrap().execute("UPDATE replay_requests SET done_at = 1", []).unwrap();
    let replay = spool.begin_replay();
    assert_eq!(spool.expire(0, i64::MAX).unwrap(), Expired::Busy);
    drop(replay);
    assert_eq!(spool.dead_letters(0, 9).unwrap().len(), 3);
    assert_eq!(spool.expire(0, i64::MAX).unwrap(), Expired::Page { deleted: 3, next: None });
    assert_eq!(spool.dead_letters(0, 9).unwrap().len(), 0);
}

fn only_unseen() -> crate::report::purge::PurgeFilter {
    crate::report::purge::PurgeFilter { unseen: true, ..Default::default() }
}

#[test]
fn a_request_is_replayed_once_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = spool_with_dead_letters(&path, 1500, 1);
    let requests = Requests::open(&config(&path)).unwrap();
    let withdrawn = requests.place(&Selection::Offsets(vec![1]), false).unwrap();
    let request = spool.replay_request().unwrap().unwrap();
    let page = spool.replayable(&request.selection, request.from, 1500, false).unwrap();
    requests.withdraw(withdrawn).unwrap();
    let fates = fates_of(spool.replay(&good(&page), 9, false, Some((&request, &page))).unwrap());
    assert_eq!(fates, [(1, Fate::Skipped)], "nothing is done for a withdrawn request");
    assert_eq!(spool.end(), 1500);

    let id = requests.place(&Selection::All, false).unwrap();
    assert_ne!(id, withdrawn, "a number is not used again");
    for expected in [false, true] {
        let request = spool.replay_request().unwrap().unwrap();
        let page = spool.replayable(&request.selection, request.from, 1500, false).unwrap();
        fates_of(spool.replay(&good(&page), 9, false, Some((&request, &page))).unwrap());
        assert_eq!(requests.progress(id).unwrap().done.is_some(), expected);
    }
    let done = requests.progress(id).unwrap().done.unwrap();
    assert_eq!((done.replayed, done.rejected, done.skipped), (1500, 0, 0));
    assert!(spool.replay_request().unwrap().is_none());
}

/// A wait for room ends after a purge, which deletes the dead letters of committed events.
#[test]
fn a_full_spool_lets_committed_dead_letters_be_purged() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory.path().join("spool.db"));
    config.dead_letters.bytes_max = 5;
    let spool = Spool::open(&config).unwrap();
    append(&spool, &[b"bad"]);
    spool.keep(&[letter(0, b"bad")]).unwrap();
    spool.commit_all(1).unwrap();
    append(&spool, &[b"bad"]);
    spool.keep(&[letter(1, b"bad")]).unwrap_err();
    let purged = DeadLetters::open(&config).unwrap().purge(&crate::report::purge::PurgeFilter::all()).unwrap();
    assert_eq!((purged.deleted, purged.unfinished), (1, 0));
    spool.keep(&[letter(1, b"bad")]).unwrap();
}

/// A replayed dead letter may be deleted at any time, and with it the note that its event was rejected.
#[test]
fn a_replayed_dead_letter_is_not_prepared_again_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    append(&spool, &[b"bad"]);
    spool.keep(&[letter(0, b"bad")]).unwrap();
    spool.commit_all(1).unwrap();
    let page = spool.replayable(&Selection::All, 0, 1, false).unwrap();
    replay(&spool, &good(&page));
    drop(spool);
    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!((spool.committed(), spool.end()), (1, 2));
}

/// A dead letter notes that an event was rejected: it stays until the event is committed.
#[test]
fn dead_letters_of_pending_events_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = spool_with_dead_letters(&path, 2, 1);
    append(&spool, &[b"a", b"b"]);
    spool.keep(&[letter(3, b"b")]).unwrap();
    let dead_letters = DeadLetters::open(&config(&path)).unwrap();
    let purged = dead_letters.purge(&crate::report::purge::PurgeFilter::all()).unwrap();
    assert_eq!((purged.deleted, purged.unfinished, purged.unseen), (2, 1, 0));
    assert_eq!(spool.dead_offsets(0).unwrap(), [3]);
    spool.commit_all(4).unwrap();
    spool.delete_committed().unwrap();
    assert_eq!(dead_letters.purge(&crate::report::purge::PurgeFilter::all()).unwrap().deleted, 1);
    let space: u64 = spool.writer().query_row("SELECT dead_letter_space FROM spool", [], |row| row.get(0)).unwrap();
    assert_eq!(space, 0);
}

#[test]
fn the_connection_log_keeps_the_last_connections() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    for at in 0..10_003 {
        spool.connection_opened(at, 0, None).unwrap();
    }
    let kept = spool.connections().unwrap();
    assert_eq!((kept.len(), kept[0].opened_at), (10_000, crate::time::micros::to_time(3)));
    drop(spool);
    let spool = Spool::open(&config(&path)).unwrap();
    assert!(
        spool
            .connections()
            .unwrap()
            .iter()
            .all(|connection| connection.cause.is_some() && connection.ended_at.is_none())
    );
}

/// They are late, all of them, and come from one dead letter; also after a start.
#[test]
fn a_message_is_marked_with_all_its_events() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = spool_with_dead_letters(&path, 3, 1);
    let page = spool.replayable(&Selection::All, 0, 3, false).unwrap();
    let mut events = burst(&[b"a", b"b"]);
    events.push_message(b"c");
    let judgements = [Judgement::Burst(events), Judgement::Accepted, Judgement::Burst(Burst::default())];
    let judged: Vec<Judged<'_>> = page.dead_letters.iter().zip(judgements).collect();
    let replayed = spool.replay(&judged, 9, false, None).unwrap();
    let fates = vec![(0, Fate::Replayed(Some(3))), (1, Fate::Replayed(Some(6))), (2, Fate::Replayed(None))];
    assert_eq!(replayed, Replayed::Done { fates, events: 4 });
    drop(spool);
    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!([2, 3, 4, 5, 6, 7].map(|offset| spool.origin(offset)), [2, 0, 0, 0, 1, 7]);
    assert_eq!([3, 4, 5, 6].map(|offset| spool.shares_origin(offset)), [true, true, true, false]);
    assert_eq!((spool.lateness(3), spool.lateness(7)), ((true, 7), (false, u64::MAX)));
    let mut events = SpooledEvents::default();
    spool.read(3, 10, 100, &mut events).unwrap();
    let found: Vec<_> = events.iter().map(|event| (event.offset, event.bytes, event.is_message)).collect();
    let expected: [(u64, &[u8], bool); 4] = [(3, b"a", false), (4, b"b", false), (5, b"c", true), (6, b"l", false)];
    assert_eq!(found, expected);
    let letters = spool.dead_letters(0, 9).unwrap();
    let marks: Vec<_> = letters.iter().map(|letter| (letter.replayed_at.is_some(), letter.replayed_as)).collect();
    assert_eq!(marks, [(true, Some(3)), (true, Some(6)), (true, None)]);
}

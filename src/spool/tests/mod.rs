//! The spool by itself: events come out as they went in, in order, whatever happens to the process.

mod damage;
mod guard;
mod replay;
mod space;

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use crate::config::{Config, SpoolSync};
use crate::error::{Error, ErrorKind};
use crate::event::Burst;
use crate::report::dead_letter::DeadLetter;
use crate::spool::disk::DELETE_EVENTS_MAX;
use crate::spool::identity::beside;
use crate::spool::row::space_of as space_of_burst;
use crate::spool::statements::{DELETE_BURSTS, READ_BURSTS, SPACE_OF_BURSTS};
use crate::spool::*;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn config(path: &Path) -> Config {
    let mut config = Config::default();
    config.spool.path = path.to_owned();
    config
}

pub(super) fn burst(events: &[&[u8]]) -> Burst {
    let mut burst = Burst::default();
    for event in events {
        burst.push(event);
    }
    burst
}

pub(super) fn append(spool: &Spool, events: &[&[u8]]) -> u64 {
    match spool.append(&burst(events), 7).unwrap() {
        Appended::At(offset) => offset,
        Appended::Full => panic!("the spool is full"),
    }
}

fn read(spool: &Spool, from: u64, events_max: usize, bytes_max: usize) -> Vec<(u64, Vec<u8>)> {
    let mut events = SpooledEvents::default();
    spool.read(from, events_max, bytes_max, &mut events).unwrap();
    events.iter().map(|event| (event.offset, event.bytes.to_vec())).collect()
}

fn open_error(path: &Path) -> Error {
    Spool::open(&config(path)).unwrap_err()
}

#[test]
fn events_come_out_as_they_went_in() {
    for path in [Path::new(":memory:"), &tempfile::tempdir().unwrap().path().join("deep/er/spool.db")] {
        let spool = Spool::open(&config(path)).unwrap();
        assert_eq!(append(&spool, &[b"a", b"", b"ccc"]), 0);
        assert_eq!(append(&spool, &[b"dd"]), 3);
        let all = vec![(0, b"a".to_vec()), (1, vec![]), (2, b"ccc".to_vec()), (3, b"dd".to_vec())];
        assert_eq!(read(&spool, 0, 10, 100), all);
        assert_eq!(read(&spool, 1, 2, 100), all[1..3], "a start inside a burst, and a limit");
        assert_eq!(read(&spool, 2, 10, 0), all[2..3], "one event always fits");
        assert_eq!(read(&spool, 4, 10, 100), []);
    }
}

/// The mark is a bit of the length in the row, which is longer by nothing.
#[test]
fn a_whole_message_is_marked_in_its_row() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let mut burst = burst(&[b"a"]);
    burst.push_message(b"bb");
    burst.push_message(b"");
    burst.push(b"c");
    {
        let spool = Spool::open(&config(&path)).unwrap();
        spool.append(&burst, 7).unwrap();
        let bytes: Vec<u8> =
            spool.writer().query_row("SELECT bytes FROM bursts WHERE position = 0", [], |row| row.get(0)).unwrap();
        assert_eq!(bytes, b"\x01\0\0\0\x02\0\0\x80\0\0\0\x80\x01\0\0\0abbc");
    }
    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!(spool.pending().bytes, space_of_burst(&burst));
    let mut events = SpooledEvents::default();
    spool.read(0, 10, 100, &mut events).unwrap();
    let found: Vec<_> = events.iter().map(|event| (event.bytes, event.is_message)).collect();
    let expected: [(&[u8], bool); 4] = [(b"a", false), (b"bb", true), (b"", true), (b"c", false)];
    assert_eq!(found, expected);
}

/// An older version cannot read marked rows, so it must not open the file any more.
#[test]
fn a_file_of_an_older_format_gets_the_new_one_when_it_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    append(&Spool::open(&config(&path)).unwrap(), &[b"a"]);
    let file = Connection::open(&path).unwrap();
    let format = || file.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0)).unwrap();
    let newest = format();
    file.pragma_update(None, "user_version", 1).unwrap();
    assert_eq!(Spool::open(&config(&path)).unwrap().pending().events, 1);
    assert_eq!(format(), newest);
}

/// Between the commit of an append and its return the burst is in the file already.
#[test]
fn a_burst_is_not_read_before_its_append_has_returned() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
    append(&spool, &[b"a"]);
    let sql = "INSERT OR REPLACE INTO bursts SELECT 1, events, received_at, bytes, ?1 FROM bursts WHERE position = 0";
    let checksum = checksum::of_burst(1, 1, 7, b"\x01\0\0\0a");
    Connection::open(spool.path()).unwrap().execute(sql, [checksum]).unwrap();
    assert_eq!(read(&spool, 0, 10, 100), [(0, b"a".to_vec())]);
    assert_eq!(read(&spool, 1, 10, 100), []);
}

#[test]
fn a_large_burst_becomes_many_rows_and_a_large_event_one() {
    let spool = Spool::open(&config(Path::new(":memory:"))).unwrap();
    let large = vec![b'x'; 200_000];
    let small = vec![b'y'; 1000];
    let mut events: Vec<&[u8]> = vec![&small; 300];
    events.insert(150, &large);
    append(&spool, &events);
    let rows: u32 =
        spool.writer().query_row("SELECT count(*) FROM bursts WHERE events > 0", [], |row| row.get(0)).unwrap();
    assert!((6..=9).contains(&rows), "{rows} rows");
    let out = read(&spool, 0, 1000, usize::MAX);
    assert!(out.iter().map(|(_, event)| event.as_slice()).eq(events.iter().copied()));
}

#[test]
fn committed_events_leave_the_file_and_offsets_continue() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let id = {
        let spool = Spool::open(&config(&path)).unwrap();
        append(&spool, &[b"a", b"b", b"c"]);
        append(&spool, &[b"d", b"e"]);
        spool.commit_all(4).unwrap();
        assert_eq!(spool.pending().events, 1);
        spool.tidy().unwrap();
        assert_eq!(
            spool.pending().bytes,
            space_of_burst(&burst(&[b"d", b"e"])),
            "only the burst that is committed in part is left"
        );
        spool.id().to_owned()
    };
    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!((spool.id(), spool.committed(), spool.end()), (id.as_str(), 4, 5));
    assert_eq!(read(&spool, spool.committed(), 10, 100), [(4, b"e".to_vec())]);
    spool.commit_all(5).unwrap();
    assert_eq!(append(&spool, &[b"f".as_slice(); 15]), 5);
    let space = space_of_burst(&burst(&[b"d", b"e"])) + space_of_burst(&burst(&[b"f".as_slice(); 15]));
    assert_eq!(spool.pending().bytes, space, "an append does not delete a few events");
    spool.commit_all(20).unwrap();
    assert_eq!(append(&spool, &[b"g"]), 20);
    assert_eq!(spool.pending().bytes, space_of_burst(&burst(&[b"g"])), "an append deletes the rows of many events");
    spool.commit_all(21).unwrap();
    spool.tidy().unwrap();
    drop(spool);
    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!((spool.committed(), spool.end()), (21, 21), "an empty spool still knows where it was");
}

/// The cost of every event: its append writes the page of its row to the log. The 16th also deletes.
#[test]
fn an_event_alone_is_one_page_of_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
    // The first one has a mark too; see `checkpoint_history`.
    append(&spool, &[b"x"]);
    for n in 1..160 {
        spool.commit_all(n).unwrap();
        let before = log_bytes(&spool);
        append(&spool, &[b"x"]);
        let pages = if n % 16 == 0 { 2 } else { 1 };
        assert_eq!(log_bytes(&spool) - before, pages * (24 + 4096), "append {n}");
    }
}

#[test]
fn missing_events_are_damage() {
    for sql in ["DELETE FROM bursts", "DELETE FROM bursts WHERE position = 1"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let spool = Spool::open(&config(&path)).unwrap();
        append(&spool, &[b"a"]);
        append(&spool, &[b"b"]);
        drop(spool);
        Connection::open(&path).unwrap().execute(sql, []).unwrap();
        assert!(open_error(&path).message().contains("events are missing"));
    }
}

/// Otherwise the next process could not notice that the destination lost events that are deleted here.
#[test]
fn checkpoints_are_kept_with_a_delete() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    append(&spool, &[b"a".as_slice(); 16]);
    spool.note_checkpoint("checkpoint", 16);
    spool.commit_all(16).unwrap();
    append(&spool, &[b"b".as_slice(); 16]);
    drop(spool);
    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!((spool.committed(), spool.checkpoint("checkpoint")), (16, Some(16)));
}

/// Otherwise the next event would get its offset, and count as rejected.
#[test]
fn a_dead_letter_without_its_event_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    append(&spool, &[b"bad"]);
    spool.keep(&[letter(1, b"bad")]).unwrap();
    drop(spool);
    assert!(open_error(&path).message().contains("events are missing"));
}

#[test]
fn a_crash_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    for event in [b"a", b"b", b"c"] {
        append(&spool, &[event]);
    }
    spool.commit_all(1).unwrap();
    drop(spool);
    assert!(examine::file(&path).unwrap().message.contains("3 events pending"));
    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!((spool.committed(), spool.end()), (0, 3));
    assert_eq!(read(&spool, 1, 10, 100), [(1, b"b".to_vec()), (2, b"c".to_vec())]);
}

#[test]
fn a_full_spool_takes_nothing_until_it_is_drained() {
    let mut config = config(Path::new(":memory:"));
    config.spool.bytes_max = 100;
    let spool = Spool::open(&config).unwrap();
    let large = [b'x'; 200];
    assert_eq!(append(&spool, &[&large]), 0, "an empty spool takes any burst");
    assert_eq!(spool.append(&burst(&[b"y"]), 0).unwrap(), Appended::Full);
    assert!(!spool.wait_for_room(&burst(&[b"x"]), Duration::ZERO));
    spool.append_last(&burst(&[b"last"]), 0, false).unwrap();
    spool.commit_all(1).unwrap();
    assert!(spool.wait_for_room(&burst(&[b"x"]), Duration::ZERO));
    assert_eq!(append(&spool, &[b"y"]), 2);
    spool.end_intake();
    assert_eq!(spool.append(&burst(&[b"z"]), 0).unwrap_err().kind(), ErrorKind::State);
}

/// Whether its rows are deleted already or not.
#[test]
fn committed_events_take_no_room() {
    let mut config = config(Path::new(":memory:"));
    config.spool.bytes_max = 190;
    let spool = Spool::open(&config).unwrap();
    for n in 0..8 {
        append(&spool, &[b"123456"]);
        spool.commit_all(n).unwrap();
    }
    assert_eq!(append(&spool, &[&[b'x'; 80]]), 8);
    assert_eq!(spool.append(&burst(&[b"123456"]), 0).unwrap(), Appended::Full);
}

#[test]
fn the_file_shrinks_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    let event = [b'x'; 1000];
    for _ in 0..50 {
        append(&spool, &vec![&event[..]; 500]);
    }
    spool.commit_all(25_000).unwrap();
    let size = || ["", "-wal"].map(|end| path.with_extension(format!("db{end}")).metadata().map_or(0, |m| m.len()));
    let full: u64 = size().iter().sum();
    assert!(full > 25_000_000, "{full}");
    for _ in 0..20 {
        spool.tidy().unwrap();
    }
    let rest: u64 = size().iter().sum();
    assert!(rest < 3_000_000, "{:?}", size());
}

/// SQLite promises that FULL survives a loss of power (SQLite documentation, `PRAGMA synchronous`); this checks that it is set.
#[test]
fn against_the_loss_of_power_each_commit_is_flushed() {
    let directory = tempfile::tempdir().unwrap();
    for (sync, expected) in [(SpoolSync::ProcessCrash, 1), (SpoolSync::PowerLoss, 2)] {
        let mut config = config(&directory.path().join(format!("{expected}.db")));
        config.spool.sync = sync;
        let spool = Spool::open(&config).unwrap();
        let flushes = || -> i32 { spool.writer().query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap() };
        assert_eq!(flushes(), expected);
        spool.note_checked().unwrap();
        assert_eq!(flushes(), expected, "also after the note that is always flushed");
    }
}

#[test]
fn one_process_at_a_time_and_the_error_names_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let first = Spool::open(&config(&path)).unwrap();
    let error = open_error(&path);
    assert_eq!(error.kind(), ErrorKind::Spool);
    assert!(error.message().contains(&format!("in use by process {}", std::process::id())), "{error}");
    assert!(error.hint().is_some());
    first.release().unwrap();
    drop(Spool::open(&config(&path)).unwrap());
}

#[test]
fn a_released_spool_writes_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let first = Spool::open(&config(&path)).unwrap();
    append(&first, &[b"a"]);
    first.commit_all(1).unwrap();
    {
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        first.writer().busy_timeout(Duration::ZERO).unwrap();
        first.release().unwrap_err();
    }
    let second = Spool::open(&config(&path)).unwrap();
    append(&second, &[b"b".as_slice(); 20]);
    second.commit_all(21).unwrap();
    second.release().unwrap();
    first.release().unwrap();
    assert_eq!(Spool::open(&config(&path)).unwrap().committed(), 21);
}

#[test]
fn a_file_that_is_not_a_spool_is_refused_and_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = directory.path().join("garbage.db");
    std::fs::write(&garbage, "this is a diary, not a database; it is long enough to be read as a header of a page")
        .unwrap();
    let error = open_error(&garbage);
    assert!(error.message().contains("not a database") && error.hint().unwrap().contains("spool.path"), "{error:?}");
    assert!(std::fs::read_to_string(&garbage).unwrap().starts_with("this is a diary"));

    let foreign = directory.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE diary (day)").unwrap();
    let error = open_error(&foreign);
    assert!(error.message().contains("another program's database"), "{error}");

    let newer = directory.path().join("newer.db");
    drop(Spool::open(&config(&newer)).unwrap());
    Connection::open(&newer).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = open_error(&newer);
    assert!(error.message().contains("its format is 99"), "{error}");

    let error = open_error(directory.path());
    assert_eq!(error.kind(), ErrorKind::Spool);
}

#[test]
fn a_row_that_contradicts_itself_is_damage_not_events() {
    let spool = Spool::open(&config(Path::new(":memory:"))).unwrap();
    append(&spool, &[b"abc"]);
    spool.writer().execute_batch("UPDATE bursts SET events = 2").unwrap();
    let error = spool.read(0, 10, 100, &mut SpooledEvents::default()).unwrap_err();
    assert!(error.hint().unwrap().contains("damaged"), "{error:?}");
}

fn letter(offset: u64, event: &[u8]) -> DeadLetter {
    DeadLetter::new(offset, 1, 2, &Error::new(ErrorKind::Schema, "no"), event)
}

#[test]
fn dead_letters_are_kept_once_and_found_by_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    spool.keep(&[letter(3, b"x"), letter(9, b"y")]).unwrap();
    spool.keep(&[letter(9, b"another")]).unwrap();
    assert_eq!(spool.dead_offsets(4).unwrap(), [9]);
    let dead_letters = DeadLetters::open(&config(&path)).unwrap();
    assert_eq!(dead_letters.count().unwrap(), 2);
    assert_eq!(dead_letters.list(0, 10).unwrap(), [letter(3, b"x"), letter(9, b"y")]);
    assert!(DeadLetters::open(&config(&directory.path().join("none.db"))).is_err());
}

#[test]
fn a_full_spool_deletes_only_exported_or_replayed_dead_letters() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let mut config = config(&path);
    config.dead_letters.bytes_max = 2 * space_of(&letter(1, &[0; 10])) + 60;
    let spool = Spool::open(&config).unwrap();
    append(&spool, &[b"bad".as_slice(); 4]);
    spool.keep(&[letter(1, &[0; 10]), letter(2, &[0; 10])]).unwrap();
    let is_refused = || {
        let error = spool.keep(&[letter(3, &[0; 10])]).unwrap_err();
        assert!(error.is_retryable() && error.hint().unwrap().contains("export"), "{error:?}");
    };
    is_refused();
    DeadLetters::open(&config).unwrap().mark_exported(&[1, 2]).unwrap();
    // After a crash they would be prepared again.
    is_refused();
    spool.commit_all(3).unwrap();
    spool.keep(&[letter(3, &[0; 10])]).unwrap();
    assert_eq!(spool.dead_offsets(0).unwrap(), [2, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any sequence of bursts, acknowledgements and restarts: what is read is what was appended and not yet committed.
    #[test]
    fn the_spool_is_a_queue(steps in proptest::collection::vec((0_u8..5, 1_usize..40, 0_usize..3000), 1..30)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let mut spool = Spool::open(&config(&path)).unwrap();
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut committed = 0;
        for (step, count, size) in steps {
            match step {
                0 | 1 => {
                    let events: Vec<Vec<u8>> = (0..count).map(|n| vec![u8::try_from((model.len() + n) % 256).unwrap(); size * (n % 3)]).collect();
                    append(&spool, &events.iter().map(Vec::as_slice).collect::<Vec<_>>());
                    model.extend(events);
                }
                2 => {
                    committed = (committed + count as u64).min(model.len() as u64);
                    spool.commit_all(committed).unwrap();
                }
                tidied => {
                    if tidied == 3 {
                        spool.tidy().unwrap();
                    }
                    drop(spool);
                    spool = Spool::open(&config(&path)).unwrap();
                    prop_assert!(spool.committed() == committed || spool.committed() < committed && tidied != 3);
                    // As the destination's checkpoint says.
                    spool.commit_all(committed).unwrap();
                }
            }
            prop_assert_eq!(spool.pending().events, model.len() as u64 - committed);
            let pending: Vec<Vec<u8>> = read(&spool, committed, usize::MAX, usize::MAX).into_iter().map(|(_, e)| e).collect();
            prop_assert_eq!(&pending[..], &model[usize::try_from(committed).unwrap()..]);
        }
    }
}

/// Appends and applies this many bytes.
fn pass_through(spool: &Spool, megabytes: usize) {
    let event = vec![b'x'; 64 * 1024];
    for _ in 0..megabytes * 16 {
        let offset = append(spool, &[&event]);
        spool.commit_all(offset).unwrap();
    }
}

fn log_bytes(spool: &Spool) -> u64 {
    let mut log = spool.path().as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).unwrap().len()
}

#[test]
fn the_log_stays_short_with_and_without_its_thread() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
    pass_through(&spool, 20);
    assert!(log_bytes(&spool) < 5 << 20, "commits keep it short by themselves: {} bytes", log_bytes(&spool));
    std::thread::scope(|scope| {
        scope.spawn(|| spool.keep_short(|error| panic!("{error}"), |error| panic!("{error}")));
        pass_through(&spool, 120);
        assert!(log_bytes(&spool) < 40 << 20, "however fast it grows: {} bytes", log_bytes(&spool));
        spool.end_upkeep();
    });
    assert_eq!(read(&spool, spool.committed(), 10, 1 << 20).len(), 1);
}

/// To purge dead letters on a full disk.
#[test]
fn a_reserve_that_another_process_released_is_taken_again() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
    let reserve = beside(spool.path(), "reserve");
    append(&spool, &[b"takes it"]);
    std::fs::remove_file(&reserve).unwrap();
    append(&spool, &[&[b'x'; 5000]]);
    assert!(reserve.exists(), "at once");
    append(&spool, &[b"sees it"]);
    std::fs::remove_file(&reserve).unwrap();
    for _ in 0..=32 {
        append(&spool, &[b"x"]);
    }
    assert!(reserve.exists(), "before much was appended");
}

/// As when there is no descriptor for a moment.
#[test]
fn a_reserve_that_could_not_be_taken_is_taken_later() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
    let reserve = beside(spool.path(), "reserve");
    std::fs::create_dir(&reserve).unwrap();
    append(&spool, &[b"without it"]);
    std::fs::remove_dir(&reserve).unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    while !reserve.is_file() {
        assert!(std::time::Instant::now() < until, "it was given up for good");
        append(&spool, &[&[b'x'; 5000]]);
    }
}

#[test]
fn committed_events_are_deleted_without_an_append_and_not_by_the_writer() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| spool.keep_short(|error| panic!("{error}"), |error| panic!("{error}")));
        while !spool.wal_checkpointer.as_ref().unwrap().request_delete() {
            std::thread::yield_now();
        }
        append(&spool, &vec![b"x".as_slice(); usize::try_from(2 * DELETE_EVENTS_MAX).unwrap()]);
        let held = spool.writer();
        let (sender, returned) = std::sync::mpsc::channel();
        let spool = &spool;
        scope.spawn(move || sender.send(spool.commit_all(spool.end())).unwrap());
        let has_returned = returned.recv_timeout(PATIENCE).is_ok();
        drop(held);
        let is_deleted = spool.wait_until(PATIENCE, |state| state.space == 0);
        spool.end_upkeep();
        assert!(has_returned, "it waited for the connection");
        assert!(is_deleted);
    });
}

#[test]
fn a_wait_for_events_ends_with_one_an_interruption_or_the_end() {
    let spool = Spool::open(&config(Path::new(":memory:"))).unwrap();
    let is_time = || spool.wait_to_prepare(Duration::ZERO) == Next::Events;
    assert!(!is_time(), "there are none");
    append(&spool, &[b"a", b"b"]);
    assert!(is_time());
    spool.take(1);
    assert!(is_time(), "one is left");
    spool.take(spool.end());
    assert!(!is_time(), "there are no more");
    append(&spool, &[b"d"]);
    spool.interrupt_wait();
    spool.end_intake();
    assert_eq!(spool.wait_to_prepare(PATIENCE), Next::Interrupted);
    assert!(is_time(), "no more will come");
    spool.take(spool.end());
    assert_eq!(spool.wait_to_prepare(PATIENCE), Next::End);
}

/// The work for a batch takes as long with ten million pending events as with ten.
#[test]
fn no_statement_of_an_event_scans_the_table() {
    let spool = Spool::open(&config(Path::new(":memory:"))).unwrap();
    for statement in [READ_BURSTS, DELETE_BURSTS, SPACE_OF_BURSTS] {
        let writer = spool.writer();
        let mut explain = writer.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let parameters = vec![0; explain.parameter_count()];
        let steps = explain.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(rusqlite::Result::unwrap).collect();
        let is_search = |step: &String| step.starts_with("SEARCH bursts USING INTEGER PRIMARY KEY");
        assert!(steps.iter().any(is_search), "{statement}: {steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN bursts") || step.contains("TEMP B-TREE")), "{steps:?}");
    }
}

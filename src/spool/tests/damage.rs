//! Files that were truncated or whose bits have flipped: a clear error, or the events as they were; never a panic, and never an
//! event that was not sent.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rusqlite::Connection;

use super::{burst, config};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Burst, Event};
use crate::spool::*;

/// A spool as a crash leaves it: some rows in the file, some still in the write-ahead log, the first burst partly committed.
struct Crashed {
    _directory: tempfile::TempDir,
    path: PathBuf,
    events: Vec<Vec<u8>>,
    committed: u64,
}

impl Crashed {
    fn event(&self, offset: u64) -> Option<&Vec<u8>> {
        self.events.get(usize::try_from(offset).ok()?)
    }
}

const PARTS: [&str; 2] = ["", "-wal"];

/// Which of the events are whole messages.
fn is_message(event: &[u8]) -> bool {
    event.len().is_multiple_of(5)
}

fn crashed() -> Crashed {
    let directory = tempfile::tempdir().unwrap();
    let live = directory.path().join("live.db");
    let path = directory.path().join("crashed.db");
    let events: Vec<Vec<u8>> = (0..300).map(|n| format!("event {n} {}", "x".repeat(n % 97)).into_bytes()).collect();
    let spool = Spool::open(&config(&live)).unwrap();
    // The last few a few at a time.
    let (groups, last) = events.split_at(288);
    for (index, group) in groups.chunks(20).chain(last.chunks(3)).enumerate() {
        let mut burst = Burst::default();
        for event in group {
            burst.push_event(Event { bytes: event, is_message: is_message(event) });
        }
        spool.append(&burst, 7).unwrap();
        if index == 9 {
            spool.commit_all(47).unwrap();
            spool.tidy().unwrap();
            spool.writer().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }
    }
    for part in PARTS {
        fs::copy(with(&live, part), with(&path, part)).unwrap();
    }
    assert!(fs::metadata(with(&path, "-wal")).unwrap().len() > 4096 && fs::metadata(&path).unwrap().len() > 4096);
    Crashed { _directory: directory, path, events, committed: 47 }
}

fn with(path: &Path, part: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(part);
    path.into()
}

/// The number of events read from the file after `damage`, or the error. They are the appended ones, without a gap.
fn recover(crashed: &Crashed, damage: impl FnOnce(&Path)) -> Result<usize> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    for part in PARTS {
        fs::copy(with(&crashed.path, part), with(&path, part)).unwrap();
    }
    damage(&path);
    let spool = Spool::open(&config(&path))?;
    let mut from = spool.committed();
    assert!(from <= crashed.committed, "events are passed over: from {from}");
    let mut events = SpooledEvents::default();
    let mut count = 0;
    loop {
        spool.read(from, 50, usize::MAX, &mut events)?;
        let Some(end) = events.end() else { break };
        for event in events.iter() {
            assert_eq!(event.offset, from, "no gap");
            assert!(crashed.event(from).is_some_and(|sent| sent == event.bytes), "another event at {from}");
            assert_eq!(event.is_message, is_message(event.bytes), "another mark at {from}");
            from += 1;
        }
        assert_eq!(from, end);
        count += events.iter().count();
    }
    assert_eq!(from, spool.end(), "everything that counts as spooled can be read");
    let Appended::At(offset) = spool.append(&burst(&[b"new"]), 8)? else { panic!("full") };
    assert_eq!(offset, from);
    spool.dead_letters(0, 10)?;
    spool.commit_all(offset + 1)?;
    spool.tidy()?;
    Ok(count)
}

fn is_clear(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Spool, "{error:?}");
    assert!(error.message().contains("the spool /"), "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
}

fn change(path: &Path, part: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = with(path, part);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

#[test]
fn an_undamaged_file_is_recovered_whole() {
    let crashed = crashed();
    assert_eq!(recover(&crashed, |_| {}).unwrap(), 300 - 47);
}

#[test]
fn flipped_bits_are_damage_or_harmless() {
    let crashed = crashed();
    let lengths = PARTS.map(|part| fs::read(with(&crashed.path, part)).unwrap().len());
    let flip = (0..2_usize, any::<prop::sample::Index>(), 0..8_u32);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&prop::collection::vec(flip, 1..4), |flips| {
        let damage = |path: &Path| {
            for (part, at, bit) in &flips {
                change(path, PARTS[*part], |bytes| bytes[at.index(lengths[*part])] ^= 1 << bit);
            }
        };
        if let Err(error) = recover(&crashed, damage) {
            is_clear(&error);
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_truncated_file_is_damage_or_holds_the_events_before() {
    let crashed = crashed();
    let mut whole = 0;
    for part in PARTS {
        let length = fs::metadata(with(&crashed.path, part)).unwrap().len();
        for kept in (0..40).map(|step| length * step / 40).chain([length - 1]) {
            let damage =
                |path: &Path| fs::File::options().write(true).open(with(path, part)).unwrap().set_len(kept).unwrap();
            match recover(&crashed, damage) {
                Ok(count) => whole += usize::from(count > 0),
                Err(error) => is_clear(&error),
            }
        }
    }
    assert!(whole > 0, "a log that is cut short leaves what was before");
}

/// Values that SQLite itself cannot know to be wrong.
#[test]
fn rows_that_contradict_themselves_are_damage() {
    let cases = [
        ("UPDATE bursts SET events = 4611686018427387905", "a count that overflows"),
        ("UPDATE bursts SET events = 9223372036854775807", "a count that overflows"),
        ("UPDATE bursts SET events = -1", "a negative count"),
        ("UPDATE bursts SET events = events + 1", "a count too large"),
        ("UPDATE bursts SET events = events - 1", "a count too small"),
        ("UPDATE bursts SET events = 0", "no events"),
        ("UPDATE bursts SET bytes = x''", "no bytes"),
        ("UPDATE bursts SET bytes = 'text'", "no blob"),
        ("UPDATE bursts SET bytes = zeroblob(length(bytes))", "zeros"),
        ("UPDATE bursts SET received_at = 'never'", "no time"),
        ("DELETE FROM bursts WHERE position = 100", "a missing row"),
        ("DELETE FROM bursts WHERE position >= 260", "the last rows are missing"),
        ("DELETE FROM bursts WHERE position = 291", "a missing row among the last"),
        ("DELETE FROM bursts WHERE position = 297", "the last row is missing"),
        ("UPDATE bursts SET position = 9223372036854775800 WHERE position = 280", "an offset beyond all others"),
        ("UPDATE bursts SET position = -1 WHERE position = 280", "a negative offset"),
        ("UPDATE spool SET deleted_offset = 200", "events that count as committed"),
        ("UPDATE spool SET deleted_offset = 48", "one event that counts as committed"),
        ("UPDATE spool SET deleted_offset = -1", "less than nothing committed"),
        ("UPDATE spool SET deleted_offset = 9223372036854775807", "everything committed"),
        ("UPDATE spool SET deleted_offset = 'x'", "no number"),
        ("UPDATE bursts SET position = position - 1 WHERE events = 0", "an end before the last events"),
        ("UPDATE bursts SET position = position + 3 WHERE events = 0", "an end beyond the last events"),
        ("DELETE FROM bursts WHERE events = 0", "no end"),
        ("UPDATE spool SET unchecked_from = -1", "no offset"),
        ("UPDATE spool SET id = x'ff'", "no name"),
        ("DELETE FROM spool", "no spool"),
        ("DROP TABLE bursts", "no bursts"),
        ("DROP TABLE dead_letters", "no dead letters"),
    ];
    let crashed = crashed();
    for (sql, what) in cases {
        let damage = |path: &Path| Connection::open(path).unwrap().execute_batch(sql).unwrap();
        match recover(&crashed, damage) {
            Ok(_) => panic!("{what}: not seen"),
            Err(error) => is_clear(&error),
        }
    }
}

//! The limits are the space that is taken: what the spool counts is what its file grows by, whatever the shape of its rows.

use super::*;
use crate::error::Violation;

/// Pages of the file that hold these tables, with the log copied into it.
fn pages_of(spool: &Spool, tables: &str) -> u64 {
    let writer = spool.writer();
    writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let select = format!("SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name IN ({tables})");
    writer.query_row(&select, [], |row| row.get(0)).unwrap()
}

/// Neither much less nor much more.
fn agree(shape: &str, counted: u64, taken: u64) {
    let (low, high) = (taken - taken / 8, taken + taken / 4 + 8192);
    assert!((low..=high).contains(&counted), "{shape}: {counted} counted, {taken} taken");
}

fn counted_dead_letters(spool: &Spool) -> u64 {
    spool.writer().query_row("SELECT dead_letter_space FROM spool", [], |row| row.get(0)).unwrap()
}

fn letter_with(offset: u64, reason: &str, violations: usize, event: &[u8]) -> DeadLetter {
    let violation = Violation {
        pointer: "/attributes/größe".into(),
        keyword: "required".into(),
        message: "\"idempotencyKey\" is a required property".into(),
    };
    let error = Error::new(ErrorKind::Schema, reason).with_violations(vec![violation; violations]);
    DeadLetter::new(offset, 1_800_000_000_000_000, 1_800_000_000_000_000, &error, event)
}

#[test]
fn dead_letters_count_as_the_pages_that_they_take() {
    let shapes: [(&str, usize, usize, &[usize]); 9] = [
        ("empty", 0, 20_000, &[0]),
        ("ping", 0, 20_000, &[4]),
        ("without any member", 4, 10_000, &[2]),
        ("usual", 1, 10_000, &[300]),
        ("one a page", 0, 1000, &[2100]),
        ("a page and a bit", 0, 1000, &[4100]),
        ("several pages", 0, 500, &[10_000]),
        ("large", 0, 10, &[300_000]),
        ("mixed", 1, 3000, &[2, 60_000, 0, 700, 1500]),
    ];
    for (shape, violations, count, sizes) in shapes {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
        let event = vec![b'x'; *sizes.iter().max().unwrap()];
        let letters: Vec<DeadLetter> = (0_u64..)
            .zip(sizes.iter().cycle().take(count))
            .map(|(offset, size)| {
                letter_with(offset, "the event does not match the schema", violations, &event[..*size])
            })
            .collect();
        letters.chunks(1000).for_each(|some| spool.keep(some).unwrap());
        let counted = counted_dead_letters(&spool);
        assert_eq!(counted, letters.iter().map(space_of).sum::<u64>(), "{shape}: known before they are kept");
        agree(shape, counted, pages_of(&spool, "'dead_letters', 'dead_letters_seen'"));
        let offsets: Vec<u64> = letters.iter().map(|letter| letter.offset).collect();
        DeadLetters::open(&config(spool.path())).unwrap().mark_exported(&offsets).unwrap();
        let counted = counted_dead_letters(&spool);
        // Rows that grow are moved apart.
        let taken = pages_of(&spool, "'dead_letters', 'dead_letters_seen'");
        assert!(taken <= 2 * counted, "{shape}, exported: {counted} counted, {taken} taken");
    }
}

/// With each dead letter, its key is noted: 40 to 52 bytes with the index.
#[test]
fn the_keys_of_dead_letters_count_too() {
    const TABLES: &str = "'dead_letters', 'dead_letters_seen', 'dead_letter_keys', 'dead_letter_keys_by_hash'";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    append(&spool, &vec![&b"x"[..]; 5000]);
    let key = |offset: u64| offset.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let letters: Vec<DeadLetter> = (0..5000)
        .map(|offset| DeadLetter { key_hash: Some(key(offset)), ..letter_with(offset, "refused", 0, b"ping") })
        .collect();
    letters.chunks(1000).for_each(|some| spool.keep(some).unwrap());
    let counted = counted_dead_letters(&spool);
    assert_eq!(counted, letters.iter().map(space_of).sum::<u64>(), "known before they are kept");
    agree("with keys", counted, pages_of(&spool, TABLES));
    let followers: Vec<(u64, u64)> = (0..5000).map(|offset| (key(offset), 100_000 + offset)).collect();
    spool.note_followers(&followers, 0).unwrap();
    agree("followed", counted, pages_of(&spool, TABLES));
    drop(spool);

    let spool = Spool::open(&config(&path)).unwrap();
    assert_eq!(counted_dead_letters(&spool), counted, "found again");
    spool.writer().execute("DELETE FROM dead_letters", []).unwrap();
    assert_eq!(counted_dead_letters(&spool), 0);
}

#[test]
fn events_count_as_the_pages_that_they_take() {
    let shapes: [(&str, usize, usize, usize); 8] = [
        ("lone tiny events", 1, 2, 5000),
        ("lone events", 1, 300, 2000),
        ("lone events, one a page", 1, 2100, 500),
        ("lone events of a page and a bit", 1, 4100, 500),
        ("lone large events", 1, 200_000, 10),
        ("small bursts", 10, 300, 300),
        ("tiny events in bursts", 2000, 2, 50),
        ("full bursts", 1000, 500, 20),
    ];
    for (shape, events, size, bursts) in shapes {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        let spool = Spool::open(&config(&path)).unwrap();
        let event = vec![b'x'; size];
        let events = vec![event.as_slice(); events];
        for _ in 0..bursts {
            let before = spool.pending().bytes;
            spool.append(&burst(&events), 1_800_000_000_000_000).unwrap();
            assert_eq!(spool.pending().bytes - before, row::space_of(&burst(&events)), "{shape}: known before");
        }
        let counted = spool.pending().bytes;
        agree(shape, counted, pages_of(&spool, "'bursts'"));
        drop(spool);
        let spool = Spool::open(&config(&path)).unwrap();
        assert_eq!(spool.pending().bytes, counted, "{shape}: found again");
        spool.commit_all(spool.end()).unwrap();
        spool.delete_committed().unwrap();
        assert_eq!(spool.pending().bytes, 0, "{shape}");
    }
}

/// 300,000 times `{}` took 38 MiB and counted as 600 kB, and 300,000 empty messages as nothing.
#[test]
fn dead_letters_without_bytes_reach_the_limit_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory.path().join("spool.db"));
    config.dead_letters.bytes_max = 256 << 10;
    let spool = Spool::open(&config).unwrap();
    let full = (0..100_000).find(|&offset| spool.keep(&[letter_with(offset, "the event is empty", 0, b"")]).is_err());
    assert!(full.is_some_and(|kept| kept > 1000), "{full:?}");
    let taken = pages_of(&spool, "'dead_letters'");
    assert!((200 << 10..300 << 10).contains(&taken), "{taken}");
}

/// Otherwise each try to keep one more reads all of them, while appends wait.
#[test]
fn the_search_for_dead_letters_that_may_go_passes_those_that_nobody_has_seen() {
    let spool = Spool::open(&config(Path::new(":memory:"))).unwrap();
    let writer = spool.writer();
    let mut explain = writer.prepare(&format!("EXPLAIN QUERY PLAN {}", dead_letters::SEEN)).unwrap();
    let steps: Vec<String> = explain.query_map([], |row| row.get(3)).unwrap().map(rusqlite::Result::unwrap).collect();
    assert!(steps.iter().any(|step| step.contains("USING INDEX dead_letters_seen")), "{steps:?}");
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
}

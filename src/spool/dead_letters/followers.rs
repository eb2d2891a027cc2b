//! The dead letters that are followed: noted before an event of their key is written. See [`keys`](super::keys).

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::report::dead_letter::DeadLetter;
use crate::spool::dead_letters::keys::{Follower, OpenKeys};
use crate::spool::queue::Spool;
use crate::threads::sync;

/// The keys that are told apart: a dead letter beyond them counts as followed.
const OPEN_KEYS_MAX: usize = 200_000;

/// SQLite's integers are signed.
fn to_stored(hash: u64) -> i64 {
    hash.cast_signed()
}

impl Spool {
    /// Within the transaction that keeps the dead letter. Without a row, it counts as followed.
    pub(super) fn insert_key(&self, transaction: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
        let Some(hash) = letter.key_hash.map(to_stored) else { return Ok(()) };
        let origin = self.origin(letter.offset);
        // It was about to be written, and was refused; another event of the same message may have been written.
        if !self.shares_origin(letter.offset) {
            let back = "UPDATE dead_letter_keys SET followed_by = NULL WHERE key_hash = ?1 AND followed_by = ?2";
            transaction.prepare_cached(back)?.execute(params![hash, origin])?;
        }
        let is_open = |keys: &OpenKeys| keys.len() < OPEN_KEYS_MAX || keys.contains_key(&hash);
        if !is_open(&sync::lock(&self.open_keys)) {
            return Ok(());
        }
        let (is_late, _) = self.lateness(letter.offset);
        let insert = if is_late {
            // Replayed, and refused again: what followed it then still does.
            "INSERT OR IGNORE INTO dead_letter_keys (offset, key_hash, followed_by)
             SELECT ?1, ?2, followed_by FROM dead_letter_keys WHERE offset = ?3 AND offset <> ?1"
        } else {
            "INSERT OR IGNORE INTO dead_letter_keys (offset, key_hash) SELECT ?1, ?2 WHERE ?3 IS NOT NULL"
        };
        transaction.prepare_cached(insert)?.execute(params![letter.offset, hash, origin]).map(drop)
    }

    /// After that transaction.
    pub(super) fn open_keys_of(&self, letters: &[DeadLetter]) {
        let mut keys = sync::lock(&self.open_keys);
        for letter in letters {
            let Some(hash) = letter.key_hash.map(to_stored) else { continue };
            if keys.len() < OPEN_KEYS_MAX || keys.contains_key(&hash) {
                let (first, last) = keys.entry(hash).or_insert((letter.offset, letter.offset));
                (*first, *last) = (letter.offset.min(*first), letter.offset.max(*last));
            }
        }
    }

    /// Whether there are keys to look for.
    pub(crate) fn has_open_keys(&self) -> bool {
        !sync::lock(&self.open_keys).is_empty()
    }

    /// Those of the events whose key a dead letter has that is not known to be followed.
    pub(crate) fn followers(&self, events: impl Iterator<Item = Follower>) -> Vec<Follower> {
        let keys = sync::lock(&self.open_keys);
        let is_one = |(hash, offset): &Follower| keys.get(&to_stored(*hash)).is_some_and(|(first, _)| first <= offset);
        events.filter(is_one).collect()
    }

    /// Notes that dead letters of these keys are followed, before the events are written. `from`: the first offset of the sub-batch
    /// that has them; notes from there on are of a try that failed.
    pub(crate) fn note_followers(&self, followers: &[Follower], from: u64) -> Result<()> {
        let has_earlier = |(hash, offset): &&Follower| {
            sync::lock(&self.open_keys).get(&to_stored(*hash)).is_some_and(|(first, _)| first < offset)
        };
        let followers: Vec<&Follower> = followers.iter().filter(has_earlier).collect();
        if followers.is_empty() {
            return Ok(());
        }
        let note = |writer: &mut Connection| -> rusqlite::Result<()> {
            let transaction = writer.transaction()?;
            for &&(hash, offset) in &followers {
                transaction
                    .prepare_cached(
                        "UPDATE dead_letter_keys SET followed_by = ?2 WHERE key_hash = ?1 AND offset < ?2
                         AND (followed_by IS NULL OR followed_by >= ?3)",
                    )?
                    .execute(params![to_stored(hash), offset, from])?;
            }
            transaction.commit()
        };
        let mut writer = self.writer();
        self.with_loan(&mut writer, 0, note).map_err(|error| self.error("noting dead letters in", &error))
    }

    /// The events are written: dead letters of their keys before them need no further note, nor do those that they were.
    pub(crate) fn close_keys(&self, followers: &[Follower]) {
        let mut keys = sync::lock(&self.open_keys);
        for &(hash, offset) in followers {
            let hash = to_stored(hash);
            if keys.get(&hash).is_some_and(|&(_, last)| last <= offset) {
                keys.remove(&hash);
            }
        }
    }
}

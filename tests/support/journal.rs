//! A journal of what happened, written by triggers in the transactions that did it.
//!
//! In the spool's file each appended burst is copied, so the order of arrival is known exactly, whatever was killed when. In the
//! database each row that is written and each move of the checkpoint are noted, so it is known which batch wrote what, and
//! how often. A transaction that is rolled back leaves no note.

use std::collections::{BTreeMap, BTreeSet};

use ::postgres::Client;
use cxsink::dead_letters::{DeadLetter, DeadLetters};
use cxsink::{Config, Sink, Validator};
use rusqlite::Connection;

use super::{history, oracle};

/// Makes the spool's file and has it note what is appended.
pub fn keep_arrivals(config: &Config) {
    drop(Sink::open(config).unwrap());
    let spool = Connection::open(&config.spool.path).unwrap();
    let sql = "CREATE TABLE journal (position INTEGER PRIMARY KEY, events INTEGER, bytes BLOB);
        CREATE TRIGGER journal AFTER INSERT ON bursts WHEN new.events > 0 BEGIN
            INSERT INTO journal VALUES (new.position, new.events, new.bytes);
        END;";
    spool.execute_batch(sql).unwrap();
}

/// Every event that was ever appended, in order.
pub fn arrivals(config: &Config) -> Vec<Vec<u8>> {
    let spool = Connection::open(&config.spool.path).unwrap();
    let mut select = spool.prepare("SELECT position, events, bytes FROM journal ORDER BY position").unwrap();
    let mut bursts = select.query([]).unwrap();
    let mut events = Vec::new();
    while let Some(burst) = bursts.next().unwrap() {
        assert_eq!(burst.get::<_, usize>(0).unwrap(), events.len(), "offsets have no gap and no repetition");
        let (count, bytes): (usize, Vec<u8>) = (burst.get(1).unwrap(), burst.get(2).unwrap());
        let (lengths, mut rest) = bytes.split_at(count * 4);
        for length in lengths.chunks_exact(4) {
            let (event, tail) = rest.split_at(u32::from_le_bytes(length.try_into().unwrap()) as usize);
            events.push(event.to_vec());
            rest = tail;
        }
        assert!(rest.is_empty());
    }
    events
}

/// Has the database note each row that is written and, if there is one, each move of the checkpoint.
pub const KEEP_WRITES: &str = "
    CREATE TABLE written (transaction bigint, key text);
    CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.written VALUES (txid_current(), NEW.idempotency_key); RETURN NULL; END $$;
    CREATE TRIGGER note_row AFTER INSERT OR UPDATE ON cxone_events FOR EACH ROW EXECUTE FUNCTION note_row();
    CREATE TABLE moved (id bigserial, transaction bigint, partition text, begins bigint, ends bigint);
    CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.moved (transaction, partition, begins, ends) VALUES (txid_current(), NEW.spool_id, OLD.position, NEW.position);
        RETURN NULL; END $$;";

pub const KEEP_MOVES: &str = "CREATE TRIGGER note_move AFTER UPDATE ON cxsink_checkpoint FOR EACH ROW WHEN (OLD.position <> NEW.position) \
     EXECUTE FUNCTION note_move()";

pub fn dead_letters(config: &Config) -> Vec<DeadLetter> {
    DeadLetters::open(config).unwrap().list(0, usize::MAX >> 1).unwrap()
}

/// After everything is applied: each event that was ever appended is in the table as one-by-one execution would have it, or is
/// a dead letter with its very bytes; nothing else is. With a checkpoint also: each batch was written exactly once, in order.
/// With a history also: it has each event of the table once. Returns what arrived.
pub fn check(config: &Config, client: &mut Client, has_checkpoint: bool) -> Vec<Vec<u8>> {
    let (arrivals, refused) = check_but_refused(config, client, has_checkpoint);
    assert!(refused.is_empty(), "dead letters of good events: {refused:?}");
    arrivals
}

/// The same where the database refuses rows: returns also their dead letters.
pub fn check_but_refused(
    config: &Config,
    client: &mut Client,
    has_checkpoint: bool,
) -> (Vec<Vec<u8>>, Vec<DeadLetter>) {
    let arrivals = arrivals(config);
    let validator = Validator::new(&Config::default()).unwrap();
    let mut dead: BTreeMap<u64, DeadLetter> =
        dead_letters(config).into_iter().map(|letter| (letter.offset, letter)).collect();
    let mut stored: Vec<(u64, &[u8])> = Vec::new();
    let mut refused = Vec::new();
    for (offset, event) in (0_u64..).zip(&arrivals) {
        let letter = dead.remove(&offset);
        assert_eq!(
            letter.as_ref().map_or(event, |letter| &letter.event.0),
            event,
            "the dead letter of offset {offset}"
        );
        match (validator.validate(event).is_ok(), letter) {
            (true, None) => stored.push((offset, event)),
            (true, Some(letter)) => refused.push(letter),
            (false, letter) => assert!(letter.is_some(), "no dead letter of the invalid event at {offset}"),
        }
    }
    assert!(dead.is_empty(), "dead letters of events that never arrived: {:?}", dead.keys());

    client.batch_execute(&format!("DROP TABLE IF EXISTS expected; {}", oracle::tutorial_table("expected"))).unwrap();
    let mut transaction = client.transaction().unwrap();
    oracle::execute(&mut transaction, "expected", "always", stored.iter().map(|(_, event)| *event));
    transaction.commit().unwrap();
    let differences = oracle::differences(client, "cxone_events", "expected");
    assert!(
        differences.is_empty(),
        "{} differences: {:#?}",
        differences.len(),
        &differences[..differences.len().min(8)]
    );
    if has_checkpoint {
        check_exactly_once(client, &stored);
    }
    if config.destination.history_table.is_some() {
        history::check_events(client, stored.iter().copied());
        let differences = history::differences_of_fold(client, "always", has_checkpoint);
        assert!(differences.is_empty(), "{differences:#?}");
    }
    (arrivals, refused)
}

/// A move of a checkpoint, and the keys that its transaction wrote.
struct Move {
    begins: u64,
    ends: u64,
    keys: BTreeSet<String>,
}

/// Each event was written by exactly one move of a checkpoint, and no move wrote anything but events of its range. Each partition's
/// checkpoint moved without a gap or a repetition.
fn check_exactly_once(client: &mut Client, stored: &[(u64, &[u8])]) {
    let key_of = |event: &[u8]| -> String {
        let event: serde_json::Value = serde_json::from_slice(event).unwrap();
        event["idempotencyKey"].as_str().unwrap().to_owned()
    };
    let mut offsets: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (offset, event) in stored {
        offsets.entry(key_of(event)).or_default().push(*offset);
    }
    let moves = moves(client);
    assert!(!moves.is_empty());
    let mut written: BTreeMap<&str, Vec<&Move>> = BTreeMap::new();
    for step in &moves {
        for key in &step.keys {
            let is_in_range = |offset: &u64| (step.begins..step.ends).contains(offset);
            let is_due = offsets.get(key).is_some_and(|offsets| offsets.iter().any(is_in_range));
            assert!(is_due, "{key} was written by the batch from {} to {}, which has none", step.begins, step.ends);
            written.entry(key).or_default().push(step);
        }
    }
    for (key, offsets) in &offsets {
        for offset in offsets {
            let steps = written.get(key.as_str()).map_or(&[][..], Vec::as_slice);
            let count = steps.iter().filter(|step| (step.begins..step.ends).contains(offset)).count();
            assert_eq!(count, 1, "how often the event {offset} of {key} was written");
        }
    }
}

fn moves(client: &mut Client) -> Vec<Move> {
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in client.query("SELECT transaction::text, key FROM written", &[]).unwrap() {
        let (transaction, key): (String, String) = (row.get(0), row.get(1));
        assert!(
            written.entry(transaction).or_default().insert(key.clone()),
            "{key} was written twice in a transaction"
        );
    }
    let mut positions: BTreeMap<String, u64> = BTreeMap::new();
    let mut moves = Vec::new();
    for row in client.query("SELECT transaction::text, partition, begins, ends FROM moved ORDER BY id", &[]).unwrap() {
        let (transaction, partition): (String, String) = (row.get(0), row.get(1));
        let (begins, ends): (i64, i64) = (row.get(2), row.get(3));
        let (Ok(begins), Ok(ends)) = (u64::try_from(begins), u64::try_from(ends)) else {
            // It was replaced by other partitions, or replaced them.
            positions.insert(partition, ends.max(0).unsigned_abs());
            continue;
        };
        assert!(begins < ends, "a checkpoint moves forward: {partition} from {begins} to {ends}");
        if let Some(position) = positions.insert(partition.clone(), ends) {
            assert_eq!(begins, position, "{partition} moves from its last position");
        }
        moves.push(Move { begins, ends, keys: written.remove(&transaction).unwrap_or_default() });
    }
    assert!(written.is_empty(), "rows were written outside of any batch: {:?}", written.keys());
    moves
}

//! What really happened, written down where it happened: by triggers in the transactions that did it.
//!
//! In the spool's file each appended burst is copied, so the order of arrival is known exactly, whatever was killed when. In the
//! database each row that is written and each move of the checkpoint are noted, so it is known which batch wrote what, and
//! how often. A transaction that is rolled back leaves no note.

use std::collections::BTreeMap;

use ::postgres::Client;
use cxsink::{Config, DeadLetter, DeadLetters, Sink, Validator};
use rusqlite::Connection;

use super::oracle;
use super::postgres::rows;

/// Makes the spool's file and has it note what is appended.
pub fn keep_arrivals(config: &Config) {
    drop(Sink::open(config).unwrap());
    let spool = Connection::open(&config.spool.path).unwrap();
    let sql = "CREATE TABLE journal (position INTEGER PRIMARY KEY, events INTEGER, bytes BLOB);
        CREATE TRIGGER journal AFTER INSERT ON bursts BEGIN
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
        INSERT INTO written VALUES (txid_current(), NEW.idempotency_key); RETURN NULL; END $$;
    CREATE TRIGGER note_row AFTER INSERT OR UPDATE ON cxone_events FOR EACH ROW EXECUTE FUNCTION note_row();
    CREATE TABLE moved (id bigserial, transaction bigint, begins bigint, ends bigint);
    CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO moved (transaction, begins, ends) VALUES (txid_current(), OLD.position, NEW.position); RETURN NULL; END $$;";

pub const KEEP_MOVES: &str =
    "CREATE TRIGGER note_move AFTER UPDATE ON cxsink_checkpoint FOR EACH ROW EXECUTE FUNCTION note_move()";

pub fn dead_letters(config: &Config) -> Vec<DeadLetter> {
    DeadLetters::open(config).unwrap().list(0, usize::MAX >> 1).unwrap()
}

/// After everything is applied: each event that was ever appended is in the table as one-by-one execution would have it, or is
/// a dead letter with its very bytes; nothing else is. With a checkpoint also: each batch was written exactly once, in order.
/// Returns what arrived.
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
    (arrivals, refused)
}

/// The checkpoint moved without a gap or a repetition, and each move wrote each key of its events exactly once.
fn check_exactly_once(client: &mut Client, stored: &[(u64, &[u8])]) {
    let keys: Vec<(u64, String)> = stored
        .iter()
        .map(|(offset, event)| {
            let event: serde_json::Value = serde_json::from_slice(event).unwrap();
            (*offset, event["idempotencyKey"].as_str().unwrap().to_owned())
        })
        .collect();
    let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in client.query("SELECT transaction::text, key FROM written", &[]).unwrap() {
        written.entry(row.get(0)).or_default().push(row.get(1));
    }
    let mut position = 0;
    for row in client.query("SELECT transaction::text, begins, ends FROM moved ORDER BY id", &[]).unwrap() {
        let place = |column| u64::try_from(row.get::<_, i64>(column)).unwrap();
        let (begins, ends) = (place(1), place(2));
        assert_eq!(begins, position, "the checkpoint moves from where it stood");
        assert!(ends > begins, "and forward: {begins} to {ends}");
        position = ends;
        let mut expected: Vec<&str> =
            keys.iter().filter(|(offset, _)| (begins..ends).contains(offset)).map(|(_, key)| key.as_str()).collect();
        expected.sort_unstable();
        expected.dedup();
        let mut found = written.remove(&row.get::<_, String>(0)).unwrap_or_default();
        found.sort_unstable();
        assert_eq!(found, expected, "what the batch from {begins} to {ends} wrote");
    }
    assert!(written.is_empty(), "rows were written outside of any batch: {:?}", written.keys());
    let last = keys.last().map_or(0, |(offset, _)| offset + 1);
    assert!(position >= last, "the last stored event is at {last}, the checkpoint at {position}");
    assert!(rows(client, "SELECT count(*) FROM moved") != ["0"]);
}

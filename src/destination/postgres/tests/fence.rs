use super::*;
use crate::destination::{Checkpoint, Fence};

const CHECKPOINT: &str = "CREATE TABLE cxsink_checkpoint (spool_id text PRIMARY KEY, position bigint NOT NULL, owner text, updated_at timestamptz)";

fn fence(from: u64, to: u64) -> Fence<'static> {
    Fence { spool_id: "spool", owner: "me", from, to }
}

fn checkpoint(name: &str, position: u64, owner: Option<&str>) -> Checkpoint {
    Checkpoint { name: name.into(), position, owner: owner.map(Into::into) }
}

/// Creates the checkpoint of a spool.
pub(super) fn create(destination: &mut PostgresDestination, name: &str, position: u64) {
    destination.replace_checkpoints(&[], &[checkpoint(name, position, Some("me"))]).unwrap();
}

/// The position of the only checkpoint of a spool.
fn position(destination: &mut PostgresDestination, name: &str) -> Option<u64> {
    destination.checkpoints(name).unwrap().unwrap().first().map(|found| found.position)
}

#[test]
fn the_checkpoint_moves_with_its_batch_and_only_from_its_position() {
    let database = TestDatabase::new();
    database.execute(CHECKPOINT);
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    create(&mut destination, "spool", 5);
    create(&mut destination, "other", 0);
    assert_eq!(position(&mut destination, "spool"), Some(5));

    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)]);
    let coalesced = each(&rows);
    let write = |from, to| Write { fence: Some(fence(from, to)), ..super::write(&rows, &coalesced) };
    assert_eq!(destination.apply(&write(4, 9)).unwrap(), Applied::Fenced);
    assert_eq!(database.query("SELECT count(*) FROM t"), ["0"]);
    assert_eq!(position(&mut destination, "spool"), Some(5), "unchanged");

    assert_eq!(destination.apply(&write(5, 7)).unwrap(), committed(2, 0));
    // The transaction was in doubt, so the same batch comes again.
    assert_eq!(destination.apply(&write(5, 7)).unwrap(), Applied::Fenced);
    assert_eq!(position(&mut destination, "spool"), Some(7));

    let nothing = Write { fence: Some(fence(7, 8)), ..super::write(&rows, &[]) };
    assert_eq!(destination.apply(&nothing).unwrap(), committed(0, 0), "a batch of dead letters only");
    assert_eq!(destination.apply(&nothing).unwrap(), Applied::Fenced);
    let no_row = Write { fence: Some(Fence { spool_id: "unknown", ..fence(0, 1) }), ..write(0, 0) };
    assert_eq!(destination.apply(&no_row).unwrap(), Applied::Fenced);
    assert_eq!(database.query("SELECT spool_id, position FROM cxsink_checkpoint ORDER BY 1"), ["other|0", "spool|8"]);
}

#[test]
fn a_batch_that_fails_leaves_the_checkpoint() {
    let database = TestDatabase::new();
    database.execute(CHECKPOINT);
    let plan = small_table(&database, UpdateMode::Always);
    database.execute("ALTER TABLE t ADD CHECK (n < 10)");
    let mut destination = ready(&database, &plan);
    create(&mut destination, "spool", 0);
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(20)]);
    let coalesced = each(&rows);
    let write = Write { fence: Some(fence(0, 2)), ..super::write(&rows, &coalesced) };
    assert_eq!(destination.apply(&write).unwrap_err().sqlstate(), Some("23514"));
    assert_eq!(position(&mut destination, "spool"), Some(0));
    let half = Write { fence: Some(fence(0, 1)), ..super::write(&rows, &coalesced[..1]) };
    assert_eq!(destination.apply(&half).unwrap(), committed(1, 0));
}

#[test]
fn without_its_table_there_is_no_checkpoint() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    assert_eq!(destination.checkpoints("spool").unwrap(), None);
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(1, 0), "the connection is still good");
}

/// The batch of an abandoned connection still runs when the next one repeats it: exactly one of them is applied.
#[test]
fn a_late_batch_and_its_repetition_apply_once() {
    let database = TestDatabase::new();
    database.execute(CHECKPOINT);
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    create(&mut destination, "spool", 0);
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    let coalesced = each(&rows);

    let mut late = database.client();
    let mut transaction = late.transaction().unwrap();
    transaction.batch_execute("UPDATE cxsink_checkpoint SET position = 1; INSERT INTO t VALUES ('a', 1)").unwrap();
    let repeated = std::thread::scope(|scope| {
        let write = Write { fence: Some(fence(0, 1)), ..super::write(&rows, &coalesced) };
        let destination = &mut destination;
        let repeated = scope.spawn(move || destination.apply(&write));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cxsink' AND wait_event_type = 'Lock' AND datname = current_database()";
        database.wait_for(waits, "1");
        transaction.commit().unwrap();
        repeated.join().unwrap()
    });
    assert_eq!(repeated.unwrap(), Applied::Fenced);
    assert_eq!(database.query("SELECT k, n FROM t"), ["a|1"]);
}

/// From the moment of the claim, whatever an earlier owner has sent changes nothing; and a late claim changes nothing after a later
/// one.
#[test]
fn a_checkpoint_that_was_taken_over_refuses_its_earlier_owners() {
    let database = TestDatabase::new();
    database.execute(CHECKPOINT);
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    create(&mut destination, "spool", 5);
    create(&mut destination, "spool/1of2/x", 7);
    create(&mut destination, "other", 5);
    let mine = [checkpoint("spool", 5, Some("me")), checkpoint("spool/1of2/x", 7, Some("me"))];
    assert_eq!(destination.checkpoints("spool").unwrap().unwrap(), mine);

    let moved = [mine[0].clone(), checkpoint("spool/1of2/x", 6, Some("me"))];
    assert!(!destination.claim_checkpoints(&moved, "next").unwrap());
    assert_eq!(destination.checkpoints("spool").unwrap().unwrap(), mine, "both or none");
    assert!(destination.claim_checkpoints(&mine, "next").unwrap());
    assert!(!destination.claim_checkpoints(&mine, "late").unwrap());
    let taken = destination.checkpoints("spool").unwrap().unwrap();
    assert!(taken.iter().all(|checkpoint| checkpoint.owner.as_deref() == Some("next")), "{taken:?}");
    assert_eq!(database.query("SELECT owner FROM cxsink_checkpoint WHERE spool_id = 'other'"), ["me"]);

    let rows = rows!(&plan, ["a", Value::Int(1)]);
    let coalesced = each(&rows);
    let write = |fence| Write { fence: Some(fence), ..super::write(&rows, &coalesced) };
    assert_eq!(destination.apply(&write(fence(5, 6))).unwrap(), Applied::Fenced);
    assert_eq!(destination.apply(&write(Fence { owner: "next", ..fence(5, 6) })).unwrap(), committed(1, 0));
    destination.replace_checkpoints(&mine, &[checkpoint("spool", 9, Some("me"))]).unwrap_err();
    let position = database.query("SELECT position FROM cxsink_checkpoint WHERE spool_id = 'spool'");
    assert_eq!(position, ["6"], "nor by replacing it");
}

/// A table of the version before has no column for it.
#[test]
fn a_checkpoint_without_an_owner_is_taken_over() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE cxsink_checkpoint (spool_id text PRIMARY KEY, position bigint NOT NULL, updated_at timestamptz)",
    );
    let plan = small_table(&database, UpdateMode::Always);
    database.execute("INSERT INTO cxsink_checkpoint VALUES ('spool', 5)");
    for unnamed_only in [false, true] {
        let mut destination = database.destination("t");
        destination.unnamed_only = unnamed_only;
        destination.connect().unwrap();
        let error = destination.prepare(&plan).and_then(|()| destination.checkpoints("spool")).unwrap_err();
        assert!(error.message().contains("no column owner") && error.hint().unwrap().contains("init-db"), "{error:?}");
        assert_eq!(error.class(), Class::Mismatch);
    }
    for _ in 0..2 {
        database.destination("t").init_db(None).unwrap();
    }
    let mut destination = ready(&database, &plan);
    let found = [checkpoint("spool", 5, None)];
    assert_eq!(destination.checkpoints("spool").unwrap().unwrap(), found);
    assert!(destination.claim_checkpoints(&found, "me").unwrap());
    assert_eq!(destination.checkpoints("spool").unwrap().unwrap(), [checkpoint("spool", 5, Some("me"))]);
}

use super::*;
use crate::destination::Fence;

const CHECKPOINT: &str =
    "CREATE TABLE cxsink_checkpoint (spool_id text PRIMARY KEY, position bigint NOT NULL, updated_at timestamptz)";

fn fence(from: u64, to: u64) -> Fence<'static> {
    Fence { spool_id: "spool", from, to }
}

#[test]
fn the_checkpoint_moves_with_its_batch_and_only_from_its_position() {
    let database = TestDatabase::new();
    database.execute(CHECKPOINT);
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    assert_eq!(destination.position("spool", 5).unwrap(), Some(5), "created at the committed offset");
    assert_eq!(destination.position("other", 0).unwrap(), Some(0));

    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)]);
    let coalesced = each(&rows);
    let write = |from, to| Write { rows: &rows, coalesced: &coalesced, fence: Some(fence(from, to)) };
    assert_eq!(destination.apply(&write(4, 9)).unwrap(), Applied::Fenced);
    assert_eq!(database.query("SELECT count(*) FROM t"), ["0"]);
    assert_eq!(destination.position("spool", 77).unwrap(), Some(5), "unchanged");

    assert_eq!(destination.apply(&write(5, 7)).unwrap(), committed(2, 0));
    // The transaction was in doubt, so the same batch comes again.
    assert_eq!(destination.apply(&write(5, 7)).unwrap(), Applied::Fenced);
    assert_eq!(destination.position("spool", 5).unwrap(), Some(7));

    let nothing = Write { rows: &rows, coalesced: &[], fence: Some(fence(7, 8)) };
    assert_eq!(destination.apply(&nothing).unwrap(), committed(0, 0), "a batch of dead letters only");
    assert_eq!(destination.apply(&nothing).unwrap(), Applied::Fenced);
    let no_row = Write { fence: Some(Fence { spool_id: "unknown", from: 0, to: 1 }), ..write(0, 0) };
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
    destination.position("spool", 0).unwrap();
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(20)]);
    let write = Write { rows: &rows, coalesced: &each(&rows), fence: Some(fence(0, 2)) };
    assert_eq!(destination.apply(&write).unwrap_err().sqlstate(), Some("23514"));
    assert_eq!(destination.position("spool", 0).unwrap(), Some(0));
    let half = Write { rows: &rows, coalesced: &each(&rows)[..1], fence: Some(fence(0, 1)) };
    assert_eq!(destination.apply(&half).unwrap(), committed(1, 0));
}

#[test]
fn without_its_table_there_is_no_checkpoint() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    assert_eq!(destination.position("spool", 3).unwrap(), None);
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
    destination.position("spool", 0).unwrap();
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    let coalesced = each(&rows);

    let mut late = database.client();
    let mut transaction = late.transaction().unwrap();
    transaction.batch_execute("UPDATE cxsink_checkpoint SET position = 1; INSERT INTO t VALUES ('a', 1)").unwrap();
    let repeated = std::thread::scope(|scope| {
        let write = Write { rows: &rows, coalesced: &coalesced, fence: Some(fence(0, 1)) };
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

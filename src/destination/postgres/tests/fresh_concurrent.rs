//! Fresh and known keys apart, while another program writes the same table.

use std::time::{Duration, Instant};

use super::fence::create;
use super::fresh::{apply_at, counts, fenced_table, splitting};
use super::*;

/// The number of our statements that wait for a lock.
const WAITS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cxsink' AND wait_event_type = 'Lock' AND datname = current_database()";

/// A batch that was given up still runs on the server when its repetition comes, whose keys are known by now, or which another
/// process sends, for which they are fresh.
#[test]
fn a_late_split_batch_and_its_repetition_apply_once() {
    for same_process in [true, false] {
        let database = TestDatabase::new();
        let plan = fenced_table(&database);
        let (mut destination, probe) = splitting(&database, &plan, 1);
        create(&mut destination, "spool", 0);
        if same_process {
            // It knows the key, and neither the row nor the checkpoint has changed.
            let rows = rows!(&plan, ["a", Value::Int(1)]);
            assert_eq!(apply_at(&mut destination, &rows, 7).unwrap(), Applied::Fenced);
        }
        let mut late = database.client();
        let mut transaction = late.transaction().unwrap();
        transaction.batch_execute("UPDATE cxsink_checkpoint SET position = 1; INSERT INTO t VALUES ('a', 1)").unwrap();
        let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(1)]);
        let repeated = std::thread::scope(|scope| {
            let destination = &mut destination;
            let repeated = scope.spawn(|| apply_at(destination, &rows, 0));
            database.wait_for(WAITS, "1");
            transaction.commit().unwrap();
            repeated.join().unwrap()
        });
        assert_eq!(repeated.unwrap(), Applied::Fenced);
        assert_eq!(database.query("SELECT k, n FROM t"), ["a|1"]);
        assert_eq!(probe.failed(), 0);
    }
}

/// Another program inserts the key while the statement waits for it: it commits, or it does not.
#[test]
fn a_key_that_another_program_is_about_to_insert_is_waited_for() {
    for (ends, expected, tries) in [("COMMIT", "b|2|other", (0, 1)), ("ROLLBACK", "b|2|∅", (1, 0))] {
        let database = TestDatabase::new();
        let plan = fenced_table(&database);
        database.execute("ALTER TABLE t ADD who text");
        let (mut destination, probe) = splitting(&database, &plan, 1);
        create(&mut destination, "spool", 0);
        let mut other = database.client();
        other.batch_execute("BEGIN; INSERT INTO t VALUES ('b', 1, 'other')").unwrap();
        let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)], ["c", Value::Int(3)]);
        let applied = std::thread::scope(|scope| {
            let destination = &mut destination;
            let applied = scope.spawn(|| apply_at(destination, &rows, 0));
            database.wait_for(WAITS, "1");
            other.batch_execute(ends).unwrap();
            applied.join().unwrap()
        });
        let updated = u64::from(ends == "COMMIT");
        assert_eq!(applied.unwrap(), committed(3 - updated, updated));
        assert_eq!(counts(&probe), tries, "{ends}");
        assert_eq!(database.query("SELECT * FROM t ORDER BY k"), ["a|1|∅", expected, "c|3|∅"]);
    }
}

/// Both statements together take no longer than one may.
#[test]
fn a_try_and_the_upsert_after_it_share_one_deadline() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    let (mut destination, _) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    let timeout = Duration::from_secs(2);
    destination.server.set_statement_timeout(timeout);
    let mut other = database.client();
    other.batch_execute("BEGIN; INSERT INTO t VALUES ('b', 1)").unwrap();
    let mut locker = database.client();
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)]);
    let (error, took) = std::thread::scope(|scope| {
        let destination = &mut destination;
        let applied = scope.spawn(|| {
            let begun = Instant::now();
            (apply_at(destination, &rows, 0).unwrap_err(), begun.elapsed())
        });
        database.wait_for(WAITS, "1");
        std::thread::sleep(timeout / 2);
        // The upsert after the try waits for this lock.
        locker.batch_execute("BEGIN").unwrap();
        let lock = scope.spawn(|| locker.batch_execute("LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE"));
        database.wait_for("SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted", "1");
        other.batch_execute("COMMIT").unwrap();
        lock.join().unwrap().unwrap();
        applied.join().unwrap()
    });
    assert!(error.is_timeout(), "{error}");
    assert!(took < timeout + timeout / 2, "{took:?}");
}

//! Trials against a real PostgreSQL.

use super::*;
use crate::destination::Trial;

fn trial(destination: &mut PostgresDestination, suspect: &Rows, witnesses: &Rows) -> Result<Trial> {
    let each = each(witnesses);
    let one_by_one: Vec<Write<'_>> = each.iter().map(|one| write(witnesses, std::slice::from_ref(one))).collect();
    destination.trial(&write(suspect, &super::each(suspect)), &one_by_one)
}

/// The SQLSTATE of the suspect's refusal and the witness that passed.
fn outcome(trial: &Trial) -> (Option<&str>, Option<usize>) {
    (trial.refusal.as_ref().and_then(Error::sqlstate), trial.witness)
}

#[test]
fn a_trial_changes_nothing() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    database.execute("ALTER TABLE t ADD CHECK (n < 100); INSERT INTO t VALUES ('a', 1)");
    let mut destination = ready(&database, &plan);
    let bad = rows!(&plan, ["b", Value::Int(500)]);
    let neighbours = rows!(&plan, ["c", Value::Int(300)], ["a", Value::Int(7)], ["d", Value::Int(8)]);
    assert_eq!(outcome(&trial(&mut destination, &bad, &neighbours).unwrap()), (Some("23514"), Some(1)));
    let worse = rows!(&plan, ["c", Value::Int(300)]);
    assert_eq!(outcome(&trial(&mut destination, &bad, &worse).unwrap()), (Some("23514"), None));
    let none = Rows::new(Arc::clone(&plan));
    assert_eq!(outcome(&trial(&mut destination, &neighbours_of(&plan), &none).unwrap()), (None, None));
    assert_eq!(database.query("SELECT k, n FROM t"), ["a|1"]);
    // The connection is as before.
    assert_eq!(apply_all(&mut destination, &neighbours_of(&plan)).unwrap(), committed(1, 0));
}

fn neighbours_of(plan: &Arc<Plan>) -> Rows {
    rows!(plan, ["e", Value::Int(1)])
}

#[test]
fn a_deferred_constraint_speaks_up_in_a_trial() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    database.execute(
        "CREATE TABLE known (n int PRIMARY KEY); INSERT INTO known VALUES (1);
         ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES known DEFERRABLE INITIALLY DEFERRED",
    );
    let mut destination = ready(&database, &plan);
    let (bad, good) = (rows!(&plan, ["a", Value::Int(2)]), rows!(&plan, ["b", Value::Int(1)]));
    assert_eq!(outcome(&trial(&mut destination, &bad, &good).unwrap()), (Some("23503"), Some(0)));
    assert_eq!(outcome(&trial(&mut destination, &good, &bad).unwrap()), (None, None));
}

#[test]
fn a_table_that_refuses_the_empty_upsert_fails_the_trial() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    database.execute("ALTER TABLE t DROP COLUMN n");
    let row = rows!(&plan, ["a", Value::Int(2)]);
    let error = trial(&mut destination, &row, &row).unwrap_err();
    assert_eq!((error.sqlstate(), error.is_refusal()), (Some("42703"), true), "{error:?}");
    assert!(destination.table().is_ok(), "the connection is good");
}

/// The lock of the first statement stays until the end, also when a savepoint is rolled back.
#[test]
fn during_a_trial_the_table_cannot_be_altered() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    database.execute(
        "CREATE FUNCTION no_zero() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.n = 0 THEN RAISE 'zero'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER no_zero BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no_zero()",
    );
    let mut destination = ready(&database, &plan);
    let (bad, good) = (rows!(&plan, ["a", Value::Int(0)]), rows!(&plan, ["b", Value::Int(1)]));
    let mut blocker = database.client();
    // Holds the row, so that the trial stops in the middle, behind its first rolled-back savepoint.
    database.execute("INSERT INTO t VALUES ('b', 5)");
    let mut row_lock = blocker.transaction().unwrap();
    row_lock.batch_execute("SELECT FROM t WHERE k = 'b' FOR UPDATE").unwrap();
    std::thread::scope(|scope| {
        let trying = scope.spawn(|| trial(&mut destination, &bad, &good).unwrap());
        database.wait_for("SELECT count(*) FROM pg_locks WHERE NOT granted", "1");
        let refused = database
            .client()
            .batch_execute("SET lock_timeout = 1; ALTER TABLE t ADD CHECK (n < 0) NOT VALID")
            .unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "55P03");
        row_lock.rollback().unwrap();
        assert_eq!(outcome(&trying.join().unwrap()), (Some("P0001"), Some(0)));
    });
}

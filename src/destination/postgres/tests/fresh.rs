//! Fresh and known keys apart: single cases. The batches are small, so the limit is set to one row.

use super::fence::create;
use super::*;
use crate::config::SplitProbe;
use crate::destination::Fence;
use crate::destination::postgres::test_server::PATIENCE;

const CHECKPOINT: &str = "CREATE TABLE cxsink_checkpoint (spool_id text PRIMARY KEY, position bigint NOT NULL, owner text, updated_at timestamptz)";

/// A destination that splits from this many rows on, and its counts.
pub(super) fn splitting(
    database: &TestDatabase,
    plan: &Arc<Plan>,
    rows_min: usize,
) -> (PostgresDestination, SplitProbe) {
    let mut config = database.config(&plan.table);
    config.split_probe.rows_min = Some(rows_min);
    let probe = config.split_probe.clone();
    let mut destination = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap();
    destination.connect().unwrap();
    destination.prepare(plan).unwrap();
    (destination, probe)
}

pub(super) fn counts(probe: &SplitProbe) -> (u64, u64) {
    (probe.committed(), probe.failed())
}

fn fence(from: u64, to: u64) -> Fence<'static> {
    Fence { spool_id: "spool", owner: "me", from, to }
}

/// Writes the rows, which move the checkpoint from `from` by one.
pub(super) fn apply_at(destination: &mut PostgresDestination, rows: &Rows, from: u64) -> Result<Applied> {
    destination.apply(&Write { coalesced: &each(rows), fence: Some(fence(from, from + 1)), ..Write::nothing(rows) })
}

pub(super) fn fenced_table(database: &TestDatabase) -> Arc<Plan> {
    database.execute(CHECKPOINT);
    small_table(database, UpdateMode::Always)
}

#[test]
fn fresh_rows_are_inserted_beside_known_ones() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    let first = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)]);
    assert_eq!(apply_at(&mut destination, &first, 0).unwrap(), committed(2, 0));
    let second = rows!(&plan, ["b", Value::Int(3)], ["c", Value::Int(4)], ["d", Value::Null]);
    assert_eq!(apply_at(&mut destination, &second, 1).unwrap(), committed(2, 1));
    assert_eq!(counts(&probe), (2, 0));
    let third = rows!(&plan, ["a", Value::Int(5)], ["b", Value::Int(6)]);
    assert_eq!(apply_at(&mut destination, &third, 2).unwrap(), committed(0, 2));
    assert_eq!(counts(&probe), (2, 0), "no key is fresh, so there is nothing to split");
    assert_eq!(database.query("SELECT * FROM t ORDER BY k"), ["a|5", "b|6", "c|4", "d|∅"]);
    assert_eq!(database.query("SELECT position FROM cxsink_checkpoint"), ["3"]);
}

#[test]
fn a_key_that_was_not_fresh_costs_a_try_and_nothing_else() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    database.execute("INSERT INTO t VALUES ('m', 0)");
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    let rows = rows!(&plan, ["a", Value::Int(1)], ["m", Value::Int(2)], ["z", Value::Int(3)]);
    assert_eq!(apply_at(&mut destination, &rows, 0).unwrap(), committed(2, 1));
    assert_eq!(counts(&probe), (0, 1));
    let next = rows!(&plan, ["b", Value::Int(4)]);
    assert_eq!(apply_at(&mut destination, &next, 1).unwrap(), committed(1, 0));
    assert_eq!(counts(&probe), (0, 1), "the brake is on for a batch");
    let next = rows!(&plan, ["c", Value::Int(5)]);
    assert_eq!(apply_at(&mut destination, &next, 2).unwrap(), committed(1, 0));
    assert_eq!(counts(&probe), (1, 1));
    assert_eq!(database.query("SELECT * FROM t ORDER BY k"), ["a|1", "b|4", "c|5", "m|2", "z|3"]);
    assert_eq!(database.query("SELECT position FROM cxsink_checkpoint"), ["3"]);
}

/// The upsert that follows shows by its counts that all of them are known.
#[test]
fn updates_of_old_keys_alone_are_tried_once() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    database.execute("INSERT INTO t SELECT 'k' || n, 0 FROM generate_series(1000, 1999) AS n");
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    for batch in 0..100 {
        let mut rows = Rows::new(Arc::clone(&plan));
        for row in 0..10 {
            push_row(&mut rows, &[format!("k{}", 1000 + 10 * batch + row).as_str().into(), Value::Int(1).into()]);
        }
        assert_eq!(apply_at(&mut destination, &rows, batch).unwrap(), committed(0, 10));
    }
    assert_eq!(counts(&probe), (0, 1));
}

#[test]
fn a_fence_that_is_lost_inserts_no_fresh_row() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 5);
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &rows, 4).unwrap(), Applied::Fenced);
    let other = Fence { owner: "other", ..fence(5, 6) };
    let rows = rows!(&plan, ["b", Value::Int(1)]);
    let write = Write { coalesced: &each(&rows), fence: Some(other), ..Write::nothing(&rows) };
    assert_eq!(destination.apply(&write).unwrap(), Applied::Fenced);
    assert_eq!(counts(&probe), (2, 0), "both were tried");
    assert_eq!(database.query("SELECT count(*) FROM t"), ["0"]);
    let rows = rows!(&plan, ["c", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &rows, 5).unwrap(), committed(1, 0));
}

#[test]
fn every_way_to_run_a_statement_falls_back() {
    for (lock_timeout, unnamed_only) in [(None, true), (Some(PATIENCE), false), (Some(PATIENCE), true)] {
        let database = TestDatabase::new();
        let plan = fenced_table(&database);
        database.execute("INSERT INTO t VALUES ('m', 0)");
        let mut config = database.config("t");
        config.lock_timeout = lock_timeout;
        config.split_probe.rows_min = Some(1);
        let mut destination = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap();
        destination.unnamed_only = unnamed_only;
        destination.connect().unwrap();
        destination.prepare(&plan).unwrap();
        create(&mut destination, "spool", 0);
        for (from, key, applied) in [(0, "a", (1, 0)), (1, "m", (0, 1)), (2, "b", (1, 0)), (3, "c", (1, 0))] {
            let rows = rows!(&plan, [key, Value::Int(1)]);
            assert_eq!(apply_at(&mut destination, &rows, from).unwrap(), committed(applied.0, applied.1), "{key}");
        }
        assert_eq!(counts(&config.split_probe), (2, 1));
        assert_eq!(database.query("SELECT * FROM t ORDER BY k"), ["a|1", "b|1", "c|1", "m|1"]);
    }
}

/// The error is that of the upsert, and what it refuses is refused; the connection is good.
#[test]
fn what_the_split_form_refuses_is_judged_by_the_upsert() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    database.execute("ALTER TABLE t ADD CHECK (n < 10)");
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(20)]);
    assert_eq!(apply_at(&mut destination, &rows, 0).unwrap_err().sqlstate(), Some("23514"));
    assert_eq!(counts(&probe), (0, 1));
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &rows, 0).unwrap(), committed(1, 0));
    assert_eq!(counts(&probe), (0, 1), "a key that was tried is not tried again");
}

/// The server refuses the form whatever the rows, as a database that only speaks PostgreSQL's protocol may.
#[test]
fn a_server_that_does_not_take_the_split_form_is_not_tried_again() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    destination.upserts.iter_mut().for_each(Upserts::break_split_form);
    for (from, key) in [(0, "a"), (1, "b"), (2, "c"), (3, "d")] {
        let rows = rows!(&plan, [key, Value::Int(1)]);
        assert_eq!(apply_at(&mut destination, &rows, from).unwrap(), committed(1, 0), "{key}");
    }
    assert_eq!(counts(&probe), (0, 1));
}

/// The keys of the table survive a lost connection; a new process knows none.
#[test]
fn keys_are_known_over_a_reconnect_and_not_over_a_restart() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    let rows = rows!(&plan, ["a", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &rows, 0).unwrap(), committed(1, 0));
    destination.connect().unwrap();
    destination.prepare(&plan).unwrap();
    assert_eq!(apply_at(&mut destination, &rows, 1).unwrap(), committed(0, 1));
    assert_eq!(counts(&probe), (1, 0));
    let (mut next, probe) = splitting(&database, &plan, 1);
    assert_eq!(apply_at(&mut next, &rows, 2).unwrap(), committed(0, 1));
    assert_eq!(counts(&probe), (0, 1));
}

/// The upsert's own batches: no fence, late events, fewer rows than the limit.
#[test]
fn batches_of_other_kinds_are_not_split() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    let (mut destination, probe) = splitting(&database, &plan, 2);
    create(&mut destination, "spool", 0);
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(1)]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(2, 0));
    let rows = rows!(&plan, ["c", Value::Int(1)], ["d", Value::Int(1)]);
    let late = Write { coalesced: &each(&rows), fence: Some(fence(0, 1)), is_late: true, ..Write::nothing(&rows) };
    assert_eq!(destination.apply(&late).unwrap(), committed(2, 0));
    let rows = rows!(&plan, ["e", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &rows, 1).unwrap(), committed(1, 0));
    assert_eq!(counts(&probe), (0, 0));
    let rows = rows!(&plan, ["f", Value::Int(1)], ["g", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &rows, 2).unwrap(), committed(2, 0));
    assert_eq!(counts(&probe), (1, 0));
}

/// Where an INSERT may do something else to a new row than an upsert.
#[test]
fn tables_with_policies_and_most_triggers_are_not_split() {
    let returns_new = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'";
    for (change, splits) in [
        ("SELECT 1", true),
        (
            "ALTER TABLE t ADD CHECK (n < 10), ADD FOREIGN KEY (n) REFERENCES numbers DEFERRABLE INITIALLY DEFERRED",
            true,
        ),
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", false),
        ("CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", false),
        ("CREATE TRIGGER f AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION f()", false),
        ("CREATE TRIGGER f AFTER INSERT ON t REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION f()", false),
        ("CREATE TRIGGER f BEFORE DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION f()", true),
        ("CREATE TRIGGER f AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", true),
        ("CREATE CONSTRAINT TRIGGER f AFTER INSERT ON t DEFERRABLE FOR EACH ROW EXECUTE FUNCTION f()", true),
        (
            "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER f",
            true,
        ),
        (
            "ALTER TABLE t RENAME TO u; CREATE TABLE t (k text PRIMARY KEY, n int) PARTITION BY HASH (k);
          ALTER TABLE t ATTACH PARTITION u FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            true,
        ),
        (
            "ALTER TABLE t RENAME TO u; CREATE TABLE t (k text PRIMARY KEY, n int) PARTITION BY HASH (k);
          ALTER TABLE t ATTACH PARTITION u FOR VALUES WITH (MODULUS 1, REMAINDER 0);
          CREATE TRIGGER f BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION f()",
            false,
        ),
        (
            "ALTER TABLE t RENAME TO u; CREATE TABLE t (k text PRIMARY KEY, n int) PARTITION BY HASH (k);
          ALTER TABLE t ATTACH PARTITION u FOR VALUES WITH (MODULUS 1, REMAINDER 0);
          ALTER TABLE u ENABLE ROW LEVEL SECURITY",
            false,
        ),
    ] {
        let database = TestDatabase::new();
        let plan = fenced_table(&database);
        database.execute(&format!(
            "{returns_new}; CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1); {change}"
        ));
        let (mut destination, probe) = splitting(&database, &plan, 1);
        create(&mut destination, "spool", 0);
        let rows = rows!(&plan, ["a", Value::Int(1)]);
        assert_eq!(apply_at(&mut destination, &rows, 0).unwrap(), committed(1, 0), "{change}");
        assert_eq!(counts(&probe), (u64::from(splits), 0), "{change}");
    }
}

#[test]
fn a_trigger_that_is_found_later_ends_the_split() {
    let database = TestDatabase::new();
    let plan = fenced_table(&database);
    let (mut destination, probe) = splitting(&database, &plan, 1);
    create(&mut destination, "spool", 0);
    assert_eq!(apply_at(&mut destination, &rows!(&plan, ["a", Value::Int(1)]), 0).unwrap(), committed(1, 0));
    database.execute(
        "CREATE FUNCTION no_b() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN IF NEW.k LIKE ''b%'' THEN RETURN NULL; END IF; RETURN NEW; END';
         CREATE TRIGGER no_b BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION no_b()",
    );
    let with_b = rows!(&plan, ["b", Value::Int(1)], ["c", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &with_b, 1).unwrap(), committed(1, 0), "what it suppresses is not counted");
    assert_eq!(counts(&probe), (2, 0));
    assert!(destination.table().unwrap().is_guarded);
    let with_b = rows!(&plan, ["b2", Value::Int(1)], ["d", Value::Int(1)]);
    assert_eq!(apply_at(&mut destination, &with_b, 2).unwrap(), committed(1, 0));
    assert_eq!(counts(&probe), (2, 0));
    destination.prepare(&plan).unwrap();
    assert_eq!(apply_at(&mut destination, &rows!(&plan, ["e", Value::Int(1)]), 3).unwrap(), committed(1, 0));
    assert_eq!(counts(&probe), (2, 0));
    assert_eq!(database.query("SELECT k FROM t ORDER BY k"), ["a", "c", "d", "e"]);
}

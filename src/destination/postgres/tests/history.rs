//! The history against a real PostgreSQL: in the same statement as the upsert, under its fence.

use super::fence::create;
use super::*;
use crate::config::MappingConfig;
use crate::destination::Fence;
use crate::destination::postgres::test_server;

const TABLES: &str = "
    CREATE TABLE cxsink_checkpoint (spool_id text PRIMARY KEY, position bigint NOT NULL, owner text, updated_at timestamptz);
    CREATE TABLE t (k text PRIMARY KEY, n int);
    CREATE TABLE h (n int, k text, received_at timestamptz, spool_offset bigint, spool_id text, spool_late boolean,
                    PRIMARY KEY (spool_offset, received_at, spool_id))";

fn mapping() -> MappingConfig {
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into()), ("n".into(), "/n".into())];
    mapping.key = vec!["k".into()];
    mapping.update = None;
    mapping
}

fn destination(database: &TestDatabase) -> PostgresDestination {
    let config = DestinationConfig { history_table: Some("h".into()), ..test_server::config(&database.url(), "t") };
    PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap()
}

/// Connected and prepared for the tables as they are.
fn prepared(database: &TestDatabase) -> (PostgresDestination, Arc<Plan>) {
    let mut destination = destination(database);
    let table = destination.connect().unwrap();
    let plan = Arc::new(Plan::of(&mapping(), UpdateMode::Always, &table).unwrap());
    destination.prepare(&plan).unwrap();
    (destination, plan)
}

fn history(database: &TestDatabase) -> Vec<String> {
    database.query("SELECT spool_offset, k, n, spool_id, spool_late FROM h ORDER BY 1")
}

/// Three events of two keys, coalesced to two rows.
const COALESCED: [Coalesced; 2] = [Coalesced { first: 0, last: 2 }, Coalesced { first: 1, last: 1 }];

#[test]
fn every_event_is_written_with_its_batch_and_only_under_its_fence() {
    let database = TestDatabase::new();
    database.execute(TABLES);
    let (mut destination, plan) = prepared(&database);
    create(&mut destination, "spool", 0);
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)], ["a", Value::Int(3)]);
    let fence = |from, to| Fence { spool_id: "spool", owner: "me", from, to };
    let write =
        |fence| Write { coalesced: &COALESCED, events: &[0, 1, 2], spool_id: "id", fence, ..Write::nothing(&rows) };
    assert_eq!(destination.apply(&write(Some(fence(1, 3)))).unwrap(), Applied::Fenced);
    assert_eq!(destination.apply(&write(Some(Fence { owner: "other", ..fence(0, 3) }))).unwrap(), Applied::Fenced);
    assert_eq!(history(&database), [""; 0], "a batch that is fenced is not in the history either");
    assert_eq!(destination.apply(&write(Some(fence(0, 3)))).unwrap(), committed(2, 0));
    let all = ["0|a|1|id|f", "1|b|2|id|f", "2|a|3|id|f"];
    assert_eq!(history(&database), all);
    assert_eq!(destination.apply(&write(Some(fence(0, 3)))).unwrap(), Applied::Fenced);
    // As at-least-once delivery repeats it.
    assert_eq!(destination.apply(&write(None)).unwrap(), committed(0, 2));
    assert_eq!(history(&database), all, "the unique index knows the events again");
    database.execute("ALTER TABLE h DROP CONSTRAINT h_pkey");
    let (mut destination, plan) = prepared(&database);
    assert!(plan.history.as_ref().unwrap().identity.is_empty());
    assert_eq!(destination.apply(&write(None)).unwrap(), committed(0, 2));
    assert_eq!(history(&database).len(), 6, "without one they come twice");
}

#[test]
fn late_events_are_marked_whether_they_change_a_row_or_not() {
    let database = TestDatabase::new();
    database.execute(TABLES);
    database.execute("INSERT INTO t VALUES ('a', 7)");
    let (mut destination, plan) = prepared(&database);
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)]);
    let late =
        Write { coalesced: &each(&rows), events: &[0, 1], is_late: true, spool_id: "id", ..Write::nothing(&rows) };
    assert_eq!(destination.apply(&late).unwrap(), committed(1, 0));
    assert_eq!(database.query("SELECT k, n FROM t ORDER BY 1"), ["a|7", "b|2"]);
    assert_eq!(history(&database), ["0|a|1|id|t", "1|b|2|id|t"]);
}

/// The trial asks both tables, so a row that only the history refuses is told from a trouble beside the tables.
#[test]
fn a_trial_tries_the_history_too_and_changes_nothing() {
    let database = TestDatabase::new();
    database.execute(TABLES);
    database.execute("ALTER TABLE h ADD CONSTRAINT small CHECK (n < 10)");
    let (mut destination, plan) = prepared(&database);
    let rows = rows!(&plan, ["a", Value::Int(10)], ["b", Value::Int(9)]);
    let each = each(&rows);
    let one = |row: usize, events: &'static [u32]| Write {
        coalesced: std::slice::from_ref(&each[row]),
        events,
        spool_id: "id",
        ..Write::nothing(&rows)
    };
    let trial = destination.trial(&one(0, &[0]), &[one(1, &[1])]).unwrap();
    let refusal = trial.refusal.unwrap();
    assert_eq!((refusal.constraint(), trial.witness), (Some("small"), Some(0)), "{refusal}");
    assert_eq!(database.query("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM h)"), ["0|0"]);
}

#[test]
fn the_history_must_be_another_table_and_exist() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE t (k text PRIMARY KEY, n int)");
    let error = destination(&database).connect().unwrap_err();
    assert_eq!((error.class(), error.sqlstate()), (Class::Mismatch, Some("42P01")), "{error}");
    assert!(error.hint().unwrap().contains("destination.history_table"), "{:?}", error.hint());
    database.execute("CREATE VIEW h AS SELECT * FROM t");
    let error = destination(&database).connect().unwrap_err();
    assert!(error.message().contains("h is a view"), "{error}");
    let config =
        DestinationConfig { history_table: Some("public.t".into()), ..test_server::config(&database.url(), "t") };
    let mut same = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap();
    let error = same.connect().unwrap_err();
    assert!(error.message().contains("is the table itself"), "{error}");
}

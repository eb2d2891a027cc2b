use super::*;
use crate::destination::postgres::test_server::PATIENCE;

fn batch_execute(destination: &mut PostgresDestination, sql: &str) {
    let session = destination.server.session().unwrap();
    session.run("testing", PATIENCE, |client| client.batch_execute(sql)).unwrap();
}

/// The name of our statement on this server connection.
fn prepared_name(destination: &mut PostgresDestination) -> Vec<String> {
    let session = destination.server.session().unwrap();
    let sql = "SELECT name FROM pg_prepared_statements";
    let rows = session.run("testing", PATIENCE, |client| client.query_typed(sql, &[])).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn the_statement_is_prepared_once() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    assert_eq!(prepared_name(&mut destination).len(), 1);
    for n in 0..3 {
        apply_all(&mut destination, &rows!(&plan, ["a", Value::Int(n)])).unwrap();
    }
    assert_eq!(prepared_name(&mut destination).len(), 1);
    assert!(!destination.unnamed_only);
}

#[test]
fn a_pooler_that_forgets_statements_is_detected() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    batch_execute(&mut destination, "DEALLOCATE ALL");
    assert_eq!(apply_all(&mut destination, &rows!(&plan, ["a", Value::Int(1)])).unwrap(), committed(1, 0));
    assert!(destination.unnamed_only);
    assert_eq!(apply_all(&mut destination, &rows!(&plan, ["a", Value::Int(2)])).unwrap(), committed(0, 1));

    destination.connect().unwrap();
    destination.prepare(&plan).unwrap();
    assert_eq!(prepared_name(&mut destination), Vec::<String>::new(), "it does not try again");
    assert_eq!(apply_all(&mut destination, &rows!(&plan, ["b", Value::Int(2)])).unwrap(), committed(1, 0));
}

/// Another process has prepared the statement of another table under our name: same types, wrong table.
#[test]
fn another_process_statement_under_our_name_writes_nothing() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    database.execute("CREATE TABLE other (k text PRIMARY KEY, n int)");
    let theirs = Plan { table: "other".into(), ..(*plan).clone() };
    let relation = |name: &str| Relation {
        name: TableName { schema: None, name: name.into() },
        partitioned: false,
        has_checkpoint: false,
        takes_plain_inserts: true,
        history: None,
    };
    let others = [
        Upsert::new(&theirs, &relation("other"), "theirs", Form { fenced: false, late: false, split: false }).sql,
        "SELECT $1, $2, $3".into(),
        "SELECT true WHERE $1 = '' AND $2 IS NULL AND $3 IS NULL".into(),
    ];
    for (i, other) in others.iter().enumerate() {
        let mut destination = ready(&database, &plan);
        let name = prepared_name(&mut destination).pop().unwrap();
        batch_execute(
            &mut destination,
            &format!("DEALLOCATE {name}; PREPARE {name} (text, text[], int4[]) AS {other}"),
        );
        let applied = apply_all(&mut destination, &rows!(&plan, [format!("k{i}").as_str(), Value::Int(1)]));
        assert_eq!(applied.unwrap(), committed(1, 0), "{other}");
        assert!(destination.unnamed_only, "{other}");
    }
    assert_eq!(database.query("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM other)"), ["3|0"]);
}

#[test]
fn a_name_that_is_in_use_is_detected() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    let name = prepared_name(&mut destination).pop().unwrap();
    let number: u32 = name.trim_start_matches('s').parse().unwrap();
    // The crate counts for the whole process, so other tests move the number too: use many.
    let taken: Vec<_> = (number + 1..number + 1000).map(|i| format!("PREPARE s{i} AS SELECT 1;")).collect();
    batch_execute(&mut destination, &taken.concat());
    destination.prepare(&plan).unwrap();
    assert!(destination.unnamed_only);
    assert_eq!(apply_all(&mut destination, &rows!(&plan, ["a", Value::Int(1)])).unwrap(), committed(1, 0));
}

#[test]
fn the_errors_of_a_pooler_are_recognised() {
    let with = |sqlstate: &str| Error::new(ErrorKind::Database, "x").with_sqlstate(sqlstate);
    for sqlstate in ["26000", "42P05", "08P01", "22P03"] {
        assert!(indicates_pooler(&with(sqlstate)), "{sqlstate}");
    }
    for sqlstate in ["42P01", "23505", "57P01", "08006"] {
        assert!(!indicates_pooler(&with(sqlstate)), "{sqlstate}");
    }
}

/// Another client of the same server connection has left settings there: the table is still found, created and filled.
#[test]
fn settings_that_other_clients_leave_behind_have_no_effect() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut destination = database.destination("t");
    destination.server.ensure_session().unwrap();
    batch_execute(
        &mut destination,
        "SET search_path = nowhere; SET DateStyle = 'German'; SET TimeZone = 'Asia/Kolkata'",
    );
    let timeout = destination.server.timeout();
    let session = destination.server.session().unwrap();
    let (relation, _) =
        crate::destination::postgres::catalogue::read(session, "t", &TableName::parse("t").unwrap(), timeout).unwrap();
    assert_eq!(relation.name.quoted(), "\"public\".\"t\"");
    destination.relation = Some(relation);
    destination.prepare(&plan).unwrap();
    assert_eq!(apply_all(&mut destination, &rows!(&plan, ["a", Value::Int(1)])).unwrap(), committed(1, 0));
    let session = destination.server.session().unwrap();
    let path = |client: &mut postgres::Client| {
        client.query_typed_one("SELECT current_setting('search_path')", &[])?.try_get(0)
    };
    let path: String = session.run("testing", timeout, path).unwrap();
    assert_eq!(path, "nowhere", "the other client's setting is unchanged");
    destination.table = TableName::parse("made").unwrap();
    destination.init_db(None).unwrap();
    assert_eq!(database.query("SELECT to_regclass('public.made') IS NOT NULL"), ["t"]);
}

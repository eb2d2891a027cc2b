use super::*;

#[test]
fn every_type_comes_back_as_it_was_sent() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE t (k text PRIMARY KEY, v varchar(10), i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, num numeric,
            num2 numeric(10,2), b bool, tz timestamptz, ts timestamp, d date, u uuid, j json, jb jsonb)",
    );
    let types = [
        ("v", ColumnType::Text { chars_max: Some(10) }),
        ("i2", ColumnType::Int2),
        ("i4", ColumnType::Int4),
        ("i8", ColumnType::Int8),
        ("f4", ColumnType::Float4),
        ("f8", ColumnType::Float8),
        ("num", ColumnType::Numeric { precision_scale: None }),
        ("num2", ColumnType::Numeric { precision_scale: Some((10, 2)) }),
        ("b", ColumnType::Bool),
        ("tz", ColumnType::TimestampTz),
        ("ts", ColumnType::Timestamp),
        ("d", ColumnType::Date),
        ("u", ColumnType::Uuid),
        ("j", ColumnType::Json),
        ("jb", ColumnType::Jsonb),
    ];
    let mut columns = vec![column("k", TEXT, Role::Key)];
    columns.extend(types.map(|(name, column_type)| column(name, column_type, Role::Updated)));
    let plan = plan("t", columns, UpdateMode::Always);
    let null = Value::Null;
    let rows = rows!(
        &plan,
        [
            "full",
            "äß€😀'\"\\",
            Value::Int(-32768),
            Value::Int(i32::MIN.into()),
            Value::Int(i64::MIN),
            Value::Float(1.5),
            Value::Float(-0.1),
            "123456789012345678901234567890.5",
            "12345678.90",
            Value::Bool(true),
            Value::Micros(1_700_000_000_123_456),
            Value::Micros(-1),
            Value::Days(-1),
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{\"a\": 1}",
            "{\"b\":  [null, \"ü\"]}",
        ],
        ["null", null, null, null, null, null, null, null, null, null, null, null, null, null, null, null],
        [
            "",
            "",
            Value::Int(0),
            Value::Int(0),
            Value::Int(i64::MAX),
            Value::Float(f64::MAX / 1e300),
            Value::Float(f64::MAX),
            "0",
            "-0.01",
            Value::Bool(false),
            Value::Micros(0),
            Value::Micros(946_684_800_000_000),
            Value::Days(10_957),
            "00000000-0000-0000-0000-000000000000",
            "null",
            "[]",
        ],
    );
    let mut destination = ready(&database, &plan);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(3, 0));
    let full = "full|äß€😀'\"\\|-32768|-2147483648|-9223372036854775808|1.5|-0.1|123456789012345678901234567890.5|12345678.90|t|\
        2023-11-14 22:13:20.123456+00|1969-12-31 23:59:59.999999|1969-12-31|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|\
        {\"a\": 1}|{\"b\": [null, \"ü\"]}";
    let empty = "||0|0|9223372036854775807|1.7976931e+08|1.7976931348623157e+308|0|-0.01|f|1970-01-01 00:00:00+00|\
        2000-01-01 00:00:00|2000-01-01|00000000-0000-0000-0000-000000000000|null|[]";
    let null = format!("null{}", "|∅".repeat(15));
    let found = database.query("SET timezone = 'UTC'; SELECT * FROM t ORDER BY k");
    assert_eq!(found, [empty, full, &null]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(0, 3), "the same again updates");
    assert_eq!(database.query("SET timezone = 'UTC'; SELECT * FROM t ORDER BY k"), found);
}

#[test]
fn kept_columns_come_from_the_first_row_and_updated_ones_from_the_last() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE t (k text PRIMARY KEY, kept text, updated text, other text DEFAULT 'mine', created_at timestamptz, updated_at timestamptz);
         INSERT INTO t VALUES ('old', 'kept', 'was', 'x', '2001-01-01', '2001-01-01')",
    );
    let columns = vec![
        column("k", TEXT, Role::Key),
        column("kept", TEXT, Role::Kept),
        column("updated", TEXT, Role::Updated),
        now("created_at", Role::Kept),
        now("updated_at", Role::Updated),
    ];
    let plan = plan("t", columns, UpdateMode::Always);
    let rows = rows!(&plan, ["new", "first", "1"], ["old", "no", "2"], ["new", "second", "3"]);
    let coalesced = [Coalesced { first: 0, last: 2 }, Coalesced { first: 1, last: 1 }];
    let mut destination = ready(&database, &plan);
    assert_eq!(destination.apply(&write(&rows, &coalesced)).unwrap(), committed(1, 1));
    assert_eq!(
        database.query(
            "SELECT k, kept, updated, other, created_at > '2020-01-01', updated_at > '2020-01-01' FROM t ORDER BY k"
        ),
        ["new|first|3|mine|t|t", "old|kept|2|x|f|t"]
    );
}

#[test]
fn changed_writes_only_differences() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE t (k text PRIMARY KEY, n int, j json, updated_at timestamptz)");
    let columns = vec![
        column("k", TEXT, Role::Key),
        column("n", ColumnType::Int4, Role::Updated),
        column("j", ColumnType::Json, Role::Updated),
        now("updated_at", Role::Updated),
    ];
    let plan = plan("t", columns, UpdateMode::Changed);
    let mut destination = ready(&database, &plan);
    let rows = rows!(&plan, ["a", Value::Int(1), "{}"], ["b", Value::Null, Value::Null], ["c", Value::Int(3), "[]"]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(3, 0));
    let before = database.query("SELECT xmin, ctid, * FROM t ORDER BY k");
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(0, 0));
    assert_eq!(database.query("SELECT xmin, ctid, * FROM t ORDER BY k"), before, "nothing was written");
    let rows = rows!(&plan, ["a", Value::Null, "{}"], ["b", Value::Null, "[]"], ["c", Value::Int(3), "[]"]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(0, 2));
    assert_eq!(database.query("SELECT k, n, j FROM t ORDER BY k"), ["a|∅|{}", "b|∅|[]", "c|3|[]"]);
}

/// Equality would keep the old text, number or document.
#[test]
fn changed_compares_what_is_stored() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE t (k text PRIMARY KEY, w text COLLATE ci, n numeric, f float8, j jsonb)",
    );
    let columns = vec![
        column("k", TEXT, Role::Key),
        column("w", TEXT, Role::Updated),
        column("n", ColumnType::Numeric { precision_scale: None }, Role::Updated),
        column("f", ColumnType::Float8, Role::Updated),
        column("j", ColumnType::Jsonb, Role::Updated),
    ];
    let plan = plan("t", columns, UpdateMode::Changed);
    let mut destination = ready(&database, &plan);
    let first = ("sales", "1", Value::Float(0.0), "{\"a\": 1}");
    let row = |(word, number, float, document)| rows!(&plan, ["a", word, number, float, document]);
    assert_eq!(apply_all(&mut destination, &row(first)).unwrap(), committed(1, 0));
    for changed in [
        ("Sales", "1", Value::Float(0.0), "{\"a\": 1}"),
        ("Sales", "1.0", Value::Float(0.0), "{\"a\": 1}"),
        ("Sales", "1.0", Value::Float(-0.0), "{\"a\": 1}"),
        ("Sales", "1.0", Value::Float(-0.0), "{\"a\": 1.0}"),
    ] {
        assert_eq!(apply_all(&mut destination, &row(changed)).unwrap(), committed(0, 1), "{changed:?}");
        assert_eq!(apply_all(&mut destination, &row(changed)).unwrap(), committed(0, 0), "{changed:?}");
    }
    assert_eq!(database.query("SELECT * FROM t"), ["a|Sales|1.0|-0|{\"a\": 1.0}"]);
}

#[test]
fn newer_ignores_older_rows() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE t (k text PRIMARY KEY, n int, ts timestamptz)");
    let columns = vec![
        column("k", TEXT, Role::Key),
        column("n", ColumnType::Int4, Role::Updated),
        column("ts", ColumnType::TimestampTz, Role::Updated),
    ];
    let plan = plan("t", columns, UpdateMode::Newer);
    let mut destination = ready(&database, &plan);
    let row = |key, n, micros| rows!(&plan, [key, Value::Int(n), micros]);
    let steps = [
        (row("a", 1, Value::Micros(1000)), committed(1, 0), "a|1"),
        (row("a", 2, Value::Micros(999)), committed(0, 0), "a|1"),
        (row("a", 3, Value::Micros(1000)), committed(0, 1), "a|3"),
        (row("a", 4, Value::Micros(1001)), committed(0, 1), "a|4"),
        (row("a", 5, Value::Micros(1000)), committed(0, 0), "a|4"),
    ];
    for (rows, applied, table) in steps {
        assert_eq!(apply_all(&mut destination, &rows).unwrap(), applied);
        assert_eq!(database.query("SELECT k, n FROM t"), [table]);
    }
    database.execute("UPDATE t SET ts = NULL");
    assert_eq!(apply_all(&mut destination, &row("a", 6, Value::Micros(1))).unwrap(), committed(0, 1));
}

#[test]
fn a_table_with_only_its_key_keeps_existing_rows() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE t (a text, b int, PRIMARY KEY (a, b))");
    let columns = vec![column("a", TEXT, Role::Key), column("b", ColumnType::Int4, Role::Key)];
    let plan = plan("t", columns, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    let rows = rows!(&plan, ["x", Value::Int(1)], ["x", Value::Int(2)]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(2, 0));
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(0, 0));
}

#[test]
fn any_name_works() {
    let database = TestDatabase::new();
    database.execute(
        r#"CREATE SCHEMA "my schema";
           CREATE TABLE "my schema"."se""lect" ("order by" text PRIMARY KEY, "c1" int, "Weird "" 'name" text, "t" int)"#,
    );
    let columns = vec![
        column("order by", TEXT, Role::Key),
        column("c1", ColumnType::Int4, Role::Updated),
        column("Weird \" 'name", TEXT, Role::Updated),
        column("t", ColumnType::Int4, Role::Updated),
    ];
    let plan = plan(r#"my schema."se""lect""#, columns, UpdateMode::Changed);
    let mut destination = ready(&database, &plan);
    let rows = rows!(&plan, ["k", Value::Int(1), "x'; DROP TABLE t; --", Value::Int(2)]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(1, 0));
    assert_eq!(database.query(r#"SELECT * FROM "my schema"."se""lect""#), ["k|1|x'; DROP TABLE t; --|2"]);
}

#[test]
fn partitioned_tables_count_inserts_and_updates() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE t (k text, n int, PRIMARY KEY (k)) PARTITION BY HASH (k);
         CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE t1 (n int, k text NOT NULL);
         ALTER TABLE t ATTACH PARTITION t1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    );
    let columns = vec![column("k", TEXT, Role::Key), column("n", ColumnType::Int4, Role::Updated)];
    let plan = plan("t", columns, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    let rows = rows!(&plan, ["a", Value::Int(1)], ["b", Value::Int(2)], ["c", Value::Int(3)], ["d", Value::Int(4)]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(4, 0));
    let rows = rows!(&plan, ["a", Value::Int(5)], ["d", Value::Int(6)], ["e", Value::Int(7)]);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(1, 2));
    assert_eq!(database.query("SELECT k, n FROM t ORDER BY k"), ["a|5", "b|2", "c|3", "d|6", "e|7"]);
}

#[test]
fn five_thousand_rows_fit_one_batch() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    let mut rows = Rows::new(Arc::clone(&plan));
    for i in 0..5000 {
        push_row(&mut rows, &[format!("key-{i:05}").as_str().into(), Value::Int(i).into()]);
    }
    let mut destination = ready(&database, &plan);
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(5000, 0));
    assert_eq!(apply_all(&mut destination, &rows).unwrap(), committed(0, 5000));
    assert_eq!(database.query("SELECT count(*), sum(n), max(k) FROM t"), ["5000|12497500|key-04999"]);
}

#[test]
fn a_bad_row_fails_its_batch_shows_no_value_and_leaves_the_connection_good() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
         CREATE TABLE t (k text PRIMARY KEY, u text CONSTRAINT only_once UNIQUE, n int NOT NULL, s varchar(8), num numeric(4,1), j jsonb,
            p int REFERENCES parent, CONSTRAINT not_forty CHECK (n <> 40));
         INSERT INTO t VALUES ('there', 'taken', 1)",
    );
    let columns = vec![
        column("k", TEXT, Role::Key),
        column("u", TEXT, Role::Updated),
        column("n", ColumnType::Int4, Role::Updated),
        column("s", ColumnType::Text { chars_max: Some(8) }, Role::Updated),
        column("num", ColumnType::Numeric { precision_scale: Some((4, 1)) }, Role::Updated),
        column("j", ColumnType::Jsonb, Role::Updated),
        column("p", ColumnType::Int4, Role::Updated),
    ];
    let plan = plan("t", columns, UpdateMode::Always);
    let mut destination = ready(&database, &plan);
    let null = Value::Null;
    let one = Value::Int(1);
    let good = ["good", "free"];
    let cases = [
        (
            rows!(&plan, [good[0], good[1], one, null, null, null, null], ["x", "taken", one, null, null, null, null]),
            "23505",
            Some("only_once"),
            None,
        ),
        (rows!(&plan, ["x", null, Value::Int(40), null, null, null, null]), "23514", Some("not_forty"), None),
        (rows!(&plan, ["x", null, null, null, null, null, null]), "23502", None, Some("n")),
        (rows!(&plan, ["x", null, one, null, null, null, Value::Int(666)]), "23503", Some("t_p_fkey"), None),
        (rows!(&plan, ["x", null, one, "taken, and too long", null, null, null]), "22001", None, None),
        (rows!(&plan, ["x", null, one, null, "takentaken", null, null]), "22P02", None, None),
        (rows!(&plan, ["x", null, one, null, "666666", null, null]), "22003", None, None),
        (rows!(&plan, ["x", null, one, null, null, "{taken}", null]), "22P02", None, None),
        (rows!(&plan, ["x", "taken\0", one, null, null, null, null]), "22021", None, None),
        (
            rows!(&plan, ["x", "1", one, null, null, null, null], ["x", "2", one, null, null, null, null]),
            "21000",
            None,
            None,
        ),
    ];
    for (rows, sqlstate, constraint, column) in cases {
        let error = apply_all(&mut destination, &rows).unwrap_err();
        assert_eq!(error.sqlstate(), Some(sqlstate), "{error}");
        assert_eq!((error.class(), error.kind()), (Class::BadRow, ErrorKind::Constraint), "{error}");
        assert_eq!((error.constraint(), error.column()), (constraint, column), "{error}");
        let everything = format!("{error:?} {}", error.detail_json());
        assert!(!everything.contains("taken") && !everything.contains("666666"), "{everything}");
        assert_eq!(database.query("SELECT count(*) FROM t"), ["1"], "nothing of the batch is there");
    }
    let fine = rows!(&plan, [good[0], good[1], one, null, null, null, one]);
    assert_eq!(apply_all(&mut destination, &fine).unwrap(), committed(1, 0), "on the same connection");
}

#[test]
fn a_value_of_the_wrong_type_is_an_internal_error() {
    let database = TestDatabase::new();
    let plan = small_table(&database, UpdateMode::Always);
    for value in [Cell::Other(Value::Bool(true)), Cell::Other(Value::Int(1 << 40)), Cell::Text("secret")] {
        let mut destination = ready(&database, &plan);
        let mut rows = Rows::new(Arc::clone(&plan));
        push_row(&mut rows, &["k".into(), value]);
        let error = apply_all(&mut destination, &rows).unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Internal, Class::Permanent));
        assert!(!format!("{error:?}").contains("secret"));
    }
}

#[test]
fn a_mismatch_shows_when_preparing() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE t (k text, n int); CREATE TABLE u (k text PRIMARY KEY, n int); CREATE ROLE cxsink_reader LOGIN PASSWORD 'reader'",
    );
    database.execute("GRANT SELECT ON u TO cxsink_reader");
    let columns = || vec![column("k", TEXT, Role::Key), column("n", ColumnType::Int4, Role::Updated)];
    let mut no_index = database.destination("t");
    no_index.connect().unwrap();
    let error = no_index.prepare(&plan("t", columns(), UpdateMode::Always)).unwrap_err();
    assert_eq!((error.class(), error.sqlstate()), (Class::Mismatch, Some("42P10")), "{error}");

    let mut more = columns();
    more.push(column("missing", TEXT, Role::Kept));
    let mut no_column = database.destination("u");
    no_column.connect().unwrap();
    let error = no_column.prepare(&plan("u", more, UpdateMode::Always)).unwrap_err();
    assert_eq!((error.class(), error.sqlstate()), (Class::Mismatch, Some("42703")), "{error}");

    let url = database.url();
    let (_, server) = url.split_once('@').unwrap();
    let url = format!("postgresql://cxsink_reader:reader@{server}");
    let config = crate::destination::postgres::test_server::config(&url, "u");
    let mut reader = PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap();
    reader.connect().unwrap();
    let error = reader.prepare(&plan("u", columns(), UpdateMode::Always)).unwrap_err();
    assert_eq!((error.class(), error.sqlstate()), (Class::Mismatch, Some("42501")), "{error}");
    drop(reader);
    database.execute("DROP OWNED BY cxsink_reader; DROP ROLE cxsink_reader");
}

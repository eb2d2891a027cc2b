use super::*;

#[test]
fn columns_are_read_with_their_types() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE DOMAIN short AS varchar(7) NOT NULL;
         CREATE TABLE t (
            a text, gone int, b varchar(255) NOT NULL, c varchar, d smallint, e int DEFAULT 1, f bigserial, g real,
            h double precision, i numeric, j numeric(10,2), k boolean, l timestamptz, m timestamp(3), n date, o uuid, p json,
            q jsonb, r point, s bigint GENERATED ALWAYS AS IDENTITY, t int GENERATED ALWAYS AS (d + 1) STORED, u short);
         ALTER TABLE t DROP COLUMN gone",
    );
    let table = database.destination("t").connect().unwrap();
    let text = |chars_max| Some(ColumnType::Text { chars_max });
    let expected = [
        ("a", text(None), "text", false, false),
        ("b", text(Some(255)), "character varying(255)", true, false),
        ("c", text(None), "character varying", false, false),
        ("d", Some(ColumnType::Int2), "smallint", false, false),
        ("e", Some(ColumnType::Int4), "integer", false, true),
        ("f", Some(ColumnType::Int8), "bigint", true, true),
        ("g", Some(ColumnType::Float4), "real", false, false),
        ("h", Some(ColumnType::Float8), "double precision", false, false),
        ("i", Some(ColumnType::Numeric { precision_scale: None }), "numeric", false, false),
        ("j", Some(ColumnType::Numeric { precision_scale: Some((10, 2)) }), "numeric(10,2)", false, false),
        ("k", Some(ColumnType::Bool), "boolean", false, false),
        ("l", Some(ColumnType::TimestampTz), "timestamp with time zone", false, false),
        ("m", Some(ColumnType::Timestamp), "timestamp(3) without time zone", false, false),
        ("n", Some(ColumnType::Date), "date", false, false),
        ("o", Some(ColumnType::Uuid), "uuid", false, false),
        ("p", Some(ColumnType::Json), "json", false, false),
        ("q", Some(ColumnType::Jsonb), "jsonb", false, false),
        ("r", None, "point", false, false),
        ("s", Some(ColumnType::Int8), "bigint", true, true),
        ("t", Some(ColumnType::Int4), "integer", false, true),
        ("u", text(Some(7)), "short", true, false),
    ];
    let expected = expected.map(|(name, column_type, type_name, not_null, has_default)| Column {
        name: name.into(),
        column_type,
        type_name: type_name.into(),
        not_null,
        has_default,
    });
    assert_eq!(table.columns, expected);
    assert_eq!(table.unique_keys, Vec::<Vec<String>>::new());
}

#[test]
fn only_keys_that_on_conflict_can_use_are_listed() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TABLE t (a int, b int, c int, d text, e int, f int, UNIQUE (b, a), UNIQUE (e) DEFERRABLE, id int PRIMARY KEY);
         CREATE UNIQUE INDEX ON t (lower(d));
         CREATE UNIQUE INDEX ON t (c) WHERE a > 0;
         CREATE INDEX ON t (d);
         CREATE UNIQUE INDEX ON t (f) INCLUDE (a);
         CREATE TABLE p (k text PRIMARY KEY) PARTITION BY HASH (k)",
    );
    let table = database.destination("t").connect().unwrap();
    assert_eq!(table.unique_keys, [vec!["id"], vec!["b", "a"], vec!["f"]]);
    let partitioned = database.destination("p").connect().unwrap();
    assert_eq!(partitioned.unique_keys, [["k"]]);
}

#[test]
fn tables_are_found_by_any_name() {
    let database = TestDatabase::new();
    database.execute(
        r#"CREATE SCHEMA "odd schema";
           CREATE TABLE "odd schema"."select" (a int);
           CREATE TABLE "it""s.here" (b int);
           CREATE SCHEMA hidden;
           CREATE TABLE hidden.other (c int)"#,
    );
    for (name, column) in [("odd schema.select", "a"), (r#""it""s.here""#, "b"), ("hidden.other", "c")] {
        let table = database.destination(name).connect().unwrap();
        assert_eq!((table.name.as_str(), table.columns[0].name.as_str()), (name, column));
    }
    for name in ["other", "Hidden.other", "odd schema", "select", "nowhere.t"] {
        let error = database.destination(name).connect().unwrap_err();
        assert_eq!((error.class(), error.kind()), (Class::Mismatch, ErrorKind::Database), "{name}");
        assert_eq!(error.sqlstate(), Some("42P01"), "{name}");
        assert!(error.hint().unwrap().contains("cxsink init-db"), "{name}");
    }
    let url = format!("{}?options=-c%20search_path%3Dhidden", database.url());
    let mut by_path = PostgresDestination::new(
        &crate::destination::postgres::test_server::config(&url, "other"),
        &TlsConfig::default(),
        StopSignal::new(),
    )
    .unwrap();
    assert_eq!(by_path.connect().unwrap().columns[0].name, "c");
}

#[test]
fn a_view_is_refused_with_a_reason() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE t (a int); CREATE VIEW v AS SELECT * FROM t");
    let error = database.destination("v").connect().unwrap_err();
    assert_eq!(error.class(), Class::Mismatch);
    assert!(error.message().contains("v is a view"), "{error}");
}

#[test]
fn init_db_creates_the_tables_once_and_its_sql_is_the_same() {
    let database = TestDatabase::new();
    database.execute("CREATE SCHEMA reporting");
    for name in ["cxone_events", "reporting.Events"] {
        let mut destination = database.destination(name);
        destination.init_db().unwrap();
        destination.init_db().unwrap();
        let table = destination.connect().unwrap();
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        let expected = [
            "id",
            "interaction_id",
            "timestamp",
            "type",
            "idempotency_key",
            "duration",
            "disposition",
            "queue_name",
            "agent_id",
            "attributes",
            "created_at",
            "updated_at",
        ];
        assert_eq!(names, expected);
        assert!(table.unique_keys.contains(&vec!["idempotency_key".to_owned()]));
        assert_eq!(destination.position("spool", 7).unwrap(), Some(7));
        database.execute(&init_db::sql(&TableName::parse(name).unwrap()));
    }
    assert_eq!(database.query("SELECT to_regclass('reporting.cxsink_checkpoint')"), ["reporting.cxsink_checkpoint"]);
}

#[test]
fn init_db_creates_the_checkpoint_table_beside_an_existing_table() {
    let database = TestDatabase::new();
    database.execute("CREATE SCHEMA app; CREATE TABLE public.cxone_events (k text PRIMARY KEY)");
    let url = format!("{}?options=-c%20search_path%3Dapp,public", database.url());
    let config = crate::destination::postgres::test_server::config(&url, "cxone_events");
    PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap().init_db().unwrap();
    assert_eq!(
        database.query("SELECT to_regclass('app.cxone_events'), to_regclass('public.cxsink_checkpoint')"),
        ["∅|cxsink_checkpoint"]
    );
}

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
    let text = |chars_max| ColumnType::Text { chars_max };
    let any = |name: &str| ColumnType::Other(Arc::new(OtherType { sql_name: name.into(), form: TextForm::Any }));
    let expected = [
        ("a", text(None), "text", false, false),
        ("b", text(Some(255)), "character varying(255)", true, false),
        ("c", text(None), "character varying", false, false),
        ("d", ColumnType::Int2, "smallint", false, false),
        ("e", ColumnType::Int4, "integer", false, true),
        ("f", ColumnType::Int8, "bigint", true, true),
        ("g", ColumnType::Float4, "real", false, false),
        ("h", ColumnType::Float8, "double precision", false, false),
        ("i", ColumnType::Numeric { precision_scale: None }, "numeric", false, false),
        ("j", ColumnType::Numeric { precision_scale: Some((10, 2)) }, "numeric(10,2)", false, false),
        ("k", ColumnType::Bool, "boolean", false, false),
        ("l", ColumnType::TimestampTz, "timestamp with time zone", false, false),
        ("m", ColumnType::Timestamp, "timestamp(3) without time zone", false, false),
        ("n", ColumnType::Date, "date", false, false),
        ("o", ColumnType::Uuid, "uuid", false, false),
        ("p", ColumnType::Json, "json", false, false),
        ("q", ColumnType::Jsonb, "jsonb", false, false),
        ("r", any("pg_catalog.point"), "point", false, false),
        ("s", ColumnType::Int8, "bigint", true, true),
        ("t", ColumnType::Int4, "integer", false, true),
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
fn domains_over_domains_are_read_as_their_base() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE DOMAIN word AS varchar(7); CREATE DOMAIN needed AS word NOT NULL; CREATE DOMAIN filled AS needed DEFAULT '';
         CREATE DOMAIN amount AS numeric(10,2); CREATE DOMAIN price AS amount;
         CREATE TABLE t (a needed, b filled, c price, d word)",
    );
    let table = database.destination("t").connect().unwrap();
    let text = ColumnType::Text { chars_max: Some(7) };
    let found: Vec<_> = table.columns.iter().map(|c| (c.column_type.clone(), c.not_null, c.has_default)).collect();
    let numeric = ColumnType::Numeric { precision_scale: Some((10, 2)) };
    assert_eq!(
        found,
        [(text.clone(), true, false), (text.clone(), true, true), (numeric, false, false), (text, false, false)]
    );
    assert_eq!(table.columns[1].type_name, "filled");
}

/// The index decides, and not the column's collation.
#[test]
fn columns_in_which_different_values_are_one_are_listed() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE DOMAIN label AS text COLLATE ci; CREATE DOMAIN title AS label;
         CREATE FUNCTION compare(text, text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT bttextcmp(lower($1), lower($2))';
         CREATE OPERATOR CLASS folded FOR TYPE text USING btree AS OPERATOR 1 <, OPERATOR 3 =, OPERATOR 5 >, FUNCTION 1 compare(text, text);
         CREATE TABLE t (a text COLLATE ci UNIQUE, b text, c text COLLATE ci, d text UNIQUE, e title UNIQUE, f text, g text COLLATE ci,
            h timestamptz(3), i timestamp(0), j timestamptz, k timestamptz(6), l varchar(9) UNIQUE, m text COLLATE \"und-x-icu\" UNIQUE);
         CREATE UNIQUE INDEX ON t (b COLLATE ci); CREATE UNIQUE INDEX ON t (c COLLATE \"C\"); CREATE UNIQUE INDEX ON t (f folded);
         CREATE UNIQUE INDEX ON t (g COLLATE \"C\" text_pattern_ops)",
    );
    let mut found = database.destination("t").connect().unwrap().loose_columns;
    found.sort();
    assert_eq!(found, ["a", "b", "e", "f", "h", "i"]);
}

/// The catalogue shows of each that it may refuse a row, and that it relates rows.
#[test]
fn guards_and_relations_are_found_in_every_part_of_the_table() {
    let parts = "CREATE TABLE t (k text PRIMARY KEY, n int, p text) PARTITION BY HASH (k);
        CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY HASH (k);
        CREATE TABLE t1 PARTITION OF t0 FOR VALUES WITH (MODULUS 1, REMAINDER 0);";
    let plain = "CREATE TABLE t (k text PRIMARY KEY, n int, p text);";
    let functions = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';";
    let (none, guarded, both) = ((false, false), (true, false), (true, true));
    for (table, more, expected) in [
        (plain, "", none),
        (parts, "", none),
        (parts, "CREATE INDEX ON t1 (n)", none),
        (parts, "ALTER TABLE t1 ADD CHECK (n < 9)", guarded),
        (parts, "ALTER TABLE t0 ALTER n SET NOT NULL", guarded),
        (parts, "ALTER TABLE t1 ADD FOREIGN KEY (p) REFERENCES t", both),
        (parts, "CREATE TABLE o (k text PRIMARY KEY); ALTER TABLE t1 ADD FOREIGN KEY (p) REFERENCES o", guarded),
        (parts, "CREATE UNIQUE INDEX ON t1 (n)", both),
        (parts, "CREATE UNIQUE INDEX ON t1 (lower(p))", both),
        (parts, "ALTER TABLE t1 ADD EXCLUDE USING btree (n WITH =)", both),
        (parts, "ALTER TABLE t1 ENABLE ROW LEVEL SECURITY", guarded),
        (parts, "CREATE TRIGGER f AFTER INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION f()", guarded),
        (parts, "CREATE TRIGGER f BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION f()", both),
        (parts, "CREATE TRIGGER f BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()", guarded),
        (plain, "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION f()", guarded),
        (
            plain,
            "CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER f",
            none,
        ),
        (plain, "CREATE TABLE c (CHECK (n < 9)) INHERITS (t)", guarded),
        (plain, "ALTER TABLE t ADD l text GENERATED ALWAYS AS (lower(k)) STORED", guarded),
        (plain, "ALTER TABLE t ADD l text GENERATED ALWAYS AS (lower(k)) STORED UNIQUE", both),
        (
            plain,
            "CREATE UNIQUE INDEX i ON t (n); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass",
            both,
        ),
        (
            plain,
            "CREATE DOMAIN d AS int CHECK (VALUE < 9); CREATE DOMAIN e AS d; ALTER TABLE t ALTER n TYPE e",
            guarded,
        ),
    ] {
        let database = TestDatabase::new();
        database.execute(&format!("{functions} {table} {more}"));
        let found = database.destination("t").connect().unwrap();
        assert_eq!((found.is_guarded, found.relates_rows), expected, "{table} {more}");
    }
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
        destination.init_db(None).unwrap();
        destination.init_db(None).unwrap();
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
        super::fence::create(&mut destination, "spool", 7);
        database.execute(&init_db::sql(&TableName::parse(name).unwrap(), None));
    }
    assert_eq!(database.query("SELECT to_regclass('reporting.cxsink_checkpoint')"), ["reporting.cxsink_checkpoint"]);
}

#[test]
fn init_db_creates_the_checkpoint_table_beside_an_existing_table() {
    let database = TestDatabase::new();
    database.execute("CREATE SCHEMA app; CREATE TABLE public.cxone_events (k text PRIMARY KEY)");
    let url = format!("{}?options=-c%20search_path%3Dapp,public", database.url());
    let config = crate::destination::postgres::test_server::config(&url, "cxone_events");
    PostgresDestination::new(&config, &TlsConfig::default(), StopSignal::new()).unwrap().init_db(None).unwrap();
    assert_eq!(
        database.query("SELECT to_regclass('app.cxone_events'), to_regclass('public.cxsink_checkpoint')"),
        ["∅|cxsink_checkpoint"]
    );
}

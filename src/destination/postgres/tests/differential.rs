//! A column equals what PostgreSQL itself makes of the same JSON, for thousands of values: `json_populate_record`, which takes the digits
//! as they are written, and `jsonb_populate_record`. What it refuses is refused.

use fastrand::Rng;

use super::*;
use crate::config::{FromEvent, MappingConfig, ValueFormat};
use crate::rows::event::ParsedEvent;
use crate::rows::{Arrival, map_event};

/// The text from which PostgreSQL makes the value of a column.
#[derive(Clone, Copy)]
enum Oracle {
    /// That of the JSON value.
    AsWritten,
    /// The same, but of a number without zeros at its end: `12.0` is a whole number for JSON, and not for PostgreSQL's `integer`.
    Shortest,
}

/// Fills the column `c` of a table `found` from values of JSON, as the sink does, and the column of a table `expected` as PostgreSQL does.
fn fill(database: &TestDatabase, type_name: &str, oracle: Oracle, values: &[String]) {
    fill_from(FromEvent::at("/c"), database, type_name, oracle, values);
}

/// [`fill`] with another source of the column.
fn fill_from(source: FromEvent, database: &TestDatabase, type_name: &str, oracle: Oracle, values: &[String]) {
    let mut client = database.client();
    let value = match oracle {
        Oracle::AsWritten => "g.v",
        Oracle::Shortest => {
            "CASE json_typeof(g.v::json) WHEN 'number' THEN trim_scale((g.v::json #>> '{}')::numeric)::text ELSE g.v END"
        }
    };
    let sql = format!(
        "DROP TABLE IF EXISTS found, expected, expected_of_jsonb, given;
         CREATE TABLE found (k bigint PRIMARY KEY, c {type_name});
         CREATE TABLE expected (LIKE found INCLUDING ALL);
         CREATE TABLE expected_of_jsonb (LIKE found INCLUDING ALL);
         CREATE TABLE given (k bigint, v text)"
    );
    client.batch_execute(&sql).unwrap();
    let numbers: Vec<i64> = (0..).take(values.len()).collect();
    client.execute("INSERT INTO given SELECT * FROM unnest($1::bigint[], $2::text[])", &[&numbers, &values]).unwrap();
    for (table, json) in [("expected", "json"), ("expected_of_jsonb", "jsonb")] {
        let sql = format!(
            "DO $$ DECLARE g record; BEGIN FOR g IN SELECT * FROM given LOOP
               BEGIN
                 INSERT INTO {table} SELECT g.k, c
                 FROM {json}_populate_record(NULL::{table}, ('{{\"c\":' || {value} || '}}')::{json});
               EXCEPTION WHEN OTHERS THEN NULL;
               END;
             END LOOP; END $$"
        );
        client.batch_execute(&sql).unwrap();
    }
    let mut destination = database.destination("found");
    let table = destination.connect().unwrap();
    let mut mapping = MappingConfig::default();
    mapping.columns = vec![("k".into(), "/k".into()), ("c".into(), source.into())];
    mapping.key = vec!["k".into()];
    mapping.update = None;
    let plan = Arc::new(Plan::of(&mapping, UpdateMode::Always, &table).unwrap());
    destination.prepare(&plan).unwrap();
    let mut rows = Rows::new(plan);
    for (offset, value) in (0..).zip(values) {
        let event = format!("{{\"k\":{offset},\"c\":{value}}}");
        // A misfit is in no row.
        let _ = map_event(&ParsedEvent::parse(&event).unwrap(), Arrival { offset, received_at: 0 }, &mut rows);
    }
    for chunk in each(&rows).chunks(500) {
        if destination.apply(&write(&rows, chunk)).is_err() {
            for one in chunk.chunks(1) {
                if let Err(error) = destination.apply(&write(&rows, one)) {
                    assert!(error.is_refusal(), "a value and not the statement: {error}");
                }
            }
        }
    }
}

/// Every value is in both tables or in neither, and the same to the last bit.
#[track_caller]
fn check(database: &TestDatabase, type_name: &str, oracle: Oracle, values: &[String]) {
    fill(database, type_name, oracle, values);
    compare(database, type_name, "(f.k IS NULL) <> (e.k IS NULL)");
}

/// Values differ, or `differs` says which may be in one table alone.
#[track_caller]
fn compare(database: &TestDatabase, type_name: &str, differs: &str) {
    let compare = |table: &str, condition: &str| {
        let sql = format!(
            "SELECT left(g.v, 90), CASE WHEN f.k IS NULL THEN 'refused' ELSE left(f.c::text, 90) END,
                    CASE WHEN e.k IS NULL THEN 'refused' ELSE left(e.c::text, 90) END
             FROM given AS g LEFT JOIN found AS f USING (k) LEFT JOIN {table} AS e USING (k)
             WHERE {condition} LIMIT 10"
        );
        let differences = database.query(&sql);
        assert!(differences.is_empty(), "{type_name}: value, found, {table}:\n{}", differences.join("\n"));
    };
    compare("expected", &format!("{differs} OR f.k IS NOT NULL AND ROW(f.c)::record *<> ROW(e.c)::record"));
    // `jsonb` has numbers of its own: the value is the same, and its text may be another.
    let same = match type_name {
        "json" => "f.c::jsonb IS DISTINCT FROM e.c::jsonb",
        "numeric" | "jsonb" | "real" | "double precision" | "boolean" => "f.c IS DISTINCT FROM e.c",
        _ if type_name.starts_with("varchar") || type_name == "text" => "false",
        // Not every type has an equality. The text of an object is another one.
        _ => "f.c::text IS DISTINCT FROM e.c::text AND json_typeof(g.v::json) NOT IN ('array', 'object')",
    };
    compare("expected_of_jsonb", &format!("f.k IS NOT NULL AND e.k IS NOT NULL AND {same}"));
    let counts =
        database.query("SELECT count(f.k) > 0, count(*) > count(f.k) FROM given LEFT JOIN found AS f USING (k)");
    assert!(counts[0].starts_with('t'), "{type_name}: some values must fit: {counts:?}");
}

/// Numbers at the edges of types.
const EDGES: [&str; 46] = [
    "0",
    "-0",
    "-0.0",
    "0e5",
    "1.10",
    "-1.10e0",
    "12.0",
    "12.5",
    "1e3",
    "1e-3",
    "1E400",
    "-1e400",
    "1e-400",
    "0.1",
    "1e22",
    "1e23",
    "123456789012345678901234567890.123456789012345678901234567890",
    "32767",
    "32768",
    "-32768.0",
    "2147483647",
    "2147483648",
    "-2147483648",
    "9007199254740993",
    "9007199254740993.0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "5e-324",
    "2.4703282292062327e-324",
    "2.4703282292062328e-324",
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "3.4028235677973366e38",
    "3.4028235e38",
    "7e-46",
    "7.1e-46",
    "1e131071",
    "1e131072",
    "1e-16383",
    "1e-16384",
    "0e-16384",
    "1.00000000000000000000000001",
];

fn number(rng: &mut Rng) -> String {
    let digits = |rng: &mut Rng, count: usize| -> String { (0..count).map(|_| rng.char('0'..='9')).collect() };
    let count = [1, 1, 2, 5, 10, 16, 17, 19, 20, 30, 40][rng.usize(..11)];
    let mut text = String::from(if rng.bool() { "-" } else { "" });
    let whole = digits(rng, count);
    text.push_str(match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    });
    if rng.bool() {
        let count = [1, 2, 2, 3, 10, 16, 25, 30][rng.usize(..8)];
        text.push('.');
        text.push_str(&digits(rng, count));
    }
    if rng.u8(..3) == 0 {
        let exponent = match rng.u8(..8) {
            0 => rng.i32(290..330),
            1 => rng.i32(-350..-280),
            2 => rng.i32(131_040..131_090),
            3 => rng.i32(-16_400..-16_340),
            4 => rng.i32(30..45),
            _ => rng.i32(-20..20),
        };
        text.push(rng.choice(['e', 'E']).unwrap());
        text.push_str(&exponent.to_string());
    }
    text
}

fn numbers(rng: &mut Rng, count: usize) -> Vec<String> {
    EDGES.iter().map(|&edge| edge.to_owned()).chain((0..count).map(|_| number(rng))).collect()
}

fn of_readable_scale(mut values: Vec<String>) -> Vec<String> {
    values.retain(|value| !value.to_lowercase().contains("e-16"));
    values
}

/// A value as compact JSON, with the names of members in order.
fn document(rng: &mut Rng, depth: u32) -> String {
    let below = |rng: &mut Rng| document(rng, depth + 1);
    match rng.u8(..if depth < 3 { 8 } else { 5 }) {
        0 => "null".into(),
        1 => rng.bool().to_string(),
        2 => [r#""""#, r#""1.50""#, r#""a\"b\\""#, r#""äß€😀""#, r#""\n\t""#][rng.usize(..5)].into(),
        3 | 4 => number(rng),
        5 => {
            let items: Vec<String> = (0..rng.usize(..4)).map(|_| below(rng)).collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let names = ["", "a", "a.b", "b", "ä"];
            let members: Vec<String> = names
                .iter()
                .filter(|_| rng.u8(..3) > 0)
                .collect::<Vec<_>>()
                .into_iter()
                .map(|name| format!("\"{name}\":{}", below(rng)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn rng() -> Rng {
    let seed = fastrand::u64(..);
    println!("the seed is {seed}");
    Rng::with_seed(seed)
}

#[test]
fn numbers_reach_every_type_as_postgresql_reads_them() {
    let database = TestDatabase::new();
    let mut rng = rng();
    // A scale beyond the precision came with PostgreSQL 15.
    let is_without_such_scales = database.query("SELECT current_setting('server_version_num')::int < 150000") == ["t"];
    for type_name in [
        "numeric",
        "numeric(10,2)",
        "numeric(2,3)",
        "numeric(40,20)",
        "double precision",
        "real",
        "text",
        "varchar(12)",
        "json",
        "jsonb",
    ] {
        if type_name == "numeric(2,3)" && is_without_such_scales {
            continue;
        }
        // As a value of its own type PostgreSQL would round it; but it reads no text with so many digits as a `numeric`.
        let values = numbers(&mut rng, 700);
        let values = if type_name.starts_with("numeric(") { of_readable_scale(values) } else { values };
        check(&database, type_name, Oracle::AsWritten, &values);
    }
    for type_name in ["smallint", "integer", "bigint", "boolean"] {
        let mut values = of_readable_scale(numbers(&mut rng, 500));
        values.extend((0..100).map(|_| format!("{}.{}", rng.i32(-40_000..40_000), rng.u8(..2))));
        check(&database, type_name, Oracle::Shortest, &values);
    }
}

#[test]
fn documents_keep_their_digits() {
    let database = TestDatabase::new();
    let mut rng = rng();
    for type_name in ["json", "jsonb", "text"] {
        let values: Vec<String> = (0..800).map(|_| document(&mut rng, 0)).collect();
        check(&database, type_name, Oracle::AsWritten, &values);
    }
    let values = [
        r#"{"a":1.10,"a":1.20}"#,
        r#"{"a":{"b":1.10},"\u0061":[1.0,2.50]}"#,
        r#" { "b" : [ 1.0 , {"a":-0} ] , "a" : 1E400 } "#,
        r#"{"\u0000":1}"#,
        r#"["\u0000"]"#,
        "[1e131072]",
        "[0e-16384]",
        r#"[1e131072,{"a":1}]"#,
    ];
    check(&database, "jsonb", Oracle::AsWritten, &values.map(String::from));
}

/// Values of every kind, for every type.
const VALUES: [&str; 73] = [
    "null",
    "true",
    "0",
    "1",
    "5",
    "-7",
    "1.5",
    "101",
    "2147483648",
    r#""""#,
    r#"" ""#,
    r#""x""#,
    r#""abc""#,
    r#""abc  ""#,
    r#""abcd""#,
    r#""red""#,
    r#""Red""#,
    r#""1""#,
    r#""t""#,
    r#""101""#,
    r#""\u0000""#,
    r#""äöü""#,
    r#""2026-11-26""#,
    r#""2026-02-30""#,
    r#""2026-11-26T23:30:00.5+01:00""#,
    r#""12:30""#,
    r#""12:30:00.123456""#,
    r#""25:00""#,
    r#""12:30+02""#,
    r#""1 day""#,
    r#""P1Y2M3DT4H5M6.7S""#,
    r#""3 furlongs""#,
    r#""192.168.0.1""#,
    r#""192.168.0.1/24""#,
    r#""10.0.0.0/8""#,
    r#""::1""#,
    r#""08:00:2b:01:02:03""#,
    r#""$1,234.56""#,
    r#""(1,2)""#,
    r#""(1,2),(3,4)""#,
    r#""<(1,2),3>""#,
    r#""[1,5)""#,
    r#""[5,1)""#,
    r#""empty""#,
    r#""[2026-11-26,2026-11-28)""#,
    r#""{[1,2),[5,6)}""#,
    r#""{1,2}""#,
    r#""{{1,2},{3}}""#,
    r#""a=>1""#,
    r#""a=>""#,
    r#""Top.Science""#,
    r#""a..b""#,
    r#""<a>b</a>""#,
    r#""<a>""#,
    r#""fat & rat""#,
    r#""fat &""#,
    r#""fat cat""#,
    r#""\\xDEADbeef""#,
    r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#,
    "[]",
    "[[]]",
    "[[],[]]",
    "[1,2]",
    "[1,null]",
    "[[1,2],[3,4]]",
    "[[1],[2,3]]",
    "[[[[[[[1]]]]]]]",
    r#"["a","b\"c\\d","{,}"," ","NULL","red"]"#,
    r#"["red",null]"#,
    r#"["1.25","7"]"#,
    "[[1],2]",
    "[1,[2]]",
    r#"[{"a":1.10}]"#,
];

fn values() -> Vec<String> {
    VALUES.map(String::from).into()
}

fn with_types() -> TestDatabase {
    let database = TestDatabase::new();
    database.execute(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION ltree;
         CREATE TYPE color AS ENUM ('red', 'green', '1'); CREATE TYPE pair AS (a int, b text);
         CREATE DOMAIN positive AS int CHECK (value > 0); CREATE DOMAIN word AS varchar(3); CREATE DOMAIN paint AS color;
         CREATE DOMAIN home AS inet CHECK (family(value) = 4); CREATE DOMAIN few AS int[] CHECK (cardinality(value) < 2)",
    );
    database
}

#[test]
fn every_type_takes_what_postgresql_takes_for_it() {
    let database = with_types();
    for type_name in [
        "char(3)",
        "citext",
        "word",
        "color",
        "paint",
        "positive",
        "home",
        "interval",
        "interval(0)",
        "time",
        "time(0)",
        "timetz",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "money",
        "bit(3)",
        "varbit(2)",
        "varbit",
        "int4range",
        "numrange",
        "daterange",
        "tstzrange",
        "int4multirange",
        "tsvector",
        "tsquery",
        "xml",
        "point",
        "box",
        "circle",
        "lseg",
        "path",
        "polygon",
        "hstore",
        "ltree",
        "oid",
        "name",
        "\"char\"",
        "pg_lsn",
        "jsonpath",
        "regtype",
    ] {
        check(&database, type_name, Oracle::AsWritten, &values());
    }
}

/// `CXSINK_TEST_EXTENSIONS` names those of a server that has others.
#[test]
fn types_of_extensions_take_what_postgresql_takes_for_them() {
    let extensions = std::env::var("CXSINK_TEST_EXTENSIONS");
    for extension in extensions.as_deref().unwrap_or("cube ltree seg").split_whitespace() {
        let database = TestDatabase::new();
        database.execute(&format!("CREATE EXTENSION {extension}"));
        let types: &[&str] = match extension {
            "vector" => &["vector", "vector(2)", "halfvec(2)", "sparsevec(5)", "vector(2)[]"],
            "ltree" => &["ltree", "lquery", "ltree[]"],
            "cube" => &["cube"],
            "seg" => &["seg"],
            other => panic!("there are no values for the types of {other}"),
        };
        for type_name in types {
            let mut values = values();
            values.extend(
                ["[1.5,-2e0]", "\"[1,2]\"", "[[1,2],[3,4]]", "[\"[1,2]\"]", "\"{1:1.5,3:2}/5\""].map(String::from),
            );
            check(&database, type_name, Oracle::AsWritten, &values);
        }
    }
}

#[test]
fn arrays_are_what_postgresql_makes_of_json_arrays() {
    let database = with_types();
    for type_name in [
        "int[]",
        "smallint[]",
        "bigint[]",
        "text[]",
        "varchar(3)[]",
        "char(3)[]",
        "citext[]",
        "numeric[]",
        "numeric(3,1)[]",
        "bool[]",
        "float8[]",
        "float4[]",
        "color[]",
        "paint[]",
        "word[]",
        "uuid[]",
        "inet[]",
        "interval[]",
        "box[]",
        "json[]",
        "jsonb[]",
        "hstore[]",
    ] {
        check(&database, type_name, Oracle::AsWritten, &values());
    }
    // PostgreSQL reads more forms of dates than RFC 3339, and checks the domain of an element that is null.
    for type_name in ["date[]", "timestamptz[]", "timestamp[]", "positive[]", "few"] {
        fill(&database, type_name, Oracle::AsWritten, &values());
        compare(&database, type_name, "f.k IS NOT NULL AND e.k IS NULL");
    }
}

#[test]
fn bytes_are_read_from_base64() {
    let database = TestDatabase::new();
    let mut rng = rng();
    let encoded = |rng: &mut Rng| {
        let bytes: Vec<u8> = (0..rng.usize(..100)).map(|_| rng.u8(..)).collect();
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
    };
    let mut values: Vec<String> = (0..200).map(|_| encoded(&mut rng)).collect();
    values.extend(["", "QQ==", "QUJD REVG", "QUJD\nREVG", "QQ", "QQ=", "Q", "_-8=", "====", "ä"].map(String::from));
    let quoted: Vec<String> = values.iter().map(|value| serde_json::Value::from(value.as_str()).to_string()).collect();
    fill(&database, "bytea", Oracle::AsWritten, &quoted);
    expect(&database, "decode(g.v, 'base64')");
    compare(&database, "bytea", "(f.k IS NULL) <> (e.k IS NULL)");
    check(
        &database,
        "bytea",
        Oracle::AsWritten,
        &[r#""\\x""#, r#""\\xDEADbeef""#, r#""\\xa""#, r#""\\xgg""#].map(String::from),
    );
}

/// A date-time of RFC 3339.
fn date_time(rng: &mut Rng) -> String {
    let date = format!("{:04}-{:02}-{:02}", rng.u32(1..10_000), rng.u32(1..13), rng.u32(1..29));
    let time = format!("{:02}:{:02}:{:02}", rng.u32(..24), rng.u32(..60), rng.u32(..60));
    let fraction: String = (0..rng.usize(..10)).map(|_| rng.char('0'..='9')).collect();
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = match rng.u8(..3) {
        0 => "Z".into(),
        1 => format!("-{:02}:{:02}", rng.u32(..16), rng.u32(..60)),
        _ => format!("+{:02}:{:02}", rng.u32(..16), rng.u32(..60)),
    };
    format!("{date}T{time}{point}{fraction}{zone}")
}

#[test]
fn times_uuids_and_words_of_truth_are_what_postgresql_reads_alone_and_in_arrays() {
    let database = TestDatabase::new();
    let mut rng = rng();
    let times: Vec<String> = (0..400).map(|_| format!("\"{}\"", date_time(&mut rng))).collect();
    let mut dates: Vec<String> = times.iter().map(|time| format!("{}\"", &time[..11])).collect();
    dates.extend(times.iter().cloned());
    let uuid = |rng: &mut Rng| {
        let digits: String = (0..32).map(|_| char::from(*rng.choice(b"0123456789abcdefABCDEF").unwrap())).collect();
        let [a, b] = [&digits[..16], &digits[16..]];
        match rng.u8(..5) {
            0 => digits.clone(),
            1 => format!("{{{a}-{b}}}"),
            2 => format!("{a}{b}0"),
            3 => format!("{{{digits}"),
            _ => [&a[..8], &a[8..12], &a[12..], &b[..4], &b[4..]].join("-"),
        }
    };
    let uuids: Vec<String> = (0..200).map(|_| format!("\"{}\"", uuid(&mut rng))).collect();
    let words = "t true TRUE y ye yes on 1 f false n no of off 0 o tr x yess 01".split(' ');
    let words: Vec<String> = words.flat_map(|word| [format!("\"{word}\""), format!("\" {word}\\n\"")]).collect();
    let cases =
        [("boolean", &words), ("timestamptz", &times), ("timestamp", &dates), ("date", &dates), ("uuid", &uuids)];
    for (type_name, values) in cases {
        check(&database, type_name, Oracle::AsWritten, values);
        // An array with one element that does not fit is refused whole.
        let arrays: Vec<String> = values.chunks(2).map(|pair| format!("[{}]", pair.join(","))).collect();
        check(&database, &format!("{type_name}[]"), Oracle::AsWritten, &arrays);
    }
}

/// The table `expected` as `expression` makes it of the text `v` of each value.
fn expect(database: &TestDatabase, expression: &str) {
    database.execute(&format!(
        "TRUNCATE expected; TRUNCATE expected_of_jsonb; DO $$ DECLARE g record; BEGIN
           FOR g IN SELECT k, v::json #>> '{{}}' AS v FROM given LOOP
             BEGIN INSERT INTO expected SELECT g.k, {expression};
             EXCEPTION WHEN OTHERS THEN NULL;
             END;
           END LOOP; END $$"
    ));
}

#[test]
fn numbers_since_1970_are_the_times_that_postgresql_makes_of_them() {
    let database = TestDatabase::new();
    let mut rng = rng();
    for (format, power) in [(ValueFormat::EpochS, 6), (ValueFormat::EpochMs, 3), (ValueFormat::EpochUs, 0)] {
        let digits = |rng: &mut Rng, count: usize| -> String { (0..count).map(|_| rng.char('0'..='9')).collect() };
        let mut values: Vec<String> =
            ["0", "-0", "1e3", "-1.5e1", "null", "\" 7 \"", "\"x\"", "true", "[1]"].map(String::from).into();
        values.extend((0..400).map(|_| {
            let sign = if rng.u8(..4) == 0 { "-" } else { "" };
            let places = 10 - power + rng.u32(..6);
            let whole = rng.u64(..10_u64.pow(places));
            let count = rng.usize(1..12);
            let fraction = match rng.u8(..4) {
                0 => String::new(),
                // Half of a microsecond.
                1 => format!(".{}5", digits(&mut rng, usize::try_from(power).unwrap())),
                _ => format!(".{}", digits(&mut rng, count)),
            };
            let number = format!("{sign}{whole}{fraction}");
            if rng.bool() { number } else { format!("\"{number}\"") }
        }));
        for type_name in ["timestamptz", "timestamp", "date", "timestamptz(3)"] {
            fill_from(FromEvent::at("/c").in_format(format), &database, type_name, Oracle::AsWritten, &values);
            let micros = format!("round(g.v::numeric * 1e{power})::bigint");
            let time = format!(
                "'epoch'::timestamptz + {micros} / 1000000 * interval '1 second' + {micros} % 1000000 * interval '1 microsecond'"
            );
            expect(
                &database,
                &if type_name == "timestamptz" { time } else { format!("(({time}) AT TIME ZONE 'UTC')::{type_name}") },
            );
            compare(&database, type_name, "(f.k IS NULL) <> (e.k IS NULL)");
        }
    }
}

#[test]
fn hexadecimal_digits_are_the_bytes_that_postgresql_makes_of_them() {
    let database = TestDatabase::new();
    let mut rng = rng();
    let digits = ["0", "7", "a", "F", "09", "dE", " ", "\n", "x", "\\"];
    let mut values: Vec<String> =
        (0..400).map(|_| (0..rng.usize(..7)).map(|_| digits[rng.usize(..digits.len())]).collect()).collect();
    values.extend(["", "\\x", "\\xDEad", "deadbeef", "ä", " de ad "].map(String::from));
    let quoted: Vec<String> = values.iter().map(|value| serde_json::Value::from(value.as_str()).to_string()).collect();
    fill_from(FromEvent::at("/c").in_format(ValueFormat::Hex), &database, "bytea", Oracle::AsWritten, &quoted);
    expect(&database, "decode(regexp_replace(g.v, '^\\\\x', ''), 'hex')");
    compare(&database, "bytea", "(f.k IS NULL) <> (e.k IS NULL)");
}

#[test]
fn a_value_that_a_type_refuses_names_its_column() {
    let database = TestDatabase::new();
    database.execute("CREATE TABLE t (k text PRIMARY KEY, a inet, b interval)");
    let mut destination = database.destination("t");
    let table = destination.connect().unwrap();
    let mut mapping = MappingConfig::default();
    mapping.columns = ["k", "a", "b"].map(|name| (name.into(), format!("/x/{name}").into())).into();
    mapping.key = vec!["k".into()];
    mapping.update = None;
    let plan = Arc::new(Plan::of(&mapping, UpdateMode::Always, &table).unwrap());
    assert!(plan.is_guarded, "a coalesced row would hide a value that the database refuses");
    destination.prepare(&plan).unwrap();
    let mut rows = Rows::new(plan);
    for (offset, event) in (0..).zip([
        r#"{"x":{"k":"1","a":"::1","b":"1 day"}}"#,
        r#"{"x":{"k":"2","a":"::1","b":"one day"}}"#,
        r#"{"x":{"k":"3","a":"here","b":null}}"#,
    ]) {
        map_event(&ParsedEvent::parse(event).unwrap(), Arrival { offset, received_at: 0 }, &mut rows).unwrap();
    }
    let errors: Vec<Option<Error>> =
        each(&rows).chunks(1).map(|one| destination.apply(&write(&rows, one)).err()).collect();
    let named = |error: &Error| (error.column().unwrap().to_owned(), error.violations()[0].pointer.clone());
    let found: Vec<_> = errors.iter().map(|error| error.as_ref().map(named)).collect();
    assert_eq!(found, [None, Some(("b".into(), "/x/b".into())), Some(("a".into(), "/x/a".into()))]);
    let both = destination.apply(&write(&rows, &each(&rows))).unwrap_err();
    assert_eq!(both.column(), None, "not before the row is alone");
}

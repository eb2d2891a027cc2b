//! A table of one's own, with whatever types it has: each event is a row with every digit, or a dead letter that names the column.

use cxsink::dead_letters::{DeadLetter, Stage};
use cxsink::{Config, Sink};

use crate::support;
use crate::support::journal;
use crate::support::postgres::{PATIENCE, TestDatabase};

/// A configuration for the table `t` with the key `k`, each column from the member of its name.
fn settings(directory: &std::path::Path, url: &str, columns: &[&str]) -> Config {
    let mut config = support::config(directory, url);
    let schema = directory.join("schema.json");
    std::fs::write(&schema, r#"{"type": "object"}"#).unwrap();
    config.schema.file = Some(schema);
    config.set("destination.table", "t").unwrap();
    config.mapping.columns =
        ["k"].iter().chain(columns).map(|name| ((*name).to_owned(), format!("/{name}").into())).collect();
    config.mapping.key = vec!["k".into()];
    config.mapping.update = Some(columns.iter().map(|name| (*name).to_owned()).collect());
    config
}

fn dead_letters(config: &Config, events: &[String]) -> Vec<DeadLetter> {
    let sink = Sink::open(config).unwrap();
    sink.import(events.join("\n").as_bytes()).unwrap();
    sink.start().unwrap();
    let stats = support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
    let letters = journal::dead_letters(config);
    assert_eq!((stats.dead_lettered, stats.pending), (letters.len() as u64, 0), "{stats:?}");
    letters
}

const DIGITS: &str = "123456789012345678901234567890.123456789012345678901234567890";

#[test]
fn a_table_of_any_types_is_filled_and_each_refused_value_names_its_column() {
    let database = TestDatabase::new();
    database.execute(
        "CREATE TYPE color AS ENUM ('red', 'green'); CREATE DOMAIN whole AS int CHECK (value > 0);
         CREATE DOMAIN positive AS whole;
         CREATE TABLE t (k text PRIMARY KEY, amount numeric, doc jsonb, paint color, code char(3), tags text[], grid int[], at interval,
            host inet, span int4range, words tsquery, raw bytea, rank positive, whole text)",
    );
    let columns =
        ["amount", "doc", "paint", "code", "tags", "grid", "at", "host", "span", "words", "raw", "rank", "whole"];
    let directory = tempfile::tempdir().unwrap();
    let mut config = settings(directory.path(), &database.url(), &columns);
    config.mapping.columns.last_mut().unwrap().1 = "".into();
    cxsink::init_db(&config).unwrap();
    let good = |key: u32| {
        format!(
            r#"{{"k":"{key:02}","amount":{DIGITS},"doc":{{"a":[1.10,1E400,-0]}},"paint":"green","code":"ab","tags":["x",null,"y\"z"],"#
        ) + r#""grid":[[1,2],[3,4]],"at":"90 minutes","host":"10.0.0.1/8","span":"[1,5)","words":"fat & rat","raw":"QUJD","rank":7}"#
    };
    let (misfits, refused) = (
        [
            ("paint", r#"paint":"blue""#, "none of the values"),
            ("code", r#"code":"abcd""#, "more characters"),
            ("grid", r#"grid":[[1],[2,3]]"#, "different lengths"),
            ("raw", r#"raw":"?""#, "not base64"),
            ("amount", r#"amount":1e131072"#, "more digits than PostgreSQL stores"),
        ],
        [
            ("at", r#"at":"soon""#),
            ("host", r#"host":"here""#),
            ("span", r#"span":"[5,1)""#),
            ("words", r#"words":"fat &""#),
            ("grid", r#"grid":"{1""#),
        ],
    );
    // Of two members of one name the last one counts.
    let with = |key: u32, member: &str| format!("{},\"{member}}}", good(key).strip_suffix('}').unwrap());
    let mut events = vec![good(1)];
    events.extend((2..).zip(&misfits).map(|(key, (_, member, _))| with(key, member)));
    events.extend((7..).zip(&refused).map(|(key, (_, member))| with(key, member)));
    events.extend([with(12, r#"rank":0"#), good(13)]);
    let letters = dead_letters(&config, &events);

    let row = format!(
        "{DIGITS}|{{\"a\": [1.10, 1{}, 0]}}|green|ab |{{x,NULL,\"y\\\"z\"}}|{{{{1,2}},{{3,4}}}}|01:30:00|10.0.0.1/8|[1,5)|\
         'fat' & 'rat'|\\x414243|7|t|t",
        "0".repeat(400)
    );
    let query = format!(
        "SELECT amount, doc, paint, code, tags, grid, at, host, span, words, raw, rank, whole::json ->> 'amount' = '{DIGITS}',
            whole LIKE '%[1.10,1E400,-0]%' FROM t ORDER BY k"
    );
    assert_eq!(database.query(&query), [row.as_str(), row.as_str()]);
    assert_eq!(letters.len(), 11);
    for (letter, (column, _, reason)) in letters.iter().zip(&misfits) {
        let violation = &letter.violations[0];
        assert_eq!((letter.stage, letter.column.as_deref()), (Stage::Mapping, Some(*column)), "{letter:?}");
        assert_eq!(violation.pointer, format!("/{column}"));
        assert!(violation.message.contains(reason), "{letter:?}");
    }
    for (letter, (column, _)) in letters[5..].iter().zip(&refused) {
        assert_eq!((letter.stage, letter.column.as_deref()), (Stage::Database, Some(*column)), "{letter:?}");
        assert_eq!(letter.violations[0].pointer, format!("/{column}"));
        assert!(letter.sqlstate.is_some());
        assert!(letter.reason.ends_with(&format!(", column {column})")), "{}", letter.reason);
    }
    let of_domain = &letters[10];
    assert_eq!(
        (of_domain.constraint.as_deref(), of_domain.column.as_deref()),
        (Some("whole_check"), Some("rank")),
        "{of_domain:?}"
    );
    assert_eq!(of_domain.violations[0].pointer, "/rank");
}

#[test]
fn an_sqlite_table_takes_the_same_values() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (k TEXT PRIMARY KEY, amount TEXT, doc JSON, raw BLOB, tags TEXT[], host INET, level DOUBLE)",
        )
        .unwrap();
    let config = settings(
        directory.path(),
        &format!("sqlite:{}", file.display()),
        &["amount", "doc", "raw", "tags", "host", "level"],
    );
    cxsink::init_db(&config).unwrap();
    let good = format!(
        r#"{{"k":"1","amount":{DIGITS},"doc":{{"a":[1.10,1E400,-0]}},"raw":"QUJD","tags":["x",1.50],"host":"10.0.0.1","level":0.1}}"#
    );
    let letters = dead_letters(&config, &[good, r#"{"k":"2","raw":"?"}"#.into(), r#"{"k":"3"}"#.into()]);
    assert_eq!(letters.iter().map(|letter| letter.column.as_deref()).collect::<Vec<_>>(), [Some("raw")]);
    let row = connection
        .query_row("SELECT amount, doc, hex(raw), typeof(raw), tags, host, level FROM t WHERE k = '1'", [], |row| {
            let text = |index: usize| row.get::<_, String>(index);
            Ok(([text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?], row.get::<_, f64>(6)?))
        })
        .unwrap();
    assert_eq!(row.0, [DIGITS, r#"{"a":[1.10,1E400,-0]}"#, "414243", "blob", r#"["x",1.50]"#, "10.0.0.1"]);
    assert_eq!(row.1.to_bits(), 0.1_f64.to_bits());
}

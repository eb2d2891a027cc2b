//! The order of the key's texts: what `check` says of it, and what `init-db` makes.

use super::*;
use crate::destination::Examination;
use crate::rows::{NewColumn, NewTable};

/// The message and the hint about the key of a table `t`.
fn finding(database: &TestDatabase, key: &[&str]) -> Option<(String, String)> {
    let key: Vec<String> = key.iter().map(ToString::to_string).collect();
    let mut destination = database.destination("t");
    let found = destination.examine(Examination::Key(&key)).unwrap();
    found.map(|finding| (finding.message, finding.hint.unwrap()))
}

#[test]
fn a_collation_with_rules_of_a_language_is_found_and_its_hint_helps() {
    for (set_up, key, collation) in [
        ("CREATE TABLE t (k varchar(90) COLLATE \"en-x-icu\" UNIQUE)", vec!["k"], Some("en-x-icu")),
        (
            "CREATE TABLE t (a int, \"B c\" text COLLATE \"en-x-icu\", UNIQUE (\"B c\", a))",
            vec!["a", "B c"],
            Some("en-x-icu"),
        ),
        (
            "CREATE DOMAIN word AS text COLLATE \"en-x-icu\"; CREATE TABLE t (k word PRIMARY KEY)",
            vec!["k"],
            Some("en-x-icu"),
        ),
        (
            "CREATE TABLE t (k text COLLATE \"en-x-icu\", n int, PRIMARY KEY (k, n)) PARTITION BY HASH (n);
             CREATE TABLE p PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            vec!["n", "k"],
            Some("en-x-icu"),
        ),
        (
            "CREATE TABLE t (k text COLLATE \"en-x-icu\" PRIMARY KEY) PARTITION BY HASH (k);
             CREATE TABLE p PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            vec!["k"],
            None,
        ),
        ("CREATE TABLE t (k text COLLATE \"C\" PRIMARY KEY)", vec!["k"], None),
        ("CREATE TABLE t (k text COLLATE \"POSIX\" PRIMARY KEY)", vec!["k"], None),
        ("CREATE TABLE t (k text COLLATE \"en-x-icu\"); CREATE UNIQUE INDEX ON t (k COLLATE \"C\")", vec!["k"], None),
        ("CREATE TABLE t (k int PRIMARY KEY, other text COLLATE \"en-x-icu\" UNIQUE)", vec!["k"], None),
        (
            "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE t (k text COLLATE ci PRIMARY KEY)",
            vec!["k"],
            None,
        ),
    ] {
        let database = TestDatabase::new();
        database.execute(set_up);
        let found = finding(&database, &key);
        assert_eq!(found.is_some(), collation.is_some(), "{set_up}: {found:?}");
        if let (Some((message, hint)), Some(collation)) = (found, collation) {
            assert!(message.contains(collation), "{message}");
            database.execute(hint.split_once(',').unwrap().0);
            assert_eq!(finding(&database, &key), None, "{set_up}: {hint}");
        }
    }
}

#[test]
fn init_db_orders_texts_of_the_key_by_their_bytes() {
    let new = |name: &str, column_type| NewColumn { name: name.into(), column_type, not_null: true, is_now: false };
    let own = NewTable {
        columns: vec![
            new("k", ColumnType::Text { chars_max: Some(9) }),
            new("n", ColumnType::Int4),
            new("other", ColumnType::Text { chars_max: None }),
        ],
        key: vec!["k".into(), "n".into()],
    };
    for (own, key, text_of_key) in
        [(None, vec!["idempotency_key"], "idempotency_key"), (Some(&own), vec!["k", "n"], "k")]
    {
        let database = TestDatabase::new();
        database.destination("t").init_db(own).unwrap();
        assert_eq!(finding(&database, &key), None);
        let with_c = "SELECT attname FROM pg_attribute JOIN pg_collation AS c ON c.oid = attcollation
                      WHERE attrelid = 't'::regclass AND collname = 'C'";
        assert_eq!(database.query(with_c), [text_of_key]);
        let mut destination = database.destination("t");
        assert_eq!(destination.connect().unwrap().loose_columns, Vec::<String>::new(), "\"C\" is equality of bytes");
    }
}

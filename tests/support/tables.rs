//! Tables whose equality of keys is not that of bytes, and others that judge rows: for the comparison with one-by-one execution.

use serde_json::{Value as Json, json};

/// A kind of table, for a database or a file.
#[derive(Debug)]
pub struct TableKind {
    pub name: &'static str,
    /// The type of `k` in the database, for the oracle.
    pub key_type: &'static str,
    /// Creates the table `#`.
    pub set_up: &'static str,
    /// Values of `k`, some of which the table takes for one.
    pub keys: fn() -> Vec<Json>,
}

fn words() -> Vec<Json> {
    vec![
        json!("k1"),
        json!("K1"),
        json!("k2"),
        json!("K2"),
        json!("k2 "),
        json!("ké"),
        json!("ke"),
        json!("KE"),
        json!("k-1"),
    ]
}

fn numbers() -> Vec<Json> {
    vec![
        json!(1),
        json!(1.0),
        json!("1.00"),
        json!("0.1e1"),
        json!(1.004),
        json!(2),
        json!("2.0"),
        json!(0),
        json!(-0.0),
    ]
}

fn whole_numbers() -> Vec<Json> {
    vec![json!(1), json!(1.0), json!("1"), json!(" 1 "), json!(2), json!(-0.0), json!(0)]
}

fn documents() -> Vec<Json> {
    vec![json!(1), json!(1.0), json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1.0}), json!("x"), json!("X")]
}

fn times() -> Vec<Json> {
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T14:00:00+02:00",
        "2026-01-01T12:00:00.4Z",
        "2026-01-01T11:59:59.7Z",
        "2026-01-01T12:00:00.0000004Z",
    ]
    .map(Json::from)
    .into()
}

fn uuids() -> Vec<Json> {
    [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
    ]
    .map(Json::from)
    .into()
}

fn booleans() -> Vec<Json> {
    vec![json!(true), json!("YES"), json!(1), json!("off"), json!(false)]
}

/// The columns besides the key `k`, whose values come from events.
pub const COLUMNS: [(&str, &str); 6] = [
    ("kept", "int"),
    ("updated", "int"),
    ("word", "text"),
    ("doc", "jsonb"),
    ("amount", "numeric"),
    ("ts", "timestamptz"),
];

/// Collations and domains of the tables below.
pub const COLLATIONS: &str = "
    CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE COLLATION letters (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
    CREATE DOMAIN ci_text AS text COLLATE ci; CREATE DOMAIN ci_name AS ci_text;
    CREATE EXTENSION citext;
    CREATE DOMAIN number AS numeric(6,2); CREATE DOMAIN small AS int CHECK (VALUE < 4); CREATE DOMAIN smaller AS small;
    CREATE FUNCTION lower_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.k = lower(NEW.k); RETURN NEW; END $$;";

macro_rules! columns {
    () => {
        columns!("int")
    };
    ($updated:literal) => {
        concat!("kept int, updated ", $updated, ", word text COLLATE ci, doc jsonb, amount numeric, ts timestamptz")
    };
}

pub const POSTGRESQL: [TableKind; 28] = [
    TableKind { name: "text", key_type: "text", set_up: concat!("CREATE TABLE # (k text PRIMARY KEY, ", columns!(), ")"), keys: words },
    TableKind {
        name: "a column that ignores case",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k text COLLATE ci PRIMARY KEY, ", columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "an index that ignores case",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k text NOT NULL, ", columns!(), "); CREATE UNIQUE INDEX ON # (k COLLATE ci)"),
        keys: words,
    },
    TableKind {
        name: "a second index that ignores case",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k text PRIMARY KEY, ", columns!(), "); CREATE UNIQUE INDEX ON # (k COLLATE ci)"),
        keys: words,
    },
    TableKind {
        name: "a column that ignores accents",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k varchar(20) COLLATE letters PRIMARY KEY, ", columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "a domain over a domain that ignores case",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k ci_name PRIMARY KEY, ", columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "char(n)",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k char(9) PRIMARY KEY, ", columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "citext",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k citext PRIMARY KEY, ", columns!(), ")"),
        keys: words,
    },
    TableKind { name: "numeric", key_type: "numeric", set_up: concat!("CREATE TABLE # (k numeric PRIMARY KEY, ", columns!(), ")"), keys: numbers },
    TableKind {
        name: "numeric with a scale, by a domain",
        key_type: "numeric",
        set_up: concat!("CREATE TABLE # (k number PRIMARY KEY, ", columns!(), ")"),
        keys: numbers,
    },
    TableKind { name: "jsonb", key_type: "jsonb", set_up: concat!("CREATE TABLE # (k jsonb PRIMARY KEY, ", columns!(), ")"), keys: documents },
    TableKind { name: "double", key_type: "float8", set_up: concat!("CREATE TABLE # (k float8 PRIMARY KEY, ", columns!(), ")"), keys: numbers },
    TableKind { name: "real", key_type: "float4", set_up: concat!("CREATE TABLE # (k real PRIMARY KEY, ", columns!(), ")"), keys: numbers },
    TableKind {
        name: "bigint",
        key_type: "numeric",
        set_up: concat!("CREATE TABLE # (k bigint PRIMARY KEY, ", columns!(), ")"),
        keys: whole_numbers,
    },
    TableKind {
        name: "timestamptz",
        key_type: "timestamptz",
        set_up: concat!("CREATE TABLE # (k timestamptz PRIMARY KEY, ", columns!(), ")"),
        keys: times,
    },
    TableKind {
        name: "timestamptz(0)",
        key_type: "timestamptz",
        set_up: concat!("CREATE TABLE # (k timestamptz(0) PRIMARY KEY, ", columns!(), ")"),
        keys: times,
    },
    TableKind {
        name: "timestamp",
        key_type: "timestamp",
        set_up: concat!("CREATE TABLE # (k timestamp PRIMARY KEY, ", columns!(), ")"),
        keys: times,
    },
    TableKind { name: "date", key_type: "date", set_up: concat!("CREATE TABLE # (k date PRIMARY KEY, ", columns!(), ")"), keys: times },
    TableKind { name: "uuid", key_type: "uuid", set_up: concat!("CREATE TABLE # (k uuid PRIMARY KEY, ", columns!(), ")"), keys: uuids },
    TableKind {
        name: "boolean",
        key_type: "boolean",
        set_up: concat!("CREATE TABLE # (k boolean PRIMARY KEY, ", columns!(), ")"),
        keys: booleans,
    },
    TableKind {
        name: "partitions that ignore case",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k text COLLATE ci PRIMARY KEY, ",
            columns!(),
            ") PARTITION BY HASH (k);
             CREATE TABLE #_0 PARTITION OF # FOR VALUES WITH (MODULUS 2, REMAINDER 0);
             CREATE TABLE #_1 PARTITION OF # FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
        ),
        keys: words,
    },
    TableKind {
        name: "a CHECK of a partition",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k text PRIMARY KEY, ",
            columns!(),
            ") PARTITION BY HASH (k);
             CREATE TABLE #_0 PARTITION OF # FOR VALUES WITH (MODULUS 1, REMAINDER 0); ALTER TABLE #_0 ADD CHECK (updated < 4)"
        ),
        keys: words,
    },
    TableKind {
        name: "NOT NULL of a partition of a partition",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k text PRIMARY KEY, ",
            columns!(),
            ") PARTITION BY HASH (k);
             CREATE TABLE #_0 PARTITION OF # FOR VALUES WITH (MODULUS 1, REMAINDER 0) PARTITION BY HASH (k);
             CREATE TABLE #_1 PARTITION OF #_0 FOR VALUES WITH (MODULUS 1, REMAINDER 0); ALTER TABLE #_1 ALTER word SET NOT NULL"
        ),
        keys: words,
    },
    TableKind {
        name: "a unique index of a partition",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k text PRIMARY KEY, ",
            columns!(),
            ") PARTITION BY HASH (k);
             CREATE TABLE #_0 PARTITION OF # FOR VALUES WITH (MODULUS 1, REMAINDER 0); CREATE UNIQUE INDEX ON #_0 (updated)"
        ),
        keys: words,
    },
    TableKind {
        name: "a trigger that changes the key",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k text PRIMARY KEY, ",
            columns!(),
            "); CREATE TRIGGER lower_key BEFORE INSERT ON # FOR EACH ROW EXECUTE FUNCTION lower_key()"
        ),
        keys: words,
    },
    TableKind {
        name: "a unique generated column",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k text PRIMARY KEY, l text GENERATED ALWAYS AS (lower(k)) STORED UNIQUE, ", columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "a CHECK of a domain over a domain",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k text PRIMARY KEY, ", columns!("smaller"), ")"),
        keys: words,
    },
    TableKind {
        name: "a unique column",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k text PRIMARY KEY, ", columns!(), ", UNIQUE (updated))"),
        keys: words,
    },
];

macro_rules! sqlite_columns {
    () => {
        "kept INTEGER, updated INTEGER, word TEXT COLLATE NOCASE, doc TEXT, amount REAL, ts TEXT"
    };
}

pub const SQLITE: [TableKind; 14] = [
    TableKind {
        name: "TEXT",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k TEXT PRIMARY KEY, ", sqlite_columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "NOCASE",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k TEXT PRIMARY KEY COLLATE NOCASE, ", sqlite_columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "RTRIM",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k VARCHAR(9) PRIMARY KEY COLLATE RTRIM, ", sqlite_columns!(), ")"),
        keys: words,
    },
    TableKind {
        name: "a NOCASE index",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k TEXT, ",
            sqlite_columns!(),
            "); CREATE UNIQUE INDEX #_i ON # (k COLLATE NOCASE)"
        ),
        keys: words,
    },
    TableKind {
        name: "a second index, NOCASE",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k TEXT PRIMARY KEY, ",
            sqlite_columns!(),
            "); CREATE UNIQUE INDEX #_i ON # (k COLLATE NOCASE)"
        ),
        keys: words,
    },
    TableKind {
        name: "WITHOUT ROWID",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k TEXT COLLATE NOCASE, ",
            sqlite_columns!(),
            ", PRIMARY KEY (k)) WITHOUT ROWID"
        ),
        keys: words,
    },
    TableKind {
        name: "STRICT",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k TEXT COLLATE NOCASE NOT NULL UNIQUE, ", sqlite_columns!(), ") STRICT"),
        keys: words,
    },
    TableKind {
        name: "an index over lower(k)",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k TEXT PRIMARY KEY, ",
            sqlite_columns!(),
            "); CREATE UNIQUE INDEX #_i ON # (lower(k))"
        ),
        keys: words,
    },
    TableKind {
        name: "a generated column",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k TEXT PRIMARY KEY, ",
            sqlite_columns!(),
            ", l AS (lower(k))); CREATE UNIQUE INDEX #_i ON # (l)"
        ),
        keys: words,
    },
    TableKind {
        name: "NUMERIC",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k NUMERIC PRIMARY KEY, ", sqlite_columns!(), ")"),
        keys: numbers,
    },
    TableKind {
        name: "REAL",
        key_type: "real",
        set_up: concat!("CREATE TABLE # (k REAL PRIMARY KEY, ", sqlite_columns!(), ")"),
        keys: numbers,
    },
    TableKind {
        name: "INTEGER",
        key_type: "integer",
        set_up: concat!("CREATE TABLE # (k INTEGER PRIMARY KEY, ", sqlite_columns!(), ")"),
        keys: whole_numbers,
    },
    TableKind {
        name: "a CHECK",
        key_type: "text",
        set_up: concat!(
            "CREATE TABLE # (k TEXT PRIMARY KEY COLLATE NOCASE, ",
            sqlite_columns!(),
            ", CHECK (updated < 4))"
        ),
        keys: words,
    },
    TableKind {
        name: "a unique column",
        key_type: "text",
        set_up: concat!("CREATE TABLE # (k TEXT PRIMARY KEY, ", sqlite_columns!(), ", UNIQUE (updated))"),
        keys: words,
    },
];

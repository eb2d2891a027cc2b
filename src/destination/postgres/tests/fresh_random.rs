//! The split form against the upsert alone: the same batches, in any order and with repeats from near and far, leave the same table and
//! the same counts.

use fastrand::Rng;

use super::fence::create;
use super::fresh::splitting;
use super::*;
use crate::config::SplitProbe;
use crate::destination::Fence;
use crate::rows::coalesce::coalesce;

const CHECKPOINT: &str = "CREATE TABLE cxsink_checkpoint (spool_id text PRIMARY KEY, position bigint NOT NULL, owner text, updated_at timestamptz)";

/// Kinds of tables, by their CREATE statements for `#`, with the columns `k`, `kept`, `n` and `ts`.
const KINDS: [&str; 8] = [
    "CREATE TABLE # (k text PRIMARY KEY, kept int, n int, ts timestamptz)",
    "CREATE TABLE # (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k varchar(90) COLLATE \"C\" UNIQUE, kept int, n int,
     ts timestamptz, twice int GENERATED ALWAYS AS (2 * n) STORED, CHECK (n >= 0))",
    "CREATE TABLE # (k text, kept int, n int REFERENCES numbers DEFERRABLE INITIALLY DEFERRED, ts timestamptz);
     CREATE UNIQUE INDEX ON # (k); CREATE UNIQUE INDEX ON # (k COLLATE \"C\")",
    "CREATE TABLE # (k text PRIMARY KEY, kept int, n int, ts timestamptz) PARTITION BY HASH (k);
     CREATE TABLE #_0 PARTITION OF # FOR VALUES WITH (MODULUS 3, REMAINDER 0);
     CREATE TABLE #_1 (ts timestamptz, n int, gone int, k text NOT NULL, kept int); ALTER TABLE #_1 DROP gone;
     ALTER TABLE # ATTACH PARTITION #_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
     CREATE TABLE #_2 PARTITION OF # FOR VALUES WITH (MODULUS 3, REMAINDER 2) PARTITION BY HASH (k);
     CREATE TABLE #_3 PARTITION OF #_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    "CREATE TABLE # (k text PRIMARY KEY, kept int, n int, ts timestamptz); CREATE TABLE #_child () INHERITS (#)",
    "CREATE TABLE # (k uuid_word PRIMARY KEY, kept int, n int, ts timestamptz) WITH (fillfactor = 50)",
    "CREATE UNLOGGED TABLE # (k text PRIMARY KEY, kept int, n int, ts timestamptz, other text DEFAULT 'x')",
    "CREATE TABLE # (k text PRIMARY KEY, kept int, n int, ts timestamptz);
     CREATE TRIGGER note AFTER INSERT OR UPDATE ON # FOR EACH ROW EXECUTE FUNCTION note();
     CREATE CONSTRAINT TRIGGER later AFTER INSERT ON # DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()",
];

const SCHEMA: &str = "
    CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers SELECT generate_series(0, 99);
    CREATE DOMAIN uuid_word AS text CHECK (length(value) < 90);
    CREATE TABLE notes (of text, operation text, k text, n int);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO notes VALUES (tg_table_name, tg_name || tg_op, NEW.k, NEW.n); RETURN NULL; END $$;";

fn plan_of(table: &str, mode: UpdateMode, only_key: bool) -> Arc<Plan> {
    let role = |role| if only_key { Role::Kept } else { role };
    let columns = vec![
        column("k", TEXT, Role::Key),
        column("kept", ColumnType::Int4, Role::Kept),
        column("n", ColumnType::Int4, role(Role::Updated)),
        column("ts", ColumnType::TimestampTz, role(Role::Updated)),
    ];
    let plan = plan(table, columns, mode);
    if only_key { Arc::new(Plan { newer_by: None, ..(*plan).clone() }) } else { plan }
}

/// Keys come from near, from far back, or are new.
fn key(rng: &mut Rng, next: &mut u64, hostile: bool) -> u64 {
    let new = |next: &mut u64| {
        *next += 1;
        *next - 1
    };
    let back = match rng.u8(..20) {
        0..2 => rng.u64(..10),
        2..4 => rng.u64(..500),
        4..15 if hostile => rng.u64(..5000),
        _ => return new(next),
    };
    next.saturating_sub(back + 1)
}

fn batch(rng: &mut Rng, plan: &Arc<Plan>, next: &mut u64, hostile: bool) -> (Rows, Vec<Coalesced>) {
    let mut rows = Rows::new(Arc::clone(plan));
    let count = [1, 2, 10, 50, 200][rng.usize(..5)];
    for _ in 0..rng.usize(1..=count) {
        let number = key(rng, next, hostile);
        // Keys are not in the order of their numbers.
        let text = format!("{:08x}-{number}", number * 0x9e37_79b9 % 0xffff_fffb);
        let time = Value::Micros(1_700_000_000_000_000 + rng.i64(0..50));
        push_row(
            &mut rows,
            &[
                text.as_str().into(),
                Value::Int(rng.i64(0..9)).into(),
                Value::Int(rng.i64(0..99)).into(),
                if rng.u8(..9) == 0 { Value::Null } else { time }.into(),
            ],
        );
    }
    let all: Vec<u32> = (0..u32::try_from(rows.len()).unwrap()).collect();
    let coalesced = coalesce(&rows, &all);
    (rows, coalesced)
}

/// A destination with a position of its own.
struct Writer {
    destination: PostgresDestination,
    probe: SplitProbe,
    name: &'static str,
    position: u64,
}

impl Writer {
    fn new(database: &TestDatabase, plan: &Arc<Plan>, rows_min: usize, name: &'static str) -> Self {
        let (mut destination, probe) = splitting(database, plan, rows_min);
        create(&mut destination, name, 0);
        Self { destination, probe, name, position: 0 }
    }

    /// A process that knows no key.
    fn restart(&mut self, database: &TestDatabase, plan: &Arc<Plan>, rows_min: usize) {
        let (destination, probe) = splitting(database, plan, rows_min);
        for _ in 0..self.probe.committed() {
            probe.count(true);
        }
        (self.destination, self.probe) = (destination, probe);
    }

    fn apply(&mut self, rows: &Rows, coalesced: &[Coalesced]) -> Applied {
        let fence = Fence { spool_id: self.name, owner: "me", from: self.position, to: self.position + 1 };
        self.position += 1;
        self.destination.apply(&Write { coalesced, fence: Some(fence), ..Write::nothing(rows) }).unwrap()
    }
}

/// The same rows for another table.
fn for_table(rows: &Rows, plan: &Arc<Plan>) -> Rows {
    Rows { plan: Arc::clone(plan), ..rows.clone() }
}

fn compare(rng: &mut Rng, kind: &str, mode: UpdateMode, only_key: bool, hostile: bool) {
    let database = TestDatabase::new();
    database.execute(SCHEMA);
    database.execute(CHECKPOINT);
    for table in ["found", "expected"] {
        database.execute(&kind.replace('#', table));
    }
    let (plan, expected_plan) = (plan_of("found", mode, only_key), plan_of("expected", mode, only_key));
    let mut found = ["one", "two"].map(|name| Writer::new(&database, &plan, 1, name));
    let mut expected = Writer::new(&database, &expected_plan, usize::MAX, "expected");
    let mut next = 0;
    let what = format!("{kind}, {mode:?}, {only_key}, {hostile}");
    for _ in 0..40 {
        let (rows, coalesced) = batch(rng, &plan, &mut next, hostile);
        // Mostly by one sink; sometimes by another one on the same table.
        let writer = &mut found[usize::from(rng.u8(..8) == 0)];
        if rng.u8(..20) == 0 {
            writer.restart(&database, &plan, 1);
        }
        let applied = writer.apply(&rows, &coalesced);
        assert_eq!(applied, expected.apply(&for_table(&rows, &expected_plan), &coalesced), "{what}");
        if rng.u8(..20) == 0 {
            // Somebody deletes rows: keys that are known are not in the table.
            let digit = rng.u8(..10);
            for table in ["found", "expected"] {
                database.execute(&format!("DELETE FROM {table} WHERE k LIKE '%{digit}'"));
            }
        }
    }
    let rows = |table: &str| database.query(&format!("SELECT k, kept, n, ts FROM {table} ORDER BY k COLLATE \"C\""));
    assert_eq!(rows("found"), rows("expected"), "{what}");
    let notes = |table: &str| {
        database.query(&format!("SELECT operation, k, n FROM notes WHERE of = '{table}' ORDER BY 1, 2, 3"))
    };
    assert_eq!(notes("found"), notes("expected"), "{what}");
    let committed: u64 = found.iter().map(|writer| writer.probe.committed()).sum();
    let failed: u64 = found.iter().map(|writer| writer.probe.failed()).sum();
    println!(
        "{committed} of 40 batches were split, {failed} tries failed, {mode:?}: {}",
        kind.split('(').next().unwrap_or_default()
    );
    assert!(committed > 0, "{what}");
    assert_eq!(expected.probe.committed() + expected.probe.failed(), 0);
}

#[test]
fn the_split_form_equals_the_upsert() {
    let seed = fastrand::u64(..);
    println!("the seed is {seed}");
    let mut rng = Rng::with_seed(seed);
    for kind in KINDS {
        for mode in [UpdateMode::Always, UpdateMode::Changed, UpdateMode::Newer] {
            let hostile = rng.bool();
            compare(&mut rng, kind, mode, false, hostile);
        }
        compare(&mut rng, kind, UpdateMode::Always, true, false);
    }
}

/// Two sinks write the same keys at the same time, in orders of their own: each batch is applied or comes again after a conflict, and the
/// newest event of each key is in the table.
#[test]
fn two_sinks_on_one_table_leave_the_newest_of_each_key() {
    let seed = fastrand::u64(..);
    println!("the seed is {seed}");
    let database = TestDatabase::new();
    database.execute(CHECKPOINT);
    database.execute("CREATE TABLE found (k text PRIMARY KEY, kept int, n int, ts timestamptz)");
    let plan = plan_of("found", UpdateMode::Newer, false);
    let mut writers = ["one", "two"].map(|name| Writer::new(&database, &plan, 1, name));
    let counts: Vec<(u64, u64, u64)> = std::thread::scope(|scope| {
        let threads = writers.each_mut().map(|writer| {
            let (plan, own) = (Arc::clone(&plan), u64::from(writer.name == "two"));
            scope.spawn(move || {
                let mut rng = Rng::with_seed(seed + own);
                let (mut inserted_sum, mut conflicts) = (0, 0);
                for round in 0..150_u64 {
                    let mut rows = Rows::new(Arc::clone(&plan));
                    for row in 0..40_u64 {
                        let number = (20 * round + row + rng.u64(..30)) * 0x9e37 % 100_003;
                        let version = i64::try_from(2 * round + own).unwrap();
                        let (version, time) = (Value::Int(version), Value::Micros(1_700_000_000_000_000 + version));
                        push_row(
                            &mut rows,
                            &[format!("{number:06}").as_str().into(), version.into(), version.into(), time.into()],
                        );
                    }
                    let all: Vec<u32> = (0..u32::try_from(rows.len()).unwrap()).collect();
                    let coalesced = coalesce(&rows, &all);
                    let fence = Fence { spool_id: writer.name, owner: "me", from: round, to: round + 1 };
                    let write = Write { coalesced: &coalesced, fence: Some(fence), ..Write::nothing(&rows) };
                    loop {
                        match writer.destination.apply(&write) {
                            Ok(Applied::Committed { inserted, .. }) => {
                                inserted_sum += inserted;
                                break;
                            }
                            Ok(Applied::Fenced) => panic!("nobody else moves this checkpoint"),
                            Err(error) => assert_eq!(error.class(), Class::Conflict, "{error}"),
                        }
                        conflicts += 1;
                        assert!(conflicts < 300, "it comes through");
                    }
                }
                (inserted_sum, conflicts, writer.probe.committed())
            })
        });
        threads.map(|thread| thread.join().unwrap()).into()
    });
    println!("inserted, conflicts, split: {counts:?}");
    let inserted: u64 = counts.iter().map(|counts| counts.0).sum();
    assert_eq!(database.query("SELECT count(*) FROM found"), [inserted.to_string()]);
    assert!(counts.iter().any(|counts| counts.2 > 0), "{counts:?}");
    // Replays what both have sent, in any order: the newest wins.
    let mut newest = std::collections::BTreeMap::new();
    for own in [0, 1] {
        let mut rng = Rng::with_seed(seed + own);
        for round in 0..150_u64 {
            for row in 0..40_u64 {
                let number = (20 * round + row + rng.u64(..30)) * 0x9e37 % 100_003;
                let version = 2 * round + own;
                let newest = newest.entry(format!("{number:06}")).or_insert(version);
                *newest = version.max(*newest);
            }
        }
    }
    let expected: Vec<String> = newest.iter().map(|(key, version)| format!("{key}|{version}")).collect();
    assert_eq!(database.query("SELECT k, n FROM found ORDER BY k COLLATE \"C\""), expected);
}

//! One event or the whole table? An event that is refused alone becomes a dead letter, whatever the code; a table that refuses every
//! event sets nothing aside, and after its repair every event is in it.

use std::sync::Barrier;

use cxsink::{Config, Sink, State};
use tempfile::TempDir;

use crate::support;
use crate::support::postgres::{PATIENCE, TestDatabase};

struct Deployment {
    database: TestDatabase,
    _directory: TempDir,
    config: Config,
}

impl Deployment {
    fn new(set_up: &str) -> Self {
        let database = TestDatabase::new();
        let directory = tempfile::tempdir().unwrap();
        let config = support::config(directory.path(), &database.url());
        cxsink::init_db(&config).unwrap();
        database.execute(set_up);
        Self { database, _directory: directory, config }
    }

    fn count(&self) -> u64 {
        self.database.query("SELECT count(*) FROM cxone_events")[0].parse().unwrap()
    }
}

fn event(number: u64, disposition: &str) -> String {
    format!(
        "{{\"interactionId\":\"i{number}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"k{number}\",\
         \"attributes\":{{\"disposition\":\"{disposition}\",\"queueName\":\"Sales\"}}}}\n"
    )
}

fn good(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|number| event(number, "good")).collect()
}

fn dead(sink: &Sink) -> Vec<(u64, Option<String>)> {
    sink.dead_letters(0, 10_000).unwrap().into_iter().map(|letter| (letter.offset, letter.sqlstate)).collect()
}

/// Raises the code that stands in the row.
const RAISE: &str = "
    CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.disposition <> 'good' THEN RAISE 'not for agent 77777' USING ERRCODE = NEW.disposition; END IF; RETURN NEW; END $$;
    CREATE TRIGGER judge BEFORE INSERT OR UPDATE ON cxone_events FOR EACH ROW EXECUTE FUNCTION judge()";

const CODES: [&str; 24] = [
    "45035", "P0001", "P0002", "P0003", "P0004", "20000", "38000", "39000", "42P01", "42501", "42703", "0A000",
    "21000", "25006", "26000", "28000", "3D000", "3F000", "40002", "55000", "72000", "F0000", "HV000", "ZZZZZ",
];

#[test]
fn an_event_that_a_trigger_refuses_with_any_code_is_a_dead_letter_alone() {
    let deployment = Deployment::new(RAISE);
    let sink = Sink::open(&deployment.config).unwrap();
    // Each bad event has a good one on both sides.
    let each = |(place, code): (u64, &&str)| event(2 * place, "good") + &event(2 * place + 1, code);
    let lines: String = (0..).zip(&CODES).map(each).collect();
    sink.import((lines + &good(48..49)).as_bytes()).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    let expected: Vec<_> = (0..).zip(CODES).map(|(place, code)| (2 * place + 1, Some(code.to_owned()))).collect();
    assert_eq!(dead(&sink), expected);
    assert_eq!(deployment.count(), 25);
    for letter in sink.dead_letters(0, 100).unwrap() {
        assert!(!letter.reason.contains("77777"), "{}", letter.reason);
    }
    sink.close_within(PATIENCE).unwrap();
}

/// It is first tried as a conflict.
#[test]
fn a_lone_event_that_a_trigger_refuses_as_a_conflict_is_a_dead_letter() {
    let deployment = Deployment::new(RAISE);
    let sink = Sink::open(&deployment.config).unwrap();
    sink.start().unwrap();
    sink.import(event(0, "40001").as_bytes()).unwrap();
    support::wait_quiet(&sink);
    assert_eq!(dead(&sink), [(0, Some("40001".into()))]);
    sink.close_within(PATIENCE).unwrap();
}

#[test]
fn an_event_that_a_policy_refuses_is_a_dead_letter_alone() {
    let role = format!("writer_{}", std::iter::repeat_with(|| fastrand::char('a'..='z')).take(12).collect::<String>());
    let mut deployment = Deployment::new(&format!(
        "ALTER TABLE cxone_events ENABLE ROW LEVEL SECURITY;
         CREATE POLICY reading ON cxone_events FOR SELECT USING (true);
         CREATE POLICY changing ON cxone_events FOR UPDATE USING (true);
         CREATE POLICY adding ON cxone_events FOR INSERT WITH CHECK (disposition IS DISTINCT FROM 'bad');
         CREATE ROLE {role} LOGIN PASSWORD 'secret';
         GRANT SELECT, INSERT, UPDATE ON cxone_events, cxsink_checkpoint TO {role}"
    ));
    let url = deployment.database.url();
    let (_, host) = url.split_once('@').unwrap_or(("", url.trim_start_matches("postgresql://")));
    deployment.config.set("destination.url", &format!("postgresql://{role}:secret@{host}")).unwrap();
    for bad in [0, 5, 11] {
        let sink = Sink::open(&deployment.config).unwrap();
        let begin = sink.stats().recovered + deployment.count() + dead(&sink).len() as u64;
        let lines: String = (0..12).map(|n| event(begin + n, if n == bad { "bad" } else { "good" })).collect();
        sink.import(lines.as_bytes()).unwrap();
        sink.start().unwrap();
        support::wait_quiet(&sink);
        assert_eq!(dead(&sink).last(), Some(&(begin + bad, Some("42501".into()))));
        let letter = &sink.dead_letters(begin, 1).unwrap()[0];
        assert!(letter.reason.contains("policy"), "{}", letter.reason);
        sink.close_within(PATIENCE).unwrap();
    }
    assert_eq!(deployment.count(), 33);
    deployment.database.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// A way in which a table comes to refuse every event.
struct Trouble {
    begin: &'static str,
    repair: &'static str,
    /// What is said.
    reason: &'static str,
}

const TROUBLES: [Trouble; 6] = [
    Trouble {
        begin: "SELECT setval('cxone_events_id_seq', 9223372036854775807)",
        repair: "SELECT setval('cxone_events_id_seq', 1000000)",
        reason: "a sequence has no more numbers",
    },
    Trouble {
        begin: "ALTER TABLE cxone_events ALTER id DROP IDENTITY; ALTER TABLE cxone_events ALTER id TYPE int; CREATE SEQUENCE ids START 3000000000;
                ALTER TABLE cxone_events ALTER id SET DEFAULT nextval('ids')",
        repair: "ALTER SEQUENCE ids RESTART 1000000",
        reason: "a number is out of its column's range",
    },
    Trouble {
        begin: "ALTER TABLE cxone_events ADD tenant text NOT NULL DEFAULT ''; ALTER TABLE cxone_events ALTER tenant DROP DEFAULT",
        repair: "ALTER TABLE cxone_events ALTER tenant DROP NOT NULL",
        reason: "column \"tenant\" of table cxone_events is NOT NULL, has no default and is not mapped",
    },
    Trouble {
        begin: "ALTER TABLE cxone_events ADD CONSTRAINT none CHECK (false) NOT VALID",
        repair: "ALTER TABLE cxone_events DROP CONSTRAINT none",
        reason: "the row violates a check constraint",
    },
    Trouble {
        begin: "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '45000'; END $$;
                CREATE TRIGGER refuse AFTER INSERT ON cxone_events FOR EACH ROW EXECUTE FUNCTION refuse()",
        repair: "DROP TRIGGER refuse ON cxone_events",
        reason: "(SQLSTATE 45000)",
    },
    // The events have a text there.
    Trouble {
        begin: "ALTER TABLE cxone_events ALTER queue_name TYPE int USING NULL",
        repair: "ALTER TABLE cxone_events ALTER queue_name TYPE varchar(255) USING NULL",
        reason: "/attributes/queueName: is text that is not a whole number",
    },
];

fn wait_for_reason(sink: &Sink, reason: &str) {
    support::wait_until(reason, || sink.stats().last_error.is_some_and(|error| error.contains(reason)));
}

#[test]
fn a_table_that_begins_to_refuse_every_event_sets_nothing_aside() {
    for trouble in &TROUBLES {
        for is_trickle in [false, true] {
            let deployment = Deployment::new("");
            let sink = Sink::open(&deployment.config).unwrap();
            sink.start().unwrap();
            sink.import(good(0..50).as_bytes()).unwrap();
            support::wait_quiet(&sink);
            deployment.database.execute(trouble.begin);
            if is_trickle {
                // One alone, until it waits.
                sink.import(good(50..51).as_bytes()).unwrap();
                support::wait_for_state(&sink, State::Stalled);
            }
            sink.import(good(51 - u64::from(!is_trickle)..150).as_bytes()).unwrap();
            wait_for_reason(&sink, trouble.reason);
            assert_eq!(dead(&sink), [], "{}", trouble.begin);
            deployment.database.execute(trouble.repair);
            support::wait_quiet(&sink);
            assert_eq!((dead(&sink), deployment.count()), (vec![], 150), "{}", trouble.begin);
            sink.close_within(PATIENCE).unwrap();
        }
    }
}

#[test]
fn a_table_that_refuses_every_event_from_the_start_sets_nothing_aside() {
    // The other two are errors of the start, or columns as the user wants them.
    for trouble in TROUBLES.iter().filter(|trouble| !trouble.begin.contains("tenant")) {
        for count in [1, 200] {
            if count == 1 && trouble.begin.contains("queue_name") {
                continue;
            }
            let deployment = Deployment::new(trouble.begin);
            let sink = Sink::open(&deployment.config).unwrap();
            sink.import(good(0..count).as_bytes()).unwrap();
            sink.start().unwrap();
            wait_for_reason(&sink, trouble.reason);
            assert_eq!(dead(&sink), [], "{}", trouble.begin);
            deployment.database.execute(trouble.repair);
            support::wait_quiet(&sink);
            assert_eq!((dead(&sink), deployment.count()), (vec![], count), "{}", trouble.begin);
            sink.close_within(PATIENCE).unwrap();
        }
    }
}

const PARTITIONED: &str = "
    DROP TABLE cxone_events;
    CREATE TABLE cxone_events (interaction_id text, timestamp timestamptz, type text, idempotency_key text,
        PRIMARY KEY (idempotency_key, timestamp)) PARTITION BY RANGE (timestamp);
    CREATE TABLE november PARTITION OF cxone_events FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')";

fn event_of(month: u64, number: u64) -> String {
    format!(
        "{{\"interactionId\":\"i\",\"timestamp\":\"2026-{month}-15T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"k{number}\",\
         \"attributes\":{{}}}}\n"
    )
}

fn partitioned() -> Deployment {
    let mut deployment = Deployment::new(PARTITIONED);
    deployment.config.mapping.key = vec!["idempotency_key".into(), "timestamp".into()];
    let source = |column: &str, source: &str| (column.to_owned(), source.into());
    deployment.config.mapping.columns = vec![
        source("interaction_id", "/interactionId"),
        source("timestamp", "/timestamp"),
        source("type", "/type"),
        source("idempotency_key", "/idempotencyKey"),
    ];
    deployment.config.mapping.update = Some(vec!["type".into()]);
    deployment
}

#[test]
fn events_without_a_partition_wait_for_it() {
    for is_trickle in [false, true] {
        let deployment = partitioned();
        let sink = Sink::open(&deployment.config).unwrap();
        sink.start().unwrap();
        sink.import((0..50).map(|n| event_of(11, n)).collect::<String>().as_bytes()).unwrap();
        support::wait_quiet(&sink);
        if is_trickle {
            sink.import(event_of(12, 50).as_bytes()).unwrap();
            support::wait_for_state(&sink, State::Stalled);
        }
        let rest = 50 + u64::from(is_trickle)..150;
        sink.import(rest.map(|n| event_of(12, n)).collect::<String>().as_bytes()).unwrap();
        wait_for_reason(&sink, "no partition of the table takes the row");
        assert_eq!(dead(&sink), []);
        deployment.database.execute(
            "CREATE TABLE december PARTITION OF cxone_events FOR VALUES FROM ('2026-12-01') TO ('2027-01-01')",
        );
        support::wait_quiet(&sink);
        assert_eq!((dead(&sink), deployment.count()), (vec![], 150));
        sink.close_within(PATIENCE).unwrap();
    }
}

#[test]
fn one_event_without_a_partition_among_others_is_a_dead_letter() {
    let deployment = partitioned();
    let sink = Sink::open(&deployment.config).unwrap();
    let lines: String = (0..20).map(|n| event_of(if n == 7 { 10 } else { 11 }, n)).collect();
    sink.import(lines.as_bytes()).unwrap();
    sink.start().unwrap();
    support::wait_quiet(&sink);
    assert_eq!((dead(&sink), deployment.count()), (vec![(7, Some("23514".into()))], 19));
    sink.close_within(PATIENCE).unwrap();
}

#[test]
fn a_constraint_of_the_checkpoint_table_sets_nothing_aside() {
    let deployment = Deployment::new("ALTER TABLE cxsink_checkpoint ADD CONSTRAINT small CHECK (position < 40)");
    let sink = Sink::open(&deployment.config).unwrap();
    sink.import(good(0..100).as_bytes()).unwrap();
    sink.start().unwrap();
    wait_for_reason(&sink, "the same row passes without the checkpoint");
    assert_eq!(dead(&sink), []);
    deployment.database.execute("ALTER TABLE cxsink_checkpoint DROP CONSTRAINT small");
    support::wait_quiet(&sink);
    assert_eq!((dead(&sink), deployment.count()), (vec![], 100));
    sink.close_within(PATIENCE).unwrap();
}

/// The column is narrower for a while: the plan that the sink has knows nothing of it.
#[test]
fn while_a_column_is_too_narrow_no_event_is_set_aside() {
    let deployment = Deployment::new("");
    let sink = Sink::open(&deployment.config).unwrap();
    sink.start().unwrap();
    for begin in [0, 200] {
        sink.import(good(begin..begin + 100).as_bytes()).unwrap();
        support::wait_quiet(&sink);
        deployment.database.execute("ALTER TABLE cxone_events ALTER queue_name TYPE varchar(1) USING NULL");
        sink.import(good(begin + 100..begin + 200).as_bytes()).unwrap();
        wait_for_reason(&sink, "has more characters than the column allows");
        deployment.database.execute("ALTER TABLE cxone_events ALTER queue_name TYPE text");
        support::wait_quiet(&sink);
        assert_eq!((dead(&sink), deployment.count()), (vec![], begin + 200));
    }
    sink.close_within(PATIENCE).unwrap();
}

#[test]
fn init_db_six_times_at_once_succeeds_six_times() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let database = TestDatabase::new();
        let file = format!("sqlite:{}", directory.path().join(format!("{round}.db")).display());
        for url in [database.url(), file] {
            let config = support::config(directory.path(), &url);
            let barrier = Barrier::new(6);
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| {
                        barrier.wait();
                        cxsink::init_db(&config).unwrap();
                    });
                }
            });
        }
        assert_eq!(database.query("SELECT count(*) FROM cxone_events, cxsink_checkpoint"), ["0"]);
    }
}

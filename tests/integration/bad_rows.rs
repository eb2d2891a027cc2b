//! A row that the database refuses becomes a dead letter alone: found by bisection, kept with the database's reason, while every other event is
//! committed in its order.

use std::collections::BTreeSet;

use cxsink::Sink;
use cxsink::dead_letters::Stage;

use crate::support;
use crate::support::journal;
use crate::support::postgres::{PATIENCE, TestDatabase};

/// A way in which a table says no, and what a dead letter tells of it.
struct Refusal {
    /// Run on the empty table.
    set_up: &'static str,
    /// The attributes of a bad event and of a good one; `#` stands for the event's number.
    bad: &'static str,
    good: &'static str,
    sqlstate: &'static str,
    constraint: Option<&'static str>,
    column: Option<&'static str>,
}

const REFUSALS: [Refusal; 6] = [
    Refusal {
        set_up: "ALTER TABLE cxone_events ADD CONSTRAINT short_calls CHECK (duration < 1000)",
        bad: r#"{"duration":77777}"#,
        good: r#"{"duration":1}"#,
        sqlstate: "23514",
        constraint: Some("short_calls"),
        column: None,
    },
    // A null that only the database can see: those of mapped columns are found before.
    Refusal {
        set_up: "ALTER TABLE cxone_events ADD region text NOT NULL DEFAULT '';
                 CREATE FUNCTION set_region() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     NEW.region = nullif(NEW.disposition, '77777'); RETURN NEW; END $$;
                 CREATE TRIGGER set_region BEFORE INSERT OR UPDATE ON cxone_events FOR EACH ROW EXECUTE FUNCTION set_region()",
        bad: r#"{"disposition":"77777"}"#,
        good: r#"{"disposition":"good"}"#,
        sqlstate: "23502",
        constraint: None,
        column: Some("region"),
    },
    Refusal {
        set_up: "CREATE TABLE queues (name text PRIMARY KEY); INSERT INTO queues VALUES ('known');
                 ALTER TABLE cxone_events ADD CONSTRAINT known_queue FOREIGN KEY (queue_name) REFERENCES queues",
        bad: r#"{"queueName":"77777"}"#,
        good: r#"{"queueName":"known"}"#,
        sqlstate: "23503",
        constraint: Some("known_queue"),
        column: None,
    },
    Refusal {
        set_up: "CREATE UNIQUE INDEX one_call_an_agent ON cxone_events (agent_id);
                 INSERT INTO cxone_events (interaction_id, timestamp, type, idempotency_key, agent_id) VALUES ('', now(), '', '', '77777')",
        bad: r#"{"agentId":"77777"}"#,
        good: r#"{"agentId":"agent #"}"#,
        sqlstate: "23505",
        constraint: Some("one_call_an_agent"),
        column: None,
    },
    Refusal {
        set_up: "CREATE FUNCTION no_fax() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     IF NEW.disposition = '77777' THEN RAISE 'not %', NEW.disposition; END IF; RETURN NEW; END $$;
                 CREATE TRIGGER no_fax BEFORE INSERT OR UPDATE ON cxone_events FOR EACH ROW EXECUTE FUNCTION no_fax()",
        bad: r#"{"disposition":"77777"}"#,
        good: r#"{"disposition":"good"}"#,
        sqlstate: "P0001",
        constraint: None,
        column: None,
    },
    // A deferred constraint speaks up at the commit, not at the row.
    Refusal {
        set_up: "CREATE TABLE agents (name text PRIMARY KEY); INSERT INTO agents VALUES ('a');
                 ALTER TABLE cxone_events ADD CONSTRAINT known_agent FOREIGN KEY (agent_id) REFERENCES agents DEFERRABLE INITIALLY DEFERRED",
        bad: r#"{"agentId":"77777"}"#,
        good: r#"{"agentId":"a"}"#,
        sqlstate: "23503",
        constraint: Some("known_agent"),
        column: None,
    },
];

/// A sequence counts also what is rolled back.
const COUNT_TRIES: &str = "
    CREATE SEQUENCE tries;
    CREATE FUNCTION count_try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('tries'); RETURN NULL; END $$;
    CREATE TRIGGER count_try BEFORE INSERT ON cxone_events FOR EACH STATEMENT EXECUTE FUNCTION count_try()";

fn event(number: u64, attributes: &str) -> String {
    format!(
        "{{\"interactionId\":\"i{number}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\
         \"idempotencyKey\":\"k{number}\",\"attributes\":{}}}\n",
        attributes.replace('#', &number.to_string())
    )
}

/// One batch of `count` events of which these are bad: the dead letters, and how many statements it took.
fn check(refusal: &Refusal, count: u64, bad: &BTreeSet<u64>, has_checkpoint: bool, connections: u32) {
    let database = TestDatabase::new();
    let directory = tempfile::tempdir().unwrap();
    let mut config = support::config(directory.path(), &database.url());
    config.destination.connections = connections;
    cxsink::init_db(&config).unwrap();
    database.execute(refusal.set_up);
    for sql in [journal::KEEP_WRITES, journal::KEEP_MOVES, COUNT_TRIES] {
        database.execute(sql);
    }
    if !has_checkpoint {
        database.execute("DROP TABLE cxsink_checkpoint");
    }
    journal::keep_arrivals(&config);
    let sink = Sink::open(&config).unwrap();
    // Behind them comes a good one: where all are bad, nothing is set aside before an event passes.
    let lines: String =
        (0..=count).map(|n| event(n, if bad.contains(&n) { refusal.bad } else { refusal.good })).collect();
    // Before the start, so that all of it is one batch.
    sink.import(lines.as_bytes()).unwrap();
    sink.start().unwrap();
    let stats = support::wait_quiet(&sink);
    sink.close_within(PATIENCE).unwrap();
    assert_eq!((stats.dead_lettered, stats.inserted), (bad.len() as u64, count + 1 - bad.len() as u64), "{stats:?}");
    assert_eq!(support::balanced(&sink).pending, 0);

    database.execute("DELETE FROM cxone_events WHERE idempotency_key = ''");
    let (_, refused) = journal::check_but_refused(&config, &mut database.client(), has_checkpoint);
    assert_eq!(refused.iter().map(|letter| letter.offset).collect::<BTreeSet<_>>(), *bad, "{}", refusal.sqlstate);
    for letter in refused {
        assert_eq!(letter.stage, Stage::Database);
        let found = (letter.sqlstate.as_deref(), letter.constraint.as_deref(), letter.column.as_deref());
        assert_eq!(found, (Some(refusal.sqlstate), refusal.constraint, refusal.column), "{letter:?}");
        assert!(!letter.reason.contains("77777"), "a reason shows no values: {}", letter.reason);
    }

    // Each connection tries the statement at the start; a whole bisection costs twice its leaves. A trial has an empty write, the suspect
    // twice, and its neighbours until one passes, which is then the first to be asked; one with other values of the suspect may come first.
    let connections = u64::from(connections);
    let tries: u64 = database.query("SELECT last_value FROM tries")[0].parse::<u64>().unwrap();
    let depth = u64::from((count + 1).next_power_of_two().ilog2());
    let bisection = (2 * depth * bad.len() as u64).min(2 * (count + 1));
    let trials = 9 * bad.len() as u64 + if bad.len() as u64 == count { connections * (count + 20) } else { 0 };
    let allowed = 2 * connections + bisection + trials;
    assert!(tries <= allowed, "{tries} statements for {} bad of {count}, {allowed} allowed", bad.len());
}

fn some(of: u64, count: u64, seed: u64) -> BTreeSet<u64> {
    let mut draws = fastrand::Rng::with_seed(seed);
    let mut chosen = BTreeSet::new();
    while (chosen.len() as u64) < count {
        chosen.insert(draws.u64(0..of));
    }
    chosen
}

#[test]
fn one_in_a_thousand() {
    for (refusal, seed) in REFUSALS.iter().zip(1..) {
        check(refusal, 1000, &some(1000, 1, seed), true, 1);
    }
}

#[test]
fn the_first_and_the_last() {
    check(&REFUSALS[0], 1000, &[0, 999].into(), true, 1);
    check(&REFUSALS[0], 1, &[0].into(), true, 1);
    check(&REFUSALS[0], 2, &[1].into(), true, 1);
}

#[test]
fn ten_in_a_thousand() {
    for (refusal, seed) in REFUSALS.iter().zip(10..) {
        check(refusal, 1000, &some(1000, 10, seed), true, 1);
    }
}

#[test]
fn all_of_them() {
    for refusal in &REFUSALS {
        check(refusal, 64, &(0..64).collect(), true, 1);
    }
    check(&REFUSALS[0], 300, &(0..300).collect(), true, 1);
}

#[test]
fn without_a_checkpoint() {
    for (refusal, seed) in REFUSALS.iter().zip(20..) {
        check(refusal, 300, &some(300, 10, seed), false, 1);
    }
}

/// Each partition finds its own bad rows, and the others go on.
#[test]
fn on_three_connections() {
    for (refusal, seed) in REFUSALS.iter().zip(30..) {
        check(refusal, 1000, &some(1000, 10, seed), true, 3);
    }
    check(&REFUSALS[0], 64, &(0..64).collect(), true, 3);
}

/// Two events of one key in one batch, the first of them refused: the table has what the second one says and nothing of the first.
#[test]
fn an_event_is_judged_by_itself_although_a_later_one_of_its_batch_has_its_key() {
    let guards = [
        "ALTER TABLE cxone_events ADD CHECK (duration < 1000)",
        "CREATE DOMAIN short AS int CHECK (VALUE < 1000); ALTER TABLE cxone_events ALTER duration TYPE short",
        "CREATE FUNCTION short() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.duration >= 1000 THEN RAISE 'too long'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER short BEFORE INSERT ON cxone_events FOR EACH ROW EXECUTE FUNCTION short()",
    ];
    let event = |interaction, key, duration| {
        format!(
            "{{\"interactionId\":\"{interaction}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\
             \"idempotencyKey\":\"{key}\",\"attributes\":{{\"duration\":{duration}}}}}\n"
        )
    };
    for guard in guards {
        let database = TestDatabase::new();
        let directory = tempfile::tempdir().unwrap();
        let config = support::config(directory.path(), &database.url());
        cxsink::init_db(&config).unwrap();
        database.execute(guard);
        let sink = Sink::open(&config).unwrap();
        sink.start().unwrap();
        let (a, b) = (event("refused", "k", 7000) + &event("first", "k", 1), event("other", "l", 2));
        sink.import((a + &b + &event("last", "k", 3)).as_bytes()).unwrap();
        let stats = support::wait_quiet(&sink);
        assert_eq!((stats.inserted, stats.updated, stats.dead_lettered), (2, 1, 1), "{guard}: {stats:?}");
        let table = database.query("SELECT interaction_id, duration FROM cxone_events ORDER BY 1");
        assert_eq!(table, ["first|3", "other|2"], "{guard}");
        assert_eq!(sink.dead_letters(0, 10).unwrap()[0].offset, 0);
        sink.close_within(PATIENCE).unwrap();
    }
}

/// Constraints between rows: which event is refused follows from the order of different keys. A constraint on each row by itself is
/// no reason to write in one partition.
#[test]
fn related_rows_keep_their_order_with_any_number_of_connections() {
    // Each event of an odd number refers to the one before, or has a value of it.
    let relations = [
        ("ALTER TABLE cxone_events ADD UNIQUE (agent_id)", true, 1),
        ("CREATE UNIQUE INDEX ON cxone_events (upper(agent_id))", true, 1),
        ("ALTER TABLE cxone_events ADD EXCLUDE USING btree (agent_id WITH =)", true, 1),
        ("ALTER TABLE cxone_events ADD FOREIGN KEY (queue_name) REFERENCES cxone_events (idempotency_key)", false, 1),
        ("ALTER TABLE cxone_events ADD CHECK (duration < 1000)", false, 3),
    ];
    let event = |n: usize| {
        let before = n - n % 2;
        let queue = if n == before { "null".into() } else { format!("\"k{before}\"") };
        format!(
            "{{\"interactionId\":\"i\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"k{n}\",\
             \"attributes\":{{\"agentId\":\"a{before}\",\"queueName\":{queue}}}}}\n"
        )
    };
    for (relation, is_second_refused, partitions) in relations {
        let database = TestDatabase::new();
        let directory = tempfile::tempdir().unwrap();
        let mut config = support::config(directory.path(), &database.url());
        config.destination.connections = 3;
        config.batch.events_max = 50;
        cxsink::init_db(&config).unwrap();
        database.execute(relation);
        let sink = Sink::open(&config).unwrap();
        sink.import((0..200).map(event).collect::<String>().as_bytes()).unwrap();
        sink.start().unwrap();
        support::wait_quiet(&sink);
        let refused: Vec<u64> = sink.dead_letters(0, 200).unwrap().iter().map(|letter| letter.offset).collect();
        let expected: Vec<u64> = (0..200).filter(|n| is_second_refused && n % 2 == 1).collect();
        assert_eq!(refused, expected, "{relation}");
        assert_eq!(database.query("SELECT count(*) FROM cxsink_checkpoint"), [partitions.to_string()], "{relation}");
        sink.close_within(PATIENCE).unwrap();
    }
}

//! The engine with a simulated table, which refuses by random rules: single events, everything, everything for a time, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::*;
use crate::destination::{Applied, Checkpoint, Destination, Examination, Fence, Link, Trial, Write};
use crate::error::Class;
use crate::report::finding::Finding;
use crate::rows::batch::Rows;
use crate::rows::{Column, ColumnType, NewHistory, NewTable, Plan, Table};
use crate::threads::stop_signal::StopSignal;

/// A database: the table, the checkpoints, and the rules by which it refuses.
#[derive(Debug, Default)]
struct Database {
    rows: BTreeMap<String, String>,
    checkpoints: BTreeMap<String, Checkpoint>,
    rules: Rules,
    /// Statements so far.
    statements: usize,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, Default)]
struct Rules {
    /// The number of statements after which the table begins or ends to refuse everything, ascending. The distances are longer than a
    /// trial: within one, the table changes once at most.
    changes: Vec<usize>,
    /// Everything is refused, for ever.
    refuses_all: bool,
    /// The checkpoint refuses positions from here on, as a CHECK on its table would.
    position_max: Option<u64>,
    code: &'static str,
    class: Option<Class>,
}

impl Database {
    fn refusal(&self) -> Error {
        let error = Error::new(ErrorKind::Database, "refused").with_class(self.rules.class.unwrap_or(Class::BadRow));
        error.with_refusal().with_sqlstate(self.rules.code)
    }

    /// What the statement does, without its effect.
    fn judge(&mut self, write: &Write<'_>) -> Result<()> {
        self.statements += 1;
        let is_away = self.rules.changes.iter().filter(|change| **change <= self.statements).count() % 2 == 1;
        let rows = write.rows;
        let is_bad = |row: u32| {
            (0..rows.plan.width).any(|column| rows.text_of(rows.value(row as usize, column)).contains("poison"))
        };
        let has_bad = write.coalesced.iter().any(|coalesced| is_bad(coalesced.last));
        let is_refused = !write.coalesced.is_empty() && (has_bad || is_away || self.rules.refuses_all);
        if is_refused { Err(self.refusal()) } else { Ok(()) }
    }

    fn moves(&mut self, fence: Fence<'_>) -> Result<bool> {
        if self.rules.position_max.is_some_and(|max| fence.to > max) {
            return Err(self.refusal());
        }
        let is_ours = |checkpoint: &&mut Checkpoint| {
            checkpoint.position == fence.from && checkpoint.owner.as_deref() == Some(fence.owner)
        };
        let Some(checkpoint) = self.checkpoints.get_mut(fence.spool_id).filter(is_ours) else { return Ok(false) };
        checkpoint.position = fence.to;
        Ok(true)
    }
}

#[derive(Debug, Clone, Default)]
struct Simulated(Arc<Mutex<Database>>);

impl Simulated {
    fn database(&self) -> std::sync::MutexGuard<'_, Database> {
        sync::lock(&self.0)
    }
}

impl Destination for Simulated {
    fn connect(&mut self) -> Result<Table> {
        self.table()
    }

    fn table(&mut self) -> Result<Table> {
        Ok(Table { is_guarded: true, ..Table::of("t", self.database().columns.clone(), &["k"]) })
    }

    fn prepare(&mut self, _plan: &Arc<Plan>) -> Result<()> {
        Ok(())
    }

    fn checkpoints(&mut self, _spool_id: &str) -> Result<Option<Vec<Checkpoint>>> {
        Ok(Some(self.database().checkpoints.values().cloned().collect()))
    }

    fn claim_checkpoints(&mut self, _found: &[Checkpoint], owner: &str) -> Result<bool> {
        self.database().checkpoints.values_mut().for_each(|checkpoint| checkpoint.owner = Some(owner.into()));
        Ok(true)
    }

    fn replace_checkpoints(&mut self, _old: &[Checkpoint], new: &[Checkpoint]) -> Result<()> {
        self.database().checkpoints = new.iter().map(|new| (new.name.clone(), new.clone())).collect();
        Ok(())
    }

    fn init_db(&mut self, _own: Option<&NewTable>) -> Result<()> {
        Ok(())
    }

    fn init_db_sql(&self, _own: Option<&NewTable>) -> String {
        String::new()
    }

    fn init_history(&mut self, _history: &NewHistory) -> Result<()> {
        Ok(())
    }

    fn init_history_sql(&self, _own: Option<&NewTable>, _history: &NewHistory) -> Result<String> {
        Ok(String::new())
    }

    fn peek(&mut self, _count: usize) -> Result<Vec<Vec<Option<String>>>> {
        Ok(Vec::new())
    }

    fn superseded(&mut self, _rows: &Rows, _which: &[u32]) -> Result<Vec<u32>> {
        Ok(Vec::new())
    }

    fn examine(&mut self, _what: Examination<'_>) -> Result<Option<Finding>> {
        Ok(None)
    }

    fn apply(&mut self, write: &Write<'_>) -> Result<Applied> {
        let mut database = self.database();
        database.judge(write)?;
        if let Some(fence) = write.fence
            && !database.moves(fence)?
        {
            return Ok(Applied::Fenced);
        }
        let mut counts = (0, 0);
        for coalesced in write.coalesced {
            let text = |rows: &Rows, row: u32, column| rows.text_of(rows.value(row as usize, column)).to_owned();
            let key = text(write.rows, coalesced.first, 0);
            let value = text(write.rows, coalesced.last, 1);
            match database.rows.insert(key, value) {
                None => counts.0 += 1,
                Some(_) => counts.1 += 1,
            }
        }
        Ok(Applied::Committed { inserted: counts.0, updated: counts.1 })
    }

    fn trial(&mut self, suspect: &Write<'_>, witnesses: &[Write<'_>]) -> Result<Trial> {
        let mut database = self.database();
        let Err(first) = database.judge(suspect) else { return Ok(Trial { refusal: None, witness: None }) };
        for (index, witness) in witnesses.iter().enumerate() {
            if database.judge(witness).is_ok() {
                return Ok(Trial { refusal: database.judge(suspect).err(), witness: Some(index) });
            }
        }
        Ok(Trial { refusal: Some(first), witness: None })
    }
}

/// Where the value stands for which a table refuses an event.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Poison {
    None,
    Key,
    /// A column that must have a value.
    Interaction,
    /// A column that may be null.
    Agent,
}

fn event(number: usize, poison: Poison) -> String {
    let text = |place: Poison, else_: &str| if poison == place { "poison".into() } else { else_.to_owned() };
    format!(
        "{{\"interactionId\":\"{}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\
         \"idempotencyKey\":\"{}{number}\",\"attributes\":{{\"agentId\":\"{}\"}}}}",
        text(Poison::Interaction, "i"),
        text(Poison::Key, "k"),
        text(Poison::Agent, "a")
    )
}

fn column(name: &str, column_type: ColumnType, not_null: bool) -> Column {
    Column { not_null, ..Column::of(name, column_type) }
}

const TEXT: ColumnType = ColumnType::Text { chars_max: None };

fn columns() -> Vec<Column> {
    vec![column("k", TEXT, true), column("interaction", TEXT, true), column("agent", TEXT, false)]
}

/// A sink over a simulated table.
struct Run {
    _directory: TempDir,
    sink: Sink,
    simulated: Simulated,
}

impl Run {
    fn new(rules: Rules, batch: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.spool.path = directory.path().join("spool.db");
        config.destination.url = Some("sqlite:unused".into());
        config.mapping.columns = vec![
            ("k".into(), "/idempotencyKey".into()),
            ("interaction".into(), "/interactionId".into()),
            ("agent".into(), "/attributes/agentId".into()),
        ];
        config.mapping.key = vec!["k".into()];
        config.mapping.update = None;
        config.batch.events_max = batch;
        config.retry.delay_min = Duration::from_millis(1);
        config.retry.delay_max = Duration::from_millis(2);
        let simulated = Simulated::default();
        *simulated.database() = Database { rules, columns: columns(), ..Database::default() };
        Self { sink: Sink::open(&config).unwrap(), simulated, _directory: directory }
    }

    fn start(&self) {
        let destination = Box::new(self.simulated.clone());
        let links = vec![Link { destination, abort: StopSignal::new() }];
        self.sink.start_with(|| Ok(Parts { source: None, links })).unwrap();
    }

    fn ingest(&self, numbers: impl IntoIterator<Item = (usize, Poison)>) {
        for (number, poison) in numbers {
            self.sink.ingest(event(number, poison).as_bytes()).unwrap();
        }
    }

    fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            let stats = self.sink.stats();
            assert!(Instant::now() < until, "{what}: {stats:?}, {:?}", self.simulated.database());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn wait_drained(&self) {
        self.wait_until("not every event has its place", || self.sink.stats().pending == 0);
    }

    /// Waits until the first event has been tried this many times more.
    fn wait_tries(&self, tries: usize) {
        let begun = self.simulated.database().statements;
        self.wait_until("nothing is tried", || self.simulated.database().statements >= begun + tries);
    }

    fn dead(&self) -> BTreeSet<u64> {
        self.sink.dead_letters(0, usize::MAX >> 1).unwrap().iter().map(|letter| letter.offset).collect()
    }

    fn stored(&self) -> BTreeSet<String> {
        self.simulated.database().rows.keys().cloned().collect()
    }
}

const CODES: [&str; 8] = ["42P01", "45035", "P0002", "P0004", "20000", "38000", "22003", "28000"];

fn rules() -> impl Strategy<Value = Rules> {
    let class = prop::sample::select(vec![Class::BadRow, Class::Mismatch, Class::Transient]);
    let changes = prop::collection::vec(300..600_usize, 0..5);
    (changes, 0..40_usize, prop::sample::select(&CODES[..]), class).prop_map(|(distances, first, code, class)| {
        let mut at = first;
        let mut changes = Vec::new();
        for distance in distances {
            changes.push(at);
            at += distance;
        }
        // It ends well.
        if changes.len() % 2 == 1 {
            changes.push(at);
        }
        Rules { changes, code, class: Some(class), ..Rules::default() }
    })
}

fn poisons() -> impl Strategy<Value = Vec<Poison>> {
    let place = prop_oneof![Just(Poison::Key), Just(Poison::Interaction), Just(Poison::Agent)];
    // Few of them bad, half of them, nearly all.
    prop::sample::select(vec![0.01, 0.1, 0.5, 0.95]).prop_flat_map(move |share| {
        prop::collection::vec(
            prop::option::weighted(share, place.clone()).prop_map(|place| place.unwrap_or(Poison::None)),
            1..120,
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// No good event is set aside, and every bad one is, as soon as a good one is behind it.
    #[test]
    fn of_a_table_that_refuses_by_random_rules_only_bad_events_are_set_aside(
        rules in rules(), poisons in poisons(), batch in 1..100_u32, alone in any::<bool>(),
    ) {
        let run = Run::new(rules, batch);
        let numbered = || poisons.iter().copied().enumerate();
        if alone {
            // One after the other, as from a slow stream.
            run.start();
            for one in numbered() {
                run.ingest([one]);
                std::thread::yield_now();
            }
        } else {
            run.ingest(numbered());
            run.start();
        }
        run.ingest([(poisons.len(), Poison::None)]);
        run.wait_drained();
        let bad: BTreeSet<u64> = (0..).zip(&poisons).filter(|(_, poison)| **poison != Poison::None).map(|(n, _)| n).collect();
        prop_assert_eq!(run.dead(), bad.clone());
        let good: BTreeSet<String> = (0..=poisons.len() as u64).filter(|n| !bad.contains(n)).map(|n| format!("k{n}")).collect();
        prop_assert_eq!(run.stored(), good);
        prop_assert!(run.sink.stats().is_balanced());
    }

    /// A table that refuses everything sets nothing aside, whatever the events.
    #[test]
    fn of_a_table_that_refuses_everything_no_event_is_set_aside(
        code in prop::sample::select(&CODES[..]), poisons in poisons(), batch in 1..100_u32,
    ) {
        let run = Run::new(Rules { refuses_all: true, code, ..Rules::default() }, batch);
        run.ingest(poisons.iter().copied().enumerate());
        run.start();
        run.wait_tries(300);
        prop_assert_eq!(run.dead(), BTreeSet::new());
        prop_assert_eq!(run.sink.stats().state, State::Stalled);
        prop_assert_eq!(run.stored(), BTreeSet::new());
        run.simulated.database().rules.refuses_all = false;
        run.ingest([(poisons.len(), Poison::None)]);
        run.wait_drained();
        let good = poisons.iter().filter(|poison| **poison == Poison::None).count() + 1;
        prop_assert_eq!(run.stored().len(), good, "the rest follows after the repair");
    }
}

#[test]
fn a_lone_bad_event_waits_for_a_neighbour_only_where_nothing_vouches_for_the_table() {
    let run = Run::new(Rules { code: "23514", ..Rules::default() }, 10);
    run.start();
    run.ingest([(0, Poison::Agent)]);
    run.wait_drained();
    assert_eq!(run.dead(), [0].into());
    for (number, poison) in [(1, Poison::Interaction), (3, Poison::Key)] {
        run.ingest([(number, poison)]);
        run.wait_tries(50);
        assert_eq!(run.sink.stats().state, State::Stalled, "{poison:?}");
        run.ingest([(number + 1, Poison::None)]);
        run.wait_drained();
    }
    assert_eq!(run.dead(), [0, 1, 3].into());
    // Now the values of a committed event vouch for the table.
    run.ingest([(5, Poison::Interaction)]);
    run.wait_drained();
    assert_eq!(run.dead(), [0, 1, 3, 5].into());
    assert_eq!(run.stored(), ["k2", "k4"].map(String::from).into());
}

#[test]
fn an_error_of_the_checkpoint_table_is_never_an_events() {
    let run = Run::new(Rules { position_max: Some(20), code: "23514", ..Rules::default() }, 100);
    run.ingest((0..50).map(|number| (number, Poison::None)));
    run.start();
    run.wait_tries(500);
    assert_eq!((run.dead(), run.stored().len()), (BTreeSet::new(), 20));
    let error = run.sink.stats().last_error.unwrap();
    assert!(error.contains("the same row passes without the checkpoint"), "{error}");
    run.simulated.database().rules.position_max = None;
    run.wait_drained();
    assert_eq!((run.dead(), run.stored().len()), (BTreeSet::new(), 50));
}

#[test]
fn a_long_run_of_bad_events_does_not_hide_the_good_one_behind_it() {
    let run = Run::new(Rules { code: "45000", ..Rules::default() }, 100);
    run.ingest((0..1500).map(|number| (number, Poison::Key)));
    run.start();
    run.wait_tries(500);
    assert_eq!(run.dead(), BTreeSet::new());
    run.ingest([(1500, Poison::None)]);
    run.wait_drained();
    assert_eq!(run.dead().len(), 1500);
}

#[test]
fn while_a_column_has_the_wrong_type_no_event_is_set_aside() {
    let run = Run::new(Rules { code: "42804", ..Rules::default() }, 10);
    run.start();
    run.ingest((0..20).map(|number| (number, Poison::None)));
    run.wait_drained();
    run.simulated.database().columns[2].column_type = ColumnType::Int4;
    // The refusal by which the sink notices the change.
    run.simulated.database().rules.refuses_all = true;
    run.ingest([(20, Poison::None)]);
    run.wait_until("not stalled", || run.sink.stats().state == State::Stalled);
    run.simulated.database().rules.refuses_all = false;
    run.ingest((21..500).map(|number| (number, Poison::None)));
    run.wait_until("not judged", || {
        run.sink.stats().last_error.is_some_and(|error| error.contains("fits this column"))
    });
    let error = run.sink.stats().last_error.unwrap();
    run.simulated.database().columns[2].column_type = TEXT;
    run.wait_drained();
    assert_eq!((run.dead(), run.stored().len()), (BTreeSet::new(), 500), "{error:?}");
}

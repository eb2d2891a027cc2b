//! Messages of a stream that hold events in envelopes, through the real unwrapper, spool and table.

use std::collections::VecDeque;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::super::*;
use crate::config::OnNormalClose;
use crate::dead_letters::{Fate, ReplayReport, Selection, replay_dry_run};
use crate::destination::Link;
use crate::event::Burst;
use crate::report::dead_letter::Stage;
use crate::sink::adapters::open_destination;
use crate::source::unwrap::Unwrapper;

use crate::source::{ReadOutcome, Source};
use crate::threads::stop_signal::StopSignal;

/// Reads these messages, each list of them in one burst, and closes.
struct Messages {
    bursts: VecDeque<Vec<Vec<u8>>>,
    unwrapper: Option<Unwrapper>,
}

impl Source for Messages {
    fn connect(&mut self, _early: &mut Burst) -> Result<()> {
        Ok(())
    }

    fn kept(&mut self) {}

    fn read(&mut self, burst: &mut Burst) -> Result<ReadOutcome> {
        let Some(messages) = self.bursts.pop_front() else { return Ok(ReadOutcome::Closed) };
        for message in messages {
            let before = burst.events();
            if let Some(unwrapper) = &self.unwrapper {
                unwrapper.unwrap(&message, burst);
            } else {
                burst.push(&message);
            }
            burst.count_messages(1, u64::from(burst.events() == before));
        }
        Ok(ReadOutcome::Events)
    }
}

/// A directory with a spool and a table, and sinks that use them.
struct Bench {
    directory: TempDir,
    config: Config,
}

impl Bench {
    fn new(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.spool.path = directory.path().join("spool.db");
        let table = directory.path().join("table.db");
        config.destination.url = Some(format!("sqlite:{}", table.display()).into());
        config.stream.on_normal_close = OnNormalClose::Stop;
        let mut bench = Self { directory, config };
        bench.set(settings);
        crate::init_db(&bench.config).unwrap();
        bench
    }

    fn set(&mut self, settings: &[(&str, &str)]) {
        for (key, value) in settings {
            self.config.set(key, value).unwrap();
        }
    }

    /// Runs a sink with this stream to its end.
    fn run<M: AsRef<[u8]>>(&self, bursts: &[&[M]]) -> Stats {
        let sink = Sink::open(&self.config).unwrap();
        let bursts =
            bursts.iter().map(|burst| burst.iter().map(|message| message.as_ref().to_vec()).collect()).collect();
        let source = Messages { bursts, unwrapper: Unwrapper::new(&self.config.event).unwrap() };
        let abort = StopSignal::new();
        let link = Link { destination: open_destination(&self.config, abort.clone()).unwrap(), abort };
        sink.start_with(|| Ok(Parts { source: Some(Box::new(source)), links: vec![link] })).unwrap();
        while let Poll::Notice(_) = sink.poll(Some(Duration::from_secs(60))).unwrap() {}
        sink.close_within(Duration::from_secs(60)).unwrap();
        let stats = sink.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        stats
    }

    fn letters(&self) -> Vec<DeadLetter> {
        crate::dead_letters::DeadLetters::open(&self.config).unwrap().list(0, 1000).unwrap()
    }

    fn dry_run(&self) -> ReplayReport {
        replay_dry_run(&self.config, &Selection::All).unwrap()
    }

    /// Replays all dead letters with a running sink; returns its report, and its statistics at the end.
    fn replay(&self) -> (ReplayReport, Stats) {
        let sink = Sink::open(&self.config).unwrap();
        sink.start().unwrap();
        let report = sink.replay(&Selection::All).unwrap();
        sink.close_within(Duration::from_secs(60)).unwrap();
        let stats = sink.stats();
        assert!(stats.is_balanced(), "{stats:?}");
        (report, stats)
    }

    /// Key and duration of every row, by key.
    fn rows(&self) -> Vec<String> {
        rows(&self.directory.path().join("table.db"))
    }
}

fn rows(table: &Path) -> Vec<String> {
    let connection = Connection::open(table).unwrap();
    let mut select = connection
        .prepare("SELECT idempotency_key || '|' || interaction_id || '|' || coalesce(duration, '') FROM cxone_events ORDER BY 1")
        .unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
}

fn event(key: &str, duration: i64) -> Json {
    json!({
        "interactionId": format!("i{duration}"), "timestamp": "2026-11-22T16:00:00Z", "type": "call", "idempotencyKey": key,
        "attributes": { "duration": duration },
    })
}

fn envelope(data: &Json) -> String {
    json!({ "command": "MESSAGE", "body": { "data": data } }).to_string()
}

const ENVELOPES: [(&str, &str); 2] = [("event.path", "/body/data"), ("event.each", "true")];

#[test]
fn a_message_has_any_number_of_events_and_one_that_cannot_be_unwrapped_is_a_dead_letter() {
    let bench = Bench::new(&ENVELOPES);
    let bad = [envelope(&Json::Null), "not JSON".into(), envelope(&json!("text"))];
    let stats = bench.run(&[
        &[envelope(&json!([event("a", 1), event("b", 1), event("a", 2)])), bad[0].clone(), envelope(&json!([]))],
        &[envelope(&json!([])), envelope(&json!([]))],
        &[envelope(&json!(event("c", 3).to_string())), bad[1].clone(), bad[2].clone(), envelope(&json!([1]))],
    ]);
    assert_eq!((stats.messages, stats.ignored, stats.messages_with_events()), (9, 3, 6), "{stats:?}");
    assert_eq!((stats.received, stats.inserted, stats.coalesced, stats.dead_lettered), (8, 3, 1, 4), "{stats:?}");
    assert_eq!(bench.rows(), ["a|i1|2", "b|i1|1", "c|i3|3"]);
    let letters = bench.letters();
    let found: Vec<_> = letters
        .iter()
        .map(|letter| (letter.offset, letter.stage, letter.reason.as_str(), &letter.event.0[..]))
        .collect();
    let expected = [
        (3, Stage::Message, "/body/data: null, not an object or an array", bad[0].as_bytes()),
        (5, Stage::Message, "the message is not JSON: expected ident at line 1 column 2", bad[1].as_bytes()),
        (
            6,
            Stage::Message,
            "/body/data: a text that is not JSON: expected ident at line 1 column 2",
            bad[2].as_bytes(),
        ),
    ];
    assert_eq!(found[..3], expected);
    assert_eq!((letters[3].stage, &letters[3].event.0[..]), (Stage::Schema, &b"1"[..]), "an element is an event");
}

#[test]
fn the_limit_of_an_event_counts_for_each_element_and_not_for_the_message() {
    let bench = Bench::new(&[ENVELOPES[0], ENVELOPES[1], ("stream.event_bytes_max", "400")]);
    let mut large = event("large", 1);
    large["attributes"]["agentId"] = json!("x".repeat(400));
    let events = [event("a", 1), large.clone(), event("b", 1), event("c", 1)];
    let stats = bench.run(&[&[envelope(&json!(events))]]);
    assert_eq!((stats.received, stats.inserted, stats.dead_lettered), (4, 3, 1), "{stats:?}");
    let letters = bench.letters();
    assert_eq!((letters[0].offset, letters[0].stage), (1, Stage::Json));
    assert_eq!(letters[0].event.0, large.to_string().into_bytes());
}

/// They were spooled under settings that did not fit, and are prepared under others.
#[test]
fn a_message_that_waits_in_the_spool_stays_a_message() {
    let mut bench = Bench::new(&[("event.path", "/wrong")]);
    let message = envelope(&event("a", 1));
    {
        let sink = Sink::open(&bench.config).unwrap();
        let mut burst = Burst::default();
        Unwrapper::new(&bench.config.event).unwrap().unwrap().unwrap(message.as_bytes(), &mut burst);
        // It would be a valid event, and was none when it came.
        burst.push_message(event("b", 1).to_string().as_bytes());
        sink.0.engine.spool.append(&burst, 7).unwrap();
    }
    bench.set(&[("event.path", "/body/data")]);
    let sink = Sink::open(&bench.config).unwrap();
    assert_eq!(sink.counter(Counter::Recovered), 2);
    sink.start().unwrap();
    assert!(sink.0.engine.spool.wait_drained(Duration::from_secs(60)));
    sink.close().unwrap();
    let letters = bench.letters();
    let found: Vec<_> = letters.iter().map(|letter| (letter.stage, letter.reason.as_str())).collect();
    let unwrapped_now = "the message could not be unwrapped when it was received";
    assert_eq!(found, [(Stage::Message, unwrapped_now), (Stage::Message, "/body/data: nothing is there")]);
    assert_eq!(letters[0].event.0, message.into_bytes());
    assert_eq!(bench.rows(), Vec::<String>::new());
}

#[test]
fn a_replayed_message_is_its_events() {
    let mut bench = Bench::new(&[("event.path", "/wrong")]);
    let stats = bench.run(&[&[
        envelope(&json!([event("a", 1), event("b", 1), json!({})])),
        envelope(&json!(null)),
        envelope(&json!([])),
        envelope(&event("c", 1)),
    ]]);
    assert_eq!((stats.messages, stats.ignored, stats.dead_lettered), (4, 0, 4), "{stats:?}");

    bench.set(&ENVELOPES);
    let expected = |replayed_as: [Option<u64>; 3]| {
        move |fates: &[(u64, Fate)]| {
            let rejection = "/body/data: null, not an object or an array";
            assert!(matches!(&fates[1], (1, Fate::Rejected(found)) if found.reason == rejection), "{fates:?}");
            let others: Vec<_> = [0, 2, 3].map(|index| fates[index].clone()).into();
            let [first, second, third] = replayed_as.map(Fate::Replayed);
            assert_eq!(others, [(0, first), (2, second), (3, third)]);
        }
    };
    let tried = bench.dry_run();
    assert_eq!((tried.replayed, tried.rejected), (3, 1));
    expected([None, None, None])(&tried.fates);
    let (report, stats) = bench.replay();
    assert_eq!((report.replayed, report.rejected, report.skipped), (3, 1, 0));
    // The first message has three events, the one in the middle none.
    expected([Some(4), None, Some(7)])(&report.fates);
    assert_eq!((stats.replayed, stats.inserted, stats.dead_lettered, stats.messages), (4, 3, 1, 0), "{stats:?}");
    assert_eq!(bench.rows(), ["a|i1|1", "b|i1|1", "c|i1|1"]);
    let letters: Vec<_> = bench
        .letters()
        .iter()
        .map(|letter| (letter.offset, letter.stage, letter.replayed_at.is_some(), letter.replayed_as))
        .collect();
    let message = |offset, is_replayed, replayed_as| (offset, Stage::Message, is_replayed, replayed_as);
    let expected = [
        message(0, true, Some(4)),
        message(1, false, None),
        message(2, true, None),
        message(3, true, Some(7)),
        (6, Stage::Schema, false, None),
    ];
    assert_eq!(letters, expected);
    assert_eq!(bench.replay().0.replayed, 0, "each once");
}

/// Without an unwrapper a message is one event, also one that was none.
#[test]
fn a_message_is_replayed_as_one_event_where_nothing_is_unwrapped() {
    let mut bench = Bench::new(&[("event.path", "/wrong")]);
    bench.run(&[&[event("a", 1).to_string()]]);
    bench.config.event = crate::config::EventConfig::default();
    let (report, stats) = bench.replay();
    assert_eq!((report.replayed, stats.replayed, stats.inserted), (1, 1, 1));
    assert_eq!(bench.rows(), ["a|i1|1"]);
}

/// A message has no key by which a later event could be seen to follow it, so its events are late ones.
#[test]
fn events_of_a_replayed_message_do_not_overwrite_later_ones() {
    for is_forced in [false, true] {
        let mut bench = Bench::new(&[("event.path", "/wrong")]);
        bench.run(&[&[envelope(&json!([event("a", 1), event("b", 1)]))]]);
        bench.set(&ENVELOPES);
        bench.run(&[&[envelope(&event("a", 2))]]);
        let sink = Sink::open(&bench.config).unwrap();
        sink.start().unwrap();
        let report =
            if is_forced { sink.replay_forced(&Selection::All) } else { sink.replay(&Selection::All) }.unwrap();
        sink.close().unwrap();
        assert_eq!((report.replayed, sink.stats().superseded), (1, u64::from(!is_forced)));
        let duration = if is_forced { 1 } else { 2 };
        assert_eq!(bench.rows(), [format!("a|i2|{duration}"), "b|i1|1".into()]);
    }
}

/// In their order, within a message, across messages, and across batches; as if they had never been dead letters.
#[test]
fn events_of_a_key_in_replayed_messages_are_written_in_their_order() {
    for batch in ["1", "5000"] {
        let mut bench = Bench::new(&[("event.path", "/wrong"), ("batch.events_max", batch)]);
        bench.run(&[&[
            envelope(&json!([event("a", 1), event("b", 1), event("a", 2)])),
            envelope(&event("a", 3)),
            envelope(&event("b", 2)),
            envelope(&event("c", 1)),
        ]]);
        bench.set(&ENVELOPES);
        bench.run(&[&[envelope(&event("c", 2))]]);
        let (report, stats) = bench.replay();
        assert_eq!((report.replayed, stats.replayed, stats.superseded), (4, 6, 1), "{stats:?}");
        assert_eq!(bench.rows(), ["a|i1|3", "b|i1|2", "c|i2|2"]);
    }
}

#[test]
fn messages_that_are_replayed_in_another_order_do_not_overwrite_later_ones() {
    let mut bench = Bench::new(&[("event.path", "/wrong")]);
    let messages: Vec<String> = (1..=5).map(|duration| envelope(&event("a", duration))).collect();
    bench.run(&[&messages]);
    bench.set(&ENVELOPES);
    let sink = Sink::open(&bench.config).unwrap();
    sink.start().unwrap();
    let one = |offset| Selection::Offsets(vec![offset]);
    for (selection, duration) in [(one(2), 3), (one(0), 3), (Selection::All, 5)] {
        sink.replay(&selection).unwrap();
        while sink.stats().pending > 0 {
            sink.poll(Some(Duration::from_millis(1))).unwrap();
        }
        assert_eq!(bench.rows(), [format!("a|i3|{duration}")]);
    }
    sink.close_within(Duration::from_secs(60)).unwrap();
    assert_eq!(sink.stats().superseded, 2, "the first and the second");
}

#[test]
fn a_dry_run_reports_that_all_events_of_a_message_would_be_superseded() {
    let mut bench = Bench::new(&[("event.path", "/wrong")]);
    bench.run(&[&[
        envelope(&json!([event("a", 1), event("b", 1)])),
        envelope(&json!([event("a", 1), event("c", 1)])),
        envelope(&json!([json!({})])),
    ]]);
    bench.set(&ENVELOPES);
    bench.run(&[&[envelope(&json!([event("a", 2), event("b", 2)]))]]);
    let fates: Vec<_> = bench.dry_run().fates.into_iter().map(|(_, fate)| fate).collect();
    assert_eq!(fates, [Fate::Superseded, Fate::Replayed(None), Fate::Replayed(None)]);
}

#[test]
fn a_message_of_an_export_is_imported_as_its_events() {
    let bench = Bench::new(&[("event.path", "/wrong")]);
    let not_utf8 = b"{\"body\":\xff}".to_vec();
    bench.run(&[&[
        envelope(&json!([event("a", 1), event("b", 1)])).into_bytes(),
        envelope(&Json::Null).into_bytes(),
        not_utf8.clone(),
    ]]);
    let export: String = bench.letters().iter().map(|letter| letter.to_json(true) + "\n").collect();

    let other = Bench::new(&ENVELOPES);
    let sink = Sink::open(&other.config).unwrap();
    sink.start().unwrap();
    assert_eq!(sink.import_exported(export.as_bytes()).unwrap(), 4, "two events and two messages");
    sink.close().unwrap();
    assert_eq!((sink.stats().received, sink.stats().inserted, sink.stats().messages), (4, 2, 0));
    assert_eq!(other.rows(), ["a|i1|1", "b|i1|1"]);
    let letters = other.letters();
    let found: Vec<_> = letters.iter().map(|letter| (letter.stage, letter.event.0.clone())).collect();
    let null = envelope(&Json::Null).into_bytes();
    assert_eq!(found, [(Stage::Message, null), (Stage::Message, not_utf8)]);
}

/// An array of 20,000 elements is more than the spool may hold, and the spool is not empty when it comes.
#[test]
fn a_message_larger_than_the_spool_waits_until_that_is_empty() {
    let bench = Bench::new(&[ENVELOPES[0], ENVELOPES[1], ("spool.bytes_max", "64KiB")]);
    let before: Vec<String> = (0..100).map(|number| envelope(&event(&format!("before{number}"), 1))).collect();
    let many: Vec<Json> = (0..20_000).map(|number| event(&format!("{number}"), 1)).collect();
    let huge = [envelope(&json!(many))];
    let stats = bench.run(&[&before, &huge, &before]);
    assert_eq!((stats.messages, stats.received), (201, 20_200), "{stats:?}");
    assert_eq!((stats.dead_lettered, bench.rows().len()), (0, 20_100), "{stats:?}");
}

/// The same for a message that is replayed while events of the stream wait.
#[test]
fn a_replayed_message_larger_than_the_spool_waits_until_that_is_empty() {
    let mut bench = Bench::new(&[("event.path", "/wrong"), ("dead_letters.bytes_max", "1GiB")]);
    let many: Vec<Json> = (0..5000).map(|number| event(&format!("{number}"), 1)).collect();
    bench.run(&[&[envelope(&json!(many))]]);
    bench.set(&ENVELOPES);
    bench.set(&[("spool.bytes_max", "64KiB")]);
    let sink = Sink::open(&bench.config).unwrap();
    for number in 0..100 {
        sink.ingest(event(&format!("before{number}"), 1).to_string().as_bytes()).unwrap();
    }
    sink.start().unwrap();
    assert_eq!(sink.replay(&Selection::All).unwrap().replayed, 1);
    sink.close_within(Duration::from_secs(60)).unwrap();
    assert_eq!((sink.stats().replayed, bench.rows().len()), (5000, 5100));
}

/// How a list of events is cut into messages: the number of events of each array in turn; 0 is an array without elements.
#[derive(Debug, Clone)]
struct Split {
    sizes: Vec<usize>,
    is_text: bool,
    lines: Option<usize>,
    per_burst: usize,
}

fn split() -> impl Strategy<Value = Split> {
    let sizes = prop::collection::vec(0_usize..6, 1..5)
        .prop_filter("an event needs a place", |sizes| sizes.iter().any(|&size| size > 0));
    (sizes, any::<bool>(), prop::option::of(1_usize..4), 1_usize..5)
        .prop_map(|(sizes, is_text, lines, per_burst)| Split { sizes, is_text, lines, per_burst })
}

impl Split {
    /// The messages, and how many of them have no event.
    fn messages(&self, mut events: &[Json]) -> (Vec<String>, u64) {
        let mut envelopes = Vec::new();
        for &size in self.sizes.iter().cycle() {
            if events.is_empty() {
                break;
            }
            let (array, rest) = events.split_at(size.min(events.len()));
            let array = json!(array);
            let data = if self.is_text { array.to_string().into() } else { array };
            envelopes.push((envelope(&data), size == 0));
            events = rest;
        }
        let messages: Vec<(String, bool)> = envelopes
            .chunks(self.lines.unwrap_or(1))
            .map(|lines| {
                let text: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
                (text.join("\n"), lines.iter().all(|(_, is_empty)| *is_empty))
            })
            .collect();
        let ignored = messages.iter().filter(|(_, is_empty)| *is_empty).count() as u64;
        (messages.into_iter().map(|(message, _)| message).collect(), ignored)
    }
}

/// Few keys, so that events of one key meet in one array and in one batch; some are not valid.
fn events() -> impl Strategy<Value = Vec<Json>> {
    let valid = (0..4, 0_i64..50).prop_map(|(key, duration)| event(&format!("k{key}"), duration));
    prop::collection::vec(prop_oneof![8 => valid, 1 => Just(json!({ "type": "fax" })), 1 => Just(json!([1]))], 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_events_into_messages_gives_the_same_table(events in events(), split in split()) {
        let one_by_one = Bench::new(&[]);
        let each: Vec<[String; 1]> = events.iter().map(|event| [event.to_string()]).collect();
        let expected = one_by_one.run(&each.iter().map(<[String; 1]>::as_slice).collect::<Vec<_>>());
        prop_assert_eq!((expected.messages, expected.ignored), (expected.received, 0));

        let lines = if split.lines.is_some() { "true" } else { "false" };
        let bench = Bench::new(&[ENVELOPES[0], ENVELOPES[1], ("event.lines", lines)]);
        let (messages, ignored) = split.messages(&events);
        let stats = bench.run(&messages.chunks(split.per_burst).collect::<Vec<_>>());
        prop_assert_eq!(bench.rows(), one_by_one.rows());
        prop_assert_eq!((stats.messages, stats.ignored), (messages.len() as u64, ignored));
        prop_assert_eq!((stats.received, stats.dead_lettered), (expected.received, expected.dead_lettered));
        let letters = |bench: &Bench| bench.letters().into_iter().map(|letter| (letter.offset, letter.stage, letter.event)).collect::<Vec<_>>();
        prop_assert_eq!(letters(&bench), letters(&one_by_one));
    }
}

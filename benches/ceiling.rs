//! The ceilings of the database: the same rows, prepared in memory before the clock starts, and written over one connection, one batch
//! after another, sorted by key. There is no stream, no spool, and no preparing during the run.
//!
//! `ceiling URL TABLE EVENTS SIZE WAY` prints `{"events": …, "seconds": …}`; `make bench` runs it between the runs of the sink. The ways:
//!
//! - `sink`: the sink's own statements, its checkpoint included;
//! - `upsert`: `INSERT … SELECT FROM unnest(…) ON CONFLICT DO UPDATE`, prepared, nothing else: the usual careful program;
//! - `insert`: the same without `ON CONFLICT`;
//! - `copy`: `COPY … FROM STDIN`, as text.
//!
//! `ceiling --keys EVENTS EVERY SEED` prints the key of each `EVERY`th of the events with another seed, one a line.

#![expect(clippy::print_stdout, reason = "prints its result")]

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;
use cxsink::Config;
use cxsink::bench::{Events, Table};
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, NoTls};
use serde_json::Value;

const USAGE: &str = "usage: ceiling URL TABLE EVENTS SIZE sink|upsert|insert|copy, with whole numbers for EVENTS and SIZE; \
    or ceiling --keys EVENTS EVERY SEED";

const COLUMNS: &str =
    "interaction_id, timestamp, type, idempotency_key, duration, disposition, queue_name, agent_id, attributes";
const UPDATES: &str = "duration = EXCLUDED.duration, disposition = EXCLUDED.disposition, queue_name = EXCLUDED.queue_name, \
    agent_id = EXCLUDED.agent_id, attributes = EXCLUDED.attributes, updated_at = EXCLUDED.updated_at";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // cargo says `--bench` to every benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seconds = match arguments.as_slice() {
        ["--keys", events, every, seed] => return print_keys(events.parse()?, every.parse()?, seed.parse()?),
        [url, table, events, size, "sink"] => by_the_sink(url, table, events.parse()?, size.parse()?)?,
        [url, table, events, size, way] => by_a_client(url, table, events.parse()?, size.parse()?, way)?,
        _ => return Err(USAGE.into()),
    };
    println!("{}", serde_json::json!({ "events": arguments[2].parse::<u64>()?, "seconds": seconds.as_secs_f64() }));
    Ok(())
}

fn simulate(events: u64) -> Events {
    Events::simulate(1, events, 0.0)
}

fn print_keys(events: u64, every: usize, seed: u64) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for event in Events::simulate(seed, events, 0.0).iter().step_by(every) {
        let event: Value = serde_json::from_slice(event)?;
        writeln!(out, "{}", event["idempotencyKey"].as_str().unwrap_or_default())?;
    }
    Ok(())
}

fn by_the_sink(url: &str, table: &str, events: u64, size: usize) -> Result<Duration> {
    let mut table = open(url, table)?;
    let batches = table.prepare(&simulate(events), size)?;
    let started = Instant::now();
    batches.iter().try_for_each(|batch| table.upsert(batch))?;
    Ok(started.elapsed())
}

/// Creates the tables too.
fn open(url: &str, table: &str) -> Result<Table> {
    let mut config = Config::default();
    config.set("destination.url", url)?;
    config.set("destination.table", table)?;
    Ok(Table::open(&config)?)
}

fn by_a_client(url: &str, table: &str, events: u64, size: usize, way: &str) -> Result<Duration> {
    drop(open(url, table)?);
    let events = simulate(events);
    let mut rows = events.iter().map(Row::read).collect::<Result<Vec<_>>>()?;
    let batches: Vec<Batch> = rows.chunks_mut(size).map(Batch::new).collect();
    let mut client = Client::connect(url, NoTls)?;
    if way == "copy" {
        let texts: Vec<String> = rows.chunks(size).map(|rows| rows.iter().map(Row::as_copied).collect()).collect();
        let copy = format!("COPY {table} ({COLUMNS}) FROM STDIN");
        let started = Instant::now();
        for text in &texts {
            let mut writer = client.copy_in(&copy)?;
            writer.write_all(text.as_bytes())?;
            writer.finish()?;
        }
        return Ok(started.elapsed());
    }
    let on_conflict = match way {
        "upsert" => format!("ON CONFLICT (idempotency_key) DO UPDATE SET {UPDATES}"),
        "insert" => String::new(),
        _ => return Err(USAGE.into()),
    };
    let unnest = "unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::int4[], $6::text[], $7::text[], $8::text[], $9::jsonb[])";
    let statement = client.prepare(&format!(
        "INSERT INTO {table} ({COLUMNS}, created_at, updated_at) SELECT *, now(), now() FROM {unnest} {on_conflict}"
    ))?;
    let started = Instant::now();
    for batch in &batches {
        client.execute(&statement, &batch.parameters())?;
    }
    Ok(started.elapsed())
}

/// An event, as the default mapping stores it.
struct Row {
    interaction_id: String,
    timestamp: String,
    kind: String,
    key: String,
    duration: Option<i32>,
    disposition: Option<String>,
    queue_name: Option<String>,
    agent_id: Option<String>,
    attributes: Option<Json>,
}

impl Row {
    fn read(event: &[u8]) -> Result<Self> {
        let mut event: Value = serde_json::from_slice(event)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut attributes = event["attributes"].take();
        let mut take = |name: &str| attributes.as_object_mut().and_then(|all| all.remove(name)).unwrap_or_default();
        let (duration, disposition) = (take("duration"), take("disposition"));
        let (queue_name, agent_id) = (take("queueName"), take("agentId"));
        let has_rest = attributes.as_object().is_some_and(|rest| !rest.is_empty());
        Ok(Self {
            interaction_id: text(&event["interactionId"]).ok_or("no interactionId")?,
            timestamp: text(&event["timestamp"]).ok_or("no timestamp")?,
            kind: text(&event["type"]).ok_or("no type")?,
            key: text(&event["idempotencyKey"]).ok_or("no idempotencyKey")?,
            duration: duration.as_i64().map(i32::try_from).transpose()?,
            disposition: text(&disposition),
            queue_name: text(&queue_name),
            agent_id: text(&agent_id),
            attributes: has_rest.then(|| Json(attributes.to_string())),
        })
    }

    /// A line in COPY's text format.
    fn as_copied(&self) -> String {
        let duration = self.duration.map(|duration| duration.to_string());
        let attributes = self.attributes.as_ref().map(|Json(text)| text);
        let values = [
            Some(&self.interaction_id),
            Some(&self.timestamp),
            Some(&self.kind),
            Some(&self.key),
            duration.as_ref(),
            self.disposition.as_ref(),
            self.queue_name.as_ref(),
            self.agent_id.as_ref(),
            attributes,
        ];
        let mut line = String::new();
        for (index, value) in values.into_iter().enumerate() {
            let end = if index > 0 { "\t" } else { "" };
            // The simulator's texts have no tabs and line ends.
            let value = value.map_or_else(|| "\\N".to_owned(), |value| value.replace('\\', "\\\\"));
            let _ = write!(line, "{end}{value}");
        }
        line.push('\n');
        line
    }
}

/// The text of a document.
#[derive(Debug, Clone)]
struct Json(String);

impl ToSql for Json {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Box<dyn Error + Sync + Send>> {
        // The version of jsonb's binary format, whose content is the text.
        out.extend_from_slice(b"\x01");
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(found: &Type) -> bool {
        *found == Type::JSONB
    }

    to_sql_checked!();
}

/// Rows as columns.
struct Batch {
    interaction_id: Vec<String>,
    timestamp: Vec<SystemTime>,
    kind: Vec<String>,
    key: Vec<String>,
    duration: Vec<Option<i32>>,
    texts: [Vec<Option<String>>; 3],
    attributes: Vec<Option<Json>>,
}

impl Batch {
    fn new(rows: &mut [Row]) -> Self {
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        let time = |row: &Row| {
            let time = chrono::DateTime::parse_from_rfc3339(&row.timestamp).unwrap_or_default();
            SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.timestamp_micros()).unwrap_or_default())
        };
        let texts = |of: fn(&Row) -> &Option<String>| rows.iter().map(|row| of(row).clone()).collect();
        Self {
            interaction_id: rows.iter().map(|row| row.interaction_id.clone()).collect(),
            timestamp: rows.iter().map(time).collect(),
            kind: rows.iter().map(|row| row.kind.clone()).collect(),
            key: rows.iter().map(|row| row.key.clone()).collect(),
            duration: rows.iter().map(|row| row.duration).collect(),
            texts: [texts(|row| &row.disposition), texts(|row| &row.queue_name), texts(|row| &row.agent_id)],
            attributes: rows.iter().map(|row| row.attributes.clone()).collect(),
        }
    }

    fn parameters(&self) -> [&(dyn ToSql + Sync); 9] {
        let [disposition, queue_name, agent_id] = &self.texts;
        [
            &self.interaction_id,
            &self.timestamp,
            &self.kind,
            &self.key,
            &self.duration,
            disposition,
            queue_name,
            agent_id,
            &self.attributes,
        ]
    }
}

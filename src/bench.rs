//! The parts of an event's path one by one, for the programs in benches/. It exists with the feature `_bench` only, is in no
//! documentation, and changes without notice.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, SchemaConfig};
use crate::destination::{Applied, Checkpoint, Destination, Fence, Write};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Burst;
use crate::rows::batch::Rows;
use crate::rows::coalesce::{Coalesced, coalesce};
use crate::rows::event::ParsedEvent;
use crate::rows::schema::Schema;
use crate::rows::{Arrival, Column, ColumnType, Plan, map_event};
use crate::simulator::{SimulatorOptions, generate};
use crate::sink::{decode, encode, open_destination};
use crate::spool::{Spool, SpooledEvents};
use crate::threads::stop_signal::StopSignal;

/// Events as the simulator sends them: valid, about 300 bytes each.
#[derive(Debug)]
pub struct Events(Burst);

impl Events {
    /// The first `count` events of the simulator's sequence, of which `redelivery_percent` repeat an earlier one. Another seed
    /// gives other keys.
    pub fn simulate(seed: u64, count: u64, redelivery_percent: f64) -> Self {
        let options = SimulatorOptions { seed, events: Some(count), redelivery_percent, ..SimulatorOptions::default() };
        let mut burst = Burst::default();
        for event in generate(&options) {
            burst.push(&event);
        }
        Self(burst)
    }

    /// The JSON of each.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.events()
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The same events as the server sends them: a WebSocket text message each (RFC 6455 section 5.2).
    pub fn to_frames(&self) -> Vec<u8> {
        let mut frames = Vec::new();
        for event in self.0.iter() {
            let length = u16::try_from(event.len()).unwrap_or(u16::MAX);
            // None is shorter than 126 bytes, so each has a length of two bytes.
            frames.extend([0x81, 126]);
            frames.extend(length.to_be_bytes());
            frames.extend(event);
        }
        frames
    }
}

/// Decodes frames into bursts, as the source does; returns the number of events.
pub fn decode_frames(frames: &[u8]) -> usize {
    decode(frames)
}

/// A spool with its default settings.
#[derive(Debug)]
pub struct Queue {
    spool: Spool,
    read: SpooledEvents,
}

impl Queue {
    /// Creates the file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut config = Config::default();
        config.spool.path = path.into();
        Ok(Self { spool: Spool::open(&config)?, read: SpooledEvents::default() })
    }

    /// Appends the events as one burst.
    pub fn append(&self, events: &Events) -> Result<()> {
        self.spool.append(&events.0, 0).map(drop)
    }

    /// Reads the oldest pending events; returns how many.
    pub fn read(&mut self, events_max: usize) -> Result<usize> {
        self.spool.read(self.spool.committed(), events_max, usize::MAX, &mut self.read)?;
        Ok(self.read.iter().count())
    }

    /// Commits every event. Its row is deleted with a later append, or by [`delete`](Self::delete).
    pub fn commit(&self) -> Result<()> {
        self.spool.commit_all(self.spool.end())
    }

    /// Deletes committed events, in a transaction of their own.
    pub fn delete(&self) -> Result<()> {
        self.spool.delete_committed()
    }
}

/// From bytes to rows, with the built-in schema, the default mapping and the table that `init-db` creates in PostgreSQL.
#[derive(Debug)]
pub struct Preparation {
    schema: Schema,
    plan: Arc<Plan>,
}

/// Events that were parsed and validated.
#[derive(Debug)]
pub struct Parsed<'e>(Vec<ParsedEvent<'e>>);

/// Rows, coalesced by key.
#[derive(Debug)]
pub struct Batch {
    rows: Rows,
    coalesced: Vec<Coalesced>,
}

impl Preparation {
    /// Compiles the schema.
    pub fn new() -> Result<Self> {
        let plan = Plan::new(&Config::default(), &default_table())?;
        Self::for_plan(Arc::new(plan))
    }

    fn for_plan(plan: Arc<Plan>) -> Result<Self> {
        Ok(Self { schema: Schema::load(&SchemaConfig::default(), u64::MAX)?, plan })
    }

    /// Parses and validates each event, and keeps none.
    pub fn check(&self, events: &Events) -> Result<()> {
        events.0.iter().try_for_each(|event| self.schema.parse(event).map(drop))
    }

    /// Parses and validates each event.
    pub fn parse<'e>(&self, events: &'e Events) -> Result<Parsed<'e>> {
        events.0.iter().map(|event| self.schema.parse(event)).collect::<Result<_>>().map(Parsed)
    }

    /// Maps the events to rows; none is coalesced yet.
    pub fn map(&self, events: &Parsed<'_>) -> Result<Batch> {
        let mut rows = Rows::new(Arc::clone(&self.plan));
        for (offset, event) in (0..).zip(&events.0) {
            map_event(event, Arrival { offset, received_at: 0 }, &mut rows)?;
        }
        Ok(Batch { rows, coalesced: Vec::new() })
    }

    /// Parses, validates, maps and coalesces the events.
    pub fn prepare(&self, events: &Events) -> Result<Batch> {
        let mut batch = self.map(&self.parse(events)?)?;
        batch.coalesce();
        Ok(batch)
    }
}

impl Batch {
    /// Coalesces rows that share a key; returns how many are left.
    pub fn coalesce(&mut self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "a batch has few events")]
        let all: Vec<u32> = (0..self.rows.len() as u32).collect();
        self.coalesced = coalesce(&self.rows, &all);
        self.coalesced.len()
    }

    /// Encodes the parameters of PostgreSQL's statement; returns their size in bytes.
    pub fn encode(&self) -> Result<usize> {
        encode(&self.rows, &self.coalesced)
    }
}

/// The table of a destination, with a checkpoint of its own.
pub struct Table {
    destination: Box<dyn Destination>,
    preparation: Preparation,
    position: u64,
}

/// The name of the checkpoint.
const SPOOL_ID: &str = "bench";
/// As long as a spool's.
const OWNER: &str = "0123456789abcdef0123456789abcdef";

impl Table {
    /// Connects to `destination.url`, creates `destination.table` if there is none, and prepares the statement.
    pub fn open(config: &Config) -> Result<Self> {
        let mut destination = open_destination(config, StopSignal::new())?;
        destination.init_db(None)?;
        let table = destination.connect()?;
        let plan = Arc::new(Plan::new(config, &table)?);
        destination.prepare(&plan)?;
        let owner = Some(OWNER.to_owned());
        let checkpoint = Checkpoint { name: SPOOL_ID.into(), position: 0, owner };
        let position = match destination.checkpoints(SPOOL_ID)?.unwrap_or_default().first() {
            Some(found) => {
                destination.claim_checkpoints(std::slice::from_ref(found), OWNER)?;
                found.position
            }
            None => destination.replace_checkpoints(&[], &[checkpoint]).map(|()| 0)?,
        };
        Ok(Self { destination, preparation: Preparation::for_plan(plan)?, position })
    }

    /// Batches of `size` events, ready to be written.
    pub fn prepare(&self, events: &Events, size: usize) -> Result<Vec<Batch>> {
        let all: Vec<&[u8]> = events.0.iter().collect();
        let batches = all.chunks(size).map(|part| {
            let mut burst = Burst::default();
            for event in part {
                burst.push(event);
            }
            self.preparation.prepare(&Events(burst))
        });
        batches.collect()
    }

    /// Writes one batch with the statement of the sink: one transaction, which moves the checkpoint too.
    pub fn upsert(&mut self, batch: &Batch) -> Result<()> {
        let to = self.position + batch.rows.len() as u64;
        let fence = Some(Fence { spool_id: SPOOL_ID, owner: OWNER, from: self.position, to });
        let write = Write { coalesced: &batch.coalesced, fence, ..Write::nothing(&batch.rows) };
        match self.destination.apply(&write)? {
            Applied::Committed { .. } => {
                self.position = to;
                Ok(())
            }
            Applied::Fenced => {
                Err(Error::new(ErrorKind::State, "moving the benchmark's checkpoint: another process moved it"))
            }
        }
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("position", &self.position).finish_non_exhaustive()
    }
}

/// The table that `init-db` creates, as PostgreSQL's catalogue describes it.
fn default_table() -> crate::rows::Table {
    let text = || ColumnType::Text { chars_max: Some(255) };
    let columns = [
        ("interaction_id", text(), true),
        ("timestamp", ColumnType::TimestampTz, true),
        ("type", ColumnType::Text { chars_max: Some(50) }, true),
        ("idempotency_key", text(), true),
        ("duration", ColumnType::Int4, false),
        ("disposition", text(), false),
        ("queue_name", text(), false),
        ("agent_id", text(), false),
        ("attributes", ColumnType::Jsonb, false),
        ("created_at", ColumnType::TimestampTz, true),
        ("updated_at", ColumnType::TimestampTz, true),
    ];
    let column = |(name, column_type, not_null)| Column { not_null, ..Column::of(name, column_type) };
    crate::rows::Table::of("cxone_events", columns.map(column).into(), &["idempotency_key"])
}

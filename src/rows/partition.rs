//! Lanes: the shares of a spool's keys that are written side by side, one connection each (`destination.connections`).
//!
//! A key belongs to one lane, so the events of a key stay in order, and each lane has a checkpoint of its own, so lanes need not
//! wait for each other. Which lane that is must be the same in every process that goes on from these checkpoints: they carry
//! in their names how many lanes there were, and by which columns the keys were told apart.

use crate::rows::batch::{Merged, Rows, Value, collapse};
use crate::rows::{ColumnType, Plan};

/// How many lanes there can be.
pub(crate) const LANES_MAX: usize = 16;

/// How the keys of a spool are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) lanes: usize,
    /// Of the columns that make the key; the same for one lane, whatever they are.
    key: u64,
}

impl Layout {
    pub(crate) fn new(lanes: usize, plan: &Plan) -> Self {
        let mut hash = Fnv::default();
        for column in plan.key.iter().map(|&index| &plan.columns[index]).filter(|_| lanes > 1) {
            hash.write(format!("{:?} {:?} {:?}\n", column.name, column.column_type, column.source).as_bytes());
        }
        Self { lanes, key: if lanes > 1 { hash.finish() } else { 0 } }
    }

    /// The names of the lanes' checkpoints: the spool's id, or for several lanes `ID/1of2/KEY`, `ID/2of2/KEY`.
    pub(crate) fn checkpoints(&self, spool_id: &str) -> Vec<String> {
        if self.lanes == 1 {
            return vec![spool_id.to_owned()];
        }
        (1..=self.lanes).map(|lane| format!("{spool_id}/{lane}of{}/{:016x}", self.lanes, self.key)).collect()
    }

    /// The layout whose checkpoints these are, with their positions in the order of the lanes. `None` if they are not those of
    /// one layout.
    pub(crate) fn of(spool_id: &str, checkpoints: &[(String, u64)]) -> Option<(Self, Vec<u64>)> {
        let layout = match checkpoints {
            [(name, _)] if name == spool_id => Self { lanes: 1, key: 0 },
            [(name, _), ..] => {
                let (lane, key) = name.strip_prefix(spool_id)?.strip_prefix('/')?.split_once('/')?;
                let lanes = lane.split_once("of")?.1.parse().ok().filter(|lanes| (2..=LANES_MAX).contains(lanes))?;
                Self { lanes, key: u64::from_str_radix(key, 16).ok()? }
            }
            [] => return None,
        };
        let position =
            |name: &String| checkpoints.iter().find(|(found, _)| found == name).map(|(_, position)| *position);
        let positions: Vec<u64> = layout.checkpoints(spool_id).iter().map(position).collect::<Option<_>>()?;
        (positions.len() == checkpoints.len()).then_some((layout, positions))
    }
}

/// Which lane of how many this checkpoint is of; `None` if there is but one.
pub(crate) fn lane_of_checkpoint(checkpoint: &str) -> Option<(&str, &str)> {
    checkpoint.split('/').nth(1)?.split_once("of")
}

/// The rows of a batch that go through one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// In the order of their arrival.
    pub(crate) rows: Vec<u32>,
    /// The same, collapsed.
    pub(crate) merged: Vec<Merged>,
}

/// Splits the rows by key into a part for each lane: all rows of a key go through the same one, in every batch and in every
/// process, so that their order holds.
pub(crate) fn split(rows: &Rows, lanes: usize) -> Vec<Part> {
    let mut shares: Vec<Vec<u32>> = vec![Vec::new(); lanes];
    #[expect(clippy::cast_possible_truncation, reason = "batch.events_max is a u32")]
    for row in 0..rows.len() as u32 {
        let lane = if lanes == 1 { 0 } else { lane_of(rows, row, lanes) };
        shares[lane].push(row);
    }
    shares.into_iter().map(|share| Part { merged: collapse(rows, &share), rows: share }).collect()
}

/// Must never change: checkpoints in databases rest on it.
fn lane_of(rows: &Rows, row: u32, lanes: usize) -> usize {
    let mut hash = Fnv::default();
    for &column in &rows.plan.key {
        match rows.value(row as usize, column) {
            // `1` and `1.0` are one key, and have one text only in the database.
            Value::Text { .. } if matches!(rows.plan.columns[column].column_type, ColumnType::Numeric { .. }) => {}
            value @ Value::Text { .. } => hash.write(rows.text_of(value).as_bytes()),
            Value::Int(value) | Value::Micros(value) => hash.write(&value.to_le_bytes()),
            // `+ 0.0` makes the two zeros one, as the database has it.
            Value::Float(value) => hash.write(&(value + 0.0).to_bits().to_le_bytes()),
            Value::Days(value) => hash.write(&value.to_le_bytes()),
            Value::Bool(value) => hash.write(&[value.into()]),
            Value::Null => {}
        }
        // No text has this byte, so that "ab", "c" and "a", "bc" are two keys.
        hash.write(&[0xff]);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
    let lane = (hash.finish() % lanes as u64) as usize;
    lane
}

/// The hash FNV-1a of 64 bits, with a last step that spreads its upper bits over the lower ones.
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn finish(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
#[path = "tests/partition.rs"]
mod tests;

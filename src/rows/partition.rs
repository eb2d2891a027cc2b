//! Partitions: the keys of a spool, divided among the connections of `destination.connections`.
//!
//! A key belongs to one partition, so the events of a key stay in order. Each partition has its own checkpoint, so partitions
//! need not wait for each other. The division must be the same in every process that continues from these checkpoints: their
//! names hold the number of partitions and a hash of the key's columns.

use crate::rows::batch::{Rows, Value};
use crate::rows::coalesce::{Coalesced, coalesce};
use crate::rows::{ColumnType, Plan};

/// The highest number of partitions.
pub(crate) const PARTITIONS_MAX: usize = 16;

/// The division of a spool's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partitioning {
    pub(crate) count: usize,
    /// A hash of the key's columns; 0 for one partition, whatever its key is.
    key: u64,
}

impl Partitioning {
    pub(crate) fn new(count: usize, plan: &Plan) -> Self {
        let mut hash = Fnv::default();
        for column in plan.key.iter().map(|&index| &plan.columns[index]).filter(|_| count > 1) {
            hash.write(format!("{:?} {:?} {:?}\n", column.name, column.column_type, column.source).as_bytes());
        }
        Self { count, key: if count > 1 { hash.finish() } else { 0 } }
    }

    /// The names of the checkpoints: the spool's id, or for several partitions `ID/1of2/KEY`, `ID/2of2/KEY`.
    pub(crate) fn checkpoints(&self, spool_id: &str) -> Vec<String> {
        if self.count == 1 {
            return vec![spool_id.to_owned()];
        }
        (1..=self.count).map(|number| format!("{spool_id}/{number}of{}/{:016x}", self.count, self.key)).collect()
    }

    /// The partitioning of these checkpoints, with their positions in the order of the partitions. `None` if they do not belong
    /// to one partitioning.
    pub(crate) fn of(spool_id: &str, checkpoints: &[(String, u64)]) -> Option<(Self, Vec<u64>)> {
        let partitioning = match checkpoints {
            [(name, _)] if name == spool_id => Self { count: 1, key: 0 },
            [(name, _), ..] => {
                let (number, key) = name.strip_prefix(spool_id)?.strip_prefix('/')?.split_once('/')?;
                let count = number.split_once("of")?.1.parse().ok();
                let count = count.filter(|count| (2..=PARTITIONS_MAX).contains(count))?;
                Self { count, key: u64::from_str_radix(key, 16).ok()? }
            }
            [] => return None,
        };
        let position =
            |name: &String| checkpoints.iter().find(|(found, _)| found == name).map(|(_, position)| *position);
        let positions: Vec<u64> = partitioning.checkpoints(spool_id).iter().map(position).collect::<Option<_>>()?;
        (positions.len() == checkpoints.len()).then_some((partitioning, positions))
    }
}

/// The number of a checkpoint's partition, and how many there are; `None` if there is only one.
pub(crate) fn partition_of_checkpoint(checkpoint: &str) -> Option<(&str, &str)> {
    checkpoint.split('/').nth(1)?.split_once("of")
}

/// The rows of a batch that belong to one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// In the order of their arrival.
    pub(crate) rows: Vec<u32>,
    pub(crate) coalesced: Vec<Coalesced>,
}

/// Splits the rows by key into a share for each partition.
pub(crate) fn split(rows: &Rows, partitions: usize) -> Vec<Share> {
    let mut shares: Vec<Vec<u32>> = vec![Vec::new(); partitions];
    #[expect(clippy::cast_possible_truncation, reason = "batch.events_max is a u32")]
    for row in 0..rows.len() as u32 {
        let partition = if partitions == 1 { 0 } else { partition_of(rows, row, partitions) };
        shares[partition].push(row);
    }
    shares.into_iter().map(|rows_of| Share { coalesced: coalesce(rows, &rows_of), rows: rows_of }).collect()
}

/// The partition of a row's key. Must never change: checkpoints in databases depend on it.
fn partition_of(rows: &Rows, row: u32, partitions: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
    let partition = (key_hash(rows, row) % partitions as u64) as usize;
    partition
}

/// A hash of a row's key; the same for keys that the table may see as one.
pub(crate) fn key_hash(rows: &Rows, row: u32) -> u64 {
    let mut hash = Fnv::default();
    for &column in &rows.plan.key {
        match rows.value(row as usize, column) {
            // `1` and `1.0` are one key with two texts.
            Value::Text { .. } if matches!(rows.plan.columns[column].column_type, ColumnType::Numeric { .. }) => {}
            value @ Value::Text { .. } => hash.write(rows.text_of(value).as_bytes()),
            Value::Int(value) | Value::Micros(value) => hash.write(&value.to_le_bytes()),
            // `+ 0.0` makes the two zeros equal, as they are in the database.
            Value::Float(value) => hash.write(&(value + 0.0).to_bits().to_le_bytes()),
            Value::Days(value) => hash.write(&value.to_le_bytes()),
            Value::Bool(value) => hash.write(&[value.into()]),
            Value::Null => {}
        }
        // No text contains this byte, so "ab", "c" and "a", "bc" are two keys.
        hash.write(&[0xff]);
    }
    hash.finish()
}

/// The hash FNV-1a of 64 bits, with a last step that spreads its upper bits over the lower ones.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
#[path = "tests/partition.rs"]
mod tests;

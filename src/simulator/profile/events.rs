//! The writer of a profile's events.

use super::dialects::dialect;
use super::template::TemplateWriter;
use crate::simulator::body::BodyWriter;
use crate::simulator::entry::Entry;
use crate::simulator::options::SimulatorOptions;

/// Writes an entry's bytes; the same entry always gives the same bytes.
#[derive(Debug, Clone)]
pub(in crate::simulator) enum EventWriter {
    DataActions(BodyWriter),
    Template(TemplateWriter),
}

impl EventWriter {
    pub(in crate::simulator) fn new(options: &SimulatorOptions) -> Self {
        let (seed, oversize_bytes) = (options.seed, options.oversize_bytes as usize);
        match dialect(options.profile).event {
            None => Self::DataActions(BodyWriter { seed, oversize_bytes }),
            Some(event) => Self::Template(TemplateWriter { seed, oversize_bytes, event }),
        }
    }

    /// Appends the event's bytes.
    pub(in crate::simulator) fn write(&self, entry: &Entry, out: &mut Vec<u8>) {
        match self {
            Self::DataActions(writer) => writer.write(entry, out),
            Self::Template(writer) => writer.write(entry, out),
        }
    }
}

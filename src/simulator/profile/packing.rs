//! From events to messages: one event, an array of them, or lines, within the envelope of the platform.

use super::dialect::Dialect;
use super::dialects::dialect;
use super::events::EventWriter;
use crate::simulator::entry::Entry;
use crate::simulator::options::{InvalidKind, MessageForm, SimulatorOptions};

/// An event of a message.
#[derive(Debug, Clone, Copy)]
pub(in crate::simulator) struct Piece {
    pub(in crate::simulator) entry: Entry,
    pub(in crate::simulator) is_replay: bool,
}

#[derive(Debug)]
pub(in crate::simulator) struct Packing {
    form: MessageForm,
    events_max: usize,
    dialect: &'static Dialect,
    writer: EventWriter,
}

impl Packing {
    pub(in crate::simulator) fn new(options: &SimulatorOptions) -> Self {
        Self {
            form: options.message_form,
            events_max: match options.message_form {
                MessageForm::Event => 1,
                MessageForm::Array | MessageForm::Lines => options.message_events as usize,
            },
            dialect: dialect(options.profile),
            writer: EventWriter::new(options),
        }
    }

    /// The largest number of events in a message.
    pub(in crate::simulator) fn events_max(&self) -> usize {
        self.events_max
    }

    /// Whether an event may stand in a message behind these.
    pub(in crate::simulator) fn may_follow(&self, message: &[Piece], piece: &Piece) -> bool {
        message.last().is_none_or(|last| !self.stands_alone(last) && !self.stands_alone(piece))
    }

    /// Whether the event makes every other one in its array unreadable.
    fn stands_alone(&self, piece: &Piece) -> bool {
        self.form == MessageForm::Array && piece.entry.invalid() == Some(InvalidKind::NotJson)
    }

    /// Appends the message number `n` with these events.
    pub(in crate::simulator) fn write(&self, pieces: &[Piece], n: u64, out: &mut Vec<u8>) {
        match (self.form, pieces) {
            (MessageForm::Event, [piece]) if self.dialect.envelope.is_none() => self.writer.write(&piece.entry, out),
            (MessageForm::Array, _) => {
                let mut array = b"[".to_vec();
                write_between(pieces, b',', &mut array, |entry, out| self.writer.write(entry, out));
                array.push(b']');
                self.dialect.envelope.wrap(&array, n, out);
            }
            (MessageForm::Event | MessageForm::Lines, _) => {
                write_between(pieces, b'\n', out, |entry, out| {
                    let mut event = Vec::new();
                    self.writer.write(entry, &mut event);
                    self.dialect.envelope.wrap(&event, n, out);
                });
            }
        }
    }
}

fn write_between(pieces: &[Piece], separator: u8, out: &mut Vec<u8>, write: impl Fn(&Entry, &mut Vec<u8>)) {
    for (at, piece) in pieces.iter().enumerate() {
        if at > 0 {
            out.push(separator);
        }
        write(&piece.entry, out);
    }
}

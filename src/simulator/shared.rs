//! State that the simulator's threads share.

use super::cursor::Cursor;
use super::handshake::Handshakes;
use super::options::SimulatorOptions;
use super::token::Tokens;
use crate::threads::stop_signal::StopSignal;

pub(super) struct Shared {
    pub(super) options: SimulatorOptions,
    pub(super) cursor: Cursor,
    pub(super) tokens: Tokens,
    pub(super) handshakes: Handshakes,
    pub(super) stop: StopSignal,
}

impl Shared {
    pub(super) fn new(options: SimulatorOptions) -> Self {
        Self {
            cursor: Cursor::new(&options),
            options,
            tokens: Tokens::default(),
            handshakes: Handshakes::default(),
            stop: StopSignal::new(),
        }
    }
}

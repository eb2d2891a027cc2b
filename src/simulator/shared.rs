//! State that the simulator's threads share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::cursor::Cursor;
use super::handshake::Handshakes;
use super::options::{OpenFailure, SimulatorOptions};
use super::token::Tokens;
use crate::threads::stop_signal::StopSignal;

pub(super) struct Shared {
    pub(super) options: SimulatorOptions,
    pub(super) address: SocketAddr,
    pub(super) cursor: Cursor,
    pub(super) tokens: Tokens,
    pub(super) handshakes: Handshakes,
    pub(super) stop: StopSignal,
    /// Conversations that were begun.
    openings: AtomicUsize,
}

impl Shared {
    pub(super) fn new(options: SimulatorOptions, address: SocketAddr) -> Self {
        Self {
            cursor: Cursor::new(&options),
            options,
            address,
            tokens: Tokens::default(),
            handshakes: Handshakes::default(),
            stop: StopSignal::new(),
            openings: AtomicUsize::new(0),
        }
    }

    /// How the conversation that begins now is to fail.
    pub(super) fn next_open_failure(&self) -> Option<OpenFailure> {
        self.options.open_failures.get(self.openings.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

//! Options of a simulator: plain data, each with a name by which it can be set.

mod check;
mod choices;
mod keys;
mod option_key;
mod parse;
mod set;
mod simulator_options;

pub use self::choices::{Cut, InvalidKind, InvalidMix, MessageForm, OpenFailure, RetryAfter};
pub use self::option_key::OptionKey;
pub use self::simulator_options::SimulatorOptions;

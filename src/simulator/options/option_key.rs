//! One option by its name.

use super::simulator_options::SimulatorOptions;

/// An option of the simulator that can be set by name.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OptionKey {
    /// The name of the field in [`SimulatorOptions`].
    pub name: &'static str,
    /// Effect, in one line; the field's documentation has it in full.
    pub about: &'static str,
    /// Default value; `None` if there is no text for it.
    pub default: Option<&'static str>,
    /// Form of the value, in words: `"a number"`.
    pub takes: &'static str,
    pub(super) set: fn(&mut SimulatorOptions, &str) -> Parsed<()>,
}

/// The error is the reason why the value is wrong.
pub(super) type Parsed<T> = std::result::Result<T, String>;

//! Replaying dead letters, through a sink or without one, and their summary.

use std::time::Duration;

use cxsink::dead_letters::{self, Selection};
use pyo3::prelude::*;

use crate::config::Config;
use crate::{logs, wait};

/// The report of a replay, as JSON.
pub(crate) type Outcome = String;

pub(crate) fn selection(offsets: Option<Vec<u64>>) -> Selection {
    offsets.map_or(Selection::All, Selection::Offsets)
}

/// Replays dead letters of the spool that the configuration names. As JSON.
#[pyfunction]
#[pyo3(signature = (config, offsets, timeout, forced))]
pub(crate) fn replay(
    py: Python<'_>,
    config: &Config,
    offsets: Option<Vec<u64>>,
    timeout: Option<f64>,
    forced: bool,
) -> PyResult<Outcome> {
    logs::start();
    let config = config.0.clone();
    let timeout = wait::timeout(timeout)?.unwrap_or(Duration::MAX);
    let replay = if forced { dead_letters::replay_forced } else { dead_letters::replay };
    wait::call(py, move || replay(&config, &selection(offsets), timeout)).map(|report| report.to_json())
}

/// The report that [`replay`] would return, without changing anything. As JSON.
#[pyfunction]
#[pyo3(signature = (config, offsets))]
pub(crate) fn replay_dry_run(py: Python<'_>, config: &Config, offsets: Option<Vec<u64>>) -> PyResult<Outcome> {
    logs::start();
    let config = config.0.clone();
    wait::call(py, move || dead_letters::replay_dry_run(&config, &selection(offsets))).map(|report| report.to_json())
}

/// The dead letters in groups, with what would accept them. As JSON.
#[pyfunction]
#[pyo3(signature = (config, shows_values))]
pub(crate) fn summary(py: Python<'_>, config: &Config, shows_values: bool) -> PyResult<String> {
    logs::start();
    let config = config.0.clone();
    wait::call(py, move || dead_letters::summary(&config, shows_values)).map(|summary| summary.to_json())
}

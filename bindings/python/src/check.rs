//! Checks of a deployment.

use cxsink::check::CheckArea;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::config::Config;
use crate::{logs, wait};

/// Tries these areas of a deployment; returns the report as JSON.
#[pyfunction]
pub(crate) fn check(py: Python<'_>, config: &Config, areas: Vec<String>) -> PyResult<String> {
    logs::start();
    let config = config.0.clone();
    let areas = areas.iter().map(|name| area(name)).collect::<PyResult<Vec<_>>>()?;
    wait::call(py, move || Ok(cxsink::check(&config, &areas, |_| {}).to_json()))
}

fn area(name: &str) -> PyResult<CheckArea> {
    CheckArea::ALL.into_iter().find(|area| area.name() == name).ok_or_else(|| {
        PyValueError::new_err(format!("no area is named {name:?}; the areas are {}", check_areas().join(", ")))
    })
}

/// The names of all areas.
#[pyfunction]
pub(crate) fn check_areas() -> Vec<&'static str> {
    CheckArea::ALL.map(CheckArea::name).into()
}

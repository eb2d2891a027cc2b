//! The table of the destination.

use pyo3::prelude::*;

use crate::config::Config;
use crate::error::exception;
use crate::{logs, wait};

/// Creates the tables if they do not exist.
#[pyfunction]
pub(crate) fn init_db(py: Python<'_>, config: &Config) -> PyResult<()> {
    logs::start();
    let config = config.0.clone();
    wait::call(py, move || cxsink::init_db(&config))
}

/// The SQL of [`init_db`].
#[pyfunction]
pub(crate) fn init_db_sql(py: Python<'_>, config: &Config) -> PyResult<String> {
    cxsink::table::init_db_sql(&config.0).map_err(|error| exception(py, &error))
}

/// Makes the spool file a spool of its own.
#[pyfunction]
pub(crate) fn renew_spool(py: Python<'_>, config: &Config) -> PyResult<()> {
    logs::start();
    let config = config.0.clone();
    wait::call(py, move || cxsink::renew_spool(&config))
}

/// The names of the columns, and rows with each value as text.
type Rows = (Vec<String>, Vec<Vec<Option<String>>>);

/// The first rows of the table.
#[pyfunction]
pub(crate) fn peek(py: Python<'_>, config: &Config, count: usize) -> PyResult<Rows> {
    logs::start();
    let config = config.0.clone();
    wait::call(py, move || cxsink::table::peek(&config, count)).map(|found| (found.columns, found.rows))
}

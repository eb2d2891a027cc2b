//! Validation of events against the schema.

use pyo3::prelude::*;

use crate::config::Config;
use crate::error::exception;
use crate::events::Chunk;
use crate::logs;

/// A compiled schema.
#[pyclass(frozen, module = "cxsink._cxsink")]
pub(crate) struct Validator(cxsink::Validator);

#[pymethods]
impl Validator {
    #[new]
    fn new(py: Python<'_>, config: &Config, columns: bool) -> PyResult<Self> {
        logs::start();
        let new = if columns { cxsink::Validator::for_table } else { cxsink::Validator::new };
        let validator = py.detach(|| new(&config.0));
        logs::drain(py)?;
        validator.map(Self).map_err(|error| exception(py, &error))
    }

    fn validate(&self, py: Python<'_>, event: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut chunk = Chunk::default();
        chunk.push(event)?;
        let valid = py.detach(|| chunk.from(0).try_for_each(|event| self.0.validate(event)));
        valid.map_err(|error| exception(py, &error))
    }
}

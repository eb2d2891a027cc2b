//! Errors of the library as Python exceptions, which are written in Python (`cxsink.exceptions`).

use cxsink::{Error, ErrorKind};
use pyo3::prelude::*;

/// The exception for an error.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    made_by(py, "from_detail", error)
}

/// The exception for an error of `close`, which has one of its own for a timeout.
pub(crate) fn close_exception(py: Python<'_>, error: &Error) -> PyErr {
    made_by(py, "from_close_detail", error)
}

fn made_by(py: Python<'_>, maker: &str, error: &Error) -> PyErr {
    let make = || py.import("cxsink.exceptions")?.getattr(maker)?.call1((error.detail_json(),));
    make().map_or_else(|failed| failed, PyErr::from_value)
}

/// The name and the number of every status.
#[pyfunction]
pub(crate) fn statuses() -> Vec<(&'static str, u32)> {
    ErrorKind::ALL.map(|kind| (kind.name(), kind.code())).into()
}

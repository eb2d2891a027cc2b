//! The local stand-in for CXone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use cxsink::simulator::{self, Events, SimulatorOptions};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::exception;
use crate::logs;
use crate::wait::{self, look_around};

/// A running simulator.
#[pyclass(frozen, module = "cxsink._cxsink")]
pub(crate) struct Simulator {
    running: simulator::Simulator,
    is_stopped: AtomicBool,
    /// False in a forked child, in which the simulator does not run.
    process: u32,
}

#[pymethods]
impl Simulator {
    #[new]
    fn new(py: Python<'_>, options: Vec<(String, String)>) -> PyResult<Self> {
        logs::start();
        let start = || {
            let mut all = SimulatorOptions::default();
            options.iter().try_for_each(|(name, value)| all.set(name, value))?;
            simulator::Simulator::start(all)
        };
        let running = py.detach(start).map_err(|error| exception(py, &error))?;
        Ok(Self { running, is_stopped: AtomicBool::new(false), process: std::process::id() })
    }

    /// The settings of a sink that reads from this simulator.
    fn settings(&self) -> Vec<(&'static str, String)> {
        self.running.settings()
    }

    #[getter]
    fn port(&self) -> u16 {
        self.running.port()
    }

    /// The numbers so far, as JSON.
    fn report(&self) -> String {
        self.running.report().to_json()
    }

    fn events(&self) -> SimulatedEvents {
        SimulatedEvents(Mutex::new(self.running.events()))
    }

    /// Whether every event was sent within the timeout.
    #[pyo3(signature = (timeout))]
    fn wait_finished(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let deadline = wait::deadline(wait::timeout(timeout)?);
        loop {
            look_around(py)?;
            let slice = wait::slice(deadline);
            if py.detach(|| self.running.wait_finished(slice.unwrap_or_default())) {
                return Ok(true);
            }
            let is_over = self.is_stopped.load(Ordering::SeqCst) || std::process::id() != self.process;
            if slice.is_none() || is_over {
                return Ok(false);
            }
        }
    }

    fn stop(&self, py: Python<'_>) {
        self.is_stopped.store(true, Ordering::SeqCst);
        py.detach(|| self.running.stop());
    }

    /// The names of the options, each with the kind of its value.
    #[staticmethod]
    fn options() -> Vec<(&'static str, &'static str)> {
        SimulatorOptions::keys().iter().map(|key| (key.name, key.takes)).collect()
    }
}

/// The events of a simulated stream from its beginning.
#[pyclass(frozen, module = "cxsink._cxsink")]
pub(crate) struct SimulatedEvents(Mutex<Events>);

#[pymethods]
impl SimulatedEvents {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.next().map(|event| PyBytes::new(py, event.as_ref()))
    }
}

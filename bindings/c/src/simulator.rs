//! `cxsink_simulator`: a local stand-in for CXone, in a header of its own (`include/cxsink_simulator.h`).

use std::ffi::c_char;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cxsink_core::simulator::{Simulator, SimulatorOptions};
use cxsink_core::{Error, ErrorKind, Result};

use crate::boundary::{Call, Out, Process, call, free_with, value};
use crate::buffer::BufferHandle;
use crate::config::ConfigHandle;
use crate::error::ErrorHandle;
use crate::names::Status;

/// A local stand-in for CXone: token endpoint and stream on one loopback port, with faults on demand. The events
/// depend only on its options.
#[derive(Debug)]
pub struct SimulatorHandle {
    stage: Mutex<Stage>,
    process: Process,
}

#[derive(Debug)]
enum Stage {
    Preparing(Box<SimulatorOptions>),
    Started(Arc<Simulator>),
}

impl SimulatorHandle {
    unsafe fn stage<'a>(call: Call, simulator: *const SimulatorHandle) -> Result<MutexGuard<'a, Stage>> {
        // SAFETY: as the caller promises.
        let handle = unsafe { call.handle(simulator, "simulator") }?;
        handle.process.check("the simulator")?;
        Ok(handle.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The simulator, without its lock: a call that waits for it must not block the others.
    unsafe fn started(call: Call, simulator: *const SimulatorHandle) -> Result<Arc<Simulator>> {
        // SAFETY: as the caller promises.
        match &*unsafe { Self::stage(call, simulator) }? {
            Stage::Started(simulator) => Ok(simulator.clone()),
            Stage::Preparing(_) => Err(Error::new(ErrorKind::State, "using the simulator: it was not started")
                .with_hint("call cxsink_simulator_start first")),
        }
    }
}

/// A simulator that is not started yet: a healthy server that sends 10,000 valid events as fast as they are read and then
/// keeps the stream open. `cxsink_simulator_set` changes this.
///
/// Ownership: yours; free it by `cxsink_simulator_free`. Blocks: never. Threads: any.
/// Errors: none; NULL only after a bug in cxsink.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_simulator_new() -> *mut SimulatorHandle {
    let make = || {
        let stage = Mutex::new(Stage::Preparing(Box::default()));
        Box::into_raw(Box::new(SimulatorHandle { stage, process: Process::current() }))
    };
    value("cxsink_simulator_new", std::ptr::null_mut(), make)
}

/// Sets an option, for example "events" to "1000" or "redelivery_percent" to "10". `cxsink simulate --list` prints them;
/// the documentation of the Rust type SimulatorOptions explains them.
///
/// Ownership: name and value are copied. Blocks: never. Threads: any. Errors: INVALID_ARGUMENT for an unknown option or a
/// bad value; STATE after the start; FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_simulator_set(
    simulator: *mut SimulatorHandle,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_simulator_set", err, |call| {
            let (name, value) = (call.text(name, "name")?, call.text(value, "value")?);
            match &mut *SimulatorHandle::stage(call, simulator)? {
                Stage::Preparing(options) => options.set(name, value)?,
                Stage::Started(_) => return Err(started_before("setting the simulator's options")),
            }
            Ok(Status::Ok)
        })
    }
}

fn started_before(action: &str) -> Error {
    Error::new(ErrorKind::State, format!("{action}: the simulator was started before"))
        .with_hint("make another simulator")
}

/// Listens on 127.0.0.1 and serves from threads of its own until `cxsink_simulator_stop`. Once.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: INVALID_ARGUMENT for options that contradict each other; CONNECT if the
/// port is not available; STATE after the first call; FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_simulator_start(simulator: *mut SimulatorHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_simulator_start", err, |call| {
            let mut stage = SimulatorHandle::stage(call, simulator)?;
            let Stage::Preparing(options) = &*stage else { return Err(started_before("starting the simulator")) };
            *stage = Stage::Started(Simulator::start(SimulatorOptions::clone(options))?.into());
            Ok(Status::Ok)
        })
    }
}

/// Sets the keys of a configuration (addresses, credentials, scope, stream) for a sink that reads from this simulator.
///
/// Ownership: none. Blocks: never. Threads: one at a time for the configuration. Errors: STATE before the start; FORKED,
/// INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_simulator_configure(
    simulator: *const SimulatorHandle,
    config: *mut ConfigHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_simulator_configure", err, |call| {
            let started = SimulatorHandle::started(call, simulator)?;
            started.apply_to(call.handle_mut(config, "config")?.config_mut());
            Ok(Status::Ok)
        })
    }
}

/// Waits until every event was sent: CXSINK_STATUS_OK; CXSINK_STATUS_TIMEOUT, with `*err` NULL, if not in time, or if the
/// simulator was stopped before.
///
/// Ownership: none. Blocks: for timeout_ms milliseconds at most; -1 waits without limit. Threads: any.
/// Errors: STATE before the start; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_simulator_wait_finished(
    simulator: *const SimulatorHandle,
    timeout_ms: i32,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_simulator_wait_finished", err, |call| {
            let timeout = call.timeout(timeout_ms)?.unwrap_or(Duration::MAX);
            let is_finished = SimulatorHandle::started(call, simulator)?.wait_finished(timeout);
            Ok(if is_finished { Status::Ok } else { Status::Timeout })
        })
    }
}

/// The numbers so far, as one JSON object: events, unique_keys (the rows of the table if no event was lost), redeliveries, updates, invalid, replays, connections, tokens_issued, finished and more.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
/// Errors: STATE before the start; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_simulator_report(
    simulator: *const SimulatorHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_simulator_report", err, |call| {
            call.required(&out)?;
            out.put(SimulatorHandle::started(call, simulator)?.report().to_json().into());
            Ok(Status::Ok)
        })
    }
}

/// Cuts every connection, frees the port and waits for the threads. May be repeated; the report stays. Accepts NULL, and a
/// simulator that was not started.
///
/// Ownership: none. Blocks: until its threads have ended, which they do at once. Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_simulator_stop(simulator: *mut SimulatorHandle) {
    // SAFETY: as the caller promises; there is no variable for an error.
    let stop = || unsafe {
        call("cxsink_simulator_stop", std::ptr::null_mut(), |call| {
            SimulatorHandle::started(call, simulator)?.stop();
            Ok(Status::Ok)
        })
    };
    stop();
}

/// Stops the simulator, frees it and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
///
/// Ownership: takes the simulator. Blocks: until its threads have ended, which they do at once. Threads: any, after every
/// other call with it has returned. Errors: none; in a forked child it only sets the variable to NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_simulator_free(simulator: *mut *mut SimulatorHandle) {
    let drop_here = |handle: Box<SimulatorHandle>| {
        if !handle.process.is_current() {
            std::mem::forget(handle);
        }
    };
    // SAFETY: as the caller promises.
    unsafe { free_with("cxsink_simulator_free", simulator, drop_here) }
}

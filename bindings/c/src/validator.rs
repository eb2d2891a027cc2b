//! `cxsink_validator`: validates events against the schema, and against the columns of the table.

use std::ffi::c_char;

use cxsink_core::{Config, Validator};

use crate::boundary::{Out, call, free};
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::names::Status;

/// Validates events against the configured schema, without a sink and a spool.
#[derive(Debug)]
pub struct ValidatorHandle(Validator);

/// Compiles the schema that the configuration names, or the built-in one.
///
/// Ownership: `*out` is yours; free it by `cxsink_validator_free`. The configuration is not needed afterwards.
/// Blocks: while it reads the schema's file. Threads: any. Errors: CONFIG for a schema that cannot be used;
/// INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_validator_new(
    config: *const ConfigHandle,
    out: *mut *mut ValidatorHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe { make("cxsink_validator_new", Validator::new, config, out, err) }
}

/// Compiles the schema, and reads the columns of the table destination.table, which each event must fit too.
///
/// It connects to the destination once, and writes nothing. Constraints, and values that only the database can read (such as those of the
/// type inet), are not tried.
///
/// Ownership: `*out` is yours; free it by `cxsink_validator_free`. The configuration is not needed afterwards.
/// Blocks: at most destination.connect_timeout and destination.statement_timeout. Threads: any. Errors: CONFIG for a bad configuration or
/// schema, or a mapping that does not fit the table; CONNECT or DATABASE; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_validator_for_table(
    config: *const ConfigHandle,
    out: *mut *mut ValidatorHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe { make("cxsink_validator_for_table", Validator::for_table, config, out, err) }
}

unsafe fn make(
    function: &'static str,
    validator: fn(&Config) -> cxsink_core::Result<Validator>,
    config: *const ConfigHandle,
    out: *mut *mut ValidatorHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller of the function promises.
    unsafe {
        let mut out = Out::new(out);
        call(function, err, |call| {
            call.required(&out)?;
            out.put(ValidatorHandle(validator(Configured::get(call, config)?.config)?));
            Ok(Status::Ok)
        })
    }
}

/// Validates one event, `len` bytes of JSON.
///
/// Ownership: none. Blocks: never. Threads: any. Errors: JSON or SCHEMA, with every violation; UNMAPPED, with a violation for each column
/// whose value does not fit; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_validator_validate(
    validator: *const ValidatorHandle,
    json: *const c_char,
    len: usize,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_validator_validate", err, |call| {
            let event = call.slice(json.cast::<u8>(), len, "json")?;
            call.handle(validator, "validator")?.0.validate(event)?;
            Ok(Status::Ok)
        })
    }
}

/// Frees the validator and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
///
/// Ownership: takes the validator. Blocks: never. Threads: any, after every other call with it has returned. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_validator_free(validator: *mut *mut ValidatorHandle) {
    // SAFETY: as the caller promises.
    unsafe { free("cxsink_validator_free", validator) }
}

/// Validates one event, `len` bytes of JSON. For many, use a `cxsink_validator`, which compiles the schema only once.
///
/// Ownership: none. Blocks: while it reads the schema's file. Threads: any. Errors: JSON or SCHEMA, with every violation;
/// CONFIG for a schema that cannot be used; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_validate(
    config: *const ConfigHandle,
    json: *const c_char,
    len: usize,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_validate", err, |call| {
            let event = call.slice(json.cast::<u8>(), len, "json")?;
            cxsink_core::validate(Configured::get(call, config)?.config, event)?;
            Ok(Status::Ok)
        })
    }
}

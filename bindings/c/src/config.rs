//! `cxsink_config`: the configuration of a sink, as keys and values.

use std::ffi::{c_char, c_void};

use cxsink_core::{Config, EnteredScope, config};

use crate::boundary::{Call, Out, call, free, value};
use crate::buffer::BufferHandle;
use crate::error::ErrorHandle;
use crate::logging::{self, FreeUserData, LogCallback, Logger};
use crate::names::Status;

/// The configuration of a sink: the keys and values of docs/configuration.md, and a callback for the log.
#[derive(Debug)]
pub struct ConfigHandle {
    config: Config,
    logger: Option<Logger>,
}

impl ConfigHandle {
    pub(crate) fn logger(&self) -> Option<Logger> {
        self.logger.clone()
    }

    pub(crate) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }
}

/// The configuration of a call, with the thread in its log scope.
pub(crate) struct Configured<'a> {
    pub(crate) handle: &'a ConfigHandle,
    pub(crate) config: &'a Config,
    _scope: Option<EnteredScope>,
}

impl Configured<'_> {
    pub(crate) unsafe fn get(call: Call, config: *const ConfigHandle) -> cxsink_core::Result<Self> {
        // SAFETY: as the caller promises.
        let handle = unsafe { call.handle(config, "config") }?;
        Ok(Self { handle, config: &handle.config, _scope: handle.logger.as_ref().map(Logger::enter) })
    }
}

/// A configuration with the defaults. `cxsink_config_set` sets keys; `cxsink_config_load` and `cxsink_config_load_env` read
/// them.
///
/// Ownership: yours; free it by `cxsink_config_free`. A sink has a copy: it may be freed or changed after
/// `cxsink_sink_open`. Blocks: never. Threads: any; the configuration itself is for one thread at a time.
/// Errors: none; NULL only after a bug in cxsink.
#[unsafe(no_mangle)]
pub extern "C" fn cxsink_config_new() -> *mut ConfigHandle {
    let make = || Box::into_raw(Box::new(ConfigHandle { config: Config::default(), logger: None }));
    value("cxsink_config_new", std::ptr::null_mut(), make)
}

/// Frees the configuration and sets the variable to NULL. Accepts NULL, and a variable that is NULL.
///
/// Ownership: takes the configuration. Blocks: while its log callback runs on another thread, if no sink has that
/// callback any more. Threads: any, last. Errors: none; within a log callback it does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_free(config: *mut *mut ConfigHandle) {
    if !logging::is_in_callback() {
        // SAFETY: as the caller promises.
        unsafe { free("cxsink_config_free", config) }
    }
}

/// Sets a key, for example "spool.bytes_max" to "1GiB". Durations are written as "500ms" or "30s", sizes as "64MiB",
/// switches as "true", lists and tables as inline TOML. An empty value removes an optional one. After an error nothing has changed.
/// "streams.NAME.KEY" sets what one of several streams has of its own, for example "streams.sales.destination.table".
///
/// Ownership: key and value are copied. Blocks: never. Threads: one at a time for a configuration.
/// Errors: CONFIG for an unknown key, with the nearest known one, or a bad value; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_set(
    config: *mut ConfigHandle,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_config_set", err, |call| {
            let config = call.handle_mut(config, "config")?;
            config.config.set(call.text(key, "key")?, call.text(value, "value")?)?;
            Ok(Status::Ok)
        })
    }
}

/// The value of a key, as for `cxsink_config_set`. A secret is shown as "***", also the password in a URL.
/// `*out` stays NULL if the key is not set.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: one at a time for a
/// configuration. Errors: INVALID_ARGUMENT, also for an unknown key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_get(
    config: *const ConfigHandle,
    key: *const c_char,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_config_get", err, |call| {
            call.required(&out)?;
            let configured = Configured::get(call, config)?;
            let key = call.text(key, "key")?;
            if !config::is_key(key) {
                return Err(call.invalid("the key is unknown").with_hint("list all keys with cxsink_config_keys"));
            }
            if let Some(value) = configured.config.get(key) {
                out.put(value.into());
            }
            Ok(Status::Ok)
        })
    }
}

/// Every key, as a JSON array of texts: ["oauth.url", "oauth.client_id", ...].
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any. Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_keys(out: *mut *mut BufferHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_config_keys", err, |call| {
            call.required(&out)?;
            let keys: Vec<_> = config::keys().collect();
            // Keys consist of lowercase letters, `_` and `.`: nothing to escape.
            out.put(BufferHandle::array(&keys, |key| format!("\"{key}\"")));
            Ok(Status::Ok)
        })
    }
}

/// Reads a TOML file, then the file .env in the working directory, if it exists, then the environment; each overrides the
/// one before. All earlier settings are replaced, except the log callback. After an error nothing has changed.
///
/// Ownership: path is copied. Blocks: while it reads the files. Threads: one at a time for a configuration, and not
/// while another thread changes the environment. Errors: CONFIG, naming file and line or the variable;
/// INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_load(
    config: *mut ConfigHandle,
    path: *const c_char,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_config_load", err, |call| {
            let config = call.handle_mut(config, "config")?;
            config.config = Config::load(call.text(path, "path")?)?;
            Ok(Status::Ok)
        })
    }
}

/// As `cxsink_config_load`, without a TOML file.
///
/// Ownership: none. Blocks: while it reads the file. Threads: one at a time for a configuration, and not while another
/// thread changes the environment. Errors: CONFIG, naming the variable; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_load_env(config: *mut ConfigHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_config_load_env", err, |call| {
            let config = call.handle_mut(config, "config")?;
            config.config = Config::from_env()?;
            Ok(Status::Ok)
        })
    }
}

/// Checks that the configuration is complete and its values agree. `cxsink_sink_open` does this first.
///
/// Ownership: none. Blocks: never. Threads: one at a time for a configuration. Errors: CONFIG, naming the key;
/// INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_validate(config: *const ConfigHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_config_validate", err, |call| {
            Configured::get(call, config)?.config.validate()?;
            Ok(Status::Ok)
        })
    }
}

/// The names of the streams, as a JSON array of texts in the order in which the configuration names them: ["sales", ...]. Empty for a
/// configuration of one stream, without a name.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: one at a time for a
/// configuration. Errors: INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_stream_names(
    config: *const ConfigHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_config_stream_names", err, |call| {
            call.required(&out)?;
            // Names consist of lower-case letters, digits, `-` and `_`: nothing to escape.
            let names = Configured::get(call, config)?.config.stream_names();
            out.put(BufferHandle::array(&names, |name| format!("\"{name}\"")));
            Ok(Status::Ok)
        })
    }
}

/// The configuration of one of several streams, for a sink of its own: the whole one, with what the stream has of its own in its place,
/// and with the same log callback. "stream.name" is the name, and "spool.path" gets the name before its extension, unless the stream has
/// one of its own.
///
/// Sinks of the streams of one configuration share a token where the sections [oauth], [tls] and [proxy] are equal.
///
/// Ownership: name is copied; `*out` is yours; free it by `cxsink_config_free`. Blocks: never. Threads: one at a time for a
/// configuration. Errors: CONFIG for an unknown name, with the nearest known one; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_for_stream(
    config: *const ConfigHandle,
    name: *const c_char,
    out: *mut *mut ConfigHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_config_for_stream", err, |call| {
            call.required(&out)?;
            let configured = Configured::get(call, config)?;
            let own = configured.config.for_stream(call.text(name, "name")?)?;
            out.put(ConfigHandle { config: own, logger: configured.handle.logger() });
            Ok(Status::Ok)
        })
    }
}

/// Sends the log to a callback: records up to `max_level` (a cxsink_log_level) of the calls with this configuration, and of
/// sinks opened with it from now on. Without a callback nothing is logged. NULL for `fn` removes the callback; the arguments
/// after it are ignored then.
///
/// Ownership: on success the library owns user_data, and calls free_user_data with it once, if that is not NULL: when the
/// configuration and every sink with this callback have been freed, or have another one. After that, the callback is never
/// called. On an error user_data stays yours.
/// Blocks: as `cxsink_config_free`, when it replaces another callback. Threads: one at a time for a configuration; see
/// cxsink_log_fn for the callback. Errors: INVALID_ARGUMENT; STATE within a log callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_config_set_log(
    config: *mut ConfigHandle,
    max_level: u32,
    r#fn: LogCallback,
    user_data: *mut c_void,
    free_user_data: FreeUserData,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_config_set_log", err, |call| {
            let config = call.handle_mut(config, "config")?;
            config.logger = match r#fn {
                Some(function) => {
                    let max_level = logging::level(max_level)
                        .ok_or_else(|| call.invalid(format_args!("max_level is {max_level}, not one of 0 to 5")))?;
                    Some(Logger::new(max_level, function, user_data, free_user_data))
                }
                None => None,
            };
            Ok(Status::Ok)
        })
    }
}

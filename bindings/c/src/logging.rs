//! The log: each record of the core goes to the callback of its sink.
//!
//! The library contains a copy of the `log` façade that nothing outside sees, so it can install the only logger. A record finds
//! its callback by the scope of its thread ([`LogScope`]).
//!
//! Several threads of the library may call a callback at the same time. After its user data was freed, none does: dropping the
//! owner waits for running calls.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock};

use cxsink_core::{EnteredScope, LogScope};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::boundary::{Process, c_text};

/// Called for each log record. `target` is the part of the library that logs, for example "cxsink::writer"; `message` is one
/// line of UTF-8, `len` bytes long; both end with a NUL character and live until the callback returns. `level` is a
/// cxsink_log_level.
///
/// Any thread of the library, and any thread that calls the library, may call it, several at the same time. It may call
/// `cxsink_sink_counter`, `cxsink_sink_state`, `cxsink_sink_stop` and the functions for names and versions; the others fail
/// with CXSINK_STATUS_STATE or do nothing. Records that these calls would log on this thread are omitted. The sink waits for
/// the callback, so it should be quick. It must not throw or longjmp.
pub type LogCallback = Option<
    unsafe extern "C" fn(level: u32, target: *const c_char, message: *const c_char, len: usize, user_data: *mut c_void),
>;

/// Called once, when `user_data` is not needed any more.
pub type FreeUserData = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

type Function = unsafe extern "C" fn(u32, *const c_char, *const c_char, usize, *mut c_void);

/// A callback, held by the configuration and the sinks that it was set for. The last of them retires it.
#[derive(Debug, Clone)]
pub(crate) struct Logger {
    _owner: Arc<Owner>,
    scope: LogScope,
}

#[derive(Debug)]
struct Owner(Arc<Target>);

#[derive(Debug)]
struct Target {
    max_level: LevelFilter,
    function: Function,
    user_data: UserData,
    free_user_data: FreeUserData,
    process: Process,
    /// Locked for reading during a call; false once the callback must not be called any more.
    is_alive: RwLock<bool>,
}

/// A pointer of the application.
#[derive(Debug, Clone, Copy)]
struct UserData(*mut c_void);

// SAFETY: the library only passes it on, and the documentation states that any thread may do so.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a log callback.
pub(crate) fn is_in_callback() -> bool {
    IN_CALLBACK.get()
}

impl Logger {
    pub(crate) fn new(
        max_level: LevelFilter,
        function: Function,
        user_data: *mut c_void,
        free_user_data: FreeUserData,
    ) -> Self {
        let target = Target {
            max_level,
            function,
            user_data: UserData(user_data),
            free_user_data,
            process: Process::current(),
            is_alive: RwLock::new(true),
        };
        let target = Arc::new(target);
        wanted(max_level, 1);
        Self { scope: LogScope::new(Arc::clone(&target)), _owner: Arc::new(Owner(target)) }
    }

    /// While the guard lives, records of this thread, and of threads it starts, go to this callback.
    pub(crate) fn enter(&self) -> EnteredScope {
        self.scope.enter()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let target = &self.0;
        wanted(target.max_level, -1);
        // In a forked child, the lock may be held forever by a thread of the parent.
        if !target.process.is_current() {
            return;
        }
        *target.is_alive.write().unwrap_or_else(PoisonError::into_inner) = false;
        if let Some(free) = target.free_user_data {
            // SAFETY: no thread calls the function any more, and there is only one owner.
            unsafe { free(target.user_data.0) }
        }
    }
}

impl Target {
    fn call(&self, record: &Record<'_>) {
        let message = c_text(&record.args().to_string());
        let target = c_text(record.target());
        let is_alive = self.is_alive.read().unwrap_or_else(PoisonError::into_inner);
        if !*is_alive {
            return;
        }
        IN_CALLBACK.set(true);
        let (level, len) = (record.level() as u32, message.as_bytes().len());
        // SAFETY: the caller's function, and the texts live until it returns.
        unsafe { (self.function)(level, target.as_ptr(), message.as_ptr(), len, self.user_data.0) };
        IN_CALLBACK.set(false);
    }
}

/// The one logger of this library's copy of the façade.
struct Dispatcher;

impl Log for Dispatcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates log headers and payloads at low levels.
        metadata.target().starts_with("cxsink") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || is_in_callback() {
            return;
        }
        let Some(scope) = LogScope::current() else { return };
        if let Some(target) = scope.value::<Target>().filter(|target| record.level() <= target.max_level) {
            target.call(record);
        }
    }

    fn flush(&self) {}
}

/// The number of callbacks for each level: a record without a callback costs nothing.
static WANTED: Mutex<[isize; 6]> = Mutex::new([0; 6]);

fn wanted(level: LevelFilter, change: isize) {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Fails only if it was done before.
        let _ = log::set_logger(&Dispatcher);
    });
    let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    wanted[level as usize] += change;
    let most = LevelFilter::iter().filter(|level| wanted[*level as usize] > 0).max();
    log::set_max_level(most.unwrap_or(LevelFilter::Off));
}

/// From now on, a panic in this library's copy of the standard library goes to the log instead of standard error, which belongs
/// to the application. Its message is omitted, as it may contain a part of an event.
pub(crate) fn silence_panics() {
    static INSTALLED: Once = Once::new();
    // The tests show their panics.
    if !cfg!(test) {
        INSTALLED.call_once(|| std::panic::set_hook(Box::new(report_panic)));
    }
}

pub(crate) fn report_panic(panic: &PanicHookInfo<'_>) {
    if let Some(place) = panic.location() {
        log::error!("a panic at {}:{}: a bug in cxsink, please report it", place.file(), place.line());
    }
}

/// The façade's level of this number.
pub(crate) fn level(number: u32) -> Option<LevelFilter> {
    LevelFilter::iter().find(|level| *level as u32 == number)
}

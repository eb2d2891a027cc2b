//! A panic in each function of the ABI becomes a status or a harmless value, and the process lives on.
//!
//! The panic is one that only this build has: `boundary` calls [`panic_if_asked`] in tests, at the place where a function's
//! own work begins. So the library that is shipped has no switch for it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::ptr::{self, null, null_mut};

use crate::boundary::{Out, c_text};
use crate::names::Status;
use crate::*;

thread_local! {
    static PANIC_IN: Cell<&'static str> = const { Cell::new("") };
}

/// Panics if this is the function that a test wants to see panic.
pub(crate) fn panic_if_asked(function: &str) {
    assert!(PANIC_IN.get() != function, "on purpose, in {function}");
}

/// One of each handle.
struct Handles {
    folder: tempfile::TempDir,
    config: *mut ConfigHandle,
    sink: *mut SinkHandle,
    notice: *mut NoticeHandle,
    buffer: *mut BufferHandle,
    error: *mut ErrorHandle,
    dead_letters: *mut DeadLettersHandle,
    validator: *mut ValidatorHandle,
    simulator: *mut SimulatorHandle,
}

impl Handles {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = cxsink_config_new();
        let mut handles = Self {
            config,
            sink: null_mut(),
            notice: null_mut(),
            buffer: null_mut(),
            error: null_mut(),
            dead_letters: null_mut(),
            validator: null_mut(),
            simulator: cxsink_simulator_new(),
            folder,
        };
        let path = |name: &str| handles.folder.path().join(name).display().to_string();
        let (spool, url) = (c_text(&path("spool.db")), c_text(&format!("sqlite:{}", path("events.db"))));
        // SAFETY: good arguments throughout.
        unsafe {
            cxsink_config_set(config, c"spool.path".as_ptr(), spool.as_ptr(), null_mut());
            cxsink_config_set(config, c"destination.url".as_ptr(), url.as_ptr(), null_mut());
            cxsink_config_set(config, c"x".as_ptr(), c"y".as_ptr(), &raw mut handles.error);
            cxsink_sink_open(config, &raw mut handles.sink, null_mut());
            cxsink_sink_stop(handles.sink);
            cxsink_sink_poll(handles.sink, 0, &raw mut handles.notice, null_mut());
            cxsink_config_keys(&raw mut handles.buffer, null_mut());
            cxsink_dead_letters_open(config, &raw mut handles.dead_letters, null_mut());
            cxsink_validator_new(config, &raw mut handles.validator, null_mut());
        }
        assert!(!handles.sink.is_null() && !handles.notice.is_null() && !handles.buffer.is_null());
        assert!(!handles.error.is_null() && !handles.dead_letters.is_null() && !handles.validator.is_null());
        handles
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        // SAFETY: each is freed once.
        unsafe {
            cxsink_simulator_free(&raw mut self.simulator);
            cxsink_validator_free(&raw mut self.validator);
            cxsink_dead_letters_free(&raw mut self.dead_letters);
            cxsink_error_free(&raw mut self.error);
            cxsink_buffer_free(&raw mut self.buffer);
            cxsink_notice_free(&raw mut self.notice);
            cxsink_sink_free(&raw mut self.sink);
            cxsink_config_free(&raw mut self.config);
        }
    }
}

/// The outcome of a call that panicked.
enum Came {
    /// A status, the error, and whether `*out` is NULL.
    Status(Status, *mut ErrorHandle, bool),
    /// Something for an answer that says nothing.
    Nothing(bool),
}

type Check = (&'static str, Box<dyn Fn(&mut Handles) -> Came>);

/// A call with a status, `out` and `err`.
fn with_out<T: 'static>(
    name: &'static str,
    call: impl Fn(&Handles, *mut *mut T, *mut *mut ErrorHandle) -> Status + 'static,
) -> Check {
    let check = move |handles: &mut Handles| {
        let (mut out, mut err): (*mut T, *mut ErrorHandle) = (ptr::dangling_mut(), ptr::dangling_mut());
        let status = call(handles, &raw mut out, &raw mut err);
        Came::Status(status, err, out.is_null())
    };
    (name, Box::new(check))
}

/// A call with a status and `err`.
fn with_status(name: &'static str, call: impl Fn(&Handles, *mut *mut ErrorHandle) -> Status + 'static) -> Check {
    with_out::<BufferHandle>(name, move |handles, out, err| {
        // SAFETY: the variable of `with_out`.
        let _ = unsafe { Out::new(out) };
        call(handles, err)
    })
}

/// A call without a status: whether its answer says nothing.
fn with_value(name: &'static str, call: impl Fn(&mut Handles) -> bool + 'static) -> Check {
    (name, Box::new(move |handles| Came::Nothing(call(handles))))
}

fn is_empty(text: *const c_char) -> bool {
    // SAFETY: texts of the library are never NULL.
    unsafe { CStr::from_ptr(text) }.is_empty()
}

fn is_unknown(text: *const c_char) -> bool {
    // SAFETY: texts of the library are never NULL.
    unsafe { CStr::from_ptr(text) == c"UNKNOWN" }
}

unsafe extern "C" fn read_nothing(_: *mut c_char, _: usize, _: *mut c_void) -> isize {
    0
}

#[expect(clippy::too_many_lines, reason = "a line for each function of the ABI")]
fn checks() -> Vec<Check> {
    let json = c"{}".as_ptr();
    let none = null_mut;
    // SAFETY: good arguments throughout.
    unsafe {
        vec![
            with_value("cxsink_status_name", |_| is_unknown(cxsink_status_name(0))),
            with_value("cxsink_state_name", |_| is_unknown(cxsink_state_name(0))),
            with_value("cxsink_counter_name", |_| is_unknown(cxsink_counter_name(0))),
            with_value("cxsink_notice_kind_name", |_| is_unknown(cxsink_notice_kind_name(1))),
            with_value("cxsink_error_status", |h| cxsink_error_status(h.error) == Status::Panic),
            with_value("cxsink_error_message", |h| is_empty(cxsink_error_message(h.error))),
            with_value("cxsink_error_hint", |h| is_empty(cxsink_error_hint(h.error))),
            with_value("cxsink_error_detail_json", |h| is_empty(cxsink_error_detail_json(h.error))),
            with_value("cxsink_error_is_retryable", |h| !cxsink_error_is_retryable(h.error)),
            with_value("cxsink_error_index", |h| cxsink_error_index(h.error) == u64::MAX),
            with_value("cxsink_error_free", |h| {
                cxsink_error_free(&raw mut h.error);
                true
            }),
            with_value("cxsink_buffer_data", |h| {
                let mut len = 7;
                is_empty(cxsink_buffer_data(h.buffer, &raw mut len)) && len == 0
            }),
            with_value("cxsink_buffer_free", |h| {
                cxsink_buffer_free(&raw mut h.buffer);
                true
            }),
            with_value("cxsink_config_new", |_| cxsink_config_new().is_null()),
            with_value("cxsink_config_free", |h| {
                cxsink_config_free(&raw mut h.config);
                true
            }),
            with_status("cxsink_config_set", |h, err| {
                cxsink_config_set(h.config, c"spool.path".as_ptr(), c"x".as_ptr(), err)
            }),
            with_out("cxsink_config_get", |h, out, err| cxsink_config_get(h.config, c"spool.path".as_ptr(), out, err)),
            with_out("cxsink_config_keys", |_, out, err| cxsink_config_keys(out, err)),
            with_status("cxsink_config_load", |h, err| cxsink_config_load(h.config, c"/dev/null".as_ptr(), err)),
            with_status("cxsink_config_load_env", |h, err| cxsink_config_load_env(h.config, err)),
            with_status("cxsink_config_validate", |h, err| cxsink_config_validate(h.config, err)),
            with_out("cxsink_config_stream_names", |h, out, err| cxsink_config_stream_names(h.config, out, err)),
            with_out("cxsink_config_for_stream", |h, out, err| {
                cxsink_config_for_stream(h.config, c"sales".as_ptr(), out, err)
            }),
            with_status("cxsink_config_set_log", move |h, err| {
                cxsink_config_set_log(h.config, 0, None, none(), None, err)
            }),
            with_out("cxsink_sink_open", |h, out, err| cxsink_sink_open(h.config, out, err)),
            with_status("cxsink_sink_start", |h, err| cxsink_sink_start(h.sink, err)),
            with_out("cxsink_sink_poll", |h, out, err| cxsink_sink_poll(h.sink, 0, out, err)),
            with_status("cxsink_sink_ingest", move |h, err| cxsink_sink_ingest(h.sink, json, 2, err)),
            with_status("cxsink_sink_ingest_many", move |h, err| {
                cxsink_sink_ingest_many(h.sink, &raw const json, null(), 1, 0, null_mut(), err)
            }),
            with_status("cxsink_sink_import", move |h, err| {
                cxsink_sink_import(h.sink, Some(read_nothing), none(), null_mut(), err)
            }),
            with_status("cxsink_sink_import_file", |h, err| {
                cxsink_sink_import_file(h.sink, c"/dev/null".as_ptr(), null_mut(), err)
            }),
            with_status("cxsink_sink_import_exported_file", |h, err| {
                cxsink_sink_import_exported_file(h.sink, c"/dev/null".as_ptr(), null_mut(), err)
            }),
            with_out("cxsink_sink_stats", |h, out, err| cxsink_sink_stats(h.sink, out, err)),
            with_out("cxsink_sink_metrics", |h, out, err| cxsink_sink_metrics(h.sink, out, err)),
            with_out("cxsink_metrics_of", |h, out, err| cxsink_metrics_of((&raw const h.sink).cast(), 1, out, err)),
            with_value("cxsink_sink_counter", |h| cxsink_sink_counter(h.sink, 0) == 0),
            with_value("cxsink_sink_state", |h| cxsink_sink_state(h.sink) == SinkState::Closed as u32),
            with_status("cxsink_sink_failure", |h, err| cxsink_sink_failure(h.sink, err)),
            with_value("cxsink_sink_stop", |h| {
                cxsink_sink_stop(h.sink);
                true
            }),
            with_status("cxsink_sink_close", |h, err| cxsink_sink_close(h.sink, 0, err)),
            with_value("cxsink_sink_free", |h| {
                cxsink_sink_free(&raw mut h.sink);
                true
            }),
            with_value("cxsink_notice_get_kind", |h| cxsink_notice_get_kind(h.notice) == 0),
            with_value("cxsink_notice_get_state", |h| cxsink_notice_get_state(h.notice) == u32::MAX),
            with_value("cxsink_notice_get_error", |h| cxsink_notice_get_error(h.notice).is_null()),
            with_value("cxsink_notice_json", |h| is_empty(cxsink_notice_json(h.notice, null_mut()))),
            with_value("cxsink_notice_free", |h| {
                cxsink_notice_free(&raw mut h.notice);
                true
            }),
            with_out("cxsink_dead_letters_open", |h, out, err| cxsink_dead_letters_open(h.config, out, err)),
            with_out("cxsink_dead_letters_list", |h, out, err| {
                cxsink_dead_letters_list(h.dead_letters, 0, 1, true, out, err)
            }),
            with_out("cxsink_dead_letters_summary", |h, out, err| {
                cxsink_dead_letters_summary(h.config, false, out, err)
            }),
            with_out("cxsink_dead_letters_event", |h, out, err| cxsink_dead_letters_event(h.dead_letters, 0, out, err)),
            with_status("cxsink_dead_letters_count", |h, err| {
                let mut count = 0;
                cxsink_dead_letters_count(h.dead_letters, &raw mut count, err)
            }),
            with_status("cxsink_dead_letters_mark_exported", |h, err| {
                cxsink_dead_letters_mark_exported(h.dead_letters, &0, 1, err)
            }),
            with_out("cxsink_dead_letters_purge", |h, out, err| {
                cxsink_dead_letters_purge(h.dead_letters, 1, 0, out, err)
            }),
            with_value("cxsink_dead_letters_free", |h| {
                cxsink_dead_letters_free(&raw mut h.dead_letters);
                true
            }),
            with_out("cxsink_sink_dead_letters", |h, out, err| cxsink_sink_dead_letters(h.sink, 0, 1, true, out, err)),
            with_out("cxsink_sink_replay", |h, out, err| cxsink_sink_replay(h.sink, null(), usize::MAX, out, err)),
            with_out("cxsink_sink_replay_forced", |h, out, err| {
                cxsink_sink_replay_forced(h.sink, null(), usize::MAX, out, err)
            }),
            with_out("cxsink_replay_forced", |h, out, err| {
                cxsink_replay_forced(h.config, null(), usize::MAX, 0, out, err)
            }),
            with_out("cxsink_replay", |h, out, err| cxsink_replay(h.config, null(), usize::MAX, 0, out, err)),
            with_out("cxsink_replay_dry_run", |h, out, err| {
                cxsink_replay_dry_run(h.config, null(), usize::MAX, out, err)
            }),
            with_out("cxsink_sink_connections", |h, out, err| cxsink_sink_connections(h.sink, out, err)),
            with_out("cxsink_sink_gaps", |h, out, err| cxsink_sink_gaps(h.sink, out, err)),
            with_out("cxsink_connections", |h, out, err| cxsink_connections(h.config, out, err)),
            with_out("cxsink_gaps", |h, out, err| cxsink_gaps(h.config, out, err)),
            with_status("cxsink_init_db", |h, err| cxsink_init_db(h.config, err)),
            with_status("cxsink_renew_spool", |h, err| cxsink_renew_spool(h.config, err)),
            with_out("cxsink_init_db_sql", |h, out, err| cxsink_init_db_sql(h.config, out, err)),
            with_out("cxsink_peek", |h, out, err| cxsink_peek(h.config, 1, out, err)),
            with_out("cxsink_validator_new", |h, out, err| cxsink_validator_new(h.config, out, err)),
            with_out("cxsink_validator_for_table", |h, out, err| cxsink_validator_for_table(h.config, out, err)),
            with_status("cxsink_validator_validate", move |h, err| {
                cxsink_validator_validate(h.validator, json, 2, err)
            }),
            with_value("cxsink_validator_free", |h| {
                cxsink_validator_free(&raw mut h.validator);
                true
            }),
            with_status("cxsink_validate", move |h, err| cxsink_validate(h.config, json, 2, err)),
            with_out("cxsink_check", move |h, out, err| cxsink_check(h.config, 0, None, none(), null_mut(), out, err)),
            with_value("cxsink_simulator_new", |_| cxsink_simulator_new().is_null()),
            with_status("cxsink_simulator_set", |h, err| {
                cxsink_simulator_set(h.simulator, c"events".as_ptr(), c"1".as_ptr(), err)
            }),
            with_status("cxsink_simulator_start", |h, err| cxsink_simulator_start(h.simulator, err)),
            with_status("cxsink_simulator_configure", |h, err| cxsink_simulator_configure(h.simulator, h.config, err)),
            with_status("cxsink_simulator_wait_finished", |h, err| cxsink_simulator_wait_finished(h.simulator, 0, err)),
            with_out("cxsink_simulator_report", |h, out, err| cxsink_simulator_report(h.simulator, out, err)),
            with_value("cxsink_simulator_stop", |h| {
                cxsink_simulator_stop(h.simulator);
                true
            }),
            with_value("cxsink_simulator_free", |h| {
                cxsink_simulator_free(&raw mut h.simulator);
                true
            }),
        ]
    }
}

/// They only give constants, and run no code that could panic.
const WITHOUT_A_GUARD: [&str; 3] = ["cxsink_version_number", "cxsink_version_string", "cxsink_check_version"];

#[test]
fn a_panic_in_each_function_ends_at_the_boundary() {
    let mut handles = Handles::new();
    for (name, check) in checks() {
        PANIC_IN.set(name);
        let came = check(&mut handles);
        PANIC_IN.set("");
        match came {
            Came::Nothing(is_nothing) => assert!(is_nothing, "{name}"),
            Came::Status(status, mut err, is_out_null) => {
                assert_eq!((status, is_out_null), (Status::Panic, true), "{name}");
                // SAFETY: the error of the call.
                unsafe {
                    assert_eq!(cxsink_error_status(err), Status::Panic, "{name}");
                    let message = CStr::from_ptr(cxsink_error_message(err)).to_str().unwrap();
                    assert!(message.starts_with(&format!("{name}: ")), "{message}");
                    cxsink_error_free(&raw mut err);
                }
            }
        }
    }
    // The handles work on, where the panic did not come while they were freed.
    let mut err = null_mut();
    // SAFETY: good arguments.
    unsafe {
        assert_eq!(cxsink_config_validate(handles.config, &raw mut err), Status::Ok);
        let mut buffer = null_mut();
        assert_eq!(cxsink_sink_stats(handles.sink, &raw mut buffer, &raw mut err), Status::Ok);
        cxsink_buffer_free(&raw mut buffer);
    }
}

#[test]
fn no_function_is_left_out() {
    let checked: BTreeSet<String> =
        checks().into_iter().map(|(name, _)| name).chain(WITHOUT_A_GUARD).map(Into::into).collect();
    let mut declared = BTreeSet::new();
    for header in ["cxsink.h", "cxsink_simulator.h"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include").join(header);
        let text = std::fs::read_to_string(path).unwrap();
        // A declaration begins at the start of a line; comments do not.
        for line in text
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && !line.starts_with("typedef"))
        {
            let name = line.split('(').next().unwrap_or_default().rsplit([' ', '*']).next().unwrap_or_default();
            if name.starts_with("cxsink_") && line.contains('(') {
                declared.insert(name.to_owned());
            }
        }
    }
    assert!(declared.len() > 60);
    assert_eq!(checked, declared);
}

unsafe extern "C" fn keep(_: u32, _: *const c_char, message: *const c_char, _: usize, user_data: *mut c_void) {
    // SAFETY: what the test gave.
    let (kept, message) = unsafe { (&mut *user_data.cast::<Vec<String>>(), CStr::from_ptr(message)) };
    kept.push(message.to_str().unwrap().to_owned());
}

#[test]
fn a_panic_is_logged_with_its_place_and_without_its_message() {
    let mut handles = Handles::new();
    let mut kept: Vec<String> = Vec::new();
    // SAFETY: good arguments.
    unsafe {
        cxsink_config_set_log(handles.config, 3, Some(keep), (&raw mut kept).cast(), None, null_mut());
        let mut sink = null_mut();
        // The spool is free again: its sink was stopped.
        assert_eq!(cxsink_sink_open(handles.config, &raw mut sink, null_mut()), Status::Ok);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(crate::logging::report_panic));
        let scope = sink.as_ref().map(|sink| sink.enter());
        PANIC_IN.set("cxsink_sink_start");
        assert_eq!(cxsink_sink_start(sink, null_mut()), Status::Panic);
        PANIC_IN.set("");
        std::panic::set_hook(before);
        drop(scope);
        cxsink_sink_free(&raw mut sink);
        cxsink_config_free(&raw mut handles.config);
    }
    let told: Vec<&String> = kept.iter().filter(|message| message.contains("a panic at")).collect();
    assert!(told.len() == 1 && told[0].contains("tests.rs:") && !told[0].contains("on purpose"), "{kept:?}");
}

//! `cxsink_sink`: the handle.

use std::ffi::{CStr, c_char, c_void};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Deref;
use std::time::Duration;

use cxsink_core::{EnteredScope, Error, ErrorKind, Poll, Result, Sink};

use crate::boundary::{Call, Out, Process, call, free_with, value};
use crate::buffer::BufferHandle;
use crate::config::{ConfigHandle, Configured};
use crate::error::ErrorHandle;
use crate::logging::{self, Logger};
use crate::names::{self, SinkState, Status};
use crate::notice::NoticeHandle;

/// A sink: reads the stream into the table, through the spool. Every function except `cxsink_sink_free` may be called from
/// any thread at any time.
#[derive(Debug)]
pub struct SinkHandle {
    sink: Sink,
    process: Process,
    /// Dropped after the sink, which logs until its end.
    logger: Option<Logger>,
}

/// The sink of a call, with the thread in its log scope.
pub(crate) struct Entered<'a> {
    sink: &'a Sink,
    _scope: Option<EnteredScope>,
}

impl SinkHandle {
    pub(crate) fn enter(&self) -> Entered<'_> {
        Entered { sink: &self.sink, _scope: self.logger.as_ref().map(Logger::enter) }
    }

    pub(crate) unsafe fn get<'a>(call: Call, sink: *const SinkHandle) -> Result<Entered<'a>> {
        // SAFETY: as the caller promises.
        let handle = unsafe { call.handle(sink, "sink") }?;
        handle.process.check("the sink")?;
        Ok(handle.enter())
    }
}

impl Deref for Entered<'_> {
    type Target = Sink;

    fn deref(&self) -> &Sink {
        self.sink
    }
}

/// Checks the configuration, compiles the schema and opens the spool. Starts nothing and connects to nothing.
///
/// Ownership: `*out` is yours; free it by `cxsink_sink_free`. The configuration is copied.
/// Blocks: while it reads files. Threads: any. Errors: CONFIG for a bad configuration or schema; SPOOL for a spool that
/// cannot be used, for example because another process has it open; INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_open(
    config: *const ConfigHandle,
    out: *mut *mut SinkHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_sink_open", err, |call| {
            call.required(&out)?;
            let configured = Configured::get(call, config)?;
            let sink = Sink::open(configured.config)?;
            out.put(SinkHandle { sink, process: Process::current(), logger: configured.handle.logger() });
            Ok(Status::Ok)
        })
    }
}

/// Connects to the destination and starts reading the stream, on threads of its own. A sink starts once.
///
/// An unreachable destination is not an error: events wait in the spool, and the state is stalled. Without a stream in the
/// configuration, the sink accepts events from the application only.
///
/// Ownership: none. Blocks: while it connects and reads the table definition, for destination.connect_timeout and a few
/// destination.statement_timeout at most, or until `cxsink_sink_stop`. Threads: any.
/// Errors: CONFIG for a configured file or address that cannot be used; DATABASE for a table that does not exist or does
/// not match the configuration, or refused credentials; both end the sink as failed. STATE after the first call; FORKED,
/// INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_start(sink: *mut SinkHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_sink_start", err, |call| {
            SinkHandle::get(call, sink)?.start()?;
            Ok(Status::Ok)
        })
    }
}

/// Waits for the next notice: CXSINK_STATUS_OK with a notice in `*out`, CXSINK_STATUS_TIMEOUT if none came in time,
/// CXSINK_STATUS_CLOSED once the sink has ended and every notice was fetched. The last two leave `*err` NULL.
///
/// After the start, a CXSINK_NOTICE_KIND_STATS comes every ten seconds at least; before the start, there are no notices.
/// The sink works without polling: its queue of notices is bounded, and drops the oldest ones first, errors and states last.
///
/// Ownership: `*out` is yours; free it by `cxsink_notice_free`. Blocks: for timeout_ms milliseconds at most; 0 does not
/// wait, -1 waits until there is a notice or the sink has ended. Threads: any; each notice goes to one of them.
/// Errors: FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_poll(
    sink: *mut SinkHandle,
    timeout_ms: i32,
    out: *mut *mut NoticeHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_sink_poll", err, |call| {
            call.required(&out)?;
            let timeout = call.timeout(timeout_ms)?;
            Ok(match SinkHandle::get(call, sink)?.poll(timeout)? {
                Poll::Notice(notice) => {
                    out.put(NoticeHandle::new(&notice));
                    Status::Ok
                }
                Poll::TimedOut => Status::Timeout,
                Poll::Closed => Status::Closed,
            })
        })
    }
}

/// Accepts an event, `len` bytes of JSON, from the application. It is validated at once, and then takes the same path as an event
/// of the stream. On CXSINK_STATUS_OK it is in the spool; spool.sync sets what it survives. It is an event, not a message: the
/// section `[event]` of the configuration does not apply.
///
/// Ownership: the event is copied. Blocks: while the spool is full, and for the disk. Threads: any.
/// Errors: JSON or SCHEMA, with every violation, for an event that is not valid: it is not kept. STATE when the sink is
/// stopping; SPOOL, FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_ingest(
    sink: *mut SinkHandle,
    json: *const c_char,
    len: usize,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_sink_ingest", err, |call| {
            let event = call.slice(json.cast::<u8>(), len, "json")?;
            SinkHandle::get(call, sink)?.ingest(event)?;
            Ok(Status::Ok)
        })
    }
}

/// Accepts many events, each as `cxsink_sink_ingest` does, but many in one transaction of the spool, which is much faster.
/// `events` are `count` texts, and `lens` their lengths; with NULL for `lens` each ends with a NUL character.
/// `*accepted`, if it is not NULL, gets the number of events accepted, also after an error: those before the one that was not.
///
/// Ownership: the events are copied. Blocks: while the spool is full, for timeout_ms milliseconds at most, -1 without
/// limit; and for the disk. Threads: any. Errors: JSON or SCHEMA for the first event that is not valid, TIMEOUT if the
/// spool had no room in time, STATE when the sink is stopping, SPOOL; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_ingest_many(
    sink: *mut SinkHandle,
    events: *const *const c_char,
    lens: *const usize,
    count: usize,
    timeout_ms: i32,
    accepted: *mut u64,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut accepted = accepted.as_mut();
        if let Some(accepted) = accepted.as_deref_mut() {
            *accepted = 0;
        }
        call("cxsink_sink_ingest_many", err, |call| {
            let timeout = call.timeout(timeout_ms)?;
            let texts = call.slice(events, count, "events")?;
            let lens = if lens.is_null() { None } else { Some(call.slice(lens, count, "lens")?) };
            let mut events = Vec::with_capacity(count);
            for (at, text) in texts.iter().enumerate() {
                events.push(match lens {
                    Some(lens) => call.slice(text.cast::<u8>(), lens[at], "an event")?,
                    None if text.is_null() => return Err(call.invalid("an event is NULL")),
                    None => CStr::from_ptr(*text).to_bytes(),
                });
            }
            let outcome = SinkHandle::get(call, sink)?.ingest_many(events, timeout);
            if let Some(accepted) = accepted {
                *accepted = outcome.as_ref().map_or_else(|error| error.index().unwrap_or(0), |count| *count);
            }
            outcome.map(|_| Status::Ok)
        })
    }
}

/// Reads bytes: writes at most `capacity` of them to `buffer` and returns their number, 0 at the end, or a negative number
/// if they cannot be read. It must not throw or longjmp.
pub type ReadFunction =
    Option<unsafe extern "C" fn(buffer: *mut c_char, capacity: usize, user_data: *mut c_void) -> isize>;

/// A read callback as a reader.
struct Callback {
    read: unsafe extern "C" fn(*mut c_char, usize, *mut c_void) -> isize,
    user_data: *mut c_void,
}

impl Read for Callback {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the caller's function, which writes no more than `capacity` bytes.
        let given = unsafe { (self.read)(buffer.as_mut_ptr().cast(), buffer.len(), self.user_data) };
        match usize::try_from(given) {
            Ok(given) if given <= buffer.len() => Ok(given),
            Ok(_) => Err(io::Error::other("the read callback returned more bytes than the buffer holds")),
            Err(_) => Err(io::Error::other(format!("the read callback returned {given}"))),
        }
    }
}

/// The capacity of the buffer of a read callback.
const READ_BYTES: usize = 64 << 10;

/// Accepts events from JSON Lines, one event a line, and skips empty lines. `read` is called until it returns 0. The lines are
/// events, not messages: the section `[event]` of the configuration does not apply.
/// `*accepted`, if it is not NULL, gets the number of events accepted, also after an error.
///
/// Invalid events become dead letters, as those of the stream do; `cxsink_sink_ingest` refuses them instead. Lines that have
/// arrived are accepted before read is called again.
///
/// Ownership: none; user_data is passed to read, on this thread. Blocks: until the end is read, and while the spool is
/// full. Threads: any. Errors: INVALID_ARGUMENT if a line cannot be read, STATE when the sink is stopping: the message says
/// how many events before it were accepted; SPOOL, FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_import(
    sink: *mut SinkHandle,
    read: ReadFunction,
    user_data: *mut c_void,
    accepted: *mut u64,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        import("cxsink_sink_import", false, sink, accepted, err, |call| {
            let read = read.ok_or_else(|| call.invalid("read is NULL"))?;
            Ok(Callback { read, user_data })
        })
    }
}

/// Accepts events from a file of JSON Lines; see `cxsink_sink_import`.
///
/// Ownership: path is copied. Blocks: until the end is read, and while the spool is full. Threads: any.
/// Errors: as `cxsink_sink_import`; INVALID_ARGUMENT if the file cannot be opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_import_file(
    sink: *mut SinkHandle,
    path: *const c_char,
    accepted: *mut u64,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        import("cxsink_sink_import_file", false, sink, accepted, err, |call| open(call, path, "a file of JSON Lines"))
    }
}

/// Accepts the dead letters of an export, as `cxsink dead-letters export` writes it, as new events. They are late: a row that an
/// event of their key has written since is not overwritten, and the counter superseded counts them. A message that could not be
/// unwrapped is unwrapped with the settings of this sink, and each of its events counts as accepted.
///
/// Ownership: path is copied. Blocks: until the end is read, and while the spool is full. Threads: any.
/// Errors: as `cxsink_sink_import_file`; INVALID_ARGUMENT also for a line that is not a dead letter.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_import_exported_file(
    sink: *mut SinkHandle,
    path: *const c_char,
    accepted: *mut u64,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        import("cxsink_sink_import_exported_file", true, sink, accepted, err, |call| {
            open(call, path, "an export of dead letters")
        })
    }
}

/// Opens the file of an import; `what` it should be, for the hint.
unsafe fn open(call: Call, path: *const c_char, what: &str) -> Result<File> {
    // SAFETY: as the caller promises.
    let path = unsafe { call.text(path, "path") }?;
    File::open(path).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, format!("opening {path}: {error}"))
            .with_hint(format!("give the path of {what} that this process may read"))
    })
}

/// `exported`: the lines are dead letters of an export.
unsafe fn import<R: Read>(
    function: &'static str,
    exported: bool,
    sink: *mut SinkHandle,
    accepted: *mut u64,
    err: *mut *mut ErrorHandle,
    reader: impl FnOnce(Call) -> Result<R>,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut accepted = accepted.as_mut();
        if let Some(accepted) = accepted.as_deref_mut() {
            *accepted = 0;
        }
        call(function, err, |call| {
            let sink = SinkHandle::get(call, sink)?;
            let lines = BufReader::with_capacity(READ_BYTES, reader(call)?);
            let outcome = if exported { sink.import_exported(lines) } else { sink.import(lines) };
            if let Some(accepted) = accepted {
                *accepted = outcome.as_ref().map_or_else(|error| error.index().unwrap_or(0), |count| *count);
            }
            outcome.map(|_| Status::Ok)
        })
    }
}

/// The statistics at this moment, as one JSON object: state, every counter by its name, pending_bytes, latency (p50_us,
/// p90_us, p99_us and max_us from receipt to commit, in microseconds) and last_error.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
/// Errors: FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_stats(
    sink: *const SinkHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_sink_stats", err, |call| {
            call.required(&out)?;
            out.put(SinkHandle::get(call, sink)?.stats().to_json().into());
            Ok(Status::Ok)
        })
    }
}

/// The metrics at this moment, in Prometheus' text format (version 0.0.4), also after the end of the sink: docs/metrics.md lists
/// them. Append them to those of your application, or serve them alone.
///
/// Ownership: `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
/// Errors: FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_metrics(
    sink: *const SinkHandle,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_sink_metrics", err, |call| {
            call.required(&out)?;
            out.put(SinkHandle::get(call, sink)?.metrics().into());
            Ok(Status::Ok)
        })
    }
}

/// The metrics of several sinks in one text, as `cxsink_sink_metrics`: each metric once, with the label stream, which is the
/// "stream.name" of its sink.
///
/// Ownership: the array is read during the call; `*out` is yours; free it by `cxsink_buffer_free`. Blocks: never. Threads: any.
/// Errors: FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_metrics_of(
    sinks: *const *const SinkHandle,
    count: usize,
    out: *mut *mut BufferHandle,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        let mut out = Out::new(out);
        call("cxsink_metrics_of", err, |call| {
            call.required(&out)?;
            let handles = call.slice(sinks, count, "sinks")?;
            let sinks: Vec<Sink> =
                handles.iter().map(|sink| Ok(SinkHandle::get(call, *sink)?.sink.clone())).collect::<Result<_>>()?;
            out.put(cxsink_core::metrics_of(&sinks).into());
            Ok(Status::Ok)
        })
    }
}

/// One counter, by its cxsink_counter number; 0 for a number that this library does not know, for NULL, and in a forked
/// child.
///
/// Ownership: none. Blocks: never. Threads: any, also within a log callback. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_counter(sink: *const SinkHandle, which: u32) -> u64 {
    value("cxsink_sink_counter", 0, || {
        // SAFETY: NULL, or a sink that was not freed.
        let sink = unsafe { sink.as_ref() }.filter(|sink| sink.process.is_current());
        sink.zip(names::counter(which)).map_or(0, |(handle, counter)| handle.sink.counter(counter))
    })
}

/// The state of the sink, a cxsink_state; CLOSED for NULL, and in a forked child.
///
/// Ownership: none. Blocks: never. Threads: any, also within a log callback. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_state(sink: *const SinkHandle) -> u32 {
    let closed = SinkState::Closed as u32;
    value("cxsink_sink_state", closed, || {
        // SAFETY: NULL, or a sink that was not freed.
        let sink = unsafe { sink.as_ref() }.filter(|sink| sink.process.is_current());
        sink.map_or(closed, |handle| handle.sink.state() as u32)
    })
}

/// The error that ended the sink: returns its status, and puts the error into `*err`. CXSINK_STATUS_OK if there was none.
///
/// Ownership: `*err` is yours; free it by `cxsink_error_free`. Blocks: never. Threads: any.
/// Errors: those of the sink; FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_failure(sink: *const SinkHandle, err: *mut *mut ErrorHandle) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_sink_failure", err, |call| SinkHandle::get(call, sink)?.failure().map_or(Ok(Status::Ok), Err))
    }
}

/// Begins a graceful stop: the sink stops reading, commits the spooled events, and ends. Does not wait for it. May be
/// repeated. Accepts NULL.
///
/// If the destination is unreachable, the events stay in the spool for the next start.
///
/// Ownership: none. Blocks: never. Threads: any, also within a log callback. Errors: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_stop(sink: *mut SinkHandle) {
    // SAFETY: NULL, or a sink that was not freed.
    value("cxsink_sink_stop", (), || {
        if let Some(handle) = unsafe { sink.as_ref() } {
            handle.enter().stop();
        }
    });
}

/// Stops reading, waits until the spooled events are committed, and ends. May be repeated. Every running `cxsink_sink_poll`
/// returns.
///
/// It does not wait for an unreachable destination: it returns CXSINK_STATUS_OK, and the next start commits the pending
/// events.
///
/// Ownership: none; free the sink afterwards. Blocks: for timeout_ms milliseconds, and about 100 more, at most; -1 waits
/// without limit. Threads: any. Errors: TIMEOUT if not every event could be committed in time: the sink has ended all the
/// same, and the rest is in the spool. The error that ended the sink, if its state is failed; STATE within a log callback;
/// FORKED, INVALID_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_close(
    sink: *mut SinkHandle,
    timeout_ms: i32,
    err: *mut *mut ErrorHandle,
) -> Status {
    // SAFETY: as the caller promises.
    unsafe {
        call("cxsink_sink_close", err, |call| {
            let timeout = call.timeout(timeout_ms)?.unwrap_or(Duration::MAX);
            SinkHandle::get(call, sink)?.close_within(timeout)?;
            Ok(Status::Ok)
        })
    }
}

/// Frees the sink and sets the variable to NULL. Accepts NULL, and a variable that is NULL. A sink that was not closed is
/// closed within a second; the rest stays in the spool for the next start.
///
/// Ownership: takes the sink. Its notices, errors and buffers stay valid: free each on its own.
/// Blocks: for about a second at most, if the sink was not closed; and while the log callback runs.
/// Threads: any, after every other call with this sink has returned. Errors: none; within a log callback it does nothing,
/// and in a forked child it only sets the variable to NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cxsink_sink_free(sink: *mut *mut SinkHandle) {
    let drop_here = |handle: Box<SinkHandle>| {
        if !handle.process.is_current() {
            // Closing the files here would release the locks of the parent.
            std::mem::forget(handle);
            return;
        }
        let SinkHandle { sink, logger, .. } = *handle;
        let _scope = logger.as_ref().map(Logger::enter);
        drop(sink);
    };
    if !logging::is_in_callback() {
        // SAFETY: as the caller promises.
        unsafe { free_with("cxsink_sink_free", sink, drop_here) }
    }
}

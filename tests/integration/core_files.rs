//! No core file holds an event: the program leaves none, whatever the limits say. A program that embeds the library decides for itself.
#![cfg(target_os = "linux")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use cxsink::Sink;
use rusqlite::Connection;
use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, dumpable_behavior, getrlimit, prlimit, setrlimit};

use crate::support;
use crate::support::canary::Canary;
use crate::support::process::{Running, in_own_process, output};
use crate::support::talking_server::TalkingServer;

/// A program that may leave core files in its folder. Only a shell can set the limit for it.
fn with_core_files(folder: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -c "$(ulimit -H -c)"; exec "$0" "$@""#, program]).args(arguments);
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

#[test]
fn a_program_that_a_signal_ends_while_it_redacts_leaves_no_core_file() {
    for (signal, number) in [("ABRT", 6), ("SEGV", 11)] {
        let canary = Canary::new();
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        // It sends until the signal has come, a thousand events a second; the bound is for a test that fails.
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let events: Vec<String> = (0..100).map(|key| canary.event(&format!("k{key}"), "call", "5")).collect();
        let stream = TalkingServer::start(move |talk| {
            for event in events.iter().cycle().take(100_000).take_while(|_| !over.load(Ordering::Relaxed)) {
                talk.say(event);
                thread::sleep(Duration::from_millis(1));
            }
        });
        let command = |arguments: &[&str]| {
            let mut command = with_core_files(folder, env!("CARGO_BIN_EXE_cxsink"), arguments);
            command
                .env("CXONE_CLIENT_ID", "id")
                .env("CXONE_CLIENT_SECRET", "secret")
                .env("CXSINK_OAUTH__URL", stream.token_url())
                .env("CXSINK_STREAM__URL", stream.stream_url())
                .env("CXSINK_OAUTH__SCOPE", " ")
                .env("CXSINK_REDACT", Canary::rules(&Canary::key_file(folder)))
                .env("CXSINK_SPOOL__PATH", "spool.db")
                .env("CXSINK_DESTINATION__URL", "sqlite:table.db");
            command
        };
        let (code, _, err) = output(&mut command(&["init-db"]));
        assert_eq!(code, 0, "{err}");
        let mut sink = Running::start(&mut command(&["run"]));
        support::wait_until("events are redacted and written", || {
            let table = Connection::open(folder.join("table.db")).unwrap();
            table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get::<_, u64>(0)) == Ok(100)
        });
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", sink.child.id())).unwrap();
        let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(limit.split_whitespace().nth(4), Some("0"), "{limit}");
        // Without this limit it leaves none either: a handler of core files, which a machine may have, does not heed the limit.
        let process = Pid::from_raw(sink.child.id().cast_signed());
        let maximum = getrlimit(Resource::Core).maximum;
        prlimit(process, Resource::Core, Rlimit { current: maximum, maximum }).unwrap();
        support::wait_until("the signal ends it", || {
            let has_ended = sink.child.try_wait().unwrap().is_some();
            if !has_ended {
                // Rust's own handler takes the first SIGSEGV: it looks for the overflow of a stack.
                sink.signal(signal);
            }
            has_ended
        });
        let (_, log) = sink.wait();
        is_over.store(true, Ordering::Relaxed);
        let status = sink.child.wait().unwrap();
        assert_eq!((status.signal(), status.core_dumped()), (Some(number), false), "{log}");
        canary.assert_not_in("the log", log);
        canary.assert_not_in_files(folder, &[]);

        // Another program does leave one here.
        let mut other = with_core_files(folder, "sh", &["-c", &format!("kill -{signal} $$")]);
        let status = other.stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.signal(), Some(number));
        assert!(status.core_dumped(), "this machine makes no core files: see kernel.core_pattern and `ulimit -H -c`");
    }
}

#[test]
fn a_program_that_embeds_the_library_keeps_its_own_setting_of_core_files() {
    if !in_own_process(|_| {}) {
        return;
    }
    let maximum = getrlimit(Resource::Core).maximum;
    let current = maximum.map_or(Some(1 << 30), |most| Some(most.min(1 << 30)));
    setrlimit(Resource::Core, Rlimit { current, maximum }).unwrap();
    let before = dumpable_behavior().unwrap();
    assert_eq!(before, DumpableBehavior::Dumpable);
    let directory = tempfile::tempdir().unwrap();
    let config = support::config(directory.path(), &format!("sqlite:{}", directory.path().join("table.db").display()));
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink.close().unwrap();
    assert_eq!((getrlimit(Resource::Core).current, dumpable_behavior().unwrap()), (current, before));
}

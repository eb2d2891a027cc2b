//! A hundred streams in one process: the threads and the memory of each are bounded (docs/scale.md).
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use cxsink::simulator::{Simulator, SimulatorOptions};

use crate::support::process::{cxsink_of, output};
use crate::support::wait_until;
use crate::support::watched::Watched;

const STREAMS: usize = 100;
/// Of each stream: reader, preparer, one writer, and the one that keeps the write-ahead log short.
const THREADS_OF_A_STREAM: usize = 4;
/// Of the process: its first one, signals, `[http]` and its helpers.
const THREADS_OF_THE_PROCESS: usize = 6;
const FILES_OF_A_STREAM: usize = 15;
const FILES_OF_THE_PROCESS: usize = 40;
const RESIDENT_KIB_OF_A_STREAM: u64 = 2048;
const RESIDENT_KIB_OF_THE_PROCESS: u64 = 32 * 1024;

#[test]
fn a_hundred_streams_have_four_threads_each() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = SimulatorOptions::default();
    options.events = None;
    options.rate = 100;
    let simulator = Simulator::start(options).unwrap();
    let mut text = String::new();
    for number in 0..STREAMS {
        write!(text, "[streams.s{number}]\ndestination.url = \"sqlite:events-{number}.db\"\n").unwrap();
    }
    std::fs::write(directory.path().join("cxsink.toml"), text).unwrap();
    let (code, _, err) = output(cxsink_of(directory.path(), &simulator).arg("init-db"));
    assert_eq!(code, 0, "{err}");
    let run = cxsink_of(directory.path(), &simulator);
    // The usual limit of a shell and of systemd, which the process may raise.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 1024 && exec \"$0\" run"]).arg(run.get_program()).stdin(Stdio::null());
    command.current_dir(directory.path()).env_clear();
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut sink = Watched::start(&mut command, None);
    wait_until("all are connected", || sink.metric("cxsink_connected") == Some(200.0));
    assert_eq!(simulator.report().tokens_issued, 1, "one client, one token");

    let process = sink.process.child.id();
    let mut threads = BTreeMap::new();
    // Those of the start end by themselves.
    wait_until("only what stays is left", || {
        threads = by_name(process);
        threads.values().sum::<usize>() <= STREAMS * THREADS_OF_A_STREAM + THREADS_OF_THE_PROCESS
    });
    for name in ["cxsink-reader", "cxsink-preparer", "cxsink-writer", "cxsink-wal"] {
        assert_eq!(threads.get(name), Some(&STREAMS), "{threads:?}");
    }
    let resident = resident_kib(process);
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    println!("{STREAMS} streams: {} threads, {files} files, {resident} KiB", threads.values().sum::<usize>());
    assert!(resident < RESIDENT_KIB_OF_THE_PROCESS + STREAMS as u64 * RESIDENT_KIB_OF_A_STREAM, "{resident} KiB");
    assert!((1024..=FILES_OF_THE_PROCESS + STREAMS * FILES_OF_A_STREAM).contains(&files), "{files}");

    let (status, ready) = sink.json("/readyz");
    assert_eq!((status, ready["streams"].as_object().unwrap().len()), (200, STREAMS));
    sink.process.signal("TERM");
    assert_eq!(sink.process.child.wait().unwrap().code(), Some(0), "{:#?}", sink.rest_of_log());
}

/// The threads of a process, counted by their names.
fn by_name(process: u32) -> BTreeMap<String, usize> {
    let mut threads = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
        // One that has ended since has no name any more.
        if let Ok(name) = std::fs::read_to_string(task.path().join("comm")) {
            *threads.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
    threads
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

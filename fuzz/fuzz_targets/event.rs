//! Bytes of an event, through the whole path into a table: an outcome, never a panic, and every event is accounted for.
#![no_main]

use std::sync::LazyLock;

use cxsink::{Config, Sink};
use libfuzzer_sys::fuzz_target;

static DIRECTORY: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

static SINK: LazyLock<Sink> = LazyLock::new(|| {
    let mut config = Config::default();
    config.set("spool.path", ":memory:").unwrap();
    config.set("schema.additional_properties", "keep").unwrap();
    config.set("destination.url", &format!("sqlite:{}", DIRECTORY.path().join("table.db").display())).unwrap();
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    sink
});

fuzz_target!(|event: &[u8]| {
    let one_line: Vec<u8> = event.iter().copied().filter(|&byte| byte != b'\n').collect();
    SINK.import(&one_line[..]).unwrap();
    while SINK.stats().pending > 0 {
        SINK.poll(Some(std::time::Duration::from_secs(10))).unwrap();
    }
    assert!(SINK.stats().is_balanced());
});

//! A spool file that was overwritten somewhere: a clear error or intact events, never a panic.
#![no_main]

use std::sync::LazyLock;

use cxsink::{Config, Sink};
use libfuzzer_sys::fuzz_target;

const EVENT: &[u8] =
    br#"{"interactionId":"i","timestamp":"2026-11-22T16:00:00Z","type":"call","idempotencyKey":"k","attributes":{"agentId":"a"}}"#;

fn config(directory: &std::path::Path) -> Config {
    let mut config = Config::default();
    config.set("spool.path", directory.join("spool.db").to_str().unwrap()).unwrap();
    config.set("destination.url", &format!("sqlite:{}", directory.join("table.db").display())).unwrap();
    config
}

/// In memory where there is such a file system: thousands of files are made in a minute, and none needs to last.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A spool with some events, as bytes.
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let directory = directory();
    let sink = Sink::open(&config(directory.path())).unwrap();
    for _ in 0..50 {
        sink.ingest(EVENT).unwrap();
    }
    sink.close_within(Duration::MAX).unwrap();
    drop(sink);
    std::fs::read(directory.path().join("spool.db")).unwrap()
});

fuzz_target!(|damage: Vec<(u16, u8)>| {
    let directory = directory();
    let mut file = FILE.clone();
    for (place, value) in damage {
        let place = usize::from(place) % file.len();
        file[place] = value;
    }
    std::fs::write(directory.path().join("spool.db"), file).unwrap();
    let config = config(directory.path());
    if let Ok(sink) = Sink::open(&config) {
        let _ = sink.dead_letters(0, 10);
        cxsink::init_db(&config).unwrap();
        if sink.start().is_ok() {
            let _ = sink.close_within(std::time::Duration::from_secs(5));
        }
    }
});

//! Spools of tests: events with numbered keys, and sinks on files of any name.

use std::fs;
use std::ops::Range;
use std::path::Path;

use cxsink::{Config, Sink};

use super::postgres::TestDatabase;

pub fn event(n: u32) -> String {
    format!(
        "{{\"interactionId\":\"i{n}\",\"timestamp\":\"2026-11-22T16:00:00Z\",\"type\":\"call\",\"idempotencyKey\":\"k{n}\"}}"
    )
}

pub fn events(range: Range<u32>) -> Vec<String> {
    range.map(event).collect()
}

/// A sink on this spool file.
pub fn open(config: &Config, spool: &Path) -> Sink {
    let mut config = config.clone();
    spool.clone_into(&mut config.spool.path);
    Sink::open(&config).unwrap()
}

pub fn started(config: &Config, spool: &Path) -> Sink {
    let sink = open(config, spool);
    sink.start().unwrap();
    sink
}

pub fn prepare(url: &str) -> (tempfile::TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let config = super::config(directory.path(), url);
    cxsink::init_db(&config).unwrap();
    (directory, config)
}

pub fn stored(database: &TestDatabase) -> u32 {
    database.query("SELECT count(*) FROM cxone_events")[0].parse().unwrap()
}

/// What is done to a spool's file while a sink has it open.
#[derive(Debug, Clone, Copy)]
pub enum Harm {
    Removed,
    FolderRemoved,
    Replaced,
    Moved,
    FolderMoved,
}

impl Harm {
    pub const ALL: [Self; 5] = [Self::Removed, Self::FolderRemoved, Self::Replaced, Self::Moved, Self::FolderMoved];

    pub fn apply(self, spool: &Path) {
        let folder = spool.parent().unwrap();
        match self {
            Self::Removed => fs::remove_file(spool).unwrap(),
            Self::FolderRemoved => fs::remove_dir_all(folder).unwrap(),
            Self::Replaced => {
                fs::write(folder.join("new"), "another").unwrap();
                fs::rename(folder.join("new"), spool).unwrap();
            }
            Self::Moved => fs::rename(spool, folder.join("old.db")).unwrap(),
            Self::FolderMoved => fs::rename(folder, folder.with_file_name("moved")).unwrap(),
        }
    }
}

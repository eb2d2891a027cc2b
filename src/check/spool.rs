//! The steps of the spool.

use std::sync::mpsc::Sender;

use super::steps::{CheckStep, Steps};
use crate::config::SpoolConfig;
use crate::files::sqlite;
use crate::spool::examine;

pub(super) fn check(config: &SpoolConfig, dead_letters_bytes_max: u64, reports: &Sender<CheckStep>) {
    if sqlite::is_in_memory(&config.path) {
        let mut steps = Steps::new(&["spool.directory"], reports);
        steps.examine("spool.directory", || Ok(Some(examine::in_memory())));
        return;
    }
    let mut steps =
        Steps::new(&["spool.directory", "spool.lock", "spool.file", "spool.dead_letters", "spool.space"], reports);
    if steps.examine("spool.directory", || examine::directory(&config.path).map(Some)).is_none() {
        return;
    }
    // These do not depend on each other.
    steps.examine("spool.lock", || examine::lock(&config.path).map(Some));
    steps.examine("spool.file", || examine::file(&config.path).map(Some));
    steps.examine("spool.dead_letters", || examine::dead_letters(&config.path, dead_letters_bytes_max));
    let bytes_max = config.bytes_max.saturating_add(dead_letters_bytes_max);
    steps.examine("spool.space", || examine::space(&config.path, bytes_max));
}

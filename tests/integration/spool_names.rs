//! A spool is its inode: whatever leads to it, one sink at a time uses it.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cxsink::Sink;

use crate::support;
use crate::support::disk::with_bind;
use crate::support::process::{cxsink, in_own_process, output};
use crate::support::spool::{event, events};

/// A spool in `folder/deep`, a sink that has it open, and a command that tries to use it too.
struct Place {
    directory: tempfile::TempDir,
    sink: Option<Sink>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = support::config(directory.path(), &format!("sqlite:{}/table.db", directory.path().display()));
        config.spool.path = directory.path().join("folder/deep/spool.db");
        cxsink::init_db(&config).unwrap();
        let sink = Sink::open(&config).unwrap();
        sink.ingest(event(1).as_bytes()).unwrap();
        fs::write(directory.path().join("events"), event(2)).unwrap();
        Self { directory, sink: Some(sink) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Imports an event through the spool of this name; exit code and errors. `bound`: in a namespace in which this is mounted there.
    fn import(&self, name: &str, bound: Option<(&str, &str)>) -> (i32, String) {
        let mut command = match bound {
            None => cxsink(self.directory.path()),
            Some((from, to)) => with_bind(&cxsink(self.directory.path()), from, to),
        };
        command.env("CXSINK_SPOOL__PATH", name).env("CXSINK_DESTINATION__URL", "sqlite:table.db");
        let (code, _, err) = output(command.args(["import", "events"]));
        (code, err)
    }

    fn is_in_use(&self, name: &str, bound: Option<(&str, &str)>) {
        let (code, err) = self.import(name, bound);
        assert!(code == 1 && err.contains("in use by"), "{name}: {code} {err}");
    }
}

#[test]
fn every_name_of_the_file_is_in_use_for_other_processes() {
    let place = Place::new();
    let spool = place.path("folder/deep/spool.db");
    symlink(&spool, place.path("link.db")).unwrap();
    symlink("link.db", place.path("second.db")).unwrap();
    symlink("folder", place.path("other")).unwrap();
    symlink("other/deep", place.path("nested")).unwrap();
    let descriptor = descriptor_of(&spool);
    let names = [
        "folder/deep/spool.db",
        "link.db",
        "second.db",
        "other/deep/spool.db",
        "nested/spool.db",
        "./folder/../nested/spool.db",
        &descriptor,
    ];
    let all_are_in_use = || {
        for name in names {
            place.is_in_use(name, None);
        }
        place.is_in_use("bound/deep/spool.db", Some(("folder", "bound")));
        place.is_in_use("bound.db", Some(("folder/deep/spool.db", "bound.db")));
    };
    fs::create_dir(place.path("bound")).unwrap();
    fs::write(place.path("bound.db"), "").unwrap();
    all_are_in_use();
    // The lock is on the file, not on a name beside it.
    fs::remove_file(place.path("folder/deep/spool.db.lock")).unwrap();
    all_are_in_use();
    fs::hard_link(&spool, place.path("hard.db")).unwrap();
    place.is_in_use("hard.db", None);
    fs::remove_file(place.path("hard.db")).unwrap();
    let sink = place.sink.as_ref().unwrap();
    sink.ingest(event(3).as_bytes()).unwrap();
    assert_eq!(sink.stats().pending, 2);
}

/// Its log is beside the file, under one name: a name that leads there is good, and another one is refused.
#[test]
fn a_name_under_which_the_log_is_not_found_is_refused() {
    let mut place = Place::new();
    drop(place.sink.take());
    let spool = place.path("folder/deep/spool.db");
    fs::create_dir(place.path("bound")).unwrap();
    fs::write(place.path("bound.db"), "").unwrap();
    let (code, err) = place.import("bound.db", Some(("folder/deep/spool.db", "bound.db")));
    assert!(code == 1 && err.contains("a mount by itself"), "{code} {err}");
    fs::hard_link(&spool, place.path("hard.db")).unwrap();
    let (code, err) = place.import("hard.db", None);
    assert!(code == 1 && err.contains("hard link"), "{code} {err}");
    fs::remove_file(place.path("hard.db")).unwrap();

    symlink(&spool, place.path("link.db")).unwrap();
    let (code, err) = place.import("link.db", None);
    assert!(code == 0 && err.contains("recovered          1"), "{code} {err}");
    let (code, err) = place.import("bound/deep/spool.db", Some(("folder", "bound")));
    assert!(code == 0, "{code} {err}");
    assert!(!place.path("link.db.lock").exists());
}

/// SQLite would read this name as a URI: the other sink's file, or one that keeps nothing.
#[test]
fn a_path_that_looks_like_a_uri_is_a_file_of_its_own() {
    let place = Place::new();
    // A relative name is the one that SQLite reads so; this one is absolute. The file alone is no proof: it is made before SQLite opens it.
    let count = |name: &str, sql: &str| -> u32 {
        let file = rusqlite::Connection::open(place.path(name)).unwrap();
        file.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for name in ["file:folder/deep/spool.db", "file:memory?mode=memory", "file:folder/deep/spool.db?vfs=unix-none"] {
        let (code, err) = place.import(name, None);
        assert_eq!(code, 0, "{name}: {err}");
        assert!(count(name, "SELECT count(*) FROM sqlite_schema") > 0, "{name}");
    }

    // The same of a table.
    let table = "file:table.db?mode=memory";
    let run = |arguments: &[&str]| {
        let mut command = cxsink(place.directory.path());
        let url = format!("sqlite:{table}");
        command.env("CXSINK_SPOOL__PATH", "other.db").env("CXSINK_DESTINATION__URL", url);
        let (code, _, err) = output(command.args(arguments));
        assert_eq!(code, 0, "{err}");
    };
    run(&["init-db"]);
    run(&["import", "events"]);
    assert_eq!(count(table, "SELECT count(*) FROM cxone_events"), 1);
}

/// A file that this process has open, by the name of its descriptor.
fn descriptor_of(path: &Path) -> String {
    let process = std::process::id();
    let mut open = fs::read_dir(format!("/proc/{process}/fd")).unwrap().map(|entry| entry.unwrap().path());
    let found = open.find(|entry| fs::read_link(entry).is_ok_and(|target| target == path));
    found.unwrap().to_str().unwrap().to_owned()
}

/// The process changes its directory while the sink runs.
#[test]
fn a_relative_path_is_resolved_once() {
    if !in_own_process(|_| {}) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("elsewhere")).unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    let mut config = support::config(directory.path(), "sqlite:table.db");
    config.spool.path = "folder/spool.db".into();
    cxsink::init_db(&config).unwrap();
    let sink = Sink::open(&config).unwrap();
    sink.start().unwrap();
    std::env::set_current_dir("elsewhere").unwrap();
    fs::remove_file(directory.path().join("folder/spool.db.lock")).unwrap();
    // The reserve is taken with the first one.
    sink.ingest_many(events(0..100), None).unwrap();
    support::wait_quiet(&sink);
    sink.close().unwrap();
    assert_eq!(fs::read_dir(".").unwrap().count(), 0);
    let table = rusqlite::Connection::open(directory.path().join("table.db")).unwrap();
    assert_eq!(table.query_row("SELECT count(*) FROM cxone_events", [], |row| row.get::<_, u32>(0)).unwrap(), 100);
}

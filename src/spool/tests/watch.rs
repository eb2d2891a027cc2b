#![cfg(unix)]

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;

use super::*;
use crate::spool::tests::{append, config};

/// Looks until a look finds a loss, at most a few times: a doubt needs two.
fn losses(spool: &Spool, watch: &mut Watch) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    for _ in 0..3 {
        watch.next = Instant::now();
        let report = |error: &Error| assert!(error.message().contains("not in the table yet"), "{error}");
        watch.look(spool, report, |error| found.borrow_mut().push(error.to_string()));
        // As if the doubt had lasted.
        if let Some((_, since)) = &mut watch.doubt {
            *since = since.checked_sub(DOUBT_MIN).unwrap();
        }
    }
    found.into_inner()
}

fn part(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Does this to the files of an open spool; what is said about it, once.
fn after(change: impl FnOnce(&Path)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("folder/spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    append(&spool, &[b"a", b"b"]);
    spool.writer().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    append(&spool, &[b"c"]);
    let mut watch = Watch::begin(&spool);
    assert_eq!(losses(&spool, &mut watch), [""; 0], "a spool in order");
    change(&path);
    let found = losses(&spool, &mut watch);
    let [what] = &found[..] else { panic!("{found:?}") };
    assert!(spool.lost().is_some_and(|error| error.message() == what && error.hint().is_some()));
    spool.append(&crate::spool::tests::burst(&[b"new"]), 7).unwrap_err();
    let last = spool.append_last(&crate::spool::tests::burst(&[b"read before"]), 7, false);
    assert!(last.is_ok() || what.contains("truncated") || what.contains("overwritten"), "{last:?}");
    what.clone()
}

#[test]
fn a_file_that_is_not_what_was_opened_is_noticed() {
    let says = |what: &str, change: &dyn Fn(&Path)| {
        let found = after(change);
        assert!(found.contains(what), "{what}: {found}");
    };
    says("was removed", &|path| fs::remove_file(path).unwrap());
    says("replaced by another one", &|path| {
        fs::rename(path, part(path, ".old")).unwrap();
        fs::write(path, "another").unwrap();
    });
    says("replaced by another one", &|path| {
        fs::write(part(path, ".new"), "another").unwrap();
        fs::rename(part(path, ".new"), path).unwrap();
    });
    says("moved away", &|path| fs::rename(path, part(path, ".old")).unwrap());
    says("moved away", &|path| {
        fs::rename(path.parent().unwrap(), path.parent().unwrap().with_file_name("moved")).unwrap();
    });
    says("truncated", &|path| File::options().write(true).open(path).unwrap().set_len(0).unwrap());
    says("truncated", &|path| File::options().write(true).open(path).unwrap().set_len(4096).unwrap());
    says("overwritten", &|path| {
        File::options().write(true).open(path).unwrap().write_all(&[b'x'; 200]).unwrap();
    });
    says("-wal was moved away or removed", &|path| fs::remove_file(part(path, "-wal")).unwrap());
    says("-shm was moved away or removed", &|path| fs::remove_file(part(path, "-shm")).unwrap());
}

/// The sink is open for as long as the application likes, and for as long as `start()` waits for the destination.
#[test]
fn what_happens_to_a_file_before_it_is_watched_is_noticed() {
    let says = |what: &str, change: &dyn Fn(&Path)| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("spool.db");
        // The end of an earlier process copies its log into the file.
        append(&Spool::open(&config(&path)).unwrap(), &[b"a"]);
        let spool = Spool::open(&config(&path)).unwrap();
        append(&spool, &[b"b"]);
        change(&path);
        let found = losses(&spool, &mut Watch::begin(&spool));
        assert!(found.len() == 1 && found[0].contains(what), "{what}: {found:?}");
    };
    says("was removed", &|path| fs::remove_file(path).unwrap());
    says("truncated", &|path| File::options().write(true).open(path).unwrap().set_len(0).unwrap());
    says("truncated", &|path| File::options().write(true).open(path).unwrap().set_len(4096).unwrap());
    says("-wal was moved away or removed", &|path| fs::remove_file(part(path, "-wal")).unwrap());
    says("-shm was replaced by another one", &|path| {
        fs::remove_file(part(path, "-shm")).unwrap();
        fs::write(part(path, "-shm"), "another").unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_new_place_of_a_moved_file_is_named() {
    let found = after(|path| fs::rename(path, part(path, ".old")).unwrap());
    assert!(found.ends_with("folder/spool.db.old now"), "{found}");
}

#[test]
fn a_second_name_is_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    let mut watch = Watch::begin(&spool);
    fs::hard_link(&path, part(&path, ".hard")).unwrap();
    let reports = RefCell::new(Vec::new());
    for _ in 0..3 {
        watch.next = Instant::now();
        watch.look(&spool, |error| reports.borrow_mut().push(error.to_string()), |error| panic!("{error}"));
    }
    let reports = reports.into_inner();
    assert!(reports.len() == 1 && reports[0].contains("hard link"), "{reports:?}");
}

/// While the log is copied, the header and the size do not fit for a moment.
#[test]
fn the_upkeep_of_the_file_is_no_loss() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(&config(&directory.path().join("spool.db"))).unwrap();
    let mut watch = Watch::begin(&spool);
    let event = vec![b'x'; 60_000];
    std::thread::scope(|scope| {
        let growing = scope.spawn(|| {
            for _ in 0..60 {
                let end = append(&spool, &[&event, &event]);
                spool.commit_all(end).unwrap();
                spool.tidy().unwrap();
                spool.writer().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            }
        });
        while !growing.is_finished() {
            watch.next = Instant::now();
            watch.look(&spool, |error| panic!("{error}"), |error| panic!("{error}"));
            // As long as the real watch waits.
            std::thread::sleep(watch.wait().min(DOUBT_INTERVAL));
        }
    });
}

#[test]
fn the_events_of_a_removed_file_are_saved_at_the_end() {
    for is_noticed in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("folder/spool.db");
        let spool = Spool::open(&config(&path)).unwrap();
        append(&spool, &[b"a", b"b"]);
        let mut watch = Watch::begin(&spool);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        if is_noticed {
            assert_eq!(losses(&spool, &mut watch).len(), 1);
        }
        append_any(&spool);
        spool.release().unwrap();
        spool.release().unwrap();
        assert!(Spool::open(&config(&path)).unwrap_err().message().contains("in use"), "its log has the same name");
        drop(spool);
        let next = Spool::open(&config(&path)).unwrap();
        assert_eq!(next.pending().events, 3, "{is_noticed}");
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            4,
            "the file, its log, its index and its lock"
        );
    }
}

fn append_any(spool: &Spool) {
    spool.append_last(&crate::spool::tests::burst(&[b"c"]), 7, false).unwrap();
}

#[test]
fn a_file_in_its_place_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("spool.db");
    let spool = Spool::open(&config(&path)).unwrap();
    append(&spool, &[b"a", b"b"]);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another").unwrap();
    spool.release().unwrap();
    drop(spool);
    assert_eq!(fs::read_to_string(&path).unwrap(), "another");
    let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let saved: Vec<PathBuf> = names.filter(|path| path.to_string_lossy().contains(".saved-")).collect();
    let [saved] = &saved[..] else { panic!("{saved:?}") };
    assert_eq!(Spool::open(&config(saved)).unwrap().pending().events, 2);
}
